/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A server with its clients in a test's own process. */
#include "kd-test-room.h"

#include "kd-host.h"
#include "kd-loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib-unix.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

static KdTransport broken_transport;
static guint last_port;
static guint n_calls;
static guint n_refusals;
static const GError *refusal;
static int call_fd = -1; /* the client's end of the last call that was answered */

/* ---- transports ---- */

static void
on_listen(const KdHost *host, GVariant *params, GCancellable *cancellable,
          GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, user_data);

    (void)host;
    g_task_set_task_data(task, g_variant_ref(params), (GDestroyNotify)g_variant_unref);
    g_task_return_boolean(task, TRUE);
}

static gboolean
on_listen_finish(GAsyncResult *result, KdListening *listening, GError **error)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    guint64 port = 0;
    int fd;

    if (!g_task_propagate_boolean(G_TASK(result), error)) {
        return FALSE;
    }
    (void)g_variant_lookup(g_task_get_task_data(G_TASK(result)), "port", "t", &port);
    address.sin_port = htons((uint16_t)port);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    g_assert_no_errno(fd);
    if (bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, 512) != 0) {
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno), "sock:port=%u: in use",
                    (guint)port);
        close(fd);
        return FALSE;
    }
    g_assert_no_errno(getsockname(fd, (struct sockaddr *)&address, &len));
    last_port = ntohs(address.sin_port);
    listening->fds[0] = fd;
    listening->n_fds = 1;
    return TRUE;
}

static void
on_broken_accept(GObject *listener, GCancellable *cancellable, GAsyncReadyCallback callback,
                 gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(listener, cancellable, callback, user_data);

    g_task_return_new_error(task, KD_ERROR, KD_ERROR_FAILED, "broken: no more clients");
}

static gboolean
on_broken_accept_finish(GObject *listener, GAsyncResult *result, KdEndpoint *endpoint,
                        GError **error)
{
    (void)listener;
    (void)endpoint;
    return g_task_propagate_boolean(G_TASK(result), error);
}

static const KdParamSpec sock_params[] = {
    {.key = "port",
     .type = KD_PARAM_UINT,
     .max = 65535,
     .flags = KD_PARAM_REQUIRED,
     .placeholder = "N",
     .help = "where to listen"},
    {0},
};

static const KdTransport sock_transport = {
    .struct_size = sizeof(KdTransport),
    .caps = KD_TRANSPORT_LISTEN,
    .scheme = "sock",
    .summary = "a socket on this machine",
    .params = sock_params,
    .listen_async = on_listen,
    .listen_finish = on_listen_finish,
};

/* A call that is never answered either is only with a refusal of %NULL: it waits to be cancelled.
 */
static void
on_call(const KdHost *host, GVariant *params, GCancellable *cancellable,
        GAsyncReadyCallback callback, gpointer user_data)
{
    GTask *task = g_task_new(NULL, cancellable, callback, user_data);

    (void)host;
    (void)params;
    n_calls++;
    if (n_refusals == 0) {
        g_task_return_boolean(task, TRUE);
    } else if (refusal != NULL) {
        n_refusals--;
        g_task_return_error(task, g_error_copy(refusal));
    } else {
        g_signal_connect_object(cancellable, "cancelled",
                                G_CALLBACK(g_task_return_error_if_cancelled), task,
                                G_CONNECT_SWAPPED);
        return; /* the signal has the last reference */
    }
    g_object_unref(task);
}

static gboolean
on_call_finish(GAsyncResult *result, KdEndpoint *endpoint, GError **error)
{
    int fds[2];

    if (!g_task_propagate_boolean(G_TASK(result), error)) {
        return FALSE;
    }
    g_assert_no_errno(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds));
    g_assert_cmpint(call_fd, ==, -1);
    call_fd = fds[1];
    kd_endpoint_take_fd(endpoint, fds[0], KD_ENDPOINT_HALF_CLOSE, NULL);
    return TRUE;
}

static const KdParamSpec call_params[] = {
    {.key = "clicon",
     .type = KD_PARAM_HOST,
     .flags = KD_PARAM_REQUIRED | KD_PARAM_SERVER_CLICON,
     .placeholder = "C",
     .help = "whom to dial"},
    {.key = "hidden", .type = KD_PARAM_FLAG, .flags = KD_PARAM_SERVER, .help = "is not listed"},
    {0},
};

static const KdTransport call_transport = {
    .struct_size = sizeof(KdTransport),
    .caps = KD_TRANSPORT_CONNECT,
    .scheme = "call",
    .summary = "dials the test",
    .params = call_params,
    .connect_async = on_call,
    .connect_finish = on_call_finish,
};

static const KdTransport *const transports[] = {&sock_transport, &broken_transport, &call_transport,
                                                NULL};

static const KdPlugin room_plugin = {
    .abi = KD_ABI_INIT(KdPlugin),
    .name = "room",
    .version = "0",
    .license = "LGPL-2.1-or-later",
    .transports = transports,
};

/* ---- the room ---- */

static gboolean
on_heart(gpointer user_data)
{
    (void)user_data;
    return G_SOURCE_CONTINUE;
}

/**
 * kd_room_init:
 * @room: any bytes
 */
void
kd_room_init(KdRoom *room)
{
    g_autoptr(GError) error = NULL;

    (void)signal(SIGPIPE, SIG_IGN); /* as every program of ours does */
    g_assert_true(kd_loop_start(&error));
    *room = (KdRoom){.reach = kd_reach_new_everything()};
    room->host = kd_host_new(room->reach);
    room->registry = kd_registry_new(room->host);
    broken_transport = kd_fake_transport;
    broken_transport.scheme = "broken";
    broken_transport.accept_async = on_broken_accept;
    broken_transport.accept_finish = on_broken_accept_finish;
    g_assert_true(kd_registry_add(room->registry, &kd_fake_plugin, "fake", &error));
    g_assert_true(kd_registry_add(room->registry, &room_plugin, "room", &error));
    kd_registry_seal(room->registry);
    room->server = kd_server_new(room->registry, NULL);
    room->heart_id = g_timeout_add(2, on_heart, NULL);
}

