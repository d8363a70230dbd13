/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The link layer: RESETs from either side, clients that come late, targets that restart. */
#include "kd-layer-stage.h"

enum {
    REQUEST = KD_PACKET_STATE_MANIPULATE,
    REPLY = KD_PACKET_STATE_MANIPULATE,
    EVENT = KD_PACKET_STATE_CHANGE64,
    TEXT = KD_PACKET_DEBUG_IO,
};

static void
set_up(KdLayerStage *stage, gconstpointer dialect)
{
    kd_layer_stage_set_up_attached(stage, GPOINTER_TO_INT(dialect));
}

static void
set_up_halted(KdLayerStage *stage, gconstpointer dialect)
{
    kd_layer_stage_set_up_halted(stage, GPOINTER_TO_INT(dialect));
}

static void
set_up_running(KdLayerStage *stage, gconstpointer dialect)
{
    kd_layer_stage_set_up_running(stage, GPOINTER_TO_INT(dialect));
}

static void
tear_down(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    kd_layer_stage_tear_down(stage);
}

static void
reset(KdLayerStage *stage)
{
    kd_layer_stage_client_control(stage, KD_PACKET_RESET, 0);
}

static void
test_unknown(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    reset(stage);
    kd_layer_stage_expect_client_control(stage, KD_PACKET_RESET, 0);
    kd_layer_stage_expect_target_control(stage, KD_PACKET_RESET,
                                         stage->dialect == KD_DIALECT_NET ? NET_ID : 0);
    /* its answer is not answered, and goes no further */
    kd_layer_stage_target_control(stage, KD_PACKET_RESET, 0);
    kd_layer_stage_expect_target_silence(stage);
    kd_layer_stage_expect_client_silence(stage);
    kd_layer_stage_say(stage, EVENT, kd_stage_event(STAGE_EXCEPTION, 1));
    kd_layer_stage_see(stage, EVENT, SYNC_ID, kd_stage_event(STAGE_EXCEPTION, 1));
}

static void
test_no_control(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    reset(stage);
    kd_layer_stage_expect_client_control(stage, KD_PACKET_RESET, 0);
    kd_link_layer_resync(stage->layer, stage->now_us);
    kd_layer_stage_target_control(stage, KD_PACKET_RESET, 0);
    kd_layer_stage_expect_target_silence(stage);
}

static void
test_halted(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    reset(stage);
    kd_layer_stage_expect_client_control(stage, KD_PACKET_RESET, 0);
    kd_layer_stage_see(stage, EVENT, SYNC_ID, kd_stage_event(STAGE_EXCEPTION, 1));
    kd_layer_stage_expect_client_silence(stage);
    kd_layer_stage_expect_target_silence(stage); /* it knows nothing of all this */
    kd_layer_stage_client_data(stage, REQUEST, CLIENT_ID, kd_stage_request(STAGE_READ, 1));
    kd_layer_stage_take(stage, REQUEST, kd_stage_request(STAGE_READ, 1));
}

static void
test_running(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    reset(stage);
    kd_layer_stage_expect_client_control(stage, KD_PACKET_RESET, 0);
    kd_layer_stage_expect_client_silence(stage);
    kd_layer_stage_expect_target_silence(stage);
    kd_layer_stage_say(stage, TEXT, kd_stage_print("x"));
    kd_layer_stage_see(stage, TEXT, SYNC_ID, kd_stage_print("x"));
}

static void
test_unacknowledged(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    kd_layer_stage_say(stage, TEXT, kd_stage_print("x"));
    kd_layer_stage_expect_client_data(stage, TEXT, CLIENT_ID ^ 1, kd_stage_print("x"));
    reset(stage);
    kd_layer_stage_expect_client_control(stage, KD_PACKET_RESET, 0);
    kd_layer_stage_see(stage, TEXT, SYNC_ID, kd_stage_print("x"));
    kd_layer_stage_say(stage, TEXT, kd_stage_print("y"));
    kd_layer_stage_see(stage, TEXT, CLIENT_ID ^ 1, kd_stage_print("y"));
}

static void
test_stale_reply(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    kd_layer_stage_client_data(stage, REQUEST, CLIENT_ID, kd_stage_request(STAGE_READ, 1));
    kd_layer_stage_take(stage, REQUEST, kd_stage_request(STAGE_READ, 1));
    reset(stage);
    kd_layer_stage_expect_client_control(stage, KD_PACKET_RESET, 0);
    kd_layer_stage_see(stage, EVENT, SYNC_ID, kd_stage_event(STAGE_EXCEPTION, 1));
    kd_layer_stage_say(stage, REPLY, kd_stage_request(STAGE_READ, 101));
    kd_layer_stage_pass(stage, 10 * MS);
    kd_layer_stage_expect_client_silence(stage);
    kd_layer_stage_client_data(stage, REQUEST, CLIENT_ID, kd_stage_request(STAGE_READ, 2));
    kd_layer_stage_take(stage, REQUEST, kd_stage_request(STAGE_READ, 2));
    kd_layer_stage_say(stage, REPLY, kd_stage_request(STAGE_READ, 102));
    kd_layer_stage_expect_client_control(stage, KD_PACKET_ACK, CLIENT_ID);
    kd_layer_stage_see(stage, REPLY, CLIENT_ID ^ 1, kd_stage_request(STAGE_READ, 102));
}

