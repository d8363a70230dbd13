/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* clicon in the client: who is let in that dials, and that waiting can be given up. */
#include "kd-endpoint.h"
#include "kd-host.h"
#include "kd-loop.h"
#include "kd-waiting.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct {
    KdReach *reach;
    const KdHost *host;
    KdRegistry *registry;
    KdDialUp *dial_up;
    KdWaiting *waiting;
    KdEndpoint server;
    gboolean is_told;
    GError *error;
} Client;

static in_port_t listen_port; /* 0: not yet, network order */
static int family = AF_INET;

/* ---- a transport that listens on any port ---- */

static const KdParamSpec near_params[] = {{.key = "clicon",
                                           .type = KD_PARAM_HOST,
                                           .flags = KD_PARAM_REQUIRED | KD_PARAM_CLIENT_CLICON,
                                           .help = "who will dial"},
                                          {0}};

static void
near_listen_async(const KdHost *host, GVariant *params, GCancellable *cancellable,
                  GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, user_data);

    (void)host;
    (void)params;
    g_task_return_boolean(task, TRUE);
}

static gboolean
near_listen_finish(GAsyncResult *result, KdListening *listening, GError **error)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = in6addr_any};
    struct sockaddr_in address4 = {.sin_family = AF_INET};
    socklen_t len = sizeof address;
    int fd;

    if (!g_task_propagate_boolean(G_TASK(result), error)) {
        return FALSE;
    }
    fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (family == AF_INET6) {
        g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    } else {
        g_assert_cmpint(bind(fd, (struct sockaddr *)&address4, sizeof address4), ==, 0);
    }
    g_assert_cmpint(listen(fd, 8), ==, 0);
    g_assert_cmpint(getsockname(fd, (struct sockaddr *)&address, &len), ==, 0);
    listen_port = address.sin6_port; /* at the same place in both */
    listening->fds[0] = fd;
    listening->n_fds = 1;
    return TRUE;
}

static const KdTransport near_transport = {
    .struct_size = sizeof(KdTransport),
    .caps = KD_TRANSPORT_LISTEN,
    .scheme = "near",
    .summary = "any port of this machine",
    .params = near_params,
    .listen_async = near_listen_async,
    .listen_finish = near_listen_finish,
};

static const KdTransport *const near_transports[] = {&near_transport, NULL};

static const KdPlugin near_plugin = {
    .abi = KD_ABI_INIT(KdPlugin),
    .name = "near",
    .version = "0",
    .license = "LGPL-2.1-or-later",
    .transports = near_transports,
};

/* ---- the client ---- */

static void
on_come(KdEndpoint *endpoint, const GError *error, void *user)
{
    Client *client = user;

    g_assert_false(client->is_told);
    client->is_told = TRUE;
    if (endpoint != NULL) {
        client->server = *endpoint;
        kd_endpoint_init(endpoint);
    } else {
        client->error = g_error_copy(error);
    }
    g_clear_pointer(&client->waiting, kd_waiting_free);
}

static void
start(Client *client, const char *server)
{
    listen_port = 0;
    family = AF_INET;
    *client = (Client){0};
    kd_endpoint_init(&client->server);
    g_assert_true(kd_loop_start(NULL));
    client->reach = kd_reach_new_everything();
    client->host = kd_host_new(client->reach);
    client->registry = kd_registry_new(client->host);
    g_assert_true(kd_registry_add(client->registry, &near_plugin, "/near.so", NULL));
    kd_registry_seal(client->registry);
    client->dial_up = kd_dial_up_new(client->registry, server, NULL);
    g_assert_nonnull(client->dial_up);
    g_assert_true(client->dial_up->is_waited_for);
    g_assert_true(kd_dial_up_make_door(client->dial_up, NULL));
    client->waiting = kd_waiting_new(client->dial_up, on_come, client);
}

static void
turn(void)
{
    while (g_main_context_iteration(NULL, FALSE)) {
    }
}