/**
 * kd_room_clear:
 * @room: its server is stopped, or was never started
 *
 * Frees everything, and checks that the loop watches nothing any more.
 */
void
kd_room_clear(KdRoom *room)
{
    g_clear_pointer(&room->server, kd_server_free);
    g_source_remove(room->heart_id);
    kd_stage_settle();
    kd_fake_forget_all();
    kd_loop_stop();
    kd_registry_free(room->registry);
    kd_host_free(room->host);
    kd_reach_free(room->reach);
}

typedef struct {
    KdServer *server;
    gboolean is_done;
    gboolean is_good;
    GError *error;
} Start;

static void
on_started(GObject *source, GAsyncResult *result, gpointer user_data)
{
    Start *start = user_data;

    (void)source;
    start->is_good = kd_server_start_finish(start->server, result, &start->error);
    start->is_done = TRUE;
}

/**
 * kd_room_start:
 * @room: a room
 * @texts: of `-t`, separated by spaces
 * @error: where to put an error
 *
 * Returns: whether all of them listen
 */
gboolean
kd_room_start(KdRoom *room, const char *texts, GError **error)
{
    g_auto(GStrv) split = g_strsplit(texts, " ", -1);
    Start start = {.server = room->server};

    for (guint i = 0; split[i] != NULL; i++) {
        g_assert_true(kd_server_add_transport(room->server, split[i], NULL));
    }
    kd_server_start_async(room->server, NULL, on_started, &start);
    KD_AWAIT(start.is_done);
    if (!start.is_good) {
        g_propagate_error(error, start.error);
    }
    return start.is_good;
}

static void
on_stopped(KdServer *server, void *user)
{
    KdRoom *room = user;

    g_assert_true(server == room->server);
    room->n_stopped++;
}

/**
 * kd_room_stop:
 * @room: a room
 *
 * Begins to stop the server.
 */
void
kd_room_stop(KdRoom *room)
{
    kd_server_stop(room->server, "the server is ending", on_stopped, room);
}

/**
 * kd_room_get_port:
 *
 * Returns: of the last `sock` that listens
 */
guint
kd_room_get_port(void)
{
    return last_port;
}

/**
 * kd_room_connect:
 * @client: any bytes
 * @source: it comes from 127.0.0.@source
 *
 * Connects to the last `sock` that listens.
 */
void
kd_room_connect(KdTestClient *client, guint source)
{
    struct sockaddr_in from = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(0x7f000000u + source)};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)last_port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_no_errno(fd);
    g_assert_no_errno(bind(fd, (struct sockaddr *)&from, sizeof from));
    g_assert_no_errno(connect(fd, (struct sockaddr *)&to, sizeof to));
    g_assert_true(g_unix_set_fd_nonblocking(fd, TRUE, NULL));
    kd_test_client_init_fd(client, fd);
}

static void
on_connected(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GError) error = NULL;
    KdEndpoint endpoint;

    (void)source;
    kd_endpoint_init(&endpoint);
    (void)kd_fake_transport.connect_finish(result, &endpoint, &error);
    g_assert_no_error(error);
    kd_test_client_init_far(user_data, &endpoint);
}

/**
 * kd_room_connect_fake:
 * @client: any bytes
 * @name: of the `fake` that listens
 */
void
kd_room_connect_fake(KdTestClient *client, guint name)
{
    g_autoptr(GVariant) params =
        g_variant_ref_sink(g_variant_new_parsed("{'name': <%t>}", (guint64)name));

    client->in = NULL;
    kd_fake_transport.connect_async(NULL, params, NULL, on_connected, client);
    KD_AWAIT(client->in != NULL);
}

/**
 * kd_room_set_refusals:
 * @n: how many calls fail before one is answered
 * @error: (nullable): how; must outlive the calls; %NULL: they hang
 */
void
kd_room_set_refusals(guint n, const GError *error)
{
    n_refusals = n;
    refusal = error;
    n_calls = 0;
}

/**
 * kd_room_get_n_calls:
 *
 * Returns: how often the server has dialled since kd_room_set_refusals()
 */
guint
kd_room_get_n_calls(void)
{
    return n_calls;
}

/**
 * kd_room_await_call:
 * @client: any bytes
 *
 * Waits until the server has reached the test.
 */
void
kd_room_await_call(KdTestClient *client)
{
    KD_AWAIT(call_fd >= 0);
    kd_test_client_init_fd(client, call_fd);
    call_fd = -1;
}

/**
 * kd_room_log_in:
 * @client: connected, has said nothing
 */
void
kd_room_log_in(KdTestClient *client)
{
    kd_test_client_send_preamble(client, KD_PROTOCOL_MAJOR);
    kd_test_client_send_hello(client);
    kd_test_client_send_auth(client, "none");
    g_bytes_unref(kd_test_client_expect(client, KD_FRAME_HELLO));
    g_bytes_unref(kd_test_client_expect(client, KD_FRAME_AUTH));
}

/**
 * kd_room_open:
 * @client: connected, has said nothing
 * @trans: the link's string
 */
void
kd_room_open(KdTestClient *client, const char *trans)
{
    kd_room_log_in(client);
    kd_test_client_send_open(client, trans);
    g_bytes_unref(kd_test_client_expect(client, KD_FRAME_OPENED));
}
