/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A link layer between a target and a client that a test plays, in a time of the test's own. */
#pragma once

#include "kd-link-layer.h"
#include "kd-packet-reader.h"

#define STAGE_REQUEST_BYTES 56u
#define STAGE_EVENT_BYTES   240u

typedef struct {
    KdDialect dialect;
    KdLinkLayer *layer;
    gint64 now_us;
    GQueue to_target;      /* (element-type GBytes) */
    GByteArray *to_client; /* what it has been sent and has not looked at */
    guint n_writes;        /* to the client */
    gboolean is_carrier_busy;
    gboolean is_client_full;
    gboolean is_client_slow; /* it has not read yet what it was sent */
    GPtrArray *notes;
} KdLayerStage;

/* A payload of a test's */
typedef struct {
    size_t len_bytes;
    uint8_t bytes[KD_PACKET_PAYLOAD_MAX_BYTES];
} KdStagePayload;

void kd_layer_stage_set_up(KdLayerStage *stage, KdDialect dialect);
void kd_layer_stage_set_up_attached(KdLayerStage *stage, KdDialect dialect);
void kd_layer_stage_tear_down(KdLayerStage *stage);
void kd_layer_stage_pass(KdLayerStage *stage, gint64 wait_us);
KdTargetState kd_layer_stage_get_state(const KdLayerStage *stage);
KdLinkLayerStatus kd_layer_stage_get_status(const KdLayerStage *stage);

const KdStagePayload *kd_stage_request(uint32_t api, uint8_t salt);
const KdStagePayload *kd_stage_event(uint32_t api, uint8_t salt);
const KdStagePayload *kd_stage_print(const char *text);
const KdStagePayload *kd_stage_debug_io(uint32_t api);
const KdStagePayload *kd_stage_file_io(uint32_t api);

void kd_layer_stage_client(KdLayerStage *stage, const void *bytes, size_t len_bytes);
void kd_layer_stage_client_data(KdLayerStage *stage, uint16_t type, uint32_t id,
                                const KdStagePayload *payload);
void kd_layer_stage_client_control(KdLayerStage *stage, uint16_t type, uint32_t id);
gboolean kd_layer_stage_target_data(KdLayerStage *stage, uint16_t type, uint32_t id,
                                    const KdStagePayload *payload);
void kd_layer_stage_target_control(KdLayerStage *stage, uint16_t type, uint32_t id);

void kd_layer_stage_expect_client_data(KdLayerStage *stage, uint16_t type, uint32_t id,
                                       const KdStagePayload *payload);
void kd_layer_stage_expect_client_control(KdLayerStage *stage, uint16_t type, uint32_t id);
void kd_layer_stage_expect_client_silence(KdLayerStage *stage);
void kd_layer_stage_expect_target_data(KdLayerStage *stage, uint16_t type, uint32_t id,
                                       const KdStagePayload *payload);
void kd_layer_stage_expect_target_control(KdLayerStage *stage, uint16_t type, uint32_t id);
void kd_layer_stage_expect_target_break_in(KdLayerStage *stage);
void kd_layer_stage_expect_target_silence(KdLayerStage *stage);
