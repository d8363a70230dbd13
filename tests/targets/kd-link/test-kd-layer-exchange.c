/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The link layer: the client's requests, their ACKs, repetitions and replies. */
#include "kd-layer-stage.h"

#include <string.h>

enum { REQUEST = KD_PACKET_STATE_MANIPULATE, REPLY = KD_PACKET_STATE_MANIPULATE };

static void
set_up(KdLayerStage *stage, gconstpointer dialect)
{
    kd_layer_stage_set_up_halted(stage, GPOINTER_TO_INT(dialect));
}

static void
tear_down(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    kd_layer_stage_tear_down(stage);
}

/* The client sends the request number @n, each with its own content. */
static void
ask(KdLayerStage *stage, uint32_t id, uint8_t salt)
{
    kd_layer_stage_client_data(stage, REQUEST, id, kd_stage_request(STAGE_READ, salt));
}

static void
test_one_write(KdLayerStage *stage, gconstpointer dialect)
{
    guint n_writes = stage->n_writes;

    (void)dialect;
    ask(stage, CLIENT_ID, 1);
    kd_layer_stage_expect_target_data(stage, REQUEST, NET_ID, kd_stage_request(STAGE_READ, 1));
    kd_layer_stage_target_control(stage, KD_PACKET_ACK, NET_ID);
    kd_layer_stage_pass(stage, 1 * MS);
    kd_layer_stage_expect_client_silence(stage);
    kd_layer_stage_say(stage, REPLY, kd_stage_request(STAGE_READ, 2));
    g_assert_cmpuint(stage->n_writes, ==, n_writes + 1);
    kd_layer_stage_expect_client_control(stage, KD_PACKET_ACK, CLIENT_ID);
    kd_layer_stage_expect_client_data(stage, REPLY, CLIENT_ID ^ 1, kd_stage_request(STAGE_READ, 2));
}

static void
test_ack_alone(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    ask(stage, CLIENT_ID, 1);
    kd_layer_stage_take(stage, REQUEST, kd_stage_request(STAGE_READ, 1));
    kd_layer_stage_pass(stage, 20 * MS);
    kd_layer_stage_expect_client_control(stage, KD_PACKET_ACK, CLIENT_ID);
    kd_layer_stage_pass(stage, 900 * MS);
    kd_layer_stage_expect_client_silence(stage);
    kd_layer_stage_expect_target_silence(stage);
}

static void
test_no_reply(KdLayerStage *stage, gconstpointer dialect)
{
    static const uint32_t apis[] = {STAGE_SWITCH_PROCESSOR, STAGE_CONTINUE, STAGE_CONTINUE2};

    (void)dialect;
    for (guint i = 0; i < G_N_ELEMENTS(apis); i++) {
        kd_layer_stage_client_data(stage, REQUEST, CLIENT_ID ^ (i & 1),
                                   kd_stage_request(apis[i], 1));
        kd_layer_stage_expect_client_silence(stage);
        kd_layer_stage_take(stage, REQUEST, kd_stage_request(apis[i], 1));
        kd_layer_stage_expect_client_control(stage, KD_PACKET_ACK, CLIENT_ID ^ (i & 1));
    }
}

static void
test_reply_is_ack(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    ask(stage, CLIENT_ID, 1);
    kd_layer_stage_expect_target_data(stage, REQUEST, NET_ID, kd_stage_request(STAGE_READ, 1));
    kd_layer_stage_say(stage, REPLY, kd_stage_request(STAGE_READ, 2));
    kd_layer_stage_expect_client_control(stage, KD_PACKET_ACK, CLIENT_ID);
    kd_layer_stage_see(stage, REPLY, CLIENT_ID ^ 1, kd_stage_request(STAGE_READ, 2));
    /* the late ACK, and no repetition */
    kd_layer_stage_target_control(stage, KD_PACKET_ACK, NET_ID);
    kd_layer_stage_pass(stage, 2000 * MS);
    kd_layer_stage_expect_target_silence(stage);
    ask(stage, CLIENT_ID ^ 1, 3);
    kd_layer_stage_expect_target_data(stage, REQUEST, NET_ID + 2, kd_stage_request(STAGE_READ, 3));
}

