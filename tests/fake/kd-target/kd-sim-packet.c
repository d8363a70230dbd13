/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Packets of KD, written down once more and apart from what they are to test. */
#include "kd-sim-packet.h"

#include <string.h>

#define DATA_LEADER    0x30303030u
#define CONTROL_LEADER 0x69696969u

/**
 * kd_sim_get16:
 *
 * Reads two bytes, the low one first.
 */
uint16_t
kd_sim_get16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

/**
 * kd_sim_get32:
 *
 * Reads four bytes, the lowest one first.
 */
uint32_t
kd_sim_get32(const uint8_t *bytes)
{
    uint32_t value = 0;
    memcpy(&value, bytes, sizeof value);
    return GUINT32_FROM_LE(value);
}

/**
 * kd_sim_get64:
 *
 * Reads eight bytes, the lowest one first.
 */
uint64_t
kd_sim_get64(const uint8_t *bytes)
{
    uint64_t value = 0;
    memcpy(&value, bytes, sizeof value);
    return GUINT64_FROM_LE(value);
}

/**
 * kd_sim_put16:
 *
 * Writes two bytes, the low one first.
 */
void
kd_sim_put16(uint8_t *bytes, uint16_t value)
{
    bytes[0] = (uint8_t)value;
    bytes[1] = (uint8_t)(value >> 8);
}

/**
 * kd_sim_put32:
 *
 * Writes four bytes, the lowest one first.
 */
void
kd_sim_put32(uint8_t *bytes, uint32_t value)
{
    value = GUINT32_TO_LE(value);
    memcpy(bytes, &value, sizeof value);
}

/**
 * kd_sim_put64:
 *
 * Writes eight bytes, the lowest one first.
 */
void
kd_sim_put64(uint8_t *bytes, uint64_t value)
{
    value = GUINT64_TO_LE(value);
    memcpy(bytes, &value, sizeof value);
}

/**
 * kd_sim_packet_sum:
 *
 * The checksum of a payload: the sum of its bytes.
 */
uint32_t
kd_sim_packet_sum(const uint8_t *bytes, size_t len_bytes)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < len_bytes; i++)
        sum += bytes[i];
    return sum;
}

/**
 * kd_sim_packet_parse_header:
 * @header: (out caller-allocates): judged by nobody yet
 *
 * Returns: whether there is a leader
 */
gboolean
kd_sim_packet_parse_header(const uint8_t bytes[static KD_SIM_HEADER_BYTES], KdSimHeader *header)
{
    uint32_t leader = kd_sim_get32(bytes);
    *header = (KdSimHeader){
        .is_control = leader == CONTROL_LEADER,
        .type = kd_sim_get16(bytes + 4),
        .payload_bytes = kd_sim_get16(bytes + 6),
        .id = kd_sim_get32(bytes + 8),
        .checksum = kd_sim_get32(bytes + 12),
    };
    return leader == CONTROL_LEADER || leader == DATA_LEADER;
}

/**
 * kd_sim_packet_build:
 * @payload_bytes: at most %KD_SIM_PAYLOAD_MAX_BYTES
 * @bytes: (out caller-allocates):
 *
 * Builds a data packet; on serial lines with the byte 0xAA behind it.
 *
 * Returns: its length
 */
size_t
kd_sim_packet_build(KdSimDialect dialect, uint16_t type, uint32_t id, const uint8_t *payload,
                    size_t payload_bytes, uint8_t bytes[static KD_SIM_PACKET_MAX_BYTES])
{
    g_assert(payload_bytes <= KD_SIM_PAYLOAD_MAX_BYTES);
    kd_sim_put32(bytes, DATA_LEADER);
    kd_sim_put16(bytes + 4, type);
    kd_sim_put16(bytes + 6, (uint16_t)payload_bytes);
    kd_sim_put32(bytes + 8, id);
    kd_sim_put32(bytes + 12, kd_sim_packet_sum(payload, payload_bytes));
    memcpy(bytes + KD_SIM_HEADER_BYTES, payload, payload_bytes);
    size_t len_bytes = KD_SIM_HEADER_BYTES + payload_bytes;
    if (dialect == KD_SIM_DIALECT_SERIAL)
        bytes[len_bytes++] = KD_SIM_TRAILER;
    return len_bytes;
}

/**
 * kd_sim_packet_build_control:
 * @bytes: (out caller-allocates):
 *
 * Builds an ACK, a RESEND or a RESET.
 *
 * Returns: its length
 */
size_t
kd_sim_packet_build_control(uint16_t type, uint32_t id, uint8_t bytes[static KD_SIM_HEADER_BYTES])
{
    kd_sim_put32(bytes, CONTROL_LEADER);
    kd_sim_put16(bytes + 4, type);
    kd_sim_put16(bytes + 6, 0);
    kd_sim_put32(bytes + 8, id);
    kd_sim_put32(bytes + 12, 0);
    return KD_SIM_HEADER_BYTES;
}

/**
 * kd_sim_packet_get_least_payload:
 *
 * Returns: how long the fixed part of such a packet's payload is
 */
size_t
kd_sim_packet_get_least_payload(uint16_t type)
{
    switch (type) {
    case KD_SIM_TYPE_MANIPULATE:
        return 56;
    case KD_SIM_TYPE_DEBUG_IO:
        return 16;
    case KD_SIM_TYPE_FILE_IO:
        return 64;
    case KD_SIM_TYPE_STATE_CHANGE:
        return 0xF0;
    default:
        return 0;
    }
}

/**
 * kd_sim_packet_trace:
 * @way: "in" or "out"
 *
 * Tells on stderr that there was a packet.
 */
void
kd_sim_packet_trace(const char *way, uint16_t type, uint32_t id, size_t payload_bytes)
{
    static const char *const names[] = {
        "0",     "state change 32", "manipulate",   "debug io", "ack",     "resend",
        "reset", "state change",    "poll breakin", "trace io", "control", "file io",
    };
    g_printerr("kd-target: %s %s id %08x, %zu bytes\n", way,
               type < G_N_ELEMENTS(names) ? names[type] : "?", id, payload_bytes);
}
