/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The client's conversation with a server that the test plays at the other end of a socket pair. */
#include "kd-connection.h"
#include "kd-host.h"
#include "kd-loop.h"
#include "kd-message.h"
#include "kd-route.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TRANS     "com:pipe,port=/p.sock"
#define NOT_SAID  UINT32_MAX
#define MAX_BYTES 64

/* What the test's server says, and what it has heard. */
typedef struct {
    const char *mechanism;
    uint32_t close_instead; /* answers OPEN, when not NOT_SAID */
    gboolean has_half_close;
    gboolean is_mute;
    uint16_t other_major; /* of its preamble, when not 0 */
    const char *listed;   /* (nullable): payload of LISTED; else it is of 1.0 */
    gsize listed_len;
    uint32_t controls;

    KdRoute *route;
    char *trans;
    char *identity;
    char *auth_mechanism;
    uint32_t close_heard;
    gboolean is_fin_heard;
    gboolean is_cut;
    guint n_controls;
    KdControl last_control;
    int target; /* what the target has at its end of the link */
} Server;

typedef struct {
    KdReach *reach;
    const KdHost *host;
    KdRegistry *registry;
    KdPlan plan;
    KdConnection *connection;
    gboolean is_open;
    gboolean is_half_closed;
    gboolean is_ended;
    guint n_listed; /* links, or NOT_SAID */
    GError *error;
    int debugger;
} Client;

static int dialled_fd = -1; /* what the pair transport hands over next */

/* ---- a transport whose dialling finds the test ---- */

static const KdParamSpec pair_params[] = {{0}};

static void
pair_connect_async(const KdHost *host, GVariant *params, GCancellable *cancellable,
                   GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, user_data);

    (void)host;
    (void)params;
    g_task_return_int(task, dialled_fd);
}

static gboolean
pair_connect_finish(GAsyncResult *result, KdEndpoint *endpoint, GError **error)
{
    gssize fd = g_task_propagate_int(G_TASK(result), error);

    if (fd < 0) {
        close(dialled_fd);
        return FALSE;
    }
    kd_endpoint_take_fd(endpoint, (int)fd, KD_ENDPOINT_HALF_CLOSE, NULL);
    return TRUE;
}

static const KdTransport pair_transport = {
    .struct_size = sizeof(KdTransport),
    .caps = KD_TRANSPORT_CONNECT,
    .scheme = "pair",
    .summary = "the other end of a socket pair",
    .params = pair_params,
    .connect_async = pair_connect_async,
    .connect_finish = pair_connect_finish,
};

static const KdTransport *const pair_transports[] = {&pair_transport, NULL};

static const KdPlugin pair_plugin = {
    .abi = KD_ABI_INIT(KdPlugin),
    .name = "pair",
    .version = "0",
    .license = "LGPL-2.1-or-later",
    .transports = pair_transports,
};

/* ---- the server ---- */

static void
make_pair(int fds[2])
{
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), ==, 0);
}

static void
say_close(Server *server, uint32_t code)
{
    KdClose close = {.code = code, .text = (char *)"in use by HOST\\other"};

    kd_route_send(server->route, KD_FRAME_CLOSE, kd_close_build(&close));
}

static void
say_hello(Server *server)
{
    char *features[] = {server->listed != NULL ? (char *)KD_FEATURE_LIST : NULL, NULL};
    char *mechanisms[] = {(char *)server->mechanism, NULL};
    KdHello hello = {.window = KD_WINDOW_BYTES,
                     .max_data_bytes = KD_MAX_DATA_BYTES,
                     .features = features,
                     .mechanisms = mechanisms};

    if (server->other_major == 0) {
        kd_route_send_preamble(server->route);
    }
    kd_route_send(server->route, KD_FRAME_HELLO, kd_hello_build(&hello));
}