static void
test_event_is_ack(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    kd_layer_stage_client_data(stage, REQUEST, CLIENT_ID, kd_stage_request(STAGE_CONTINUE, 1));
    kd_layer_stage_expect_target_data(stage, REQUEST, NET_ID, kd_stage_request(STAGE_CONTINUE, 1));
    kd_layer_stage_say(stage, KD_PACKET_STATE_CHANGE64, kd_stage_event(STAGE_EXCEPTION, 2));
    kd_layer_stage_expect_client_control(stage, KD_PACKET_ACK, CLIENT_ID);
    kd_layer_stage_see(stage, KD_PACKET_STATE_CHANGE64, CLIENT_ID ^ 1,
                       kd_stage_event(STAGE_EXCEPTION, 2));
    g_assert_cmpint(kd_layer_stage_get_state(stage), ==, KD_TARGET_STATE_HALTED);
    kd_layer_stage_pass(stage, 2000 * MS);
    kd_layer_stage_expect_target_silence(stage);
}

static void
test_event_is_no_ack(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    ask(stage, CLIENT_ID, 1);
    kd_layer_stage_expect_target_data(stage, REQUEST, NET_ID, kd_stage_request(STAGE_READ, 1));
    kd_layer_stage_say(stage, KD_PACKET_STATE_CHANGE64, kd_stage_event(STAGE_EXCEPTION, 2));
    kd_layer_stage_see(stage, KD_PACKET_STATE_CHANGE64, CLIENT_ID ^ 1,
                       kd_stage_event(STAGE_EXCEPTION, 2));
    kd_layer_stage_pass(stage, 500 * MS);
    kd_layer_stage_expect_target_data(stage, REQUEST, NET_ID, kd_stage_request(STAGE_READ, 1));
    kd_layer_stage_expect_client_silence(stage);
}

static void
test_repeats(KdLayerStage *stage, gconstpointer dialect)
{
    uint32_t id = stage->dialect == KD_DIALECT_NET ? NET_ID : CLIENT_ID;

    (void)dialect;
    ask(stage, CLIENT_ID, 1);
    for (int i = 0; i < 6; i++) {
        kd_layer_stage_expect_target_data(stage, REQUEST, id, kd_stage_request(STAGE_READ, 1));
        kd_layer_stage_expect_target_silence(stage);
        ask(stage, CLIENT_ID, 1); /* the client repeats it too: dropped */
        kd_layer_stage_expect_target_silence(stage);
        kd_layer_stage_pass(stage, 500 * MS);
    }
    g_assert_cmpuint(kd_layer_stage_get_status(stage).n_retransmissions, ==, 5);
    kd_layer_stage_pass(stage, 5000 * MS);
    kd_layer_stage_expect_target_silence(stage);
    kd_layer_stage_expect_client_silence(stage);
    /* not acknowledged: the client begins anew, and so do we, with the same id */
    ask(stage, CLIENT_ID, 1);
    kd_layer_stage_expect_target_data(stage, REQUEST, id, kd_stage_request(STAGE_READ, 1));
    /* the target may have had it all the time, and its reply is lost: an ACK proves nothing */
    kd_layer_stage_target_control(stage, KD_PACKET_ACK, id);
    kd_layer_stage_pass(stage, 500 * MS);
    kd_layer_stage_expect_client_silence(stage);
    kd_layer_stage_take(stage, REQUEST, kd_stage_request(STAGE_READ, 1));
    kd_layer_stage_pass(stage, 20 * MS);
    kd_layer_stage_expect_client_control(stage, KD_PACKET_ACK, CLIENT_ID);
}

static void
test_ids(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    for (uint32_t i = 0; i < 6; i++) {
        uint32_t id = stage->dialect == KD_DIALECT_NET    ? NET_ID + 2 * i
                      : stage->dialect == KD_DIALECT_1394 ? CLIENT_ID + i
                                                          : CLIENT_ID ^ (i & 1);

        ask(stage, CLIENT_ID ^ (i & 1), (uint8_t)i);
        kd_layer_stage_expect_target_data(stage, REQUEST, id,
                                          kd_stage_request(STAGE_READ, (uint8_t)i));
        if (stage->dialect != KD_DIALECT_1394)
            kd_layer_stage_target_control(stage, KD_PACKET_ACK, id);
        kd_layer_stage_say(stage, REPLY, kd_stage_request(STAGE_READ, (uint8_t)(100 + i)));
        kd_layer_stage_expect_client_control(stage, KD_PACKET_ACK, CLIENT_ID ^ (i & 1));
        kd_layer_stage_see(stage, REPLY, CLIENT_ID ^ 1 ^ (i & 1),
                           kd_stage_request(STAGE_READ, (uint8_t)(100 + i)));
    }
}

