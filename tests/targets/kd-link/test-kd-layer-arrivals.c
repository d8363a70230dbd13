/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The link layer: what the target says, once and in order, to a client that may be slow. */
#include "kd-layer-stage.h"
#include "kd-le.h"

#include <string.h>

enum {
    REQUEST = KD_PACKET_STATE_MANIPULATE,
    EVENT = KD_PACKET_STATE_CHANGE64,
    TEXT = KD_PACKET_DEBUG_IO,
};

static void
set_up(KdLayerStage *stage, gconstpointer dialect)
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
test_order(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    for (int i = 0; i < 50; i++) {
        g_autofree char *text = g_strdup_printf("line %d\n", i);

        kd_layer_stage_say(stage, TEXT, kd_stage_print(text)); /* acknowledged at once */
    }
    for (uint32_t i = 0; i < 50; i++) {
        g_autofree char *text = g_strdup_printf("line %u\n", i);

        kd_layer_stage_see(stage, TEXT, CLIENT_ID ^ 1 ^ (i & 1), kd_stage_print(text));
    }
    kd_layer_stage_expect_client_silence(stage);
}

static void
test_duplicate(KdLayerStage *stage, gconstpointer dialect)
{
    uint32_t id = kd_layer_stage_get_next_id(stage);

    (void)dialect;
    for (int i = 0; i < 4; i++) {
        g_assert_true(kd_layer_stage_target_data(stage, TEXT, id, kd_stage_print("x")));
        if (stage->dialect != KD_DIALECT_1394)
            kd_layer_stage_expect_target_control(stage, KD_PACKET_ACK, id);
    }
    kd_layer_stage_see(stage, TEXT, CLIENT_ID ^ 1, kd_stage_print("x"));
    kd_layer_stage_expect_client_silence(stage);
    g_assert_cmpuint(kd_layer_stage_get_status(stage).n_duplicates, ==, 3);
}

static void
test_overtaken(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    for (int i = 0; i < 5; i++)
        kd_layer_stage_say(stage, TEXT, kd_stage_print("x"));
    for (uint32_t id = (stage->n_said - 1) * 2; id >= 2; id -= 2) {
        g_assert_true(kd_layer_stage_target_data(stage, TEXT, id, kd_stage_print("x")));
        kd_layer_stage_expect_target_control(stage, KD_PACKET_ACK, id);
    }
    for (uint32_t i = 0; i < 5; i++)
        kd_layer_stage_see(stage, TEXT, CLIENT_ID ^ 1 ^ (i & 1), kd_stage_print("x"));
    kd_layer_stage_expect_client_silence(stage);
}

static void
test_gave_up(KdLayerStage *stage, gconstpointer dialect)
{
    /* Our ACK got lost, the target gives that one up, and its next has the same id, or an old one.
     */
    uint32_t id = kd_layer_stage_get_next_id(stage);
    uint32_t next_id = stage->dialect == KD_DIALECT_USB ? SYNC_ID : 0;

    (void)dialect;
    g_assert_true(kd_layer_stage_target_data(stage, TEXT, id, kd_stage_print("x")));
    g_assert_true(kd_layer_stage_target_data(stage, TEXT, id, kd_stage_print("y")));
    g_assert_true(kd_layer_stage_target_data(stage, TEXT, next_id, kd_stage_print("z")));
    kd_layer_stage_expect_target_control(stage, KD_PACKET_ACK, id);
    kd_layer_stage_expect_target_control(stage, KD_PACKET_ACK, id);
    kd_layer_stage_expect_target_control(stage, KD_PACKET_ACK, next_id);
    kd_layer_stage_see(stage, TEXT, CLIENT_ID ^ 1, kd_stage_print("x"));
    kd_layer_stage_see(stage, TEXT, CLIENT_ID, kd_stage_print("y"));
    kd_layer_stage_see(stage, TEXT, CLIENT_ID ^ 1, kd_stage_print("z"));
}

static void
test_shown_again(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    kd_layer_stage_say(stage, TEXT, kd_stage_print("x"));
    for (int i = 0; i < 5; i++) {
        kd_layer_stage_expect_client_data(stage, TEXT, CLIENT_ID ^ 1, kd_stage_print("x"));
        kd_layer_stage_pass(stage, 999 * MS);
        kd_layer_stage_expect_client_silence(stage);
        kd_layer_stage_pass(stage, 1 * MS);
    }
    kd_layer_stage_see(stage, TEXT, CLIENT_ID ^ 1, kd_stage_print("x"));
    kd_layer_stage_pass(stage, 5000 * MS);
    kd_layer_stage_expect_client_silence(stage);
}

