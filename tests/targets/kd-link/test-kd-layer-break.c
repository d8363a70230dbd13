/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The link layer: break-ins, not too often and not when the target has halted. */
#include "kd-layer-stage.h"

enum { REQUEST = KD_PACKET_STATE_MANIPULATE, EVENT = KD_PACKET_STATE_CHANGE64 };

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
break_in(KdLayerStage *stage)
{
    kd_layer_stage_client(stage, "b", 1);
}

static void
test_repeated(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    break_in(stage);
    for (int i = 0; i < 6; i++) {
        kd_layer_stage_expect_target_break_in(stage);
        kd_layer_stage_pass(stage, 999 * MS);
        kd_layer_stage_expect_target_silence(stage);
        kd_layer_stage_pass(stage, 1 * MS);
    }
    kd_layer_stage_pass(stage, 10000 * MS);
    kd_layer_stage_expect_target_silence(stage);
}

static void
test_halts(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    break_in(stage);
    kd_layer_stage_expect_target_break_in(stage);
    kd_layer_stage_say(stage, EVENT, kd_stage_event(STAGE_EXCEPTION, 2));
    kd_layer_stage_see(stage, EVENT, CLIENT_ID ^ 1, kd_stage_event(STAGE_EXCEPTION, 2));
    kd_layer_stage_pass(stage, 10000 * MS);
    kd_layer_stage_expect_target_silence(stage);
}

static void
test_once_a_second(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    for (int i = 0; i < 300; i++) {
        kd_layer_stage_client(stage, "bbbb", 4);
        kd_layer_stage_pass(stage, 10 * MS);
    }
    g_assert_cmpuint(g_queue_get_length(&stage->to_target), ==, 4); /* at 0, 1, 2 and 3 s */
}

static void
test_kept(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    kd_link_layer_set_target(stage->layer, FALSE, stage->now_us);
    break_in(stage);
    kd_layer_stage_pass(stage, 60000 * MS);
    kd_layer_stage_expect_target_silence(stage);
    kd_link_layer_set_target(stage->layer, TRUE, stage->now_us);
    kd_layer_stage_expect_target_control(stage, KD_PACKET_RESET, NET_ID);
    kd_layer_stage_pass(stage, 499 * MS);
    kd_layer_stage_expect_target_silence(stage);
    kd_layer_stage_pass(stage, 1 * MS);
    kd_layer_stage_expect_target_break_in(stage);
}

/* It would halt once more behind the next continue. */
static void
test_came_halted(KdLayerStage *stage, gconstpointer dialect)
{
    kd_link_layer_set_target(stage->layer, FALSE, stage->now_us);
    break_in(stage);
    kd_link_layer_set_target(stage->layer, TRUE, stage->now_us);
    if (GPOINTER_TO_INT(dialect) != KD_DIALECT_1394) {
        kd_layer_stage_expect_target_control(
            stage, KD_PACKET_RESET, GPOINTER_TO_INT(dialect) == KD_DIALECT_NET ? NET_ID : 0);
    }
    kd_layer_stage_pass(stage, 100 * MS);
    kd_layer_stage_say(stage, EVENT, kd_stage_event(STAGE_EXCEPTION, 2));
    kd_layer_stage_pass(stage, 10000 * MS);
    kd_layer_stage_expect_target_silence(stage);
}

static void
test_halted_seen(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    break_in(stage);
    kd_link_layer_break_in(stage->layer, stage->now_us);
    kd_layer_stage_pass(stage, 10000 * MS);
    kd_layer_stage_expect_target_silence(stage);
    kd_layer_stage_expect_client_silence(stage);
}

static void
test_halted_unseen(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    kd_layer_stage_say(stage, EVENT, kd_stage_event(STAGE_EXCEPTION, 2));
    kd_layer_stage_expect_client_data(stage, EVENT, CLIENT_ID ^ 1,
                                      kd_stage_event(STAGE_EXCEPTION, 2));
    break_in(stage);
    kd_layer_stage_see(stage, EVENT, CLIENT_ID ^ 1, kd_stage_event(STAGE_EXCEPTION, 2));
    kd_layer_stage_pass(stage, 10000 * MS);
    kd_layer_stage_expect_target_silence(stage);
    kd_layer_stage_expect_client_silence(stage);
}