static void
test_wrong_ack(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    ask(stage, CLIENT_ID, 1);
    kd_layer_stage_target_control(stage, KD_PACKET_ACK, NET_ID + 2);
    kd_layer_stage_target_control(stage, KD_PACKET_ACK, NET_ID - 2);
    kd_layer_stage_pass(stage, 10 * MS);
    kd_layer_stage_expect_client_silence(stage);
}

static void
test_resend(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    ask(stage, CLIENT_ID, 1);
    kd_layer_stage_expect_target_data(stage, REQUEST, NET_ID, kd_stage_request(STAGE_READ, 1));
    kd_layer_stage_pass(stage, 15 * MS);
    kd_layer_stage_target_control(stage, KD_PACKET_RESEND, 0);
    kd_layer_stage_take(stage, REQUEST, kd_stage_request(STAGE_READ, 1));
    /* nothing is under way: nothing to send again */
    kd_layer_stage_target_control(stage, KD_PACKET_RESEND, 0);
    kd_layer_stage_expect_target_silence(stage);
}

static void
test_resend_storm(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    ask(stage, CLIENT_ID, 1);
    for (int i = 0; i < 3500; i++) {
        kd_layer_stage_target_control(stage, KD_PACKET_RESEND, 0);
        kd_layer_stage_pass(stage, 1 * MS);
    }
    g_assert_cmpuint(g_queue_get_length(&stage->to_target), <=, 301);
    kd_layer_stage_expect_client_silence(stage);
}

/* Its ACK and the reply were lost. The repetition comes to a target that waits for the ACK of the
 * reply, and takes that for said. */
static void
lose_reply(KdLayerStage *stage, uint32_t api, gint64 pause_us)
{
    kd_layer_stage_client_data(stage, REQUEST, CLIENT_ID, kd_stage_request(api, 1));
    for (guint i = 0; i < 2; i++) {
        kd_layer_stage_expect_target_data(stage, REQUEST, NET_ID, kd_stage_request(api, 1));
        kd_layer_stage_pass(stage, i == 0 ? pause_us : 10 * MS);
    }
    kd_layer_stage_target_control(stage, KD_PACKET_RESEND, 0);
    kd_layer_stage_take(stage, REQUEST, kd_stage_request(api, 1));
}

static void
test_lost_reply(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    lose_reply(stage, STAGE_READ, 500 * MS);
    kd_layer_stage_pass(stage, 499 * MS);
    kd_layer_stage_expect_target_silence(stage);
    kd_layer_stage_pass(stage, 1 * MS);
    kd_layer_stage_expect_target_data(stage, REQUEST, NET_ID + 2, kd_stage_request(STAGE_READ, 1));
    kd_layer_stage_expect_client_silence(stage);
    kd_layer_stage_target_control(stage, KD_PACKET_ACK, NET_ID + 2);
    kd_layer_stage_say(stage, REPLY, kd_stage_request(STAGE_READ, 2));
    kd_layer_stage_expect_client_control(stage, KD_PACKET_ACK, CLIENT_ID);
    kd_layer_stage_see(stage, REPLY, CLIENT_ID ^ 1, kd_stage_request(STAGE_READ, 2));
    kd_layer_stage_pass(stage, 10000 * MS);
    kd_layer_stage_expect_target_silence(stage);
    ask(stage, CLIENT_ID ^ 1, 3);
    kd_layer_stage_expect_target_data(stage, REQUEST, NET_ID + 4, kd_stage_request(STAGE_READ, 3));
}