static void
answer_open(Server *server)
{
    KdOpened opened = {.session = 1,
                       .scheme = (char *)"com",
                       .dialect = (char *)"bytes",
                       .controls = server->controls,
                       .has_half_close = server->has_half_close,
                       .name = (char *)"com:Port=/p.sock"};
    KdEndpoint endpoint;
    int fds[2];

    if (server->close_instead != NOT_SAID) {
        say_close(server, server->close_instead);
        return;
    }
    make_pair(fds);
    server->target = fds[0];
    kd_endpoint_init(&endpoint);
    kd_endpoint_take_fd(&endpoint, fds[1], KD_ENDPOINT_HALF_CLOSE, NULL);
    kd_route_send(server->route, KD_FRAME_OPENED, kd_opened_build(&opened));
    kd_wire_advance(kd_route_get_wire(server->route), KD_PHASE_STREAMING);
    g_assert_true(kd_route_join(server->route, KD_SIDE_LINE, &endpoint, NULL));
}

static void
on_preamble(KdRoute *route, uint16_t major, uint16_t minor, void *user)
{
    (void)user;
    g_assert_cmpuint(major, ==, KD_PROTOCOL_MAJOR);
    g_assert_cmpuint(minor, ==, KD_PROTOCOL_MINOR);
    kd_wire_advance(kd_route_get_wire(route), KD_PHASE_HELLO);
}

static void
take_hello(KdRoute *route, const uint8_t *payload, size_t len)
{
    g_autoptr(KdHello) hello = kd_hello_parse(payload, len, NULL);
    KdWire *wire = kd_route_get_wire(route);

    g_assert_nonnull(hello);
    wire->credit.peer_window = hello->window;
    wire->peer_max_data_bytes = hello->max_data_bytes;
    kd_wire_advance(wire, KD_PHASE_AUTH);
}

static void
on_frame(KdRoute *route, const KdFrameHeader *header, const uint8_t *payload, void *user)
{
    Server *server = user;
    KdAuth done = {.is_done = TRUE};

    if (header->type == KD_FRAME_HELLO) {
        take_hello(route, payload, header->length);
    } else if (header->type == KD_FRAME_AUTH) {
        g_autoptr(KdAuth) auth = kd_auth_parse(payload, header->length, NULL);

        server->auth_mechanism = g_strdup(auth->mechanism);
        kd_route_send(route, KD_FRAME_AUTH, kd_auth_build(&done));
        kd_wire_advance(kd_route_get_wire(route), KD_PHASE_READY);
    } else if (header->type == KD_FRAME_OPEN) {
        g_autoptr(KdOpen) open = kd_open_parse(payload, header->length, NULL);

        server->trans = g_strdup(open->trans);
        server->identity = g_strdup(open->identity);
        kd_wire_advance(kd_route_get_wire(route), KD_PHASE_OPENING);
        answer_open(server);
    } else if (header->type == KD_FRAME_CONTROL) {
        g_assert_true(kd_control_parse(&server->last_control, payload, header->length, NULL));
        server->n_controls++;
    } else if (header->type == KD_FRAME_LIST) {
        g_assert_cmpuint(header->length, ==, 0);
        kd_route_send(route, KD_FRAME_LISTED,
                      g_bytes_new_static(server->listed, server->listed_len));
    } else if (header->type == KD_FRAME_CLOSE) {
        g_autoptr(KdClose) close = kd_close_parse(payload, header->length, NULL);

        server->close_heard = close->code;
        g_clear_pointer(&server->route, kd_route_free);
    }
}

static void
on_finished(KdRoute *route, KdSide side, int error, void *user)
{
    Server *server = user;

    if (side == KD_SIDE_LINE) {
        kd_route_shut(route, KD_SIDE_PEER);
    } else if (error == 0) {
        server->is_fin_heard = TRUE;
        kd_route_shut(route, KD_SIDE_LINE);
    } else {
        server->is_cut = TRUE;
    }
}

static void
on_failed(KdRoute *route, const GError *error, void *user)
{
    (void)route;
    (void)user;
    g_assert_no_error(error);
}

static void
on_quiet(KdRoute *route, void *user)
{
    (void)route;
    (void)user;
}

static const KdRouteFuncs server_funcs = {
    .preamble = on_preamble,
    .frame = on_frame,
    .finished = on_finished,
    .failed = on_failed,
    .reached = on_quiet,
    .flushed = on_quiet,
};

