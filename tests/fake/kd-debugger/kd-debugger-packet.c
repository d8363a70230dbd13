/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One packet of the KD protocol as a debugger writes and reads it: written apart from the server's
 * own, so that one mistake cannot hide in both. */
#include "kd-debugger-packet.h"

#include "kd-debugger-bytes.h"

#include <string.h>

#define HEADER_BYTES   16u
#define DATA_LEADER    0x30u
#define CONTROL_LEADER 0x69u
#define TRAILER        0xAAu
#define HIGHEST_TYPE   11u

static uint32_t
add_up(const uint8_t *bytes, size_t len_bytes)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < len_bytes; i++) {
        sum += bytes[i];
    }
    return sum;
}

/**
 * kd_debugger_packet_build:
 * @has_trailer: as on serial lines
 * @frame: filled
 *
 * Writes a packet down.
 *
 * Returns: how many bytes
 */
size_t
kd_debugger_packet_build(const KdDebuggerPacket *packet, gboolean has_trailer,
                         uint8_t frame[static KD_DEBUGGER_FRAME_MAX_BYTES])
{
    size_t len = packet->is_control ? 0 : packet->payload_bytes;

    g_assert(len <= KD_DEBUGGER_PAYLOAD_MAX_BYTES);
    memset(frame, packet->is_control ? CONTROL_LEADER : DATA_LEADER, 4);
    kd_debugger_put16(frame + 4, packet->type);
    kd_debugger_put16(frame + 6, (uint16_t)len);
    kd_debugger_put32(frame + 8, packet->id);
    kd_debugger_put32(frame + 12, add_up(packet->payload, len));
    memcpy(frame + HEADER_BYTES, packet->payload, len);
    if (packet->is_control || !has_trailer) {
        return HEADER_BYTES + len;
    }
    frame[HEADER_BYTES + len] = TRAILER;
    return HEADER_BYTES + len + 1;
}

/* Whether the header is one; fills all but the payload */
static gboolean
parse_header(const uint8_t *frame, KdDebuggerPacket *packet)
{
    for (int i = 1; i < 4; i++) {
        if (frame[i] != frame[0]) {
            return FALSE;
        }
    }
    packet->is_control = frame[0] == CONTROL_LEADER;
    packet->type = kd_debugger_get16(frame + 4);
    packet->payload_bytes = kd_debugger_get16(frame + 6);
    packet->id = kd_debugger_get32(frame + 8);
    if (packet->type == 0 || packet->type > HIGHEST_TYPE) {
        return FALSE;
    }
    if (packet->is_control) {
        return packet->payload_bytes == 0 && packet->type >= KD_DEBUGGER_ACK &&
               packet->type <= KD_DEBUGGER_RESET;
    }
    return frame[0] == DATA_LEADER && packet->payload_bytes <= KD_DEBUGGER_PAYLOAD_MAX_BYTES;
}

/* The payload behind a good header. */
static gboolean
take_payload(const uint8_t *frame, KdDebuggerPacket *packet)
{
    memcpy(packet->payload, frame + HEADER_BYTES, packet->payload_bytes);
    return packet->is_control ||
           add_up(packet->payload, packet->payload_bytes) == kd_debugger_get32(frame + 12);
}

/**
 * kd_debugger_packet_parse:
 * @frame: a packet without trailer; what is behind it does not count
 * @packet: filled
 *
 * Returns: whether it is a whole packet and undamaged
 */
gboolean
kd_debugger_packet_parse(const uint8_t *frame, size_t len_bytes, KdDebuggerPacket *packet)
{
    return len_bytes >= HEADER_BYTES && parse_header(frame, packet) &&
           len_bytes >= HEADER_BYTES + packet->payload_bytes && take_payload(frame, packet);
}

/* Drops what cannot be the start of a packet. */
static void
skip_noise(GByteArray *heard)
{
    guint at = 0;

    while (at < heard->len && heard->data[at] != DATA_LEADER && heard->data[at] != CONTROL_LEADER) {
        at++;
    }
    if (at > 0) {
        g_byte_array_remove_range(heard, 0, at);
    }
}

/**
 * kd_debugger_packet_hunt:
 * @heard: of a serial line; what was understood is taken out
 * @packet: filled
 *
 * Looks for the next packet.
 *
 * Returns: KD_DEBUGGER_HEARD_PACKET, KD_DEBUGGER_HEARD_DAMAGE, or KD_DEBUGGER_HEARD_NOTHING as long
 *    as it is not whole
 */
KdDebuggerHeard
kd_debugger_packet_hunt(GByteArray *heard, KdDebuggerPacket *packet)
{
    for (skip_noise(heard); heard->len >= HEADER_BYTES; skip_noise(heard)) {
        size_t len;

        if (!parse_header(heard->data, packet)) {
            g_byte_array_remove_index(heard, 0);
            continue;
        }
        len = HEADER_BYTES + packet->payload_bytes + (packet->is_control ? 0 : 1);
        if (heard->len < len) {
            return KD_DEBUGGER_HEARD_NOTHING;
        }
        if (!packet->is_control && heard->data[len - 1] != TRAILER) {
            g_byte_array_remove_range(heard, 0, 4);
            return KD_DEBUGGER_HEARD_DAMAGE;
        }
        if (!take_payload(heard->data, packet)) {
            g_byte_array_remove_range(heard, 0, (guint)len);
            return KD_DEBUGGER_HEARD_DAMAGE;
        }
        g_byte_array_remove_range(heard, 0, (guint)len);
        return KD_DEBUGGER_HEARD_PACKET;
    }
    return KD_DEBUGGER_HEARD_NOTHING;
}
