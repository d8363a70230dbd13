/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A link layer between a target and a client that a test plays, in a time of the test's own. */
#include "kd-layer-stage.h"

#include "kd-le.h"

#include <string.h>

#define STAGE_REQUEST_BYTES 56u
#define STAGE_EVENT_BYTES   240u

static gboolean
on_to_target(const uint8_t *bytes, size_t len_bytes, void *user)
{
    KdLayerStage *stage = user;

    if (stage->is_carrier_busy)
        return FALSE;
    g_queue_push_tail(&stage->to_target, g_bytes_new(bytes, len_bytes));
    return TRUE;
}

static gboolean
on_to_client(const uint8_t *bytes, size_t len_bytes, void *user)
{
    KdLayerStage *stage = user;

    if (stage->is_client_full)
        return FALSE;
    g_byte_array_append(stage->to_client, bytes, (guint)len_bytes);
    stage->n_writes++;
    return TRUE;
}

static void
on_note(const char *text, void *user)
{
    g_ptr_array_add(((KdLayerStage *)user)->notes, g_strdup(text));
}

static gboolean
on_has_taken(void *user)
{
    return !((KdLayerStage *)user)->is_client_slow;
}

void
kd_layer_stage_set_up(KdLayerStage *stage, KdDialect dialect)
{
    static const KdLinkLayerFuncs funcs = {on_to_target, on_to_client, on_note, on_has_taken};

    *stage = (KdLayerStage){.dialect = dialect, .now_us = 1000000};
    stage->to_client = g_byte_array_new();
    stage->notes = g_ptr_array_new_with_free_func(g_free);
    stage->layer = kd_link_layer_new(dialect, &funcs, stage);
}

/* With a target and a client, neither of which has said anything */
void
kd_layer_stage_set_up_attached(KdLayerStage *stage, KdDialect dialect)
{
    kd_layer_stage_set_up(stage, dialect);
    kd_link_layer_set_target(stage->layer, TRUE, stage->now_us);
    kd_link_layer_set_client(stage->layer, TRUE, stage->now_us);
}

/* And the target has halted, which the client has seen. */
void
kd_layer_stage_set_up_halted(KdLayerStage *stage, KdDialect dialect)
{
    kd_layer_stage_set_up_attached(stage, dialect);
    kd_layer_stage_say(stage, KD_PACKET_STATE_CHANGE64, kd_stage_event(STAGE_EXCEPTION, 1));
    kd_layer_stage_see(stage, KD_PACKET_STATE_CHANGE64, SYNC_ID,
                       kd_stage_event(STAGE_EXCEPTION, 1));
    kd_layer_stage_expect_client_silence(stage);
    kd_layer_stage_expect_target_silence(stage);
    g_assert_cmpint(kd_layer_stage_get_state(stage), ==, KD_TARGET_STATE_HALTED);
}

/* And the target runs on. The client's next id is the second, and so is the target's. */
void
kd_layer_stage_set_up_running(KdLayerStage *stage, KdDialect dialect)
{
    kd_layer_stage_set_up_halted(stage, dialect);
    kd_layer_stage_client_data(stage, KD_PACKET_STATE_MANIPULATE, CLIENT_ID,
                               kd_stage_request(STAGE_CONTINUE, 0));
    kd_layer_stage_take(stage, KD_PACKET_STATE_MANIPULATE, kd_stage_request(STAGE_CONTINUE, 0));
    kd_layer_stage_expect_client_control(stage, KD_PACKET_ACK, CLIENT_ID);
    g_assert_cmpint(kd_layer_stage_get_state(stage), ==, KD_TARGET_STATE_RUNNING);
}

void
kd_layer_stage_attach(KdLayerStage *stage, gboolean is_attached)
{
    g_byte_array_set_size(stage->to_client, 0);
    kd_link_layer_set_client(stage->layer, is_attached, stage->now_us);
}