static void
start_server(Server *server)
{
    uint8_t preamble[KD_PREAMBLE_BYTES];
    KdEndpoint endpoint;
    int fds[2];

    make_pair(fds);
    dialled_fd = fds[0];
    if (server->other_major != 0) {
        kd_preamble_store(preamble, KD_ROLE_SERVER, server->other_major, 5);
        g_assert_cmpint(write(fds[1], preamble, sizeof preamble), ==, sizeof preamble);
    }
    server->close_heard = NOT_SAID;
    server->target = -1;
    server->route = kd_route_new_framed(KD_ROLE_SERVER, &server_funcs, server);
    kd_endpoint_init(&endpoint);
    kd_endpoint_take_fd(&endpoint, fds[1], KD_ENDPOINT_HALF_CLOSE, NULL);
    g_assert_true(kd_route_join(server->route, KD_SIDE_PEER, &endpoint, NULL));
    if (!server->is_mute) {
        say_hello(server);
    }
}

/* ---- the client ---- */

static void
on_opened(KdConnection *connection, void *user)
{
    Client *client = user;
    KdDebugger debugger = {.kind = KD_DEBUGGER_UNIX};
    KdEndpoint endpoint;
    int fds[2];

    make_pair(fds);
    debugger.fd = fds[1];
    client->is_open = TRUE;
    client->debugger = fds[0];
    kd_endpoint_init(&endpoint);
    kd_endpoint_take_fd(&endpoint, fds[1], KD_ENDPOINT_HALF_CLOSE, NULL);
    g_assert_true(kd_connection_join(connection, &debugger, &endpoint, NULL));
}

static void
on_half_closed(KdConnection *connection, void *user)
{
    (void)connection;
    ((Client *)user)->is_half_closed = TRUE;
}

static void
on_ended(KdConnection *connection, const GError *error, void *user)
{
    Client *client = user;

    g_assert_false(client->is_ended);
    client->is_ended = TRUE;
    client->n_listed = connection->listed != NULL ? connection->listed->links->len : NOT_SAID;
    client->error = error != NULL ? g_error_copy(error) : NULL;
    client->connection = NULL;
    kd_connection_free(connection);
}

static const KdConnectionFuncs client_funcs = {
    .opened = on_opened,
    .half_closed = on_half_closed,
    .ended = on_ended,
};

static void
start_client_at(Client *client, const char *server, const char *trans)
{
    *client =
        (Client){.plan = {.server = g_strdup(server), .trans = (char *)trans}, .debugger = -1};

    client->reach = kd_reach_new_everything();
    client->host = kd_host_new(client->reach);
    client->registry = kd_registry_new(client->host);
    g_assert_true(kd_registry_add(client->registry, &pair_plugin, "/pair.so", NULL));
    kd_registry_seal(client->registry);
    g_assert_true(kd_connection_resolve(&client->plan, client->registry, NULL));
    g_assert_true(kd_connection_prepare(&client->plan, NULL));
    client->connection = kd_connection_new(&client->plan, client->registry, &client_funcs, client);
    kd_connection_start(client->connection);
}

static void
start_client_on(Client *client, const char *trans)
{
    start_client_at(client, "pair:", trans);
}

static void
start_client(Client *client)
{
    start_client_on(client, TRANS);
}

static void
clear(Client *client, Server *server)
{
    kd_connection_free(client->connection);
    kd_route_free(server->route);
    if (client->debugger >= 0) {
        close(client->debugger);
    }
    if (server->target >= 0) {
        close(server->target);
    }
    while (g_main_context_iteration(NULL, FALSE)) {
    }
    g_clear_error(&client->error);
    kd_dial_up_free(client->plan.dial_up);
    g_free(client->plan.server);
    kd_registry_free(client->registry);
    kd_host_free(client->host);
    kd_reach_free(client->reach);
    g_free(server->trans);
    g_free(server->identity);
    g_free(server->auth_mechanism);
}

#define WAIT_FOR(condition)                   \
    while (!(condition)) {                    \
        g_main_context_iteration(NULL, TRUE); \
    }

static void
read_text(int fd, const char *expected)
{
    char bytes[MAX_BYTES] = "";
    size_t len = 0;

    while (len < strlen(expected)) {
        gssize n = read(fd, bytes + len, sizeof bytes - 1 - len);

        g_assert_true(n > 0 || (n < 0 && errno == EAGAIN));
        len += n > 0 ? (size_t)n : 0;
        g_main_context_iteration(NULL, FALSE);
    }
    g_assert_cmpstr(bytes, ==, expected);
}