static void
test_unsent_reply(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    kd_layer_stage_client_data(stage, REQUEST, CLIENT_ID, kd_stage_request(STAGE_READ, 1));
    kd_layer_stage_take(stage, REQUEST, kd_stage_request(STAGE_READ, 1));
    kd_layer_stage_say(stage, REPLY, kd_stage_request(STAGE_READ, 101));
    kd_layer_stage_expect_client_control(stage, KD_PACKET_ACK, CLIENT_ID);
    kd_layer_stage_expect_client_data(stage, REPLY, CLIENT_ID ^ 1,
                                      kd_stage_request(STAGE_READ, 101));
    reset(stage); /* instead of an ACK: nobody waits for that reply any more */
    kd_layer_stage_expect_client_control(stage, KD_PACKET_RESET, 0);
    kd_layer_stage_see(stage, EVENT, SYNC_ID, kd_stage_event(STAGE_EXCEPTION, 1));
    kd_layer_stage_expect_client_silence(stage);
}

static void
test_storm(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    for (int i = 0; i < 5; i++) {
        reset(stage);
        kd_layer_stage_pass(stage, 20 * MS);
    }
    kd_layer_stage_expect_client_control(stage, KD_PACKET_RESET, 0);
    kd_layer_stage_see(stage, EVENT, SYNC_ID, kd_stage_event(STAGE_EXCEPTION, 1));
    kd_layer_stage_expect_client_silence(stage);
    /* something has passed since: this one counts */
    reset(stage);
    kd_layer_stage_expect_client_control(stage, KD_PACKET_RESET, 0);
    kd_layer_stage_expect_client_data(stage, EVENT, SYNC_ID, kd_stage_event(STAGE_EXCEPTION, 1));
    kd_layer_stage_pass(stage, 250 * MS);
    reset(stage); /* and so does one that comes later */
    kd_layer_stage_expect_client_control(stage, KD_PACKET_RESET, 0);
    kd_layer_stage_expect_client_data(stage, EVENT, SYNC_ID, kd_stage_event(STAGE_EXCEPTION, 1));
}

static void
test_break_in_too(KdLayerStage *stage, gconstpointer dialect)
{
    static const uint8_t bytes[] = {'b', 'i', 'i', 'i', 'i', 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};

    (void)dialect;
    kd_layer_stage_client(stage, bytes, sizeof bytes);
    kd_layer_stage_expect_client_control(stage, KD_PACKET_RESET, 0);
    kd_layer_stage_expect_client_silence(stage);
    kd_layer_stage_expect_target_break_in(stage);
    kd_layer_stage_expect_target_silence(stage);
}

static void
test_late(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    for (int i = 0; i < 3; i++) {
        kd_layer_stage_attach(stage, FALSE);
        kd_layer_stage_pass(stage, 60000 * MS);
        kd_layer_stage_attach(stage, TRUE);
        kd_layer_stage_see(stage, EVENT, SYNC_ID, kd_stage_event(STAGE_EXCEPTION, 1));
        kd_layer_stage_expect_client_silence(stage);
    }
    kd_layer_stage_expect_target_silence(stage);
    kd_layer_stage_client_data(stage, REQUEST, CLIENT_ID, kd_stage_request(STAGE_READ, 1));
    kd_layer_stage_take(stage, REQUEST, kd_stage_request(STAGE_READ, 1));
}

static void
test_late_running(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    kd_layer_stage_attach(stage, FALSE);
    kd_layer_stage_attach(stage, TRUE);
    kd_layer_stage_expect_client_silence(stage);
    kd_layer_stage_say(stage, TEXT, kd_stage_print("x"));
    kd_layer_stage_see(stage, TEXT, SYNC_ID, kd_stage_print("x"));
}