/* It was acknowledged, so the target has had it; it must have given the reply up. */
static void
test_missing_reply(KdLayerStage *stage, gconstpointer dialect)
{
    uint32_t first_id = stage->dialect == KD_DIALECT_NET ? NET_ID : CLIENT_ID;
    uint32_t next_id = stage->dialect == KD_DIALECT_NET ? NET_ID + 2 : CLIENT_ID ^ 1;

    (void)dialect;
    ask(stage, CLIENT_ID, 1);
    kd_layer_stage_expect_target_data(stage, REQUEST, first_id, kd_stage_request(STAGE_READ, 1));
    kd_layer_stage_target_control(stage, KD_PACKET_ACK, first_id);
    kd_layer_stage_pass(stage, 1500 * MS);
    kd_layer_stage_expect_client_control(stage, KD_PACKET_ACK, CLIENT_ID);
    kd_layer_stage_expect_target_silence(stage);
    kd_layer_stage_pass(stage, 100 * MS);
    kd_layer_stage_expect_target_data(stage, REQUEST, next_id, kd_stage_request(STAGE_READ, 1));
    kd_layer_stage_target_control(stage, KD_PACKET_ACK, next_id);
    kd_layer_stage_say(stage, REPLY, kd_stage_request(STAGE_READ, 2));
    kd_layer_stage_see(stage, REPLY, CLIENT_ID ^ 1, kd_stage_request(STAGE_READ, 2));
    kd_layer_stage_pass(stage, 10000 * MS);
    kd_layer_stage_expect_target_silence(stage);
}

/* A target that does not reply at all is not asked for ever. */
static void
test_silent_target(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    ask(stage, CLIENT_ID, 1);
    for (uint32_t i = 0; i < 6; i++) {
        kd_layer_stage_expect_target_data(stage, REQUEST, NET_ID + 2 * i,
                                          kd_stage_request(STAGE_READ, 1));
        kd_layer_stage_target_control(stage, KD_PACKET_ACK, NET_ID + 2 * i);
        kd_layer_stage_pass(stage, 1600 * MS);
    }
    kd_layer_stage_pass(stage, 60000 * MS);
    kd_layer_stage_expect_target_silence(stage);
    kd_layer_stage_expect_client_control(stage, KD_PACKET_ACK, CLIENT_ID);
    kd_layer_stage_expect_client_silence(stage);
}

static void
test_late_reply(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    lose_reply(stage, STAGE_READ, 500 * MS);
    kd_layer_stage_pass(stage, 300 * MS);
    kd_layer_stage_say(stage, REPLY, kd_stage_request(STAGE_READ, 2));
    kd_layer_stage_expect_client_control(stage, KD_PACKET_ACK, CLIENT_ID);
    kd_layer_stage_see(stage, REPLY, CLIENT_ID ^ 1, kd_stage_request(STAGE_READ, 2));
    kd_layer_stage_pass(stage, 10000 * MS);
    kd_layer_stage_expect_target_silence(stage);
    ask(stage, CLIENT_ID ^ 1, 3);
    kd_layer_stage_expect_target_data(stage, REQUEST, NET_ID + 2, kd_stage_request(STAGE_READ, 3));
}

/* What must not be done twice is left to the client. */
static void
test_lost_once(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    lose_reply(stage, STAGE_WRITE_BREAKPOINT, 3300 * MS);
    kd_layer_stage_pass(stage, 10000 * MS);
    kd_layer_stage_expect_client_control(stage, KD_PACKET_ACK, CLIENT_ID);
    kd_layer_stage_expect_target_silence(stage);
}

/* Its ACK and the reply were lost. The target repeats the reply once a second. */
static void
test_patience(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    kd_layer_stage_client_data(stage, REQUEST, CLIENT_ID,
                               kd_stage_request(STAGE_WRITE_BREAKPOINT, 1));
    kd_layer_stage_expect_target_data(stage, REQUEST, NET_ID,
                                      kd_stage_request(STAGE_WRITE_BREAKPOINT, 1));
    kd_layer_stage_pass(stage, 3200 * MS);
    kd_layer_stage_expect_target_silence(stage);
    kd_layer_stage_say(stage, REPLY, kd_stage_request(STAGE_WRITE_BREAKPOINT, 2));
    kd_layer_stage_expect_client_control(stage, KD_PACKET_ACK, CLIENT_ID);
    kd_layer_stage_see(stage, REPLY, CLIENT_ID ^ 1, kd_stage_request(STAGE_WRITE_BREAKPOINT, 2));
    kd_layer_stage_pass(stage, 10000 * MS);
    kd_layer_stage_expect_target_silence(stage);
}