static void
write_text(int fd, const char *text)
{
    g_assert_cmpint(write(fd, text, strlen(text)), ==, (gssize)strlen(text));
}

/* ---- what it promises ---- */

static void
test_opens(void)
{
    Server server = {.mechanism = "none", .close_instead = NOT_SAID};
    Client client;

    start_server(&server);
    start_client(&client);
    WAIT_FOR(client.is_open || client.is_ended);
    g_assert_no_error(client.error);
    g_assert_cmpstr(server.auth_mechanism, ==, "none");
    g_assert_cmpstr(server.trans, ==, TRANS);
    g_assert_nonnull(strchr(server.identity, '\\'));
    write_text(client.debugger, "to target");
    write_text(server.target, "to debugger");
    read_text(server.target, "to target");
    read_text(client.debugger, "to debugger");
    clear(&client, &server);
}

static void
test_password(void)
{
    Server server = {.mechanism = "SCRAM-SHA-256", .close_instead = NOT_SAID};
    Client client;

    start_server(&server);
    start_client_at(&client, "pair:password=s3cret", TRANS);
    WAIT_FOR(client.is_ended);
    g_assert_error(client.error, KD_ERROR, KD_ERROR_AUTH);
    g_assert_nonnull(strstr(client.error->message, "Error 0x80004005"));
    g_assert_null(strstr(client.error->message, "s3cret"));
    g_assert_cmpstr(server.auth_mechanism, ==, "SCRAM-SHA-256");
    g_assert_null(server.trans);
    g_assert_cmpuint(server.close_heard, ==, KD_CLOSE_AUTH_FAILED);
    clear(&client, &server);
}

static void
test_no_password_asked(void)
{
    Server server = {.mechanism = "none", .close_instead = NOT_SAID};
    Client client;

    start_server(&server);
    start_client_at(&client, "pair:password=s3cret", TRANS);
    WAIT_FOR(client.is_ended);
    g_assert_error(client.error, KD_ERROR, KD_ERROR_AUTH);
    g_assert_nonnull(strstr(client.error->message, "Error 0x80004005"));
    g_assert_null(server.auth_mechanism);
    g_assert_cmpuint(server.close_heard, ==, KD_CLOSE_AUTH_FAILED);
    clear(&client, &server);
}

static void
test_other_major(void)
{
    Server server = {.mechanism = "none", .close_instead = NOT_SAID, .other_major = 2};
    Client client;

    start_server(&server);
    start_client(&client);
    WAIT_FOR(client.is_ended);
    g_assert_error(client.error, KD_ERROR, KD_ERROR_ABI);
    g_assert_nonnull(strstr(client.error->message,
                            "The client is not using same version of remoting protocol as the "
                            "server (client 1.2, server 2.5)"));
    g_assert_cmpuint(server.close_heard, ==, KD_CLOSE_VERSION);
    g_assert_null(server.auth_mechanism);
    clear(&client, &server);
}

static void
test_busy(void)
{
    Server server = {.mechanism = "none", .close_instead = KD_CLOSE_BUSY};
    Client client;

    start_server(&server);
    start_client(&client);
    WAIT_FOR(client.is_ended);
    g_assert_error(client.error, KD_ERROR, KD_ERROR_BUSY);
    g_assert_nonnull(strstr(client.error->message, "in use by HOST\\other"));
    g_assert_false(client.is_open);
    clear(&client, &server);
}

static void
test_target_closed(void)
{
    Server server = {.mechanism = "none", .close_instead = NOT_SAID};
    Client client;

    start_server(&server);
    start_client(&client);
    WAIT_FOR(client.is_open);
    write_text(server.target, "bye");
    read_text(client.debugger, "bye");
    say_close(&server, KD_CLOSE_TARGET_CLOSED);
    WAIT_FOR(client.is_ended);
    g_assert_no_error(client.error);
    clear(&client, &server);
}

static void
test_cut(void)
{
    Server server = {.mechanism = "none", .close_instead = NOT_SAID};
    Client client;

    start_server(&server);
    start_client(&client);
    WAIT_FOR(client.is_open);
    g_clear_pointer(&server.route, kd_route_free);
    WAIT_FOR(client.is_ended);
    g_assert_error(client.error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED);
    g_assert_nonnull(strstr(client.error->message, "was cut"));
    clear(&client, &server);
}