static void
test_reply_of_gone(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    kd_layer_stage_client_data(stage, REQUEST, CLIENT_ID, kd_stage_request(STAGE_READ, 1));
    kd_layer_stage_attach(stage, FALSE);
    kd_layer_stage_take(stage, REQUEST, kd_stage_request(STAGE_READ, 1));
    kd_layer_stage_attach(stage, TRUE);
    kd_layer_stage_see(stage, EVENT, SYNC_ID, kd_stage_event(STAGE_EXCEPTION, 1));
    kd_layer_stage_client_data(stage, REQUEST, CLIENT_ID, kd_stage_request(STAGE_READ, 2));
    kd_layer_stage_expect_target_data(stage, REQUEST, NET_ID + 2, kd_stage_request(STAGE_READ, 2));
    kd_layer_stage_say(stage, REPLY, kd_stage_request(STAGE_READ, 101));
    kd_layer_stage_pass(stage, 10 * MS);
    kd_layer_stage_expect_client_silence(stage);
}

static void
test_last_will(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    kd_layer_stage_client_data(stage, REQUEST, CLIENT_ID, kd_stage_request(STAGE_CONTINUE, 1));
    kd_layer_stage_attach(stage, FALSE);
    kd_layer_stage_expect_target_data(stage, REQUEST, NET_ID, kd_stage_request(STAGE_CONTINUE, 1));
    kd_layer_stage_pass(stage, 3300 * MS); /* it got lost */
    kd_layer_stage_take(stage, REQUEST, kd_stage_request(STAGE_CONTINUE, 1));
    g_assert_cmpint(kd_layer_stage_get_state(stage), ==, KD_TARGET_STATE_RUNNING);
    kd_layer_stage_attach(stage, TRUE);
    kd_layer_stage_expect_client_silence(stage);
}

static void
test_target_reset(KdLayerStage *stage, gconstpointer dialect)
{
    uint32_t id = stage->dialect == KD_DIALECT_NET ? NET_ID + 2 : CLIENT_ID ^ 1;

    (void)dialect;
    kd_layer_stage_client_data(stage, REQUEST, CLIENT_ID ^ 1, kd_stage_request(STAGE_READ, 1));
    kd_layer_stage_expect_target_data(stage, REQUEST, id, kd_stage_request(STAGE_READ, 1));
    kd_layer_stage_target_control(stage, KD_PACKET_RESET, 0);
    if (stage->dialect == KD_DIALECT_USB)
        id = CLIENT_ID;
    kd_layer_stage_expect_target_control(stage, KD_PACKET_RESET,
                                         stage->dialect == KD_DIALECT_NET ? id : 0);
    kd_layer_stage_expect_target_data(stage, REQUEST, id, kd_stage_request(STAGE_READ, 1));
    /* an answer to an answer: enough */
    kd_layer_stage_target_control(stage, KD_PACKET_RESET, 0);
    kd_layer_stage_expect_target_data(stage, REQUEST, id, kd_stage_request(STAGE_READ, 1));
    kd_layer_stage_expect_target_silence(stage);
    kd_layer_stage_expect_client_silence(stage);
}

static void
test_target_sync(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    g_assert_true(
        kd_layer_stage_target_data(stage, EVENT, SYNC_ID, kd_stage_event(STAGE_EXCEPTION, 2)));
    kd_layer_stage_expect_target_control(stage, KD_PACKET_ACK, SYNC_ID);
    kd_layer_stage_see(stage, EVENT, CLIENT_ID ^ 1, kd_stage_event(STAGE_EXCEPTION, 2));
    /* our side of it is fresh as well, the client's goes on */
    kd_layer_stage_client_data(stage, REQUEST, CLIENT_ID ^ 1, kd_stage_request(STAGE_READ, 1));
    kd_layer_stage_expect_target_data(stage, REQUEST, CLIENT_ID, kd_stage_request(STAGE_READ, 1));
}

static void
test_restart(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    kd_layer_stage_client_data(stage, REQUEST, CLIENT_ID, kd_stage_request(STAGE_READ, 1));
    kd_layer_stage_expect_target_data(stage, REQUEST, NET_ID, kd_stage_request(STAGE_READ, 1));
    g_assert_true(kd_link_layer_target_restarted(stage->layer, stage->now_us));
    g_assert_cmpint(kd_layer_stage_get_state(stage), ==, KD_TARGET_STATE_UNKNOWN);
    kd_layer_stage_expect_client_control(stage, KD_PACKET_RESET, 0);
    kd_layer_stage_pass(stage, 800 * MS);
    kd_layer_stage_expect_target_silence(stage); /* the request went down with it */
    reset(stage);                                /* the client's answer */
    kd_layer_stage_expect_client_silence(stage);
    stage->n_said = 0;
    kd_layer_stage_say(stage, EVENT, kd_stage_event(STAGE_EXCEPTION, 1));
    kd_layer_stage_see(stage, EVENT, SYNC_ID, kd_stage_event(STAGE_EXCEPTION, 1));
    kd_layer_stage_client_data(stage, REQUEST, CLIENT_ID, kd_stage_request(STAGE_READ, 2));
    kd_layer_stage_expect_target_data(stage, REQUEST, NET_ID, kd_stage_request(STAGE_READ, 2));
}

