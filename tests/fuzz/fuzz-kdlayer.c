/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A link layer between a target and a client that say anything at any time. */
#include "kd-fuzz.h"
#include "kd-le.h"
#include "kd-link-state.h"

#include <string.h>

#define QUEUE_BYTES ((size_t)256 * 1024)
/* What one call may make the layer say: everything that it owes, and not the same again and again
 */
#define CALL_PACKETS_MAX 16

typedef struct {
    const uint8_t *next;
    size_t left;
} Input;

typedef struct {
    KdLinkLayer *layer;
    KdDialect dialect;
    gint64 now_us;
    gint64 broken_us; /* last break-in */
    gboolean is_there;
    gboolean is_attached;
    gboolean is_busy; /* the carrier takes nothing */
    gboolean has_refused_target;
    gboolean is_full; /* the client takes nothing */
    gboolean has_refused_client;
    gboolean is_slow;
    guint n_said; /* in this call */
} Stage;

static uint8_t
take8(Input *input)
{
    if (input->left == 0)
        return 0;
    input->left--;
    return *input->next++;
}

static const uint8_t *
take(Input *input, size_t *len)
{
    const uint8_t *bytes = input->next;

    *len = MIN(*len, input->left);
    input->next += *len;
    input->left -= *len;
    return bytes;
}

/* ---- what the layer says ---- */

static gboolean
on_to_target(const uint8_t *bytes, size_t len_bytes, void *user)
{
    Stage *stage = user;
    KdPacket packet;

    g_assert_true(stage->is_there);
    g_assert_false(stage->has_refused_target); /* it was to wait until it is told */
    g_assert_cmpuint(++stage->n_said, <=, CALL_PACKETS_MAX);
    if (len_bytes == 1) {
        g_assert_cmpuint(bytes[0], ==, KD_PACKET_BREAK_IN);
        g_assert_cmpint(stage->layer->state, !=, KD_TARGET_STATE_HALTED);
    } else {
        g_assert_true(kd_packet_parse(stage->dialect, bytes, len_bytes, &packet, NULL));
        g_assert_cmpuint(len_bytes, ==, KD_PACKET_HEADER_BYTES + packet.payload_bytes);
        g_assert_true(!packet.is_control || stage->dialect != KD_DIALECT_1394);
    }
    if (stage->is_busy) {
        stage->has_refused_target = TRUE;
        return FALSE;
    }
    if (len_bytes == 1) {
        g_assert_true(stage->broken_us < 0 || stage->now_us - stage->broken_us >= G_USEC_PER_SEC);
        stage->broken_us = stage->now_us;
    }
    return TRUE;
}

static gboolean
on_to_client(const uint8_t *bytes, size_t len_bytes, void *user)
{
    Stage *stage = user;

    g_assert_true(stage->is_attached);
    g_assert_false(stage->has_refused_client);
    g_assert_cmpuint(++stage->n_said, <=, CALL_PACKETS_MAX);
    while (len_bytes > 0) {
        size_t packet_bytes = 0;
        KdPacket packet;

        g_assert_cmpint(kd_packet_read_header(KD_DIALECT_SERIAL, bytes, len_bytes, &packet_bytes),
                        ==, KD_HEADER_WHOLE);
        g_assert_cmpuint(packet_bytes, <=, len_bytes);
        g_assert_true(kd_packet_parse(KD_DIALECT_SERIAL, bytes, packet_bytes, &packet, NULL));
        if (!packet.is_control)
            g_assert_cmphex(packet.id & ~(KD_PACKET_SYNC_ID | 1), ==, KD_PACKET_INITIAL_ID);
        bytes += packet_bytes;
        len_bytes -= packet_bytes;
    }
    stage->has_refused_client = stage->is_full;
    return !stage->is_full;
}

static void
on_note(const char *text, void *user)
{
    (void)user;
    g_assert_true(g_utf8_validate(text, -1, NULL));
}

static gboolean
on_has_taken(void *user)
{
    return !((Stage *)user)->is_slow;
}

/* ---- what is said to it ---- */

static size_t
build_packet(Input *input, KdDialect dialect, const uint32_t *ids, uint8_t *bytes)
{
    static const uint32_t apis[] = {0x3030, 0x3031, 0x13031, 0x3032, 0x3130, 0x3136,
                                    0x313c, 0x313b, 0x3146,  0x3149, 0x3150, 0x315a,
                                    0x3230, 0x3231, 0x3330,  0x3430};
    static const size_t sizes[] = {56, 240, 4, 0, 16, 64, 70, 4000};
    uint8_t payload[KD_PACKET_PAYLOAD_MAX_BYTES] = {0};
    uint8_t kind = take8(input);
    uint8_t what = take8(input);
    KdPacket packet = {.type = kind % 16, .id = ids[kind >> 4 & 7], .payload = payload};

    packet.is_control = packet.type >= KD_PACKET_ACK && packet.type <= KD_PACKET_RESET;
    packet.payload_bytes = packet.is_control ? 0 : sizes[what >> 4 & 7];
    kd_le_store32(payload, apis[what & 15]);
    payload[20] = what >> 7;
    size_t n = kd_packet_build(dialect, &packet, bytes);
    if ((kind & 0x80) != 0 && (what & 0x80) != 0)
        bytes[n / 2] ^= 4;
    return n;
}

static void
say_as_client(Stage *stage, Input *input)
{
    static const uint32_t ids[8] = {0x80800000, 0x80800001, 0x80800800, 0x80800801,
                                    0,          0x80000000, 0xffffffff, 0x80800000};
    uint8_t bytes[KD_PACKET_MAX_BYTES];
    size_t n = build_packet(input, KD_DIALECT_SERIAL, ids, bytes);

    kd_link_layer_from_client(stage->layer, bytes, n, stage->now_us);
}

