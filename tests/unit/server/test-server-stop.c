/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A server's orderly end, in whatever state its sessions and links are. */
#include "kd-test-room.h"

#include <string.h>

typedef struct {
    KdRoom room;
    KdTestClient client;
    gint64 stop_us;
} Fixture;

static void
set_up(Fixture *f, gconstpointer user)
{
    g_autoptr(GError) error = NULL;

    (void)user;
    kd_room_init(&f->room);
    f->room.is_started = kd_room_start(&f->room, "sock:port=0 fake:name=7", &error);
    g_assert_no_error(error);
}

static void
tear_down(Fixture *f, gconstpointer user)
{
    (void)user;
    kd_test_client_clear(&f->client);
    kd_room_clear(&f->room);
}

static void
stop(Fixture *f)
{
    f->stop_us = g_get_monotonic_time();
    kd_room_stop(&f->room);
    g_assert_cmpuint(f->room.n_stopped, ==, 0);
}

/* `most_s` is far below the 10 s after which a server gives up. */
static void
await_stopped(Fixture *f, int most_s)
{
    KD_AWAIT(f->room.n_stopped > 0);
    g_assert_cmpint(g_get_monotonic_time() - f->stop_us, <, most_s * G_USEC_PER_SEC);
    g_assert_cmpuint(kd_server_get_n_sessions(f->room.server), ==, 0);
    g_assert_false(kd_fake_is_open(kd_fake_get(1)));
    kd_stage_settle();
    g_assert_cmpuint(f->room.n_stopped, ==, 1);
}

static void
test_nobody(Fixture *f, gconstpointer user)
{
    (void)user;
    stop(f);
    await_stopped(f, 1);
}

static void
test_twice(Fixture *f, gconstpointer user)
{
    (void)user;
    kd_room_connect(&f->client, 1);
    kd_room_open(&f->client, "fake:name=1");
    stop(f);
    kd_room_stop(&f->room);
    kd_test_client_vanish(&f->client);
    await_stopped(f, 5);
}

static void
test_sessions(Fixture *f, gconstpointer user)
{
    KdTestClient by_stream;
    KdTestClient asks_nothing;
    KdTestClient stranger;
    g_autoptr(KdClose) why = NULL;

    (void)user;
    kd_room_connect(&f->client, 1);
    kd_room_open(&f->client, "fake:name=1");
    kd_room_connect_fake(&by_stream, 7);
    kd_room_open(&by_stream, "fake:name=2");
    kd_room_connect(&asks_nothing, 1);
    kd_room_log_in(&asks_nothing);
    kd_room_connect(&stranger, 1);
    KD_AWAIT(kd_server_get_n_sessions(f->room.server) == 4);
    stop(f);
    why = kd_test_client_expect_close(&f->client, KD_CLOSE_GOING_AWAY);
    g_assert_cmpstr(why->text, ==, "the server is ending");
    kd_close_free(kd_test_client_expect_close(&by_stream, KD_CLOSE_GOING_AWAY));
    kd_close_free(kd_test_client_expect_close(&asks_nothing, KD_CLOSE_GOING_AWAY));
    kd_close_free(kd_test_client_expect_close(&stranger, KD_CLOSE_GOING_AWAY));
    g_assert_cmpuint(f->room.n_stopped, ==, 0);
    kd_test_client_clear(&f->client);
    kd_test_client_clear(&by_stream);
    kd_test_client_clear(&asks_nothing);
    kd_test_client_clear(&stranger);
    await_stopped(f, 5);
}

static void
test_deaf_client(Fixture *f, gconstpointer user)
{
    (void)user;
    kd_room_connect(&f->client, 1);
    kd_room_open(&f->client, "fake:name=1");
    kd_fake_flood(kd_fake_get(1), 50000000);
    kd_stage_settle();
    stop(f);
    await_stopped(f, 7);
}

static void
test_slow_link(Fixture *f, gconstpointer user)
{
    (void)user;
    kd_fake_set_close_delay(kd_fake_get(1), 1000);
    kd_room_connect(&f->client, 1);
    kd_room_open(&f->client, "fake:name=1");
    stop(f);
    kd_test_client_vanish(&f->client);
    await_stopped(f, 5);
    g_assert_cmpint(g_get_monotonic_time() - f->stop_us, >=, G_USEC_PER_SEC);
    g_assert_cmpuint(kd_fake_get_stat(kd_fake_get(1))->closes, ==, 1);
}

static void
test_kept_link(Fixture *f, gconstpointer user)
{
    (void)user;
    kd_room_connect(&f->client, 1);
    kd_room_open(&f->client, "fake:name=1,keep");
    kd_test_client_vanish(&f->client);
    KD_AWAIT(kd_server_get_n_sessions(f->room.server) == 0);
    g_assert_true(kd_fake_is_open(kd_fake_get(1)));
    stop(f);
    await_stopped(f, 5);
}