void
kd_layer_stage_tear_down(KdLayerStage *stage)
{
    kd_link_layer_free(stage->layer);
    g_queue_clear_full(&stage->to_target, (GDestroyNotify)g_bytes_unref);
    g_byte_array_unref(stage->to_client);
    g_ptr_array_unref(stage->notes);
}

/* Lets time pass, and what is due happen when it is due. */
void
kd_layer_stage_pass(KdLayerStage *stage, gint64 wait_us)
{
    gint64 end_us = stage->now_us + wait_us;
    gint64 deadline_us = kd_link_layer_get_deadline_us(stage->layer);

    while (deadline_us >= 0 && deadline_us <= end_us) {
        g_assert_cmpint(deadline_us, >=, stage->now_us);
        stage->now_us = deadline_us;
        kd_link_layer_tick(stage->layer, stage->now_us);
        deadline_us = kd_link_layer_get_deadline_us(stage->layer);
        /* else it would be called for ever */
        g_assert_true(deadline_us < 0 || deadline_us > stage->now_us);
    }
    stage->now_us = end_us;
}

KdLinkLayerStatus
kd_layer_stage_get_status(const KdLayerStage *stage)
{
    KdLinkLayerStatus status;

    kd_link_layer_get_status(stage->layer, &status);
    return status;
}

KdTargetState
kd_layer_stage_get_state(const KdLayerStage *stage)
{
    return kd_layer_stage_get_status(stage).state;
}

/* ---- payloads: each is valid until the next but three ---- */

static KdStagePayload *
new_payload(size_t len_bytes)
{
    static KdStagePayload payloads[4];
    static guint next;
    KdStagePayload *payload = &payloads[next++ % G_N_ELEMENTS(payloads)];

    memset(payload, 0, sizeof *payload);
    payload->len_bytes = len_bytes;
    return payload;
}

const KdStagePayload *
kd_stage_request(uint32_t api, uint8_t salt)
{
    KdStagePayload *payload = new_payload(STAGE_REQUEST_BYTES);

    kd_le_store32(payload->bytes, api);
    payload->bytes[32] = salt; /* where a reply may differ */
    return payload;
}

const KdStagePayload *
kd_stage_event(uint32_t api, uint8_t salt)
{
    KdStagePayload *payload = new_payload(STAGE_EVENT_BYTES);

    memset(payload->bytes, 0xff, STAGE_EVENT_BYTES);
    kd_le_store32(payload->bytes, api);
    payload->bytes[4] = 6;
    payload->bytes[5] = 0;
    payload->bytes[6] = 1;
    payload->bytes[7] = 0;
    payload->bytes[24] = salt;
    return payload;
}

const KdStagePayload *
kd_stage_debug_io(uint32_t api)
{
    KdStagePayload *payload = new_payload(20);

    kd_le_store32(payload->bytes, api);
    payload->bytes[4] = 6;
    payload->bytes[8] = 4;
    memcpy(payload->bytes + 16, "ok? ", 4);
    return payload;
}

const KdStagePayload *
kd_stage_print(const char *text)
{
    KdStagePayload *payload = new_payload(16 + strlen(text));

    kd_le_store32(payload->bytes, 0x3230);
    kd_le_store32(payload->bytes + 8, (uint32_t)strlen(text));
    memcpy(payload->bytes + 16, text, strlen(text));
    return payload;
}

const KdStagePayload *
kd_stage_file_io(uint32_t api)
{
    KdStagePayload *payload = new_payload(70);

    kd_le_store32(payload->bytes, api);
    payload->bytes[64] = 'x';
    return payload;
}

/* ---- what is said ---- */

void
kd_layer_stage_client(KdLayerStage *stage, const void *bytes, size_t len_bytes)
{
    kd_link_layer_from_client(stage->layer, bytes, len_bytes, stage->now_us);
}

