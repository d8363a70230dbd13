/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Listening, accepting and the limits of those who are not known yet. */
#include "kd-strangers.h"
#include "kd-test-room.h"

#include <malloc.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define N_SERVED  1000u
#define EVERYBODY " (no password: whoever reaches it controls the targets)"

typedef struct {
    KdRoom room;
} Fixture;

static void
set_up(Fixture *f, gconstpointer user)
{
    (void)user;
    kd_room_init(&f->room);
}

static void
tear_down(Fixture *f, gconstpointer user)
{
    (void)user;
    if (f->room.is_started) {
        kd_room_stop(&f->room);
        KD_AWAIT(f->room.n_stopped > 0);
        kd_stage_settle();
        g_assert_cmpuint(f->room.n_stopped, ==, 1);
    }
    kd_room_clear(&f->room);
}

static void
start(Fixture *f, const char *transports)
{
    g_autoptr(GError) error = NULL;

    f->room.is_started = kd_room_start(&f->room, transports, &error);
    g_assert_no_error(error);
}

static void
test_sockets(Fixture *f, gconstpointer user)
{
    KdTestClient client;
    g_autofree char *line = NULL;

    (void)user;
    start(f, "sock:port=0");
    line = kd_server_build_ready_line(f->room.server);
    g_assert_cmpstr(line, ==, "sock:Port=0" EVERYBODY);
    kd_room_connect(&client, 1);
    kd_room_open(&client, "fake:name=1,echo");
    g_assert_cmpuint(kd_server_get_n_sessions(f->room.server), ==, 1);
    kd_test_client_send_bytes(&client, "hello", 5);
    kd_test_client_expect_bytes(&client, "hello");
    kd_test_client_clear(&client);
    KD_AWAIT(kd_server_get_n_sessions(f->room.server) == 0);
}

static void
test_streams(Fixture *f, gconstpointer user)
{
    KdTestClient clients[3];

    (void)user;
    start(f, "fake:name=7");
    for (guint i = 0; i < G_N_ELEMENTS(clients); i++) {
        kd_room_connect_fake(&clients[i], 7);
    }
    for (guint i = 0; i < G_N_ELEMENTS(clients); i++) {
        g_autofree char *trans = g_strdup_printf("fake:name=%u,echo", i);

        kd_room_open(&clients[i], trans);
        kd_test_client_send_bytes(&clients[i], "hello", 5);
        kd_test_client_expect_bytes(&clients[i], "hello");
    }
    g_assert_cmpuint(kd_server_get_n_sessions(f->room.server), ==, 3);
    for (guint i = 0; i < G_N_ELEMENTS(clients); i++) {
        kd_test_client_clear(&clients[i]);
    }
    KD_AWAIT(kd_server_get_n_sessions(f->room.server) == 0);
}

static void
test_several(Fixture *f, gconstpointer user)
{
    KdTestClient by_socket;
    KdTestClient by_stream;
    g_autofree char *line = NULL;

    (void)user;
    start(f, "sock:port=0 fake:name=7");
    line = kd_server_build_ready_line(f->room.server);
    g_assert_cmpstr(line, ==, "sock:Port=0 fake:Name=7" EVERYBODY);
    kd_room_connect(&by_socket, 1);
    kd_room_connect_fake(&by_stream, 7);
    kd_room_open(&by_socket, "fake:name=1");
    kd_room_log_in(&by_stream);
    kd_test_client_send_open(&by_stream, "fake:name=1");
    kd_close_free(kd_test_client_expect_close(&by_stream, KD_CLOSE_BUSY));
    kd_test_client_clear(&by_socket);
    kd_test_client_clear(&by_stream);
}

static void
test_quick_clients(Fixture *f, gconstpointer user)
{
    KdTestClient client;

    (void)user;
    start(f, "sock:port=0 fake:name=7");
    for (guint i = 0; i < 200; i++) {
        kd_room_connect(&client, 1);
        kd_test_client_clear(&client);
        kd_room_connect_fake(&client, 7);
        kd_test_client_clear(&client);
        g_main_context_iteration(NULL, FALSE);
    }
    KD_AWAIT(kd_server_get_n_sessions(f->room.server) == 0);
    kd_room_connect(&client, 1);
    kd_room_log_in(&client);
    kd_test_client_clear(&client);
}

static void
test_broken_listener(Fixture *f, gconstpointer user)
{
    KdTestClient client;

    (void)user;
    g_test_expect_message("kdsrv-transport", G_LOG_LEVEL_MESSAGE, "*broken: no more clients*");
    start(f, "broken:name=3 sock:port=0");
    kd_stage_settle();
    g_test_assert_expected_messages();
    kd_room_connect(&client, 1);
    kd_room_log_in(&client);
    kd_test_client_clear(&client);
}