static void
test_kept_link_in_use(Fixture *f, gconstpointer user)
{
    (void)user;
    kd_room_connect(&f->client, 1);
    kd_room_open(&f->client, "fake:name=1,keep");
    stop(f);
    kd_test_client_vanish(&f->client);
    await_stopped(f, 5);
}

/* The session lets go of its link only when the operation has ended: after the stop began. */
static void
test_kept_link_in_a_control(Fixture *f, gconstpointer user)
{
    KdFakeDevice *device = kd_fake_get(1);

    (void)user;
    kd_room_connect(&f->client, 1);
    kd_room_open(&f->client, "fake:name=1,keep");
    kd_fake_stop(device);
    kd_test_client_send_bytes(&f->client, "abc", 3);
    kd_test_client_send_control(&f->client, 1, KD_CONTROL_BREAK, FALSE);
    KD_AWAIT(kd_fake_get_stat(device)->controls == 1);
    stop(f);
    kd_test_client_vanish(&f->client);
    await_stopped(f, 5);
}

static void
test_opening(Fixture *f, gconstpointer user)
{
    (void)user;
    kd_room_connect(&f->client, 1);
    kd_room_log_in(&f->client);
    kd_test_client_send_open(&f->client, "fake:name=1,keep,delay=60000");
    KD_AWAIT(kd_fake_is_open(kd_fake_get(1)));
    stop(f);
    kd_close_free(kd_test_client_expect_close(&f->client, KD_CLOSE_GOING_AWAY));
    kd_test_client_vanish(&f->client);
    await_stopped(f, 5);
}

static void
test_reopening(Fixture *f, gconstpointer user)
{
    (void)user;
    kd_room_connect(&f->client, 1);
    kd_room_open(&f->client, "fake:name=1,keep");
    kd_fake_lose(kd_fake_get(1));
    kd_test_client_expect_event(&f->client, KD_EVENT_LOST);
    kd_stage_settle();
    stop(f);
    kd_close_free(kd_test_client_expect_close(&f->client, KD_CLOSE_GOING_AWAY));
    kd_test_client_vanish(&f->client);
    await_stopped(f, 5);
}

static void
test_nobody_new(Fixture *f, gconstpointer user)
{
    GSocketClient *client = g_socket_client_new();
    g_autoptr(GError) error = NULL;

    (void)user;
    stop(f);
    g_assert_null(g_socket_client_connect_to_host(client, "127.0.0.1", (guint16)kd_room_get_port(),
                                                  NULL, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);
    g_object_unref(client);
    await_stopped(f, 1);
}

/* ---- while starting ---- */

static void
on_started(GObject *source, GAsyncResult *result, gpointer user_data)
{
    KdServer **server = user_data;
    g_autoptr(GError) error = NULL;

    (void)source;
    g_assert_false(kd_server_start_finish(*server, result, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    *server = NULL;
}

static void
test_while_starting(Fixture *f, gconstpointer user)
{
    (void)user;
    stop(f);
    await_stopped(f, 1);
    for (int n = 0; n < 6; n++) {
        KdServer *starting;

        kd_server_free(f->room.server);
        f->room.n_stopped = 0;
        f->room.server = kd_server_new(f->room.registry, NULL);
        starting = f->room.server;
        g_assert_true(kd_server_add_transport(f->room.server, "sock:port=0", NULL));
        g_assert_true(kd_server_add_transport(f->room.server, "fake:name=7", NULL));
        g_assert_true(kd_server_add_transport(f->room.server, "sock:port=0", NULL));
        kd_server_start_async(f->room.server, NULL, on_started, &starting);
        for (int turn = 0; turn < n && turn < 2; turn++) {
            g_main_context_iteration(NULL, FALSE);
        }
        stop(f);
        await_stopped(f, 3);
        KD_AWAIT(starting == NULL);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, fn) g_test_add("/server/stop" path, Fixture, NULL, set_up, fn, tear_down)
    ADD("/is-told-without-sessions", test_nobody);
    ADD("/is-told-once-when-asked-twice", test_twice);
    ADD("/tells-every-session-why", test_sessions);
    ADD("/does-not-wait-for-a-deaf-client", test_deaf_client);
    ADD("/waits-for-a-link-that-closes-slowly", test_slow_link);
    ADD("/closes-a-kept-link", test_kept_link);
    ADD("/closes-a-kept-link-in-use", test_kept_link_in_use);
    ADD("/closes-a-kept-link-in-a-control", test_kept_link_in_a_control);
    ADD("/gives-up-an-opening", test_opening);
    ADD("/gives-up-a-reopening", test_reopening);
    ADD("/takes-nobody-new", test_nobody_new);
    ADD("/ends-a-start", test_while_starting);
#undef ADD
    return g_test_run();
}