static void
test_slow(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    stage->is_client_slow = TRUE;
    kd_layer_stage_say(stage, TEXT, kd_stage_print("x"));
    kd_layer_stage_expect_client_data(stage, TEXT, CLIENT_ID ^ 1, kd_stage_print("x"));
    kd_layer_stage_pass(stage, 10000 * MS);
    kd_layer_stage_expect_client_silence(stage); /* it has not read the first yet */
    stage->is_client_slow = FALSE;
    kd_layer_stage_pass(stage, 1000 * MS);
    kd_layer_stage_see(stage, TEXT, CLIENT_ID ^ 1, kd_stage_print("x"));
}

static void
test_resend(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    kd_layer_stage_say(stage, TEXT, kd_stage_print("x"));
    kd_layer_stage_expect_client_data(stage, TEXT, CLIENT_ID ^ 1, kd_stage_print("x"));
    kd_layer_stage_client_control(stage, KD_PACKET_RESEND, 0);
    kd_layer_stage_see(stage, TEXT, CLIENT_ID ^ 1, kd_stage_print("x"));
    kd_layer_stage_client_control(stage, KD_PACKET_RESEND, 0);
    kd_layer_stage_expect_client_silence(stage);
}

static void
test_wrong_ack(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    kd_layer_stage_say(stage, TEXT, kd_stage_print("x"));
    kd_layer_stage_say(stage, TEXT, kd_stage_print("y"));
    kd_layer_stage_expect_client_data(stage, TEXT, CLIENT_ID ^ 1, kd_stage_print("x"));
    kd_layer_stage_client_control(stage, KD_PACKET_ACK, CLIENT_ID);
    kd_layer_stage_expect_client_silence(stage);
    kd_layer_stage_client_control(stage, KD_PACKET_ACK, CLIENT_ID ^ 1);
    kd_layer_stage_see(stage, TEXT, CLIENT_ID, kd_stage_print("y"));
}

static void
test_request_is_ack(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    kd_layer_stage_say(stage, EVENT, kd_stage_event(STAGE_EXCEPTION, 2));
    kd_layer_stage_expect_client_data(stage, EVENT, CLIENT_ID ^ 1,
                                      kd_stage_event(STAGE_EXCEPTION, 2));
    kd_layer_stage_client_data(stage, REQUEST, CLIENT_ID ^ 1, kd_stage_request(STAGE_READ, 1));
    kd_layer_stage_take(stage, REQUEST, kd_stage_request(STAGE_READ, 1));
    kd_layer_stage_say(stage, REQUEST, kd_stage_request(STAGE_READ, 101));
    kd_layer_stage_expect_client_control(stage, KD_PACKET_ACK, CLIENT_ID ^ 1);
    kd_layer_stage_see(stage, REQUEST, CLIENT_ID, kd_stage_request(STAGE_READ, 101));
}

static void
test_full(KdLayerStage *stage, gconstpointer dialect)
{
    KdStagePayload big = {.len_bytes = 4000, .bytes = {0x30, 0x32}};
    guint n = 0;
    uint32_t id = 0;

    (void)dialect;
    stage->is_client_slow = TRUE;
    do {
        id = kd_layer_stage_get_next_id(stage);
        kd_le_store32(big.bytes + 16, n);
        g_queue_clear_full(&stage->to_target, (GDestroyNotify)g_bytes_unref);
        n++;
        stage->n_said++;
    } while (kd_layer_stage_target_data(stage, TEXT, id, &big));
    g_assert_cmpuint(n, >, 60);
    g_assert_cmpuint(n, <, 70);
    kd_layer_stage_expect_target_silence(stage); /* no ACK: it will come again */
    for (guint i = 0; i < n - 1; i++) {
        kd_le_store32(big.bytes + 16, i);
        kd_layer_stage_see(stage, TEXT, CLIENT_ID ^ 1 ^ (i & 1), &big);
    }
    kd_le_store32(big.bytes + 16, n - 1);
    g_assert_true(kd_layer_stage_target_data(stage, TEXT, id, &big));
    if (stage->dialect != KD_DIALECT_1394)
        kd_layer_stage_expect_target_control(stage, KD_PACKET_ACK, id);
    kd_layer_stage_see(stage, TEXT, CLIENT_ID ^ 1 ^ ((n - 1) & 1), &big);
    g_assert_cmpuint(kd_layer_stage_get_status(stage).n_unseen_prints, ==, 0);
}