static void
test_last_bytes(void)
{
    Server server = {.mechanism = "none", .close_instead = NOT_SAID};
    Client client;

    start_server(&server);
    start_client(&client);
    WAIT_FOR(client.is_open);
    write_text(client.debugger, "detach");
    close(client.debugger);
    client.debugger = -1;
    WAIT_FOR(client.is_ended);
    g_assert_no_error(client.error);
    g_assert_cmpuint(server.close_heard, ==, KD_CLOSE_NORMAL);
    read_text(server.target, "detach");
    clear(&client, &server);
}

static void
test_half_close(void)
{
    Server server = {.mechanism = "none", .close_instead = NOT_SAID, .has_half_close = TRUE};
    Client client;

    start_server(&server);
    start_client(&client);
    WAIT_FOR(client.is_open);
    write_text(client.debugger, "question");
    g_assert_cmpint(shutdown(client.debugger, SHUT_WR), ==, 0);
    WAIT_FOR(server.is_fin_heard);
    g_assert_true(client.is_half_closed);
    read_text(server.target, "question");
    write_text(server.target, "answer");
    read_text(client.debugger, "answer");
    close(server.target);
    server.target = -1;
    WAIT_FOR(client.is_ended);
    g_assert_no_error(client.error);
    g_assert_cmpuint(server.close_heard, ==, KD_CLOSE_NORMAL);
    clear(&client, &server);
}

static void
test_gone_after_half_close(void)
{
    Server server = {.mechanism = "none", .close_instead = NOT_SAID, .has_half_close = TRUE};
    Client client;

    start_server(&server);
    start_client(&client);
    WAIT_FOR(client.is_open);
    g_assert_cmpint(shutdown(client.debugger, SHUT_WR), ==, 0);
    WAIT_FOR(server.is_fin_heard);
    close(client.debugger);
    client.debugger = -1;
    WAIT_FOR(client.is_ended);
    g_assert_no_error(client.error);
    g_assert_cmpuint(server.close_heard, ==, KD_CLOSE_NORMAL);
    clear(&client, &server);
}

static void
test_closed_while_waiting(void)
{
    Server server = {.mechanism = "none", .close_instead = NOT_SAID, .is_mute = TRUE};
    Client client;

    start_server(&server);
    start_client(&client);
    for (int i = 0; i < 10; i++) {
        g_main_context_iteration(NULL, FALSE);
    }
    kd_connection_close(client.connection);
    WAIT_FOR(client.is_ended);
    g_assert_no_error(client.error);
    clear(&client, &server);
}

static void
test_closed_while_dialling(void)
{
    Server server = {.mechanism = "none", .close_instead = NOT_SAID};
    Client client;

    start_server(&server);
    start_client(&client);
    kd_connection_close(client.connection);
    g_assert_false(client.is_ended);
    WAIT_FOR(client.is_ended);
    g_assert_no_error(client.error);
    g_assert_false(client.is_open);
    clear(&client, &server);
}

/* ---- control operations ---- */

typedef struct {
    guint n;
    uint64_t value;
    char *text;
    GError *error;
} Answer;

static void
on_controlled(uint64_t value, const char *text, const GError *error, void *user)
{
    Answer *answer = user;

    answer->n++;
    answer->value = value;
    g_free(answer->text);
    answer->text = g_strdup(text);
    g_clear_error(&answer->error);
    answer->error = error != NULL ? g_error_copy(error) : NULL;
}

static void
clear_answer(Answer *answer)
{
    g_free(answer->text);
    g_clear_error(&answer->error);
}

static void
control(Client *client, uint16_t op, Answer *answer)
{
    KdControl control = {.op = op, .arg = 7, .arg2 = 9};

    kd_connection_control(client->connection, &control, on_controlled, answer);
}

static void
send_result(Server *server, uint32_t id, uint32_t code, const char *text)
{
    KdResult result = {.id = id, .code = code, .value = 12, .text = (char *)text};

    kd_route_send(server->route, KD_FRAME_RESULT, kd_result_build(&result));
}

static void
open_with_controls(Server *server, Client *client)
{
    *server = (Server){.mechanism = "none",
                       .close_instead = NOT_SAID,
                       .controls = 1u << KD_CONTROL_BREAK | 1u << KD_CONTROL_STATUS};
    start_server(server);
    start_client(client);
    WAIT_FOR(client->is_open);
}