void
kd_layer_stage_client_data(KdLayerStage *stage, uint16_t type, uint32_t id,
                           const KdStagePayload *payload)
{
    uint8_t bytes[KD_PACKET_MAX_BYTES];
    KdPacket packet = {
        .type = type, .id = id, .payload = payload->bytes, .payload_bytes = payload->len_bytes};

    kd_layer_stage_client(stage, bytes, kd_packet_build(KD_DIALECT_SERIAL, &packet, bytes));
}

void
kd_layer_stage_client_control(KdLayerStage *stage, uint16_t type, uint32_t id)
{
    uint8_t bytes[KD_PACKET_MAX_BYTES];
    KdPacket packet = {.is_control = TRUE, .type = type, .id = id};

    kd_layer_stage_client(stage, bytes, kd_packet_build(KD_DIALECT_SERIAL, &packet, bytes));
}

gboolean
kd_layer_stage_target_data(KdLayerStage *stage, uint16_t type, uint32_t id,
                           const KdStagePayload *payload)
{
    uint8_t bytes[KD_PACKET_MAX_BYTES];
    KdPacket packet = {
        .type = type, .id = id, .payload = payload->bytes, .payload_bytes = payload->len_bytes};

    return kd_link_layer_from_target(
        stage->layer, bytes, kd_packet_build(stage->dialect, &packet, bytes), stage->now_us);
}

void
kd_layer_stage_target_control(KdLayerStage *stage, uint16_t type, uint32_t id)
{
    uint8_t bytes[KD_PACKET_MAX_BYTES];
    KdPacket packet = {.is_control = TRUE, .type = type, .id = id};

    g_assert_true(kd_link_layer_from_target(
        stage->layer, bytes, kd_packet_build(stage->dialect, &packet, bytes), stage->now_us));
}

/* ---- whole steps ---- */

/* The id of the target's next packet of data */
uint32_t
kd_layer_stage_get_next_id(const KdLayerStage *stage)
{
    switch (stage->dialect) {
    case KD_DIALECT_NET:
        return stage->n_said * 2;
    case KD_DIALECT_1394:
        return stage->n_said;
    case KD_DIALECT_USB:
    case KD_DIALECT_SERIAL:
    default:
        return stage->n_said == 0 ? SYNC_ID : CLIENT_ID ^ (stage->n_said & 1);
    }
}

/* The target says something new, and gets its ACK. */
void
kd_layer_stage_say(KdLayerStage *stage, uint16_t type, const KdStagePayload *payload)
{
    uint32_t id = kd_layer_stage_get_next_id(stage);

    g_assert_true(kd_layer_stage_target_data(stage, type, id, payload));
    stage->n_said++;
    if (stage->dialect != KD_DIALECT_1394)
        kd_layer_stage_expect_target_control(stage, KD_PACKET_ACK, id);
}

/* The target gets a request, and acknowledges it. */
void
kd_layer_stage_take(KdLayerStage *stage, uint16_t type, const KdStagePayload *payload)
{
    g_autoptr(GBytes) bytes = g_bytes_ref(g_queue_peek_head(&stage->to_target));
    KdPacket packet;
    size_t len_bytes = 0;
    const uint8_t *start = g_bytes_get_data(bytes, &len_bytes);

    g_assert_true(kd_packet_parse(stage->dialect, start, len_bytes, &packet, NULL));
    kd_layer_stage_expect_target_data(stage, type, packet.id, payload);
    if (stage->dialect != KD_DIALECT_1394)
        kd_layer_stage_target_control(stage, KD_PACKET_ACK, packet.id);
}

/* The client gets something, and acknowledges it. */
void
kd_layer_stage_see(KdLayerStage *stage, uint16_t type, uint32_t id, const KdStagePayload *payload)
{
    kd_layer_stage_expect_client_data(stage, type, id, payload);
    kd_layer_stage_client_control(stage, KD_PACKET_ACK, id & ~KD_PACKET_SYNC_ID);
}

/* ---- what is expected ---- */