static void
test_no_room(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    stage->is_client_full = TRUE;
    kd_layer_stage_say(stage, TEXT, kd_stage_print("x"));
    kd_layer_stage_client_control(stage, KD_PACKET_RESET, 0);
    kd_layer_stage_pass(stage, 60000 * MS);
    kd_layer_stage_expect_client_silence(stage);
    stage->is_client_full = FALSE;
    kd_link_layer_client_ready(stage->layer, stage->now_us);
    kd_layer_stage_expect_client_control(stage, KD_PACKET_RESET, 0);
    kd_layer_stage_see(stage, TEXT, SYNC_ID, kd_stage_print("x"));
}

static void
target_damage(KdLayerStage *stage, gboolean is_taken)
{
    uint8_t bytes[KD_PACKET_MAX_BYTES];
    KdPacket packet = {.type = TEXT, .id = 4, .payload = bytes, .payload_bytes = 20};
    uint8_t damaged[KD_PACKET_MAX_BYTES] = {0};

    memset(bytes, 7, sizeof bytes);
    size_t n = kd_packet_build(stage->dialect, &packet, damaged);
    damaged[20] ^= 1;
    g_assert_true(kd_link_layer_from_target(stage->layer, damaged, n, stage->now_us) == is_taken);
}

static void
test_damaged(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    target_damage(stage, TRUE);
    kd_layer_stage_expect_target_control(stage, KD_PACKET_RESEND, 0);
    for (int i = 0; i < 1000; i++)
        target_damage(stage, TRUE);
    kd_layer_stage_expect_target_silence(stage); /* one will do for now */
    kd_layer_stage_pass(stage, 10 * MS);
    target_damage(stage, TRUE);
    kd_layer_stage_expect_target_control(stage, KD_PACKET_RESEND, 0);
    kd_layer_stage_expect_client_silence(stage);
    g_assert_cmpuint(kd_layer_stage_get_status(stage).n_damaged, ==, 1002);
}

static void
test_damaged_mailbox(KdLayerStage *stage, gconstpointer dialect)
{
    (void)dialect;
    for (int i = 0; i < 5; i++)
        target_damage(stage, FALSE); /* reading it again may do */
    target_damage(stage, TRUE);
    target_damage(stage, FALSE);
    kd_layer_stage_say(stage, TEXT, kd_stage_print("x"));
    target_damage(stage, FALSE);
    kd_layer_stage_expect_target_silence(stage);
    kd_layer_stage_see(stage, TEXT, CLIENT_ID ^ 1, kd_stage_print("x"));
}

static void
test_net_check(KdLayerStage *stage, gconstpointer dialect)
{
    static const uint8_t check[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0x02, 0xa8, 0xc0};

    (void)dialect;
    g_assert_true(kd_link_layer_from_target(stage->layer, check, sizeof check, stage->now_us));
    g_assert_true(kd_link_layer_from_target(stage->layer, NULL, 0, stage->now_us));
    kd_layer_stage_expect_target_silence(stage);
    g_assert_cmpuint(kd_layer_stage_get_status(stage).n_damaged, ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, dialect, fn)                                                                  \
    g_test_add("/kd-layer/arrivals/" name, KdLayerStage, GINT_TO_POINTER(KD_DIALECT_##dialect), \
               set_up, fn, tear_down)
    ADD("are-acknowledged-at-once-and-shown-in-order", NET, test_order);
    ADD("come-twice-and-are-shown-once/net", NET, test_duplicate);
    ADD("come-twice-and-are-shown-once/usb", USB, test_duplicate);
    ADD("come-twice-and-are-shown-once/1394", 1394, test_duplicate);
    ADD("that-others-overtook-are-not-shown-again", NET, test_overtaken);
    ADD("after-one-that-was-given-up-are-new/net", NET, test_gave_up);
    ADD("after-one-that-was-given-up-are-new/usb", USB, test_gave_up);
    ADD("are-shown-again-each-second-until-acknowledged", NET, test_shown_again);
    ADD("are-not-shown-again-before-the-client-has-read", NET, test_slow);
    ADD("are-shown-again-when-the-client-asks", NET, test_resend);
    ADD("are-acknowledged-by-their-own-id-only", NET, test_wrong_ack);
    ADD("are-acknowledged-by-a-request", NET, test_request_is_ack);
    ADD("are-refused-when-the-queue-is-full/net", NET, test_full);
    ADD("are-refused-when-the-queue-is-full/1394", 1394, test_full);
    ADD("wait-for-room", NET, test_no_room);
    ADD("are-asked-for-again-when-damaged", NET, test_damaged);
    ADD("are-read-again-when-damaged-in-a-mailbox", 1394, test_damaged_mailbox);
    ADD("check-of-the-connection-is-swallowed", NET, test_net_check);
    return g_test_run();
}