static void
test_mailbox_resend(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    ask(stage, CLIENT_ID, 1);
    kd_layer_stage_take(stage, REQUEST, kd_stage_request(STAGE_READ, 1));
    kd_layer_stage_pass(stage, 20 * MS);
    kd_layer_stage_expect_client_control(stage, KD_PACKET_ACK, CLIENT_ID);
    kd_layer_stage_target_control(stage, KD_PACKET_RESEND, 0);
    kd_layer_stage_take(stage, REQUEST, kd_stage_request(STAGE_READ, 1));
    kd_layer_stage_pass(stage, 2000 * MS);
    kd_layer_stage_expect_target_silence(stage);
    kd_layer_stage_expect_client_silence(stage);
}

static void
test_duplicate(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    ask(stage, CLIENT_ID, 1);
    kd_layer_stage_take(stage, REQUEST, kd_stage_request(STAGE_READ, 1));
    kd_layer_stage_pass(stage, 20 * MS);
    kd_layer_stage_expect_client_control(stage, KD_PACKET_ACK, CLIENT_ID);
    ask(stage, CLIENT_ID, 1);
    kd_layer_stage_expect_client_control(stage, KD_PACKET_ACK, CLIENT_ID);
    kd_layer_stage_expect_target_silence(stage);
    g_assert_cmpuint(kd_layer_stage_get_status(stage).n_duplicates, ==, 1);
}

static void
test_given_up(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    ask(stage, CLIENT_ID, 1);
    kd_layer_stage_expect_target_data(stage, REQUEST, NET_ID, kd_stage_request(STAGE_READ, 1));
    ask(stage, CLIENT_ID, 2); /* instead of the first: the same id */
    kd_layer_stage_expect_target_silence(stage);
    kd_layer_stage_target_control(stage, KD_PACKET_ACK, NET_ID);
    kd_layer_stage_expect_target_data(stage, REQUEST, NET_ID + 2, kd_stage_request(STAGE_READ, 2));
    kd_layer_stage_say(stage, REPLY, kd_stage_request(STAGE_READ, 101));
    kd_layer_stage_pass(stage, 10 * MS);
    kd_layer_stage_expect_client_silence(stage); /* nobody waits for that reply, and no ACK */
    kd_layer_stage_target_control(stage, KD_PACKET_ACK, NET_ID + 2);
    kd_layer_stage_say(stage, REPLY, kd_stage_request(STAGE_READ, 102));
    kd_layer_stage_expect_client_control(stage, KD_PACKET_ACK, CLIENT_ID);
    kd_layer_stage_see(stage, REPLY, CLIENT_ID ^ 1, kd_stage_request(STAGE_READ, 102));
}

/* The carrier refuses what it puts into the mailbox until the target has taken it. */
static void
test_mailbox_given_up(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    stage->is_carrier_busy = TRUE;
    ask(stage, CLIENT_ID, 1);
    ask(stage, CLIENT_ID, 2); /* instead of the first: the same id */
    stage->is_carrier_busy = FALSE;
    kd_link_layer_target_ready(stage->layer, stage->now_us);
    kd_layer_stage_take(stage, REQUEST, kd_stage_request(STAGE_READ, 1));
    kd_layer_stage_take(stage, REQUEST, kd_stage_request(STAGE_READ, 2));
    kd_layer_stage_say(stage, REPLY, kd_stage_request(STAGE_READ, 101));
    kd_layer_stage_pass(stage, 1 * MS);
    kd_layer_stage_expect_client_silence(stage); /* nobody waits for that reply */
    kd_layer_stage_say(stage, REPLY, kd_stage_request(STAGE_READ, 102));
    kd_layer_stage_expect_client_control(stage, KD_PACKET_ACK, CLIENT_ID);
    kd_layer_stage_see(stage, REPLY, CLIENT_ID ^ 1, kd_stage_request(STAGE_READ, 102));
}

static void
test_ack_for_given_up(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    ask(stage, CLIENT_ID, 1);
    kd_layer_stage_take(stage, REQUEST, kd_stage_request(STAGE_READ, 1));
    ask(stage, CLIENT_ID, 2); /* before it got the ACK of the first */
    kd_layer_stage_pass(stage, 10 * MS);
    kd_layer_stage_expect_client_silence(stage);
    kd_layer_stage_take(stage, REQUEST, kd_stage_request(STAGE_READ, 2));
    kd_layer_stage_pass(stage, 20 * MS);
    kd_layer_stage_expect_client_control(stage, KD_PACKET_ACK, CLIENT_ID);
}