static void
expect_packet(const KdPacket *packet, gboolean is_control, uint16_t type, uint32_t id)
{
    g_assert_cmpint(packet->is_control, ==, is_control);
    g_assert_cmpuint(packet->type, ==, type);
    g_assert_cmphex(packet->id, ==, id);
}

static void
expect_payload(const KdPacket *packet, const KdStagePayload *payload)
{
    g_assert_cmpmem(packet->payload, (int)packet->payload_bytes, payload->bytes,
                    (int)payload->len_bytes);
}

/* Takes one packet from what the client was sent. Its payload stays valid until the next. */
static void
next_client_packet(KdLayerStage *stage, KdPacket *packet)
{
    static uint8_t bytes[KD_PACKET_MAX_BYTES];
    size_t len_bytes = 0;
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(kd_packet_read_header(KD_DIALECT_SERIAL, stage->to_client->data,
                                          stage->to_client->len, &len_bytes),
                    ==, KD_HEADER_WHOLE);
    g_assert_cmpuint(len_bytes, <=, stage->to_client->len);
    memcpy(bytes, stage->to_client->data, len_bytes);
    g_byte_array_remove_range(stage->to_client, 0, (guint)len_bytes);
    g_assert_true(kd_packet_parse(KD_DIALECT_SERIAL, bytes, len_bytes, packet, &error));
    g_assert_no_error(error);
}

void
kd_layer_stage_expect_client_data(KdLayerStage *stage, uint16_t type, uint32_t id,
                                  const KdStagePayload *payload)
{
    KdPacket packet;

    next_client_packet(stage, &packet);
    expect_packet(&packet, FALSE, type, id);
    expect_payload(&packet, payload);
}

void
kd_layer_stage_expect_client_control(KdLayerStage *stage, uint16_t type, uint32_t id)
{
    KdPacket packet;

    next_client_packet(stage, &packet);
    expect_packet(&packet, TRUE, type, id);
}

void
kd_layer_stage_expect_client_silence(KdLayerStage *stage)
{
    g_assert_cmpuint(stage->to_client->len, ==, 0);
}

static GBytes *
next_target_bytes(KdLayerStage *stage)
{
    g_assert_false(g_queue_is_empty(&stage->to_target));
    return g_queue_pop_head(&stage->to_target);
}

static void
expect_target(KdLayerStage *stage, gboolean is_control, uint16_t type, uint32_t id,
              const KdStagePayload *payload)
{
    g_autoptr(GBytes) bytes = next_target_bytes(stage);
    g_autoptr(GError) error = NULL;
    KdPacket packet;
    size_t len_bytes = 0;
    const uint8_t *start = g_bytes_get_data(bytes, &len_bytes);

    g_assert_true(kd_packet_parse(stage->dialect, start, len_bytes, &packet, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(len_bytes, ==, KD_PACKET_HEADER_BYTES + packet.payload_bytes);
    expect_packet(&packet, is_control, type, id);
    if (payload != NULL)
        expect_payload(&packet, payload);
}

void
kd_layer_stage_expect_target_data(KdLayerStage *stage, uint16_t type, uint32_t id,
                                  const KdStagePayload *payload)
{
    expect_target(stage, FALSE, type, id, payload);
}

void
kd_layer_stage_expect_target_control(KdLayerStage *stage, uint16_t type, uint32_t id)
{
    expect_target(stage, TRUE, type, id, NULL);
}

void
kd_layer_stage_expect_target_break_in(KdLayerStage *stage)
{
    g_autoptr(GBytes) bytes = next_target_bytes(stage);

    g_assert_cmpuint(g_bytes_get_size(bytes), ==, 1);
    g_assert_cmpmem(g_bytes_get_data(bytes, NULL), 1, "b", 1);
}

void
kd_layer_stage_expect_target_silence(KdLayerStage *stage)
{
    g_assert_true(g_queue_is_empty(&stage->to_target));
}