static void
say_as_target(Stage *stage, Input *input)
{
    static const uint32_t ids[][8] = {
        [KD_DIALECT_SERIAL] = {0},
        [KD_DIALECT_NET] = {0, 2, 4, 6, 0x80000000, 0x80000002, 0x80000004, 0x80800800},
        [KD_DIALECT_USB] = {0x80800800, 0x80800000, 0x80800001, 0x80800801, 0, 0x80800000,
                            0x80800001, 7},
        [KD_DIALECT_1394] = {0, 1, 2, 3, 0x80800000, 0x80800001, 0x80800002, 0x80800003},
    };
    uint8_t bytes[KD_PACKET_MAX_BYTES];
    size_t n = build_packet(input, stage->dialect, ids[stage->dialect], bytes);

    (void)kd_link_layer_from_target(stage->layer, bytes, n, stage->now_us);
}

static void
pass(Stage *stage, gint64 wait_us)
{
    gint64 end_us = stage->now_us + wait_us;
    guint n_ticks = 0;

    for (;;) {
        gint64 deadline_us = kd_link_layer_get_deadline_us(stage->layer);

        g_assert_cmpint(deadline_us, >=, -1);
        if (deadline_us < 0 || deadline_us > end_us)
            break;
        stage->now_us = MAX(stage->now_us, deadline_us);
        stage->n_said = 0;
        kd_link_layer_tick(stage->layer, stage->now_us);
        deadline_us = kd_link_layer_get_deadline_us(stage->layer);
        g_assert_true(deadline_us < 0 || deadline_us > stage->now_us);
        /* 10 ms are the least that anything is repeated after */
        g_assert_cmpuint(++n_ticks, <=, 100 + wait_us / (5 * G_TIME_SPAN_MILLISECOND));
    }
    stage->now_us = end_us;
    stage->n_said = 0;
    kd_link_layer_tick(stage->layer, stage->now_us);
}

static void
change(Stage *stage, uint8_t what)
{
    switch (what % 10) {
    case 0:
    case 1:
        stage->is_attached = what % 10;
        stage->has_refused_client = FALSE;
        kd_link_layer_set_client(stage->layer, stage->is_attached, stage->now_us);
        break;
    case 2:
    case 3:
        stage->is_there = what % 10 == 3;
        stage->has_refused_target = FALSE;
        kd_link_layer_set_target(stage->layer, stage->is_there, stage->now_us);
        break;
    case 4:
        stage->is_busy = !stage->is_busy;
        if (!stage->is_busy) {
            stage->has_refused_target = FALSE;
            kd_link_layer_target_ready(stage->layer, stage->now_us);
        }
        break;
    case 5:
        stage->is_full = !stage->is_full;
        if (!stage->is_full) {
            stage->has_refused_client = FALSE;
            kd_link_layer_client_ready(stage->layer, stage->now_us);
        }
        break;
    case 6:
        stage->is_slow = !stage->is_slow;
        break;
    case 7:
        (void)kd_link_layer_target_restarted(stage->layer, stage->now_us);
        break;
    case 8:
        kd_link_layer_break_in(stage->layer, stage->now_us);
        break;
    case 9:
    default:
        kd_link_layer_resync(stage->layer, stage->now_us);
    }
}

static void
step(Stage *stage, Input *input)
{
    static const gint64 waits_us[] = {0, 1000, 3000, 10000, 250000, 500000, 1000000, 25000000};
    uint8_t op = take8(input);
    size_t len = op >> 3;
    const uint8_t *bytes = NULL;

    stage->n_said = 0;
    switch (op & 7) {
    case 0:
        bytes = take(input, &len);
        kd_link_layer_from_client(stage->layer, bytes, len, stage->now_us);
        break;
    case 1:
    case 2:
        say_as_client(stage, input);
        break;
    case 3:
    case 4:
        say_as_target(stage, input);
        break;
    case 5:
        bytes = take(input, &len);
        (void)kd_link_layer_from_target(stage->layer, bytes, len, stage->now_us);
        break;
    case 6:
        pass(stage, waits_us[op >> 3 & 7]);
        break;
    case 7:
    default:
        change(stage, op >> 3);
    }
}

static void
check(const Stage *stage)
{
    KdLinkLayerStatus status;

    kd_link_layer_get_status(stage->layer, &status);
    g_assert_cmpuint(status.state, <=, KD_TARGET_STATE_HALTED);
    g_assert_cmpuint(status.n_retransmissions, <=, status.n_packets_to_target);
    g_assert_cmpuint(kd_packet_queue_get_bytes(kd_client_side_get_queue(stage->layer->client)), <=,
                     QUEUE_BYTES);
    g_assert_cmpuint(stage->layer->replies.n, <=, KD_REPLY_LIST_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const KdLinkLayerFuncs funcs = {on_to_target, on_to_client, on_note, on_has_taken};
    Input input = {data, size};
    uint8_t options = take8(&input);
    Stage stage = {
        .dialect = KD_DIALECT_NET + options % 3,
        .now_us = 1000000,
        .broken_us = -1,
    };

    stage.layer = kd_link_layer_new(stage.dialect, &funcs, &stage);
    if ((options & 0x10) == 0) {
        change(&stage, 1);
        change(&stage, 3);
    }
    while (input.left > 0) {
        step(&stage, &input);
        check(&stage);
    }
    kd_link_layer_free(stage.layer);
    return 0;
}