static void
test_busy_port(Fixture *f, gconstpointer user)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *texts = NULL;
    KdServer *other = NULL;
    guint n_fds;

    (void)user;
    start(f, "sock:port=0 fake:name=7");
    kd_stage_settle();
    n_fds = kd_stage_count_fds();
    other = f->room.server;
    f->room.server = kd_server_new(f->room.registry, NULL);
    texts = g_strdup_printf("fake:name=8 sock:port=0 sock:port=%u fake:name=9", kd_room_get_port());
    g_assert_false(kd_room_start(&f->room, texts, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE);
    kd_server_free(f->room.server);
    f->room.server = other;
    kd_stage_settle();
    g_assert_cmpuint(kd_stage_count_fds(), ==, n_fds);
    /* What had been opened is free again. */
    other = kd_server_new(f->room.registry, NULL);
    g_assert_true(kd_server_add_transport(other, "fake:name=8", NULL));
    kd_server_free(other);
}

static void
test_wrong_transports(Fixture *f, gconstpointer user)
{
    g_autoptr(GError) error = NULL;

    (void)user;
    g_assert_false(kd_server_add_transport(f->room.server, "spipe:pipe=x", &error));
    g_assert_nonnull(error);
    g_clear_error(&error);
    g_assert_false(kd_server_add_transport(f->room.server, "sock:port=0,colour=blue", &error));
    g_assert_nonnull(strstr(error->message, "colour"));
    g_clear_error(&error);
    g_assert_false(kd_server_add_transport(f->room.server, "sock:", &error));
    g_assert_nonnull(strstr(error->message, "port"));
}

/* ---- limits ---- */

/* A wait for everybody to be told: the connection and the server's first word */
static void
await_preamble(KdTestClient *client)
{
    KD_AWAIT((kd_test_client_read(client), client->in->len >= KD_PREAMBLE_BYTES));
}

static void
test_one_source(Fixture *f, gconstpointer user)
{
    static KdTestClient clients[KD_STRANGERS_MAX_PER_SOURCE];
    g_autoptr(KdClose) why = NULL;
    KdTestClient refused;
    KdTestClient stranger;
    KdTestClient late;

    (void)user;
    start(f, "sock:port=0");
    for (guint i = 0; i < G_N_ELEMENTS(clients); i++) {
        kd_room_connect(&clients[i], 1);
    }
    for (guint i = 0; i < G_N_ELEMENTS(clients); i++) {
        await_preamble(&clients[i]);
    }
    kd_room_connect(&refused, 1);
    kd_test_client_send_preamble(&refused, KD_PROTOCOL_MAJOR);
    kd_test_client_send_hello(&refused);
    why = kd_test_client_expect_close(&refused, KD_CLOSE_LIMIT);
    g_assert_cmpstr(why->text, ==, "too many connections from there wait to log in");
    g_assert_cmpuint(why->retry_after_s, ==, 1);
    g_assert_cmpuint(kd_server_get_n_sessions(f->room.server), ==, G_N_ELEMENTS(clients));
    kd_room_connect(&stranger, 2);
    kd_room_log_in(&stranger);
    /* One who has logged in does not count any more. */
    kd_room_log_in(&clients[5]);
    kd_room_connect(&late, 1);
    kd_room_log_in(&late);
    for (guint i = 0; i < G_N_ELEMENTS(clients); i++) {
        kd_test_client_clear(&clients[i]);
    }
    kd_test_client_clear(&refused);
    kd_test_client_clear(&stranger);
    kd_test_client_clear(&late);
    KD_AWAIT(kd_server_get_n_sessions(f->room.server) == 0);
}

static void
test_one_stream_source(Fixture *f, gconstpointer user)
{
    static KdTestClient clients[KD_STRANGERS_MAX_PER_SOURCE];
    g_autoptr(KdClose) why = NULL;
    KdTestClient refused;

    (void)user;
    start(f, "fake:name=7");
    for (guint i = 0; i < G_N_ELEMENTS(clients); i++) {
        kd_room_connect_fake(&clients[i], 7);
        await_preamble(&clients[i]);
    }
    kd_room_connect_fake(&refused, 7);
    kd_test_client_send_preamble(&refused, KD_PROTOCOL_MAJOR);
    why = kd_test_client_expect_close(&refused, KD_CLOSE_LIMIT);
    for (guint i = 0; i < G_N_ELEMENTS(clients); i++) {
        kd_test_client_clear(&clients[i]);
    }
    kd_test_client_clear(&refused);
}

static void
test_total(Fixture *f, gconstpointer user)
{
    static KdTestClient clients[KD_STRANGERS_MAX + 1];
    g_autoptr(KdClose) why = NULL;
    KdTestClient refused;
    KdTestClient stranger;
    struct rlimit limit;

    (void)user;
    g_assert_no_errno(getrlimit(RLIMIT_NOFILE, &limit));
    if (limit.rlim_cur < 1024) {
        g_test_skip("fewer than 1024 descriptors are allowed");
        return;
    }
    start(f, "sock:port=0");
    for (guint i = 0; i < G_N_ELEMENTS(clients); i++) {
        kd_room_connect(&clients[i], 1 + i % 8);
        await_preamble(&clients[i]);
        if (i == 0) {
            kd_room_log_in(&clients[0]);
        }
    }
    g_assert_cmpuint(kd_server_get_n_sessions(f->room.server), ==, KD_STRANGERS_MAX + 1);
    /* All sources have as many as this one. */
    kd_room_connect(&refused, 2);
    kd_test_client_send_preamble(&refused, KD_PROTOCOL_MAJOR);
    why = kd_test_client_expect_close(&refused, KD_CLOSE_LIMIT);
    kd_room_connect(&stranger, 9);
    kd_room_log_in(&stranger);
    for (guint i = 0; i < G_N_ELEMENTS(clients); i++) {
        kd_test_client_read(&clients[i]);
        /* The first one has logged in; the second was the oldest of those who had not. */
        g_assert_cmpint(clients[i].has_ended, ==, i == 1);
    }
    kd_room_log_in(&clients[2]);
    for (guint i = 0; i < G_N_ELEMENTS(clients); i++) {
        kd_test_client_clear(&clients[i]);
    }
    kd_test_client_clear(&refused);
    kd_test_client_clear(&stranger);
}

