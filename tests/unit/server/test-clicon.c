/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A server that dials its client, which the test plays. */
#include "kd-caller.h"
#include "kd-test-room.h"

#include <string.h>

typedef struct {
    KdRoom room;
    GError refused;
    guint n_done;
    GError *error;
} Fixture;

static void
on_done(KdServer *server, const GError *error, void *user)
{
    Fixture *f = user;

    g_assert_true(server == f->room.server);
    f->n_done++;
    f->error = error != NULL ? g_error_copy(error) : NULL;
}

static void
set_up(Fixture *f, gconstpointer user)
{
    (void)user;
    f->refused = (GError){.domain = G_IO_ERROR,
                          .code = G_IO_ERROR_CONNECTION_REFUSED,
                          .message = (char *)"call: x: refused"};
    kd_room_init(&f->room);
    kd_server_set_done_func(f->room.server, on_done, f);
    kd_room_set_refusals(0, NULL);
}

static void
tear_down(Fixture *f, gconstpointer user)
{
    (void)user;
    kd_room_stop(&f->room);
    KD_AWAIT(f->room.n_stopped > 0);
    kd_stage_settle();
    g_assert_cmpuint(f->room.n_stopped, ==, 1);
    g_clear_error(&f->error);
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
test_one_session(Fixture *f, gconstpointer user)
{
    KdTestClient client;
    g_autofree char *line = NULL;

    (void)user;
    start(f, "call:clicon=x");
    line = kd_server_build_ready_line(f->room.server);
    g_assert_cmpstr(line, ==,
                    "dials call:Clicon=x (no password: whoever reaches it controls the targets)");
    kd_room_await_call(&client);
    kd_room_open(&client, "fake:name=1,echo");
    kd_test_client_send_bytes(&client, "hello", 5);
    kd_test_client_expect_bytes(&client, "hello");
    g_assert_cmpuint(f->n_done, ==, 0);
    kd_test_client_send_close(&client);
    kd_test_client_clear(&client);
    KD_AWAIT(f->n_done > 0);
    g_assert_no_error(f->error);
    g_assert_cmpuint(kd_room_get_n_calls(), ==, 1);
}

static void
test_client_comes_later(Fixture *f, gconstpointer user)
{
    KdTestClient client;

    (void)user;
    g_test_expect_message("kdsrv-server", G_LOG_LEVEL_MESSAGE,
                          "call: x: refused: waiting for the client");
    kd_room_set_refusals(3, &f->refused);
    start(f, "call:clicon=x");
    kd_room_await_call(&client);
    g_test_assert_expected_messages();
    g_assert_cmpuint(kd_room_get_n_calls(), ==, 4);
    kd_room_log_in(&client);
    kd_test_client_send_close(&client);
    kd_test_client_clear(&client);
    KD_AWAIT(f->n_done > 0);
    g_assert_no_error(f->error);
}

static void
test_broken(Fixture *f, gconstpointer user)
{
    KdTestClient client;

    (void)user;
    start(f, "call:clicon=x");
    kd_room_await_call(&client);
    kd_room_open(&client, "fake:name=1,echo");
    kd_test_client_clear(&client);
    KD_AWAIT(f->n_done > 0);
    g_assert_error(f->error, KD_ERROR, KD_ERROR_FAILED);
    g_assert_true(g_str_has_prefix(f->error->message, "call:Clicon=x: "));
    g_assert_cmpuint(kd_room_get_n_calls(), ==, 1);
}

static void
test_refused_by_client(Fixture *f, gconstpointer user)
{
    KdTestClient client;
    KdClose close = {.code = KD_CLOSE_DENIED, .text = (char *)"that is not my server"};

    (void)user;
    start(f, "call:clicon=x");
    kd_room_await_call(&client);
    kd_room_log_in(&client);
    kd_test_client_send(&client, KD_FRAME_CLOSE, kd_close_build(&close));
    KD_AWAIT((kd_test_client_read(&client), client.has_ended || f->n_done > 0));
    kd_test_client_clear(&client);
    KD_AWAIT(f->n_done > 0);
    g_assert_error(f->error, KD_ERROR, KD_ERROR_FAILED);
    g_assert_nonnull(strstr(f->error->message, "that is not my server"));
}

static void
test_never_authenticated(Fixture *f, gconstpointer user)
{
    KdTestClient client;

    (void)user;
    start(f, "call:clicon=x");
    kd_room_await_call(&client);
    kd_test_client_say(&client, "GET / HTTP/1.1\r\n\r\n", 18);
    KD_AWAIT((kd_test_client_read(&client), client.has_ended || f->n_done > 0));
    kd_test_client_clear(&client);
    KD_AWAIT(f->n_done > 0);
    g_assert_error(f->error, KD_ERROR, KD_ERROR_FAILED);
}

/* The others go on: only the one who was dialled has gone. */
static void
test_beside_listener(Fixture *f, gconstpointer user)
{
    KdTestClient dialled;
    KdTestClient other;

    (void)user;
    start(f, "call:clicon=x sock:port=0");
    kd_room_await_call(&dialled);
    kd_room_connect(&other, 1);
    kd_room_open(&other, "fake:name=1,echo");
    kd_room_log_in(&dialled);
    g_test_expect_message("kdsrv-session", G_LOG_LEVEL_INFO, "*ended after*");
    g_test_expect_message("kdsrv-server", G_LOG_LEVEL_MESSAGE, "call:Clicon=x: *");
    kd_test_client_clear(&dialled);
    KD_AWAIT(kd_server_get_n_sessions(f->room.server) == 1);
    kd_stage_settle();
    g_test_assert_expected_messages();
    g_assert_cmpuint(f->n_done, ==, 0);
    kd_test_client_send_bytes(&other, "hello", 5);
    kd_test_client_expect_bytes(&other, "hello");
    kd_test_client_clear(&other);
}

static void
test_stopped_while_refused(Fixture *f, gconstpointer user)
{
    (void)user;
    g_test_expect_message("kdsrv-server", G_LOG_LEVEL_MESSAGE, "*waiting for the client");
    kd_room_set_refusals(G_MAXUINT, &f->refused);
    start(f, "call:clicon=x");
    KD_AWAIT(kd_room_get_n_calls() >= 2);
    g_test_assert_expected_messages();
    kd_room_stop(&f->room);
    KD_AWAIT(f->room.n_stopped > 0);
    g_assert_cmpuint(f->n_done, ==, 0);
}

static void
test_stopped_while_dialling(Fixture *f, gconstpointer user)
{
    (void)user;
    kd_room_set_refusals(1, NULL);
    start(f, "call:clicon=x");
    g_assert_cmpuint(kd_room_get_n_calls(), ==, 1);
    kd_room_stop(&f->room);
    KD_AWAIT(f->room.n_stopped > 0);
    g_assert_cmpuint(f->n_done, ==, 0);
    g_assert_cmpuint(kd_room_get_n_calls(), ==, 1);
}

static void
test_needs_clicon(Fixture *f, gconstpointer user)
{
    g_autoptr(GError) error = NULL;

    (void)user;
    g_assert_false(kd_server_add_transport(f->room.server, "call:hidden", &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID);
    g_clear_error(&error);
    g_assert_false(kd_server_add_transport(f->room.server, "call:clicon=x,hidden", &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_PARAM_UNKNOWN);
}

/* ---- the caller alone, with less patience ---- */

typedef struct {
    guint n;
    GError *error;
} Told;

static void
on_told(KdCaller *caller, KdEndpoint *endpoint, const char *peer, const GError *error, void *user)
{
    Told *told = user;

    g_assert_null(endpoint);
    g_assert_null(peer);
    told->n++;
    told->error = g_error_copy(error);
    kd_caller_free(caller);
}

static void
call(Fixture *f, guint patience_ms, Told *told)
{
    g_autoptr(GError) error = NULL;
    const KdTransport *transport = kd_registry_find_transport(f->room.registry, "call", &error);
    KdCaller *caller;

    g_assert_no_error(error);
    caller = kd_caller_new(f->room.host, transport, g_variant_new("a{sv}", NULL), on_told, told);
    kd_caller_start(caller, patience_ms);
    KD_AWAIT(told->n > 0);
    kd_stage_settle();
    g_assert_cmpuint(told->n, ==, 1);
}

static void
test_patience(Fixture *f, gconstpointer user)
{
    Told told = {0};

    (void)user;
    g_test_expect_message("kdsrv-server", G_LOG_LEVEL_MESSAGE, "*waiting for the client");
    kd_room_set_refusals(G_MAXUINT, &f->refused);
    call(f, 1000, &told);
    g_test_assert_expected_messages();
    g_assert_error(told.error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);
    g_assert_cmpstr(told.error->message, ==, "call: x: refused (the client was dialled for 1 s)");
    /* 100, 200, 400 ms apart, a quarter more or less */
    g_assert_cmpuint(kd_room_get_n_calls(), >=, 3);
    g_assert_cmpuint(kd_room_get_n_calls(), <=, 5);
    g_clear_error(&told.error);
}

static void
test_patience_with_a_hanging_call(Fixture *f, gconstpointer user)
{
    Told told = {0};

    (void)user;
    kd_room_set_refusals(1, NULL);
    call(f, 20, &told);
    g_assert_error(told.error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
    g_assert_cmpuint(kd_room_get_n_calls(), ==, 1);
    g_clear_error(&told.error);
}

static void
test_final(Fixture *f, gconstpointer user)
{
    const GError denied = {
        .domain = KD_ERROR, .code = KD_ERROR_POLICY, .message = (char *)"call: x: not allowed"};
    Told told = {0};

    (void)user;
    kd_room_set_refusals(G_MAXUINT, &denied);
    call(f, 60000, &told);
    g_assert_error(told.error, KD_ERROR, KD_ERROR_POLICY);
    g_assert_cmpuint(kd_room_get_n_calls(), ==, 1);
    g_clear_error(&told.error);
}

static void
test_freed(Fixture *f, gconstpointer user)
{
    Told told = {0};
    const KdTransport *transport = kd_registry_find_transport(f->room.registry, "call", NULL);
    KdCaller *caller =
        kd_caller_new(f->room.host, transport, g_variant_new("a{sv}", NULL), on_told, &told);

    (void)user;
    kd_room_set_refusals(1, NULL);
    kd_caller_start(caller, 1000);
    kd_caller_free(caller);
    kd_stage_settle();
    g_assert_cmpuint(told.n, ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, fn) g_test_add("/server/clicon" path, Fixture, NULL, set_up, fn, tear_down)
    ADD("/serves-one-client-and-is-done", test_one_session);
    ADD("/dials-again-until-the-client-is-there", test_client_comes_later);
    ADD("/fails-when-the-connection-breaks", test_broken);
    ADD("/fails-when-the-client-refuses", test_refused_by_client);
    ADD("/fails-when-nobody-has-logged-in", test_never_authenticated);
    ADD("/leaves-listeners-alone", test_beside_listener);
    ADD("/can-be-stopped-between-two-calls", test_stopped_while_refused);
    ADD("/can-be-stopped-while-it-dials", test_stopped_while_dialling);
    ADD("/is-all-that-some-transports-can", test_needs_clicon);
    ADD("/gives-up-after-a-while", test_patience);
    ADD("/gives-up-while-it-dials", test_patience_with_a_hanging_call);
    ADD("/gives-up-at-once-what-no-waiting-mends", test_final);
    ADD("/is-freed-while-it-dials", test_freed);
#undef ADD
    return g_test_run();
}
