/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The target's side of a link: the ids, ACKs and repetitions of its dialect, and one request. */
#pragma once

#include "kd-packet.h"

typedef struct KdTargetSide KdTargetSide;

/* Takes a packet for the target, as KdLinkLayerFuncs.to_target */
typedef gboolean (*KdTargetSend)(const uint8_t *bytes, size_t len_bytes, void *user);

/* What has become of the request */
typedef enum {
    KD_REQUEST_PENDING = 0, /* nothing new */
    KD_REQUEST_TAKEN = 1,   /* the target has it */
    KD_REQUEST_DROPPED = 2, /* it was repeated, and the target never acknowledged it */
} KdRequestState;

/* What a control packet of the target was */
typedef enum {
    KD_TARGET_SAID_NOTHING = 0,
    KD_TARGET_SAID_ACK = 1,   /* of the request, which is taken now */
    KD_TARGET_SAID_RESET = 2, /* ids are fresh */
} KdTargetSaid;

KdTargetSide *kd_target_side_new(KdDialect dialect, KdTargetSend send, void *user);
void kd_target_side_free(KdTargetSide *side);

void kd_target_side_set_there(KdTargetSide *side, gboolean is_there);
gboolean kd_target_side_is_there(const KdTargetSide *side);
void kd_target_side_set_ready(KdTargetSide *side);
void kd_target_side_start_over(KdTargetSide *side);

void kd_target_side_request(KdTargetSide *side, const KdPacket *packet, gboolean is_endless,
                            gint64 now_us);
gboolean kd_target_side_get_request(const KdTargetSide *side, KdPacket *packet);
gboolean kd_target_side_is_request(const KdTargetSide *side, const KdPacket *packet);
KdPacket kd_target_side_get_last_request(const KdTargetSide *side);
void kd_target_side_set_ending(KdTargetSide *side, gint64 now_us);
void kd_target_side_set_doubled(KdTargetSide *side);
gboolean kd_target_side_has_doubled(const KdTargetSide *side);
gboolean kd_target_side_has_sent(const KdTargetSide *side);
gboolean kd_target_side_may_have(const KdTargetSide *side);
void kd_target_side_take_request(KdTargetSide *side);
void kd_target_side_drop_request(KdTargetSide *side);

KdTargetSaid kd_target_side_hear_control(KdTargetSide *side, const KdPacket *packet, gint64 now_us);
gboolean kd_target_side_is_duplicate(const KdTargetSide *side, const KdPacket *packet);
void kd_target_side_remember(KdTargetSide *side, const KdPacket *packet);
void kd_target_side_ack(KdTargetSide *side, const KdPacket *packet);
gboolean kd_target_side_hear_damage(KdTargetSide *side, gint64 now_us);

void kd_target_side_reset(KdTargetSide *side);
void kd_target_side_break_in(KdTargetSide *side, gboolean is_wanted);
gboolean kd_target_side_owes_break_in(const KdTargetSide *side);

KdRequestState kd_target_side_flush(KdTargetSide *side, gint64 now_us);
gint64 kd_target_side_get_deadline_us(const KdTargetSide *side);

uint64_t kd_target_side_get_n_sent(const KdTargetSide *side);
uint64_t kd_target_side_get_n_repeated(const KdTargetSide *side);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdTargetSide, kd_target_side_free)