static void
test_no_descriptors(Fixture *f, gconstpointer user)
{
    struct rlimit limit;
    struct rlimit low;
    KdTestClient closed;
    KdTestClient served;
    int next_fd;

    (void)user;
    start(f, "sock:port=0");
    kd_stage_settle();
    g_assert_no_errno(getrlimit(RLIMIT_NOFILE, &limit));
    low = limit;
    g_test_expect_message("kdsrv-transport", G_LOG_LEVEL_MESSAGE, "no new clients for a while: *");
    kd_room_connect(&closed, 1);
    next_fd = dup(0);
    g_assert_no_errno(next_fd);
    close(next_fd);
    low.rlim_cur = (rlim_t)next_fd;
    g_assert_no_errno(setrlimit(RLIMIT_NOFILE, &low));
    KD_AWAIT((kd_test_client_read(&closed), closed.has_ended));
    g_assert_no_errno(setrlimit(RLIMIT_NOFILE, &limit));
    g_test_assert_expected_messages();
    g_assert_cmpuint(kd_server_get_n_sessions(f->room.server), ==, 0);
    kd_room_connect(&served, 1);
    kd_room_log_in(&served);
    kd_test_client_clear(&closed);
    kd_test_client_clear(&served);
}

/* ---- nothing grows ---- */

static void
serve_one(Fixture *f, guint i, gboolean is_stream)
{
    KdTestClient client;

    if (is_stream) {
        kd_room_connect_fake(&client, 7);
    } else {
        kd_room_connect(&client, 1);
    }
    if (i % 4 == 0) {
        kd_room_open(&client, "fake:name=1,echo");
        kd_test_client_send_bytes(&client, "hello", 5);
        kd_test_client_expect_bytes(&client, "hello");
    } else if (i % 4 == 1) {
        kd_test_client_say(&client, "GET / HTTP/1.1\r\n\r\n", 18);
        KD_AWAIT((kd_test_client_read(&client), client.has_ended));
    } else if (i % 4 == 2) {
        kd_room_log_in(&client);
    }
    kd_test_client_clear(&client);
    KD_AWAIT(kd_server_get_n_sessions(f->room.server) == 0);
}

static void
test_flat(Fixture *f, gconstpointer user)
{
    gboolean is_stream = GPOINTER_TO_INT(user);
    size_t n_bytes = 0;
    guint n_fds = 0;

    start(f, "sock:port=0 fake:name=7");
    for (guint i = 0; i < N_SERVED + 200; i++) {
        serve_one(f, i, is_stream);
        if (i == 200) {
            kd_stage_settle();
            n_fds = kd_stage_count_fds();
            n_bytes = mallinfo2().uordblks;
        }
    }
    kd_stage_settle();
    g_assert_cmpuint(kd_stage_count_fds(), <=, n_fds);
    /* What 1000 sessions would leave at the least */
    g_assert_cmpuint(mallinfo2().uordblks, <, n_bytes + N_SERVED * 16);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, fn) g_test_add("/server" path, Fixture, NULL, set_up, fn, tear_down)
    ADD("/listener/accepts-on-sockets", test_sockets);
    ADD("/listener/accepts-from-transports-without-sockets", test_streams);
    ADD("/listener/shares-links-with-other-listeners", test_several);
    ADD("/listener/forgets-clients-that-leave-at-once", test_quick_clients);
    ADD("/listener/that-fails-to-accept-leaves-the-others", test_broken_listener);
    ADD("/listener/goes-on-when-descriptors-are-back", test_no_descriptors);
    ADD("/start/fails-on-a-busy-port-and-leaves-nothing", test_busy_port);
    ADD("/start/names-what-is-wrong-with-a-transport", test_wrong_transports);
    ADD("/limit/of-one-source-is-told-and-spares-others", test_one_source);
    ADD("/limit/of-one-source-is-told-over-a-stream", test_one_stream_source);
    ADD("/limit/in-all-is-shared-out-among-sources", test_total);
    g_test_add("/server/served/1000-over-sockets-leave-nothing", Fixture, GINT_TO_POINTER(FALSE),
               set_up, test_flat, tear_down);
    g_test_add("/server/served/1000-over-streams-leave-nothing", Fixture, GINT_TO_POINTER(TRUE),
               set_up, test_flat, tear_down);
#undef ADD
    return g_test_run();
}
