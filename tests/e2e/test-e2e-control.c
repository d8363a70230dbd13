/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* While the target takes nothing: keepalive and urgent operations get through, the others wait. */
#include "kd-e2e-protocol.h"
#include "kd-e2e-stage.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#define PING_US  (1 * G_USEC_PER_SEC)
#define BREAK_US (KD_E2E_IS_SANITIZED ? 1000 * 1000 : 100 * 1000)

/**
 * Stopped:
 * @client: has said all that its credit allows
 * @steer: of the device, which takes nothing
 *
 * A session that is stuck.
 */
typedef struct {
    KdE2eClient *client;
    int steer;
} Stopped;

static void
fill_window(KdE2eClient *client)
{
    uint8_t chunk[4096] = {0};

    while (client->sent < client->acked + client->window) {
        gsize len = MIN(sizeof chunk, client->acked + client->window - client->sent);

        kd_e2e_client_send_data(client, chunk, len);
    }
}

static void
set_up(Stopped *stopped, KdE2eStage *stage)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "steer");
    g_autofree char *trans = g_strdup_printf("fake:name=1,size=4096,steer=%s", path);

    kd_e2e_stage_start(stage, NULL);
    stopped->client = kd_e2e_client_new_open(stage->port, trans);
    stopped->steer = kd_e2e_dial_unix(path);
    kd_e2e_order(stopped->steer, "stop");
}

static void
tear_down(Stopped *stopped)
{
    kd_e2e_client_free(stopped->client);
    close(stopped->steer);
}

static void
ping(KdE2eClient *client)
{
    static const uint8_t cookie[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    gint64 start_us = g_get_monotonic_time();
    g_autoptr(GBytes) answer = NULL;

    kd_e2e_client_send(client, KD_FRAME_PING, g_bytes_new_static(cookie, sizeof cookie));
    answer = kd_e2e_client_await(client, KD_FRAME_PONG);
    g_assert_cmpint(g_get_monotonic_time() - start_us, <, PING_US);
    g_assert_cmpint(memcmp(g_bytes_get_data(answer, NULL), cookie, sizeof cookie), ==, 0);
}

static void
test_ping(KdE2eStage *stage, gconstpointer unused)
{
    Stopped stopped;

    (void)unused;
    set_up(&stopped, stage);
    fill_window(stopped.client);
    ping(stopped.client);
    /* Whatever credit came meanwhile is used, until none comes any more. */
    fill_window(stopped.client);
    ping(stopped.client);
    g_assert_cmpuint(kd_e2e_count(stopped.steer, "in"), ==, 0);
    tear_down(&stopped);
}

static void
test_urgent_break(KdE2eStage *stage, gconstpointer unused)
{
    KdControl control = {.id = 7, .op = KD_CONTROL_BREAK, .is_urgent = TRUE};
    g_autoptr(KdResult) result = NULL;
    Stopped stopped;
    gint64 start_us;

    (void)unused;
    set_up(&stopped, stage);
    fill_window(stopped.client);
    ping(stopped.client); /* all that was said has arrived */
    fill_window(stopped.client);
    start_us = g_get_monotonic_time();
    kd_e2e_client_control(stopped.client, &control);
    result = kd_e2e_client_await_result(stopped.client);
    g_assert_cmpint(g_get_monotonic_time() - start_us, <, BREAK_US);
    g_assert_cmpuint(result->id, ==, 7);
    g_assert_cmpuint(result->code, ==, 0);
    g_assert_cmpuint(kd_e2e_count(stopped.steer, "in"), ==, 0);
    g_assert_cmpuint(kd_e2e_count(stopped.steer, "breaks"), ==, 1);
    g_assert_cmpuint(result->value, ==, stopped.client->sent);
    ping(stopped.client);
    g_assert_cmpuint(stopped.client->acked, ==, stopped.client->sent);
    /* The session goes on behind the gap. */
    kd_e2e_order(stopped.steer, "go");
    kd_e2e_client_send_data(stopped.client, "after", 5);
    kd_e2e_order(stopped.steer, "wait in 5");
    {
        g_autofree char *got = kd_e2e_steer(stopped.steer, "got");

        g_assert_cmpstr(got, ==, "got after");
    }
    tear_down(&stopped);
}

static void
test_ordered_break(KdE2eStage *stage, gconstpointer unused)
{
    KdControl control = {.id = 1, .op = KD_CONTROL_BREAK, .arg = 0};
    g_autoptr(KdResult) result = NULL;
    Stopped stopped;
    uint64_t before;

    (void)unused;
    set_up(&stopped, stage);
    fill_window(stopped.client);
    ping(stopped.client);
    fill_window(stopped.client);
    before = stopped.client->sent;
    kd_e2e_client_control(stopped.client, &control);
    ping(stopped.client); /* answered behind the break, which therefore waits */
    g_assert_cmpuint(kd_e2e_count(stopped.steer, "breaks"), ==, 0);
    kd_e2e_order(stopped.steer, "go");
    result = kd_e2e_client_await_result(stopped.client);
    g_assert_cmpuint(result->code, ==, 0);
    g_assert_cmpuint(kd_e2e_count(stopped.steer, "break-at"), ==, before);
    g_assert_cmpuint(kd_e2e_count(stopped.steer, "drops"), ==, 0);
    tear_down(&stopped);
}

/* More than the window at once is no way round it. */
static void
test_beyond_credit(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdClose) said = NULL;
    Stopped stopped;

    (void)unused;
    set_up(&stopped, stage);
    fill_window(stopped.client);
    ping(stopped.client);
    fill_window(stopped.client);
    ping(stopped.client);
    fill_window(stopped.client);
    kd_e2e_client_send_data(stopped.client, "x", 1);
    said = kd_e2e_client_await_close(stopped.client);
    g_assert_cmpuint(said->code, ==, KD_CLOSE_FLOW_VIOLATION);
    tear_down(&stopped);
}