static void
finish(Client *client)
{
    kd_waiting_free(client->waiting);
    kd_endpoint_clear(&client->server);
    turn();
    kd_dial_up_free(client->dial_up);
    g_clear_error(&client->error);
    kd_registry_free(client->registry);
    kd_host_free(client->host);
    kd_reach_free(client->reach);
    kd_loop_stop();
}

#define WAIT_FOR(condition)                   \
    while (!(condition)) {                    \
        g_main_context_iteration(NULL, TRUE); \
    }

/* Returns: the connection, or -1 when nobody listens */
static int
dial_from(const char *address)
{
    struct sockaddr_in from = {.sin_family = AF_INET};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = listen_port};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_cmpint(inet_pton(AF_INET, address, &from.sin_addr), ==, 1);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&from, sizeof from), ==, 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static gboolean
is_closed(int fd)
{
    char byte;

    return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

/* ---- what it promises ---- */

static void
expect_taken(Client *client)
{
    int server = dial_from("127.0.0.1");
    char byte = 0;

    WAIT_FOR(client->is_told);
    g_assert_no_error(client->error);
    g_assert_cmpint(write(server, "x", 1), ==, 1);
    g_assert_cmpint(read(client->server.fd, &byte, 1), ==, 1);
    g_assert_cmpint(byte, ==, 'x');
    (void)close(server);
}

static void
test_takes_server(void)
{
    Client client;

    start(&client, "near:clicon=127.0.0.1");
    WAIT_FOR(listen_port != 0);
    expect_taken(&client);
    g_assert_cmpint(dial_from("127.0.0.1"), ==, -1); /* one connection */
    finish(&client);
}

static void
test_name(void)
{
    Client client;

    start(&client, "near:clicon=\\\\localhost");
    WAIT_FOR(listen_port != 0);
    expect_taken(&client);
    finish(&client);
}

static void
test_dual_stack(void)
{
    Client client;
    int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (probe < 0) {
        g_test_skip("no IPv6 here");
        return;
    }
    (void)close(probe);
    start(&client, "near:clicon=127.0.0.1");
    family = AF_INET6;
    WAIT_FOR(listen_port != 0);
    expect_taken(&client);
    finish(&client);
}

static void
test_closes_others(void)
{
    Client client;
    int stranger;

    start(&client, "near:clicon=127.0.0.1");
    WAIT_FOR(listen_port != 0);
    for (int i = 0; i < 20; i++) {
        stranger = dial_from("127.0.0.9");
        WAIT_FOR(is_closed(stranger));
        (void)close(stranger);
    }
    g_assert_false(client.is_told);
    expect_taken(&client);
    finish(&client);
}

static void
test_unknown_name(void)
{
    Client client;

    start(&client, "near:clicon=nobody.invalid");
    WAIT_FOR(client.is_told);
    g_assert_nonnull(client.error);
    g_assert_true(g_str_has_prefix(client.error->message, "near: clicon=nobody.invalid: "));
    finish(&client);
}

/* At once, while it is looked up, and when it waits */
static void
test_given_up(void)
{
    for (int n_turns = 0; n_turns < 12; n_turns++) {
        Client client;

        start(&client, "near:clicon=127.0.0.1");
        for (int i = 0; i < n_turns; i++) {
            g_main_context_iteration(NULL, listen_port == 0);
        }
        g_clear_pointer(&client.waiting, kd_waiting_free);
        turn();
        g_assert_false(client.is_told);
        finish(&client);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/client/waiting/takes-one-connection-of-the-server", test_takes_server);
    g_test_add_func("/client/waiting/looks-the-server-up", test_name);
    g_test_add_func("/client/waiting/knows-the-server-at-a-dual-stack-socket", test_dual_stack);
    g_test_add_func("/client/waiting/closes-others-and-waits-on", test_closes_others);
    g_test_add_func("/client/waiting/says-that-a-name-is-not-known", test_unknown_name);
    g_test_add_func("/client/waiting/can-be-given-up-at-any-moment", test_given_up);
    return g_test_run();
}