static void
test_restart_reset_late(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    kd_link_layer_target_restarted(stage->layer, stage->now_us);
    kd_layer_stage_expect_client_control(stage, KD_PACKET_RESET, 0);
    kd_layer_stage_pass(stage, 1000 * MS);
    reset(stage); /* that is no answer any more */
    kd_layer_stage_expect_client_control(stage, KD_PACKET_RESET, 0);
}

static void
test_restart_drops_old(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    kd_layer_stage_say(stage, TEXT, kd_stage_print("last words"));
    kd_layer_stage_say(stage, EVENT, kd_stage_event(STAGE_EXCEPTION, 2));
    kd_layer_stage_expect_client_data(stage, TEXT, CLIENT_ID ^ 1, kd_stage_print("last words"));
    kd_link_layer_target_restarted(stage->layer, stage->now_us);
    kd_layer_stage_expect_client_control(stage, KD_PACKET_RESET, 0);
    kd_layer_stage_see(stage, TEXT, SYNC_ID, kd_stage_print("last words"));
    kd_layer_stage_expect_client_silence(stage);
}

static void
test_first_start(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    g_assert_false(kd_link_layer_target_restarted(stage->layer, stage->now_us));
    kd_layer_stage_expect_client_silence(stage);
}

static void
test_desynced(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    kd_layer_stage_client_data(stage, REQUEST, CLIENT_ID, kd_stage_request(STAGE_READ, 1));
    kd_layer_stage_pass(stage, 3000 * MS);
    g_queue_clear_full(&stage->to_target, (GDestroyNotify)g_bytes_unref);
    reset(stage);
    kd_layer_stage_expect_target_control(stage, KD_PACKET_RESET, NET_ID);
}

static void
test_resync(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    kd_link_layer_resync(stage->layer, stage->now_us);
    kd_layer_stage_expect_target_control(stage, KD_PACKET_RESET, NET_ID);
    kd_layer_stage_expect_client_control(stage, KD_PACKET_RESET, 0);
    kd_layer_stage_expect_client_data(stage, EVENT, SYNC_ID, kd_stage_event(STAGE_EXCEPTION, 1));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, dialect, set_up_, fn)                                                      \
    g_test_add("/kd-layer/reset/" name, KdLayerStage, GINT_TO_POINTER(KD_DIALECT_##dialect), \
               set_up_, fn, tear_down)
    ADD("of-a-client-goes-on-to-a-target-that-is-unknown/net", NET, set_up, test_unknown);
    ADD("of-a-client-goes-on-to-a-target-that-is-unknown/usb", USB, set_up, test_unknown);
    ADD("is-not-known-on-1394", 1394, set_up, test_no_control);
    ADD("shows-why-the-target-has-halted", NET, set_up_halted, test_halted);
    ADD("of-a-running-target-shows-nothing", NET, set_up_running, test_running);
    ADD("shows-again-what-is-not-acknowledged", NET, set_up_running, test_unacknowledged);
    ADD("makes-a-reply-on-its-way-stale", NET, set_up_halted, test_stale_reply);
    ADD("makes-a-reply-that-was-shown-stale", NET, set_up_halted, test_unsent_reply);
    ADD("storm-is-answered-once", NET, set_up_halted, test_storm);
    ADD("and-break-in-in-one-write-both-work", NET, set_up_running, test_break_in_too);
    ADD("of-the-target-is-answered-once-and-ids-are-fresh/net", NET, set_up_running,
        test_target_reset);
    ADD("of-the-target-is-answered-once-and-ids-are-fresh/usb", USB, set_up_running,
        test_target_reset);
    ADD("bit-of-the-targets-sync-makes-ids-fresh", USB, set_up_running, test_target_sync);
    ADD("goes-to-a-target-that-does-not-answer", NET, set_up_halted, test_desynced);
    ADD("by-order-goes-to-both-sides", NET, set_up_halted, test_resync);
    ADD("late-client-is-shown-why-the-target-has-halted", NET, set_up_halted, test_late);
    ADD("late-client-of-a-running-target-begins-with-sync", NET, set_up_running, test_late_running);
    ADD("reply-for-a-client-that-has-gone-is-dropped", NET, set_up_halted, test_reply_of_gone);
    ADD("continue-of-a-client-that-has-gone-arrives", NET, set_up_halted, test_last_will);
    ADD("restart-drops-the-request-and-resets-the-client", NET, set_up_halted, test_restart);
    ADD("a-second-after-a-restart-is-no-answer", NET, set_up_halted, test_restart_reset_late);
    ADD("restart-keeps-texts-and-drops-the-rest", NET, set_up_running, test_restart_drops_old);
    ADD("first-start-of-a-target-is-no-restart", NET, set_up, test_first_start);
    return g_test_run();
}