/* Bytes that nobody takes keep neither the client's end nor the server's waiting. */
static void
test_end(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdClose) said = NULL;
    Stopped stopped;

    (void)unused;
    set_up(&stopped, stage);
    fill_window(stopped.client);
    ping(stopped.client);
    kd_e2e_program_signal(stage->server, SIGTERM);
    said = kd_e2e_client_await_close(stopped.client);
    g_assert_cmpuint(said->code, ==, KD_CLOSE_GOING_AWAY);
    tear_down(&stopped);
    g_assert_cmpint(kd_e2e_program_wait(stage->server), ==, 0);
}

static void
test_cut(KdE2eStage *stage, gconstpointer unused)
{
    Stopped stopped;

    (void)unused;
    set_up(&stopped, stage);
    fill_window(stopped.client);
    ping(stopped.client);
    kd_e2e_client_free(stopped.client);
    kd_e2e_order(stopped.steer, "wait closes 1");
    stopped.client = kd_e2e_client_new_open(stage->port, "fake:name=1,echo");
    kd_e2e_order(stopped.steer, "go");
    kd_e2e_client_send_data(stopped.client, "again", 5);
    kd_e2e_client_await_data(stopped.client, "again");
    tear_down(&stopped);
}

static void
test_half_close(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "steer");
    g_autofree char *trans = g_strdup_printf("fake:name=1,half,steer=%s", path);
    g_autoptr(KdE2eClient) client = NULL;
    g_autoptr(KdClose) said = NULL;
    int steer;

    (void)unused;
    kd_e2e_stage_start(stage, NULL);
    client = kd_e2e_client_new_open(stage->port, trans);
    g_assert_true(client->opened->has_half_close);
    steer = kd_e2e_dial_unix(path);
    kd_e2e_client_send_data(client, "question", 8);
    kd_e2e_client_finish(client);
    kd_e2e_order(steer, "wait ends 1");
    g_assert_cmpuint(kd_e2e_count(steer, "in"), ==, 8);
    kd_e2e_order(steer, "say answer");
    kd_e2e_client_await_data(client, "answer");
    g_assert_cmpuint(kd_e2e_count(steer, "closes"), ==, 0);
    kd_e2e_order(steer, "end");
    said = kd_e2e_client_await_close(client);
    g_assert_cmpuint(said->code, ==, KD_CLOSE_NORMAL);
    close(steer);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_e2e_add("/e2e/stopped/ping-is-answered", test_ping);
    kd_e2e_add("/e2e/stopped/urgent-break-drops-and-is-done-at-once", test_urgent_break);
    kd_e2e_add("/e2e/stopped/break-in-order-waits-for-earlier-bytes", test_ordered_break);
    kd_e2e_add("/e2e/stopped/more-than-the-credit-ends-the-session", test_beyond_credit);
    kd_e2e_add("/e2e/stopped/does-not-keep-the-server", test_end);
    kd_e2e_add("/e2e/stopped/is-free-when-the-client-is-cut", test_cut);
    kd_e2e_add("/e2e/stopped/half-close-leaves-the-other-direction", test_half_close);
    return g_test_run();
}