static void
test_counts_wrong(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    ask(stage, CLIENT_ID ^ 1, 1);
    kd_layer_stage_take(stage, REQUEST, kd_stage_request(STAGE_READ, 1));
    kd_layer_stage_pass(stage, 20 * MS);
    kd_layer_stage_expect_client_control(stage, KD_PACKET_ACK, CLIENT_ID ^ 1);
    kd_layer_stage_say(stage, REPLY, kd_stage_request(STAGE_READ, 2));
    kd_layer_stage_see(stage, REPLY, CLIENT_ID ^ 1, kd_stage_request(STAGE_READ, 2));
}

static void
test_ahead(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    ask(stage, CLIENT_ID, 1);
    kd_layer_stage_expect_target_data(stage, REQUEST, NET_ID, kd_stage_request(STAGE_READ, 1));
    ask(stage, CLIENT_ID ^ 1, 2); /* does not wait: not acknowledged, so it says it again */
    kd_layer_stage_expect_target_silence(stage);
    kd_layer_stage_target_control(stage, KD_PACKET_ACK, NET_ID);
    kd_layer_stage_pass(stage, 20 * MS);
    kd_layer_stage_expect_client_control(stage, KD_PACKET_ACK, CLIENT_ID);
    kd_layer_stage_expect_client_silence(stage);
    ask(stage, CLIENT_ID ^ 1, 2);
    kd_layer_stage_take(stage, REQUEST, kd_stage_request(STAGE_READ, 2));
}

static void
test_busy(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    stage->is_carrier_busy = TRUE;
    ask(stage, CLIENT_ID, 1);
    kd_layer_stage_pass(stage, 1400 * MS);
    kd_layer_stage_expect_target_silence(stage);
    kd_layer_stage_expect_client_silence(stage);
    stage->is_carrier_busy = FALSE;
    kd_link_layer_target_ready(stage->layer, stage->now_us);
    kd_layer_stage_take(stage, REQUEST, kd_stage_request(STAGE_READ, 1));
    kd_layer_stage_expect_target_silence(stage);
}

static void
test_absent(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    kd_link_layer_set_target(stage->layer, FALSE, stage->now_us);
    ask(stage, CLIENT_ID, 1);
    kd_layer_stage_pass(stage, 1000 * MS);
    kd_layer_stage_expect_target_silence(stage);
    kd_link_layer_set_target(stage->layer, TRUE, stage->now_us);
    kd_layer_stage_take(stage, REQUEST, kd_stage_request(STAGE_READ, 1));
    kd_link_layer_set_target(stage->layer, FALSE, stage->now_us);
    ask(stage, CLIENT_ID ^ 1, 2);
    kd_layer_stage_pass(stage, 4000 * MS); /* the client has started over long since */
    kd_link_layer_set_target(stage->layer, TRUE, stage->now_us);
    kd_layer_stage_expect_target_silence(stage);
}

static void
test_damaged(KdLayerStage *stage, gconstpointer dialect)
{
    uint8_t bytes[KD_PACKET_MAX_BYTES];
    KdPacket packet = {.type = 2, .id = CLIENT_ID, .payload = bytes, .payload_bytes = 4};
    uint8_t damaged[KD_PACKET_MAX_BYTES] = {0};
    size_t n = kd_packet_build(KD_DIALECT_SERIAL, &packet, damaged);

    (void)dialect;
    damaged[18] ^= 8;
    kd_layer_stage_client(stage, damaged, n);
    kd_layer_stage_expect_client_control(stage, KD_PACKET_RESEND, 0);
    kd_layer_stage_expect_target_silence(stage);
    g_assert_cmpuint(kd_layer_stage_get_status(stage).n_damaged, ==, 1);
}

static void
test_bytewise(KdLayerStage *stage, gconstpointer dialect)
{
    const KdStagePayload *request = kd_stage_request(STAGE_READ, 1);
    uint8_t bytes[KD_PACKET_MAX_BYTES];
    KdPacket packet = {.type = REQUEST,
                       .id = CLIENT_ID,
                       .payload = request->bytes,
                       .payload_bytes = request->len_bytes};
    size_t n = kd_packet_build(KD_DIALECT_SERIAL, &packet, bytes);

    (void)dialect;
    for (size_t i = 0; i < n; i++) {
        kd_layer_stage_expect_target_silence(stage);
        kd_layer_stage_client(stage, bytes + i, 1);
    }
    kd_layer_stage_take(stage, REQUEST, request);
}

