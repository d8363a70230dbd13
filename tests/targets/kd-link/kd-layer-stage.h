/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A link layer between a target and a client that a test plays, in a time of the test's own. */
#pragma once

#include "kd-link-layer.h"
#include "kd-packet-reader.h"

#define MS G_TIME_SPAN_MILLISECOND

/* The ids of the client's side, and of a target's */
#define CLIENT_ID 0x80800000u
#define SYNC_ID   0x80800800u
#define NET_ID    0x80000000u

/* First numbers of payloads */
enum {
    STAGE_EXCEPTION = 0x3030,
    STAGE_LOAD_SYMBOLS = 0x3031,
    STAGE_COMMAND_STRING = 0x3032,
    STAGE_READ = 0x3130,
    STAGE_WRITE = 0x3131,
    STAGE_WRITE_BREAKPOINT = 0x3134,
    STAGE_CONTINUE = 0x3136,
    STAGE_REBOOT = 0x313b,
    STAGE_CONTINUE2 = 0x313c,
    STAGE_SWITCH_PROCESSOR = 0x3150,
    STAGE_GET_STRING = 0x3231,
    STAGE_CREATE_FILE = 0x3430,
    STAGE_READ_FILE = 0x3431,
};

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
    guint n_said; /* packets of data by the target, of kd_layer_stage_say() */
} KdLayerStage;

/* A payload of a test's */
typedef struct {
    size_t len_bytes;
    uint8_t bytes[KD_PACKET_PAYLOAD_MAX_BYTES];
} KdStagePayload;

void kd_layer_stage_set_up(KdLayerStage *stage, KdDialect dialect);
void kd_layer_stage_set_up_attached(KdLayerStage *stage, KdDialect dialect);
void kd_layer_stage_set_up_halted(KdLayerStage *stage, KdDialect dialect);
void kd_layer_stage_set_up_running(KdLayerStage *stage, KdDialect dialect);
void kd_layer_stage_attach(KdLayerStage *stage, gboolean is_attached);
uint32_t kd_layer_stage_get_next_id(const KdLayerStage *stage);
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
void kd_layer_stage_say(KdLayerStage *stage, uint16_t type, const KdStagePayload *payload);
void kd_layer_stage_take(KdLayerStage *stage, uint16_t type, const KdStagePayload *payload);
void kd_layer_stage_see(KdLayerStage *stage, uint16_t type, uint32_t id,
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
