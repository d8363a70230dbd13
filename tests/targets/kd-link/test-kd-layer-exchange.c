/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The link layer: requests, replies, ACKs, and repetitions in both directions. */
#include "kd-layer-stage.h"

#define MS        G_TIME_SPAN_MILLISECOND
#define CLIENT_ID KD_PACKET_INITIAL_ID
#define SYNC_ID   (KD_PACKET_INITIAL_ID | KD_PACKET_SYNC_ID)
#define NET_ID    0x80000000u

enum {
    READ = 0x3130,
    CONTINUE = 0x3136,
    VERSION = 0x3146,
    SWITCH_PROCESSOR = 0x3150,
    EXCEPTION = 0x3030,
    LOAD_SYMBOLS = 0x3031,
};

static void
set_up(KdLayerStage *stage, gconstpointer dialect)
{
    kd_layer_stage_set_up_attached(stage, GPOINTER_TO_INT(dialect));
}

/* The target has halted, and the client has seen it. */
static void
set_up_halted(KdLayerStage *stage, gconstpointer dialect)
{
    uint32_t id = GPOINTER_TO_INT(dialect) == KD_DIALECT_NET ? 0 : SYNC_ID;

    set_up(stage, dialect);
    g_assert_true(kd_layer_stage_target_data(stage, KD_PACKET_STATE_CHANGE64, id,
                                             kd_stage_event(EXCEPTION, 1)));
    if (stage->dialect != KD_DIALECT_1394)
        kd_layer_stage_expect_target_control(stage, KD_PACKET_ACK, id);
    kd_layer_stage_expect_client_data(stage, KD_PACKET_STATE_CHANGE64, SYNC_ID,
                                      kd_stage_event(EXCEPTION, 1));
    kd_layer_stage_client_control(stage, KD_PACKET_ACK, CLIENT_ID);
    kd_layer_stage_expect_client_silence(stage);
    kd_layer_stage_expect_target_silence(stage);
    g_assert_cmpint(kd_layer_stage_get_state(stage), ==, KD_TARGET_STATE_HALTED);
}

static void
tear_down(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    kd_layer_stage_tear_down(stage);
}

static void
test_one_write(KdLayerStage *stage, gconstpointer dialect)
{
    guint n_writes = stage->n_writes;

    (void)dialect;
    kd_layer_stage_client_data(stage, 2, CLIENT_ID, kd_stage_request(READ, 1));
    kd_layer_stage_expect_target_data(stage, 2, NET_ID, kd_stage_request(READ, 1));
    kd_layer_stage_target_control(stage, KD_PACKET_ACK, NET_ID);
    kd_layer_stage_pass(stage, 1 * MS);
    kd_layer_stage_expect_client_silence(stage);
    kd_layer_stage_target_data(stage, 2, 2, kd_stage_request(READ, 2));
    g_assert_cmpuint(stage->n_writes, ==, n_writes + 1);
    kd_layer_stage_expect_client_control(stage, KD_PACKET_ACK, CLIENT_ID);
    kd_layer_stage_expect_client_data(stage, 2, CLIENT_ID ^ 1, kd_stage_request(READ, 2));
    kd_layer_stage_expect_target_control(stage, KD_PACKET_ACK, 2);
}

static void
test_ack_alone(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    kd_layer_stage_client_data(stage, 2, CLIENT_ID, kd_stage_request(READ, 1));
    kd_layer_stage_target_control(stage, KD_PACKET_ACK, NET_ID);
    kd_layer_stage_pass(stage, 3 * MS);
    kd_layer_stage_expect_client_control(stage, KD_PACKET_ACK, CLIENT_ID);
    kd_layer_stage_expect_client_silence(stage);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, dialect, set_up_, fn)                                                         \
    g_test_add("/kd-layer/exchange/" name, KdLayerStage, GINT_TO_POINTER(dialect), set_up_, fn, \
               tear_down)
    ADD("ack-and-reply-leave-in-one-write", KD_DIALECT_NET, set_up_halted, test_one_write);
    ADD("ack-does-not-wait-for-a-reply-for-long", KD_DIALECT_NET, set_up_halted, test_ack_alone);
    return g_test_run();
}