static void
test_all_types(KdLayerStage *stage, gconstpointer dialect)
{
    uint32_t id = CLIENT_ID ^ 1;

    (void)dialect;
    for (uint16_t type = 1; type <= 11; type++) {
        if (type >= 4 && type <= 6)
            continue;
        KdStagePayload payload = {.len_bytes = 12, .bytes = {(uint8_t)type, 0x77}};

        kd_layer_stage_say(stage, type, &payload);
        kd_layer_stage_see(stage, type, id, &payload);
        kd_layer_stage_expect_client_silence(stage);
        id ^= 1;
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, dialect, fn)                                                                  \
    g_test_add("/kd-layer/exchange/" name, KdLayerStage, GINT_TO_POINTER(KD_DIALECT_##dialect), \
               set_up, fn, tear_down)
    ADD("ack-and-reply-leave-in-one-write", NET, test_one_write);
    ADD("ack-does-not-wait-for-a-reply-for-long", NET, test_ack_alone);
    ADD("ack-of-what-has-no-reply-leaves-at-once", NET, test_no_reply);
    ADD("reply-stands-for-the-targets-ack", NET, test_reply_is_ack);
    ADD("next-event-stands-for-the-ack-of-continue", NET, test_event_is_ack);
    ADD("event-does-not-stand-for-the-ack-of-a-read", NET, test_event_is_no_ack);
    ADD("request-is-repeated-five-times-then-dropped/net", NET, test_repeats);
    ADD("request-is-repeated-five-times-then-dropped/usb", USB, test_repeats);
    ADD("ids-are-those-of-the-dialect/net", NET, test_ids);
    ADD("ids-are-those-of-the-dialect/usb", USB, test_ids);
    ADD("ids-are-those-of-the-dialect/1394", 1394, test_ids);
    ADD("ack-with-another-id-is-none", NET, test_wrong_ack);
    ADD("resend-repeats-the-request", NET, test_resend);
    ADD("storm-of-resends-does-not-repeat-more-than-each-10-ms", NET, test_resend_storm);
    ADD("request-whose-reply-the-target-gave-up-goes-once-more", NET, test_lost_reply);
    ADD("request-whose-reply-comes-late-does-not-go-once-more", NET, test_late_reply);
    ADD("reply-that-does-not-come-is-asked-for-again/net", NET, test_missing_reply);
    ADD("reply-that-does-not-come-is-asked-for-again/usb", USB, test_missing_reply);
    ADD("reply-that-never-comes-is-asked-for-five-times", NET, test_silent_target);
    ADD("request-that-does-harm-does-not-go-once-more", NET, test_lost_once);
    ADD("request-that-does-harm-waits-for-a-reply-that-is-repeated", NET, test_patience);
    ADD("resend-repeats-what-the-mailbox-took", 1394, test_mailbox_resend);
    ADD("request-again-after-its-ack-is-acknowledged-and-dropped", NET, test_duplicate);
    ADD("reply-to-a-request-that-was-given-up-is-dropped", NET, test_given_up);
    ADD("reply-to-what-was-in-the-mailbox-when-given-up-is-dropped", 1394, test_mailbox_given_up);
    ADD("ack-of-a-request-that-was-given-up-is-not-sent", NET, test_ack_for_given_up);
    ADD("client-that-counts-wrong-is-heard", NET, test_counts_wrong);
    ADD("request-before-the-last-was-acknowledged-waits", NET, test_ahead);
    ADD("request-waits-for-a-busy-carrier", NET, test_busy);
    ADD("request-waits-for-the-target-but-not-for-long", NET, test_absent);
    ADD("damaged-request-is-asked-for-again", NET, test_damaged);
    ADD("request-comes-byte-by-byte", NET, test_bytewise);
    ADD("packets-of-all-types-pass/net", NET, test_all_types);
    ADD("packets-of-all-types-pass/usb", USB, test_all_types);
    ADD("packets-of-all-types-pass/1394", 1394, test_all_types);
    return g_test_run();
}