static void
test_control(void)
{
    Answer answer = {0};
    Client client;
    Server server;

    open_with_controls(&server, &client);
    write_text(client.debugger, "five5");
    read_text(server.target, "five5");
    control(&client, KD_CONTROL_BREAK, &answer);
    WAIT_FOR(server.n_controls == 1);
    g_assert_cmpuint(server.last_control.op, ==, KD_CONTROL_BREAK);
    g_assert_cmpuint(server.last_control.at, ==, 5);
    g_assert_cmpuint(server.last_control.arg, ==, 7);
    g_assert_cmpuint(server.last_control.arg2, ==, 9);
    g_assert_cmpuint(answer.n, ==, 0);
    send_result(&server, server.last_control.id + 1, 0, "to nobody");
    send_result(&server, server.last_control.id, 0, "text");
    WAIT_FOR(answer.n == 1);
    g_assert_no_error(answer.error);
    g_assert_cmpuint(answer.value, ==, 12);
    g_assert_cmpstr(answer.text, ==, "text");
    control(&client, KD_CONTROL_STATUS, &answer);
    WAIT_FOR(server.n_controls == 2);
    send_result(&server, server.last_control.id, KD_ERROR_LINK_LOST + 1, "it is gone");
    WAIT_FOR(answer.n == 2);
    g_assert_error(answer.error, KD_ERROR, KD_ERROR_LINK_LOST);
    g_assert_cmpstr(answer.error->message, ==, "it is gone");
    clear_answer(&answer);
    clear(&client, &server);
}

static void
test_control_refused(void)
{
    Answer answer = {0};
    Client client;
    Server server = {.mechanism = "none", .close_instead = NOT_SAID};

    start_server(&server);
    start_client(&client);
    control(&client, KD_CONTROL_BREAK, &answer);
    g_assert_cmpuint(answer.n, ==, 1);
    g_assert_cmpstr(answer.error->message, ==, "the target is not open");
    WAIT_FOR(client.is_open);
    control(&client, KD_CONTROL_BREAK, &answer);
    g_assert_cmpuint(answer.n, ==, 2);
    g_assert_error(answer.error, KD_ERROR, KD_ERROR_NOT_SUPPORTED);
    g_assert_nonnull(strstr(answer.error->message, "no BREAK"));
    clear_answer(&answer);
    clear(&client, &server);
    g_assert_cmpuint(server.n_controls, ==, 0);
}

static void
test_control_lost(void)
{
    Answer answer = {0};
    KdEvent event = {.seq = 1, .kind = KD_EVENT_LOST};
    Client client;
    Server server;

    open_with_controls(&server, &client);
    kd_route_send(server.route, KD_FRAME_EVENT, kd_event_build(&event));
    WAIT_FOR(client.connection->is_lost);
    control(&client, KD_CONTROL_BREAK, &answer);
    g_assert_error(answer.error, KD_ERROR, KD_ERROR_LINK_LOST);
    event.seq = 2;
    event.kind = KD_EVENT_BACK;
    kd_route_send(server.route, KD_FRAME_EVENT, kd_event_build(&event));
    WAIT_FOR(!client.connection->is_lost);
    control(&client, KD_CONTROL_BREAK, &answer);
    g_assert_cmpuint(answer.n, ==, 1);
    kd_connection_free(client.connection);
    client.connection = NULL;
    g_assert_cmpuint(answer.n, ==, 2);
    g_assert_cmpstr(answer.error->message, ==, "the session has ended");
    clear_answer(&answer);
    clear(&client, &server);
}

static void
test_control_many(void)
{
    Answer answer = {0};
    Answer last = {0};
    Client client;
    Server server;

    open_with_controls(&server, &client);
    for (int i = 0; i < 16; i++) {
        control(&client, KD_CONTROL_STATUS, &answer);
    }
    control(&client, KD_CONTROL_STATUS, &last);
    g_assert_error(last.error, KD_ERROR, KD_ERROR_BUSY);
    g_assert_cmpuint(answer.n, ==, 0);
    WAIT_FOR(server.n_controls == 16);
    say_close(&server, KD_CLOSE_TARGET_CLOSED);
    WAIT_FOR(client.is_ended);
    g_assert_cmpuint(answer.n, ==, 16);
    clear_answer(&answer);
    clear_answer(&last);
    clear(&client, &server);
}

