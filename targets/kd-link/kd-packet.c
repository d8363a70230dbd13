/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One packet of the KD protocol, in and out of its bytes. */
#include "kd-packet.h"

#include <string.h>

#define LEADER_DATA    0x30u
#define LEADER_CONTROL 0x69u

static uint16_t
load16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

static uint32_t
load32(const uint8_t *bytes)
{
    return (uint32_t)load16(bytes) | (uint32_t)load16(bytes + 2) << 16;
}

static void
store16(uint8_t *bytes, uint16_t value)
{
    bytes[0] = (uint8_t)value;
    bytes[1] = (uint8_t)(value >> 8);
}

static void
store32(uint8_t *bytes, uint32_t value)
{
    store16(bytes, (uint16_t)value);
    store16(bytes + 2, (uint16_t)(value >> 16));
}

/**
 * kd_packet_sum:
 * @bytes: a payload
 * @len_bytes: its length
 *
 * Returns: the checksum of the KD protocol: the sum of all bytes
 */
uint32_t
kd_packet_sum(const uint8_t *bytes, size_t len_bytes)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < len_bytes; i++) {
        sum += bytes[i];
    }
    return sum;
}

static gboolean
set_bad(GError **error, const char *what)
{
    g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, what);
    return FALSE;
}

/**
 * kd_packet_parse:
 * @dialect: that @bytes are in
 * @bytes: one packet, whole, and nothing behind it
 * @len_bytes: its length
 * @packet: (out caller-allocates): its payload points into @bytes
 * @error: G_IO_ERROR_INVALID_DATA: what is wrong with it
 *
 * Takes a packet apart. Its length, its checksum and, on a serial line, its trailer are verified;
 * a control packet has no checksum and no payload.
 *
 * Returns: whether it is one
 */
gboolean
kd_packet_parse(KdDialect dialect, const uint8_t *bytes, size_t len_bytes, KdPacket *packet,
                GError **error)
{
    *packet = (KdPacket){0};
    if (len_bytes < KD_PACKET_HEADER_BYTES) {
        return set_bad(error, "shorter than a packet's header");
    }
    uint32_t leader = load32(bytes);
    gboolean is_control = leader == LEADER_CONTROL * 0x01010101u;
    if (!is_control && leader != LEADER_DATA * 0x01010101u) {
        return set_bad(error, "does not start like a packet");
    }
    uint16_t type = load16(bytes + 4);
    gboolean is_control_type = type >= KD_PACKET_ACK && type <= KD_PACKET_RESET;
    if (type == 0 || type > KD_PACKET_FILE_IO || is_control != is_control_type) {
        return set_bad(error, "has a type that does not exist");
    }
    size_t payload_bytes = load16(bytes + 6);
    if (payload_bytes > KD_PACKET_PAYLOAD_MAX_BYTES || (is_control && payload_bytes != 0)) {
        return set_bad(error, "is longer than packets are");
    }
    size_t trailer_bytes = dialect == KD_DIALECT_SERIAL && !is_control ? 1 : 0;
    if (len_bytes != KD_PACKET_HEADER_BYTES + payload_bytes + trailer_bytes) {
        return set_bad(error, "is not as long as it says");
    }
    const uint8_t *payload = bytes + KD_PACKET_HEADER_BYTES;
    if (trailer_bytes > 0 && payload[payload_bytes] != KD_PACKET_TRAILER) {
        return set_bad(error, "lacks the byte at its end");
    }
    if (!is_control && kd_packet_sum(payload, payload_bytes) != load32(bytes + 12)) {
        return set_bad(error, "has a wrong checksum");
    }
    packet->is_control = is_control;
    packet->type = type;
    packet->id = load32(bytes + 8);
    packet->payload = payload_bytes > 0 ? payload : NULL;
    packet->payload_bytes = payload_bytes;
    return TRUE;
}

/**
 * kd_packet_build:
 * @dialect: to write it in
 * @packet: at most %KD_PACKET_PAYLOAD_MAX_BYTES of payload; none if it is a control packet
 * @bytes: (out caller-allocates): the packet
 *
 * Writes a packet.
 *
 * Returns: how many bytes it has
 */
size_t
kd_packet_build(KdDialect dialect, const KdPacket *packet,
                uint8_t bytes[static KD_PACKET_MAX_BYTES])
{
    size_t payload_bytes = packet->is_control ? 0 : packet->payload_bytes;
    uint8_t *payload = bytes + KD_PACKET_HEADER_BYTES;

    g_return_val_if_fail(payload_bytes <= KD_PACKET_PAYLOAD_MAX_BYTES, 0);
    memset(bytes, packet->is_control ? LEADER_CONTROL : LEADER_DATA, 4);
    store16(bytes + 4, packet->type);
    store16(bytes + 6, (uint16_t)payload_bytes);
    store32(bytes + 8, packet->id);
    store32(bytes + 12, kd_packet_sum(packet->payload, payload_bytes));
    if (payload_bytes > 0) {
        memcpy(payload, packet->payload, payload_bytes);
    }
    if (dialect != KD_DIALECT_SERIAL || packet->is_control) {
        return KD_PACKET_HEADER_BYTES + payload_bytes;
    }
    payload[payload_bytes] = KD_PACKET_TRAILER;
    return KD_PACKET_HEADER_BYTES + payload_bytes + 1;
}
