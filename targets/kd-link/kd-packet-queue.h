/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the target has said and the client has not acknowledged. */
#pragma once

#include "kd-packet.h"

typedef struct KdPacketQueue KdPacketQueue;

/* Says of a packet of the queue whether it is meant. */
typedef gboolean (*KdPacketMatch)(const KdPacket *packet);

KdPacketQueue *kd_packet_queue_new(size_t limit_bytes);
void kd_packet_queue_free(KdPacketQueue *queue);
gboolean kd_packet_queue_push(KdPacketQueue *queue, const KdPacket *packet);
gboolean kd_packet_queue_peek(const KdPacketQueue *queue, KdPacket *packet);
void kd_packet_queue_pop(KdPacketQueue *queue);
gboolean kd_packet_queue_has(const KdPacketQueue *queue, KdPacketMatch match);
unsigned kd_packet_queue_drop(KdPacketQueue *queue, KdPacketMatch match, gboolean keeps_first);
unsigned kd_packet_queue_trim(KdPacketQueue *queue, KdPacketMatch match, size_t limit_bytes,
                              gboolean keeps_first);
size_t kd_packet_queue_get_bytes(const KdPacketQueue *queue);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdPacketQueue, kd_packet_queue_free)
