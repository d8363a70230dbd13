/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A packet that is kept: its type and its payload. */
#include "kd-stored-packet.h"

#include <string.h>

/**
 * kd_stored_packet_set:
 * @packet: of data
 *
 * Keeps a packet, instead of what was kept before.
 */
void
kd_stored_packet_set(KdStoredPacket *stored, const KdPacket *packet)
{
    g_return_if_fail(packet->payload_bytes <= sizeof stored->payload);
    stored->type = packet->type;
    stored->payload_bytes = packet->payload_bytes;
    if (packet->payload_bytes > 0) {
        memcpy(stored->payload, packet->payload, packet->payload_bytes);
    }
}

/**
 * kd_stored_packet_clear:
 *
 * Keeps none any more.
 */
void
kd_stored_packet_clear(KdStoredPacket *stored)
{
    stored->type = 0;
    stored->payload_bytes = 0;
}

/**
 * kd_stored_packet_get:
 *
 * Returns: the packet, without an id; its payload is borrowed
 */
KdPacket
kd_stored_packet_get(const KdStoredPacket *stored)
{
    return (KdPacket){
        .type = stored->type,
        .payload = stored->payload_bytes > 0 ? stored->payload : NULL,
        .payload_bytes = stored->payload_bytes,
    };
}

/**
 * kd_stored_packet_is:
 *
 * Returns: whether a packet says the same, whatever its id
 */
gboolean
kd_stored_packet_is(const KdStoredPacket *stored, const KdPacket *packet)
{
    return stored->type == packet->type && stored->payload_bytes == packet->payload_bytes &&
           (packet->payload_bytes == 0 ||
            memcmp(stored->payload, packet->payload, packet->payload_bytes) == 0);
}