static void
run_list(Server *server, Client *client)
{
    start_server(server);
    start_client_on(client, NULL);
    WAIT_FOR(client->is_ended);
    g_assert_false(client->is_open);
    g_assert_null(server->trans);
}

static void
test_lists(void)
{
    Server server = {.mechanism = "none",
                     .close_instead = NOT_SAID,
                     .listed = "\1\0\5\0\1\0\1\0x\1\0\5\0\1\0\1\0y",
                     .listed_len = 18};
    Client client;

    run_list(&server, &client);
    g_assert_no_error(client.error);
    g_assert_cmpuint(client.n_listed, ==, 2);
    g_assert_cmpuint(server.close_heard, ==, KD_CLOSE_NORMAL);
    clear(&client, &server);
}

static void
test_lists_nothing(void)
{
    Server server = {.mechanism = "none", .close_instead = NOT_SAID, .listed = ""};
    Client client;

    run_list(&server, &client);
    g_assert_no_error(client.error);
    g_assert_cmpuint(client.n_listed, ==, 0);
    clear(&client, &server);
}

static void
test_list_is_broken(void)
{
    Server server = {.mechanism = "none",
                     .close_instead = NOT_SAID,
                     .listed = "\1\0\5\0\1\0\1\0\33",
                     .listed_len = 9};
    Client client;

    run_list(&server, &client);
    g_assert_error(client.error, KD_ERROR, KD_ERROR_PROTOCOL);
    g_assert_cmpuint(client.n_listed, ==, NOT_SAID);
    g_assert_cmpuint(server.close_heard, ==, KD_CLOSE_PROTOCOL_ERROR);
    clear(&client, &server);
}

static void
test_list_of_1_0(void)
{
    Server server = {.mechanism = "none", .close_instead = NOT_SAID};
    Client client;

    run_list(&server, &client);
    g_assert_error(client.error, KD_ERROR, KD_ERROR_NOT_SUPPORTED);
    g_assert_nonnull(strstr(client.error->message, "the server is older than this kd"));
    g_assert_null(server.auth_mechanism);
    clear(&client, &server);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_assert_true(kd_loop_start(NULL));
    g_test_add_func("/client/remote/opens-the-link-and-moves-bytes", test_opens);
    g_test_add_func("/client/remote/server-must-prove-the-password", test_password);
    g_test_add_func("/client/remote/server-must-ask-for-the-password", test_no_password_asked);
    g_test_add_func("/client/remote/says-nothing-to-another-major", test_other_major);
    g_test_add_func("/client/remote/tells-the-servers-reason", test_busy);
    g_test_add_func("/client/remote/ends-cleanly-with-the-target", test_target_closed);
    g_test_add_func("/client/remote/tells-a-cut-from-an-end", test_cut);
    g_test_add_func("/client/remote/delivers-the-debuggers-last-bytes", test_last_bytes);
    g_test_add_func("/client/remote/carries-a-half-close", test_half_close);
    g_test_add_func("/client/remote/ends-when-a-half-closed-debugger-goes",
                    test_gone_after_half_close);
    g_test_add_func("/client/remote/can-be-closed-while-the-server-is-silent",
                    test_closed_while_waiting);
    g_test_add_func("/client/remote/lists-the-links-of-a-server", test_lists);
    g_test_add_func("/client/remote/a-server-may-have-no-links", test_lists_nothing);
    g_test_add_func("/client/remote/refuses-a-list-that-is-broken", test_list_is_broken);
    g_test_add_func("/client/remote/asks-no-server-of-1-0-for-its-links", test_list_of_1_0);
    g_test_add_func("/client/remote/can-be-closed-while-it-dials", test_closed_while_dialling);
    g_test_add_func("/client/remote/asks-for-control-in-its-place-and-takes-the-answer",
                    test_control);
    g_test_add_func("/client/remote/refuses-what-the-link-does-not-offer", test_control_refused);
    g_test_add_func("/client/remote/refuses-control-while-the-target-is-lost", test_control_lost);
    g_test_add_func("/client/remote/has-16-unanswered-and-answers-them-at-its-end",
                    test_control_many);
    return g_test_run();
}
