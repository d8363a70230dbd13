/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A packet that is kept: its type and its payload. */
#pragma once

#include "kd-packet.h"

typedef struct {
    uint16_t type; /* 0: none */
    size_t payload_bytes;
    uint8_t payload[KD_PACKET_PAYLOAD_MAX_BYTES];
} KdStoredPacket;

void kd_stored_packet_set(KdStoredPacket *stored, const KdPacket *packet);
void kd_stored_packet_clear(KdStoredPacket *stored);
KdPacket kd_stored_packet_get(const KdStoredPacket *stored);
gboolean kd_stored_packet_is(const KdStoredPacket *stored, const KdPacket *packet);
