/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One packet of the KD protocol, in and out of its bytes. */
#include "kd-packet.h"

#include "kd-dialect-rules.h"
#include "kd-le.h"

#include <string.h>

#define LEADER_DATA    0x30u
#define LEADER_CONTROL 0x69u

/* Sixteen bits for each sum of bytes hold as many rounds. */
#define ROUNDS_MAX 128u
#define EVEN_BYTES UINT64_C(0x00ff00ff00ff00ff)

/**
 * kd_packet_sum:
 * @bytes: (nullable): a payload
 * @len_bytes: its length
 *
 * Returns: the checksum of the KD protocol: the sum of all bytes
 */
uint32_t
kd_packet_sum(const uint8_t *bytes, size_t len_bytes)
{
    uint32_t sum = 0;
    size_t i = 0;

    /* Eight bytes at a time: every byte of a memory read goes through here, twice. */
    while (len_bytes - i >= 8) {
        uint64_t sums = 0;

        for (unsigned n = 0; n < ROUNDS_MAX && len_bytes - i >= 8; n++, i += 8) {
            uint64_t word = 0;

            memcpy(&word, bytes + i, sizeof word);
            sums += (word & EVEN_BYTES) + ((word >> 8) & EVEN_BYTES);
        }
        for (unsigned shift = 0; shift < 64; shift += 16) {
            sum += (uint32_t)(sums >> shift & 0xffffu);
        }
    }
    for (; i < len_bytes; i++) {
        sum += bytes[i];
    }
    return sum;
}

/**
 * kd_packet_read_header:
 * @dialect: that @bytes are in
 * @bytes: (nullable): the start of what may be a packet
 * @len_bytes: how much of it there is
 * @packet_bytes: (out): of %KD_HEADER_WHOLE: how long the packet is, with header and trailer
 *
 * Looks at the first 16 bytes of a packet, or fewer. A leader in itself says nothing: its
 * characters occur in payloads and in texts.
 *
 * Returns: what they are
 */
KdHeader
kd_packet_read_header(KdDialect dialect, const uint8_t *bytes, size_t len_bytes,
                      size_t *packet_bytes)
{
    *packet_bytes = 0;
    for (size_t i = 0; i < MIN(len_bytes, 4); i++) {
        if ((bytes[0] != LEADER_DATA && bytes[0] != LEADER_CONTROL) || bytes[i] != bytes[0]) {
            return KD_HEADER_FOREIGN;
        }
    }
    if (len_bytes < 6) {
        return KD_HEADER_SHORT;
    }
    gboolean is_control = bytes[0] == LEADER_CONTROL;
    uint16_t type = kd_le_load16(bytes + 4);
    gboolean is_control_type = type >= KD_PACKET_ACK && type <= KD_PACKET_RESET;
    if (type == 0 || type > KD_PACKET_FILE_IO || is_control != is_control_type) {
        return KD_HEADER_FOREIGN;
    }
    if (len_bytes < 8) {
        return KD_HEADER_SHORT;
    }
    size_t payload_bytes = kd_le_load16(bytes + 6);
    if (payload_bytes > (is_control ? 0 : KD_PACKET_PAYLOAD_MAX_BYTES)) {
        return KD_HEADER_DAMAGED;
    }
    if (len_bytes < KD_PACKET_HEADER_BYTES) {
        return KD_HEADER_SHORT;
    }
    *packet_bytes = KD_PACKET_HEADER_BYTES + payload_bytes;
    if (!is_control && kd_dialect_get_rules(dialect)->trailer == KD_TRAILER_NEEDED) {
        (*packet_bytes)++;
    }
    return KD_HEADER_WHOLE;
}

static gboolean
set_bad(GError **error, const char *what)
{
    g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, what);
    return FALSE;
}

static gboolean
is_trailed(KdDialect dialect, gboolean is_control, const uint8_t *bytes, size_t len_bytes,
           size_t packet_bytes)
{
    return !is_control && kd_dialect_get_rules(dialect)->trailer == KD_TRAILER_ACCEPTED &&
           len_bytes == packet_bytes + 1 && bytes[packet_bytes] == KD_PACKET_TRAILER;
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
    size_t packet_bytes = 0;

    *packet = (KdPacket){0};
    switch (kd_packet_read_header(dialect, bytes, len_bytes, &packet_bytes)) {
    case KD_HEADER_SHORT:
        return set_bad(error, "shorter than a packet's header");
    case KD_HEADER_FOREIGN:
        return set_bad(error, "does not start like a packet");
    case KD_HEADER_DAMAGED:
        return set_bad(error, "longer than packets are");
    case KD_HEADER_WHOLE:
    default:
        break;
    }
    gboolean is_control = bytes[0] == LEADER_CONTROL;
    if (len_bytes != packet_bytes &&
        !is_trailed(dialect, is_control, bytes, len_bytes, packet_bytes)) {
        return set_bad(error, "not as long as it says");
    }
    const uint8_t *payload = bytes + KD_PACKET_HEADER_BYTES;
    size_t payload_bytes = kd_le_load16(bytes + 6);
    if (!is_control && kd_dialect_get_rules(dialect)->trailer == KD_TRAILER_NEEDED &&
        payload[payload_bytes] != KD_PACKET_TRAILER) {
        return set_bad(error, "without the byte at its end");
    }
    uint32_t checksum = kd_le_load32(bytes + 12);
    if (!is_control && kd_packet_sum(payload, payload_bytes) != checksum) {
        return set_bad(error, "with a wrong checksum");
    }
    *packet = (KdPacket){
        .is_control = is_control,
        .type = kd_le_load16(bytes + 4),
        .id = kd_le_load32(bytes + 8),
        .payload = payload_bytes > 0 ? payload : NULL,
        .payload_bytes = payload_bytes,
        .checksum = checksum,
    };
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
    kd_le_store16(bytes + 4, packet->type);
    kd_le_store16(bytes + 6, (uint16_t)payload_bytes);
    kd_le_store32(bytes + 8, packet->id);
    kd_le_store32(bytes + 12, kd_packet_sum(packet->payload, payload_bytes));
    if (payload_bytes > 0) {
        memcpy(payload, packet->payload, payload_bytes);
    }
    if (packet->is_control || kd_dialect_get_rules(dialect)->trailer != KD_TRAILER_NEEDED) {
        return KD_PACKET_HEADER_BYTES + payload_bytes;
    }
    payload[payload_bytes] = KD_PACKET_TRAILER;
    return KD_PACKET_HEADER_BYTES + payload_bytes + 1;
}
