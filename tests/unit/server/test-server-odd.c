/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Transports that misbehave: one that takes its time to listen, one whose socket does not listen.
 */
#include "kd-host.h"
#include "kd-loop.h"
#include "kd-server.h"
#include "kd-test-stage.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LATE_MS 300u

static guint port;

static void
on_listen(const KdHost *host, GVariant *params, GCancellable *cancellable,
          GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, user_data);

    (void)host;
    g_variant_unref(g_variant_ref_sink(params));
    g_task_return_boolean(task, TRUE);
}

static gboolean
on_late(gpointer user_data)
{
    g_autoptr(GTask) task = user_data;

    g_task_return_boolean(task, TRUE);
    return G_SOURCE_REMOVE;
}

/* Whatever the cancellable says, its answer comes when it comes. */
static void
on_listen_late(const KdHost *host, GVariant *params, GCancellable *cancellable,
               GAsyncReadyCallback callback, gpointer user_data)
{
    GTask *task = g_task_new(NULL, cancellable, callback, user_data);

    (void)host;
    g_variant_unref(g_variant_ref_sink(params));
    g_timeout_add(LATE_MS, on_late, task);
}

static gboolean
take_socket(GAsyncResult *result, KdListening *listening, gboolean is_listening, GError **error)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd;

    if (!g_task_propagate_boolean(G_TASK(result), error)) {
        return FALSE;
    }
    fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    g_assert_no_errno(bind(fd, (struct sockaddr *)&address, len));
    if (is_listening) {
        g_assert_no_errno(listen(fd, 16));
        g_assert_no_errno(getsockname(fd, (struct sockaddr *)&address, &len));
        port = ntohs(address.sin_port);
    }
    listening->fds[0] = fd;
    listening->n_fds = 1;
    return TRUE;
}

static gboolean
on_listen_finish(GAsyncResult *result, KdListening *listening, GError **error)
{
    return take_socket(result, listening, TRUE, error);
}

static gboolean
on_dead_finish(GAsyncResult *result, KdListening *listening, GError **error)
{
    return take_socket(result, listening, FALSE, error);
}

static const KdParamSpec no_params[] = {{0}};

static const KdTransport prompt_transport = {
    .struct_size = sizeof(KdTransport),
    .caps = KD_TRANSPORT_LISTEN,
    .scheme = "prompt",
    .summary = "listens",
    .params = no_params,
    .listen_async = on_listen,
    .listen_finish = on_listen_finish,
};

static const KdTransport late_transport = {
    .struct_size = sizeof(KdTransport),
    .caps = KD_TRANSPORT_LISTEN,
    .scheme = "late",
    .summary = "listens late",
    .params = no_params,
    .listen_async = on_listen_late,
    .listen_finish = on_listen_finish,
};

static const KdTransport dead_transport = {
    .struct_size = sizeof(KdTransport),
    .caps = KD_TRANSPORT_LISTEN,
    .scheme = "dead",
    .summary = "has a socket that does not listen",
    .params = no_params,
    .listen_async = on_listen,
    .listen_finish = on_dead_finish,
};

static const KdTransport *const transports[] = {&prompt_transport, &late_transport, &dead_transport,
                                                NULL};

static const KdPlugin plugin = {
    .abi = KD_ABI_INIT(KdPlugin),
    .name = "odd",
    .version = "0",
    .license = "LGPL-2.1-or-later",
    .transports = transports,
};

typedef struct {
    KdReach *reach;
    const KdHost *host;
    KdRegistry *registry;
    KdServer *server;
    guint heart_id;
    gboolean has_started;
    gboolean is_good;
    gboolean has_stopped;
} Fixture;

static gboolean
on_heart(gpointer user_data)
{
    (void)user_data;
    return G_SOURCE_CONTINUE;
}

static void
set_up(Fixture *f, gconstpointer user)
{
    g_autoptr(GError) error = NULL;

    (void)user;
    g_assert_true(kd_loop_start(&error));
    f->reach = kd_reach_new_everything();
    f->host = kd_host_new(f->reach);
    f->registry = kd_registry_new(f->host);
    g_assert_true(kd_registry_add(f->registry, &plugin, "odd", &error));
    kd_registry_seal(f->registry);
    f->server = kd_server_new(f->registry, NULL);
    f->heart_id = g_timeout_add(5, on_heart, NULL);
    port = 0;
}

static void
on_stopped(KdServer *server, void *user)
{
    (void)server;
    ((Fixture *)user)->has_stopped = TRUE;
}

static void
tear_down(Fixture *f, gconstpointer user)
{
    (void)user;
    KD_AWAIT(f->has_started);
    kd_server_stop(f->server, "the server is ending", on_stopped, f);
    KD_AWAIT(f->has_stopped);
    kd_server_free(f->server);
    g_source_remove(f->heart_id);
    kd_stage_settle();
    kd_loop_stop();
    kd_registry_free(f->registry);
    kd_host_free(f->host);
    kd_reach_free(f->reach);
}

static void
on_started(GObject *source, GAsyncResult *result, gpointer user_data)
{
    Fixture *f = user_data;
    g_autoptr(GError) error = NULL;

    (void)source;
    f->is_good = kd_server_start_finish(f->server, result, &error);
    f->has_started = TRUE;
}

static int
dial(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_no_errno(connect(fd, (struct sockaddr *)&to, sizeof to));
    return fd;
}

/* One listener is open already while another is waited for. */
static void
test_nobody_while_it_ends(Fixture *f, gconstpointer user)
{
    int client;

    (void)user;
    g_assert_true(kd_server_add_transport(f->server, "prompt:", NULL));
    g_assert_true(kd_server_add_transport(f->server, "late:", NULL));
    kd_server_start_async(f->server, NULL, on_started, f);
    KD_AWAIT(port != 0);
    kd_stage_settle();
    kd_server_stop(f->server, "the server is ending", on_stopped, f);
    client = dial();
    kd_stage_settle();
    g_assert_cmpuint(kd_server_get_n_sessions(f->server), ==, 0);
    close(client);
}

static gint64
get_cpu_us(void)
{
    struct timespec now;

    g_assert_no_errno(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now));
    return (gint64)now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000;
}

static void
test_no_spin(Fixture *f, gconstpointer user)
{
    gint64 end_us;
    gint64 cpu_us;

    (void)user;
    g_assert_true(kd_server_add_transport(f->server, "dead:", NULL));
    kd_server_start_async(f->server, NULL, on_started, f);
    KD_AWAIT(f->has_started);
    cpu_us = get_cpu_us();
    end_us = g_get_monotonic_time() + G_USEC_PER_SEC;
    while (g_get_monotonic_time() < end_us) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_assert_cmpint(get_cpu_us() - cpu_us, <, G_USEC_PER_SEC / 4);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/server/odd/takes-nobody-while-a-start-is-ended", Fixture, NULL, set_up,
               test_nobody_while_it_ends, tear_down);
    g_test_add("/server/odd/socket-that-does-not-listen-costs-nothing", Fixture, NULL, set_up,
               test_no_spin, tear_down);
    return g_test_run();
}
