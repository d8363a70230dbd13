/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The client's side of a link: what a target on a serial line is to its debugger. */
#pragma once

#include "kd-packet-queue.h"

typedef struct KdClientSide KdClientSide;

/**
 * KdClientSideFuncs:
 * @send: takes bytes, all or none, as KdLinkLayerFuncs.to_client
 * @has_taken: (nullable): whether the client has taken all that was sent; %NULL: always
 */
typedef struct {
    gboolean (*send)(const uint8_t *bytes, size_t len_bytes, void *user);
    gboolean (*has_taken)(void *user);
} KdClientSideFuncs;

KdClientSide *kd_client_side_new(const KdClientSideFuncs *funcs, void *user);
void kd_client_side_free(KdClientSide *side);
KdPacketQueue *kd_client_side_get_queue(KdClientSide *side);

void kd_client_side_set_attached(KdClientSide *side, gboolean is_attached);
gboolean kd_client_side_is_attached(const KdClientSide *side);
gboolean kd_client_side_is_listening(const KdClientSide *side);
void kd_client_side_set_ready(KdClientSide *side);

void kd_client_side_hear(KdClientSide *side);
gboolean kd_client_side_is_duplicate(const KdClientSide *side, const KdPacket *packet);
gboolean kd_client_side_is_next(const KdClientSide *side, const KdPacket *packet);
void kd_client_side_hear_request(KdClientSide *side);
void kd_client_side_hear_ack(KdClientSide *side, const KdPacket *packet);
gboolean kd_client_side_hear_reset(KdClientSide *side, gint64 now_us);

void kd_client_side_accept(KdClientSide *side, const KdPacket *packet);
void kd_client_side_ack(KdClientSide *side, const KdPacket *packet, gint64 due_us);
void kd_client_side_forget_ack(KdClientSide *side);
void kd_client_side_ask_again(KdClientSide *side);
void kd_client_side_reset(KdClientSide *side, gboolean is_answer, gint64 now_us);

gboolean kd_client_side_is_shown(const KdClientSide *side);
void kd_client_side_show_again(KdClientSide *side);

gboolean kd_client_side_flush(KdClientSide *side, gint64 now_us);
gint64 kd_client_side_get_deadline_us(const KdClientSide *side);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdClientSide, kd_client_side_free)