static void
test_after_continue(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    kd_layer_stage_client_data(stage, REQUEST, CLIENT_ID, kd_stage_request(STAGE_CONTINUE, 1));
    break_in(stage); /* the target has not acknowledged yet that it runs */
    kd_layer_stage_expect_target_data(stage, REQUEST, NET_ID, kd_stage_request(STAGE_CONTINUE, 1));
    kd_layer_stage_expect_target_silence(stage);
    kd_layer_stage_target_control(stage, KD_PACKET_ACK, NET_ID);
    kd_layer_stage_expect_target_break_in(stage);
}

static void
test_busy(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    stage->is_carrier_busy = TRUE;
    break_in(stage);
    kd_layer_stage_pass(stage, 5000 * MS);
    stage->is_carrier_busy = FALSE;
    kd_link_layer_target_ready(stage->layer, stage->now_us);
    kd_layer_stage_expect_target_break_in(stage);
    kd_layer_stage_expect_target_silence(stage);
    kd_layer_stage_pass(stage, 1000 * MS);
    kd_layer_stage_expect_target_break_in(stage);
}

static void
test_busy_halts(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    stage->is_carrier_busy = TRUE;
    break_in(stage);
    g_assert_true(kd_layer_stage_target_data(stage, EVENT, kd_layer_stage_get_next_id(stage),
                                             kd_stage_event(STAGE_EXCEPTION, 2)));
    stage->is_carrier_busy = FALSE;
    kd_link_layer_target_ready(stage->layer, stage->now_us);
    kd_layer_stage_expect_target_control(stage, KD_PACKET_ACK, kd_layer_stage_get_next_id(stage));
    kd_layer_stage_pass(stage, 5000 * MS);
    kd_layer_stage_expect_target_silence(stage); /* it would halt a second time later on */
}

static void
test_request_behind(KdLayerStage *stage, gconstpointer dialect)
{
    const KdStagePayload *request = kd_stage_request(STAGE_READ, 1);
    uint8_t bytes[1 + KD_PACKET_MAX_BYTES] = {'b'};
    KdPacket packet = {.type = REQUEST,
                       .id = CLIENT_ID ^ 1,
                       .payload = request->bytes,
                       .payload_bytes = request->len_bytes};

    (void)dialect;
    kd_layer_stage_client(stage, bytes, 1 + kd_packet_build(KD_DIALECT_SERIAL, &packet, bytes + 1));
    kd_layer_stage_expect_target_break_in(stage);
    kd_layer_stage_expect_target_data(stage, REQUEST, NET_ID + 2, request);
}

static void
test_gone(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    break_in(stage);
    kd_layer_stage_expect_target_break_in(stage);
    kd_layer_stage_attach(stage, FALSE);
    kd_layer_stage_pass(stage, 5000 * MS);
    kd_layer_stage_expect_target_silence(stage);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, dialect, set_up_, fn)                                                         \
    g_test_add("/kd-layer/break-in/" name, KdLayerStage, GINT_TO_POINTER(KD_DIALECT_##dialect), \
               set_up_, fn, tear_down)
    ADD("is-repeated-each-second-five-times/net", NET, set_up_running, test_repeated);
    ADD("is-repeated-each-second-five-times/usb", USB, set_up_running, test_repeated);
    ADD("is-repeated-each-second-five-times/1394", 1394, set_up_running, test_repeated);
    ADD("goes-to-a-target-that-is-unknown", NET, set_up, test_repeated);
    ADD("ends-when-the-target-halts", NET, set_up_running, test_halts);
    ADD("is-sent-once-a-second-at-most", NET, set_up_running, test_once_a_second);
    ADD("is-kept-for-a-target-that-is-not-there-yet", NET, set_up, test_kept);
    ADD("is-not-for-a-target-that-comes-and-has-halted/net", NET, set_up, test_came_halted);
    ADD("is-not-for-a-target-that-comes-and-has-halted/usb", USB, set_up, test_came_halted);
    ADD("is-not-for-a-target-that-comes-and-has-halted/1394", 1394, set_up, test_came_halted);
    ADD("of-a-halted-target-does-nothing", NET, set_up_halted, test_halted_seen);
    ADD("of-a-halted-target-shows-what-was-not-acknowledged", NET, set_up_running,
        test_halted_unseen);
    ADD("right-after-continue-waits-for-its-ack", NET, set_up_halted, test_after_continue);
    ADD("waits-for-a-busy-carrier", NET, set_up_running, test_busy);
    ADD("is-not-sent-after-the-target-has-halted", NET, set_up_running, test_busy_halts);
    ADD("and-a-request-behind-it-are-two-packets", NET, set_up_running, test_request_behind);
    ADD("is-not-repeated-for-a-client-that-has-gone", NET, set_up_running, test_gone);
    return g_test_run();
}
