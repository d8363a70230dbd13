/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Byte by byte: four equal leader bytes begin a packet; a 0x62 between packets is a break-in if
 * silence follows. Nothing that was read is read again, as in a UART's driver. */
#include "kd-sim-reader.h"

#include <string.h>

#define LEADER_BYTES 4u

/**
 * kd_sim_reader_reset:
 *
 * Begins to hunt.
 */
void
kd_sim_reader_reset(KdSimReader *reader)
{
    reader->n_header = 0;
    reader->is_in_payload = FALSE;
    reader->is_break_in_seen = FALSE;
}

/* One byte while no leader is whole */
static void
hunt(KdSimReader *reader, uint8_t byte)
{
    reader->is_break_in_seen = FALSE;
    if (byte == 0x30 || byte == 0x69) {
        if (reader->n_header > 0 && reader->header_bytes[0] != byte) {
            reader->n_dropped += reader->n_header;
            reader->n_header = 0;
        }
        reader->header_bytes[reader->n_header++] = byte;
        return;
    }
    reader->n_dropped += reader->n_header;
    reader->n_header = 0;
    if (byte == KD_SIM_BREAK_IN)
        reader->is_break_in_seen = TRUE;
    else
        reader->n_dropped++;
}

static KdSimRead
read_payload(KdSimReader *reader, const uint8_t *bytes, size_t len_bytes, size_t *at)
{
    const uint32_t whole = reader->header.payload_bytes + 1u;
    size_t n = MIN(len_bytes - *at, whole - reader->n_payload);
    memcpy(reader->payload + reader->n_payload, bytes + *at, n);
    reader->n_payload += (uint32_t)n;
    *at += n;
    if (reader->n_payload < whole)
        return KD_SIM_READ_MORE;
    gboolean is_whole = reader->payload[whole - 1] == KD_SIM_TRAILER;
    kd_sim_reader_reset(reader);
    return is_whole ? KD_SIM_READ_PACKET : KD_SIM_READ_DAMAGE;
}

/**
 * kd_sim_reader_read:
 * @at: (inout): how many of @bytes are read already
 * @header: (out): of the packet; its payload is @reader's until the next call. After
 *    %KD_SIM_READ_HEADER the payload is at most %KD_SIM_PAYLOAD_MAX_BYTES, or the caller resets
 *
 * Reads until something is whole.
 */
KdSimRead
kd_sim_reader_read(KdSimReader *reader, const uint8_t *bytes, size_t len_bytes, size_t *at,
                   KdSimHeader *header)
{
    while (*at < len_bytes) {
        if (reader->is_in_payload) {
            KdSimRead result = read_payload(reader, bytes, len_bytes, at);
            *header = reader->header;
            return result;
        }
        uint8_t byte = bytes[(*at)++];
        if (reader->n_header < LEADER_BYTES)
            hunt(reader, byte);
        else
            reader->header_bytes[reader->n_header++] = byte;
        if (reader->n_header == KD_SIM_HEADER_BYTES) {
            (void)kd_sim_packet_parse_header(reader->header_bytes, &reader->header);
            *header = reader->header;
            reader->n_header = 0;
            reader->n_payload = 0;
            reader->is_in_payload = !header->is_control;
            return KD_SIM_READ_HEADER;
        }
    }
    return KD_SIM_READ_MORE;
}

/**
 * kd_sim_reader_is_waiting:
 *
 * Returns: whether silence would mean something
 */
gboolean
kd_sim_reader_is_waiting(const KdSimReader *reader)
{
    return reader->is_in_payload || reader->n_header > 0 || reader->is_break_in_seen;
}

/**
 * kd_sim_reader_end_wait:
 *
 * Tells what silence means, and begins to hunt.
 */
KdSimSilence
kd_sim_reader_end_wait(KdSimReader *reader)
{
    KdSimSilence meaning = KD_SIM_SILENCE_NOTHING;
    if (reader->is_break_in_seen)
        meaning = KD_SIM_SILENCE_BREAK_IN;
    else if (reader->is_in_payload)
        meaning = KD_SIM_SILENCE_DAMAGE;
    kd_sim_reader_reset(reader);
    return meaning;
}

/**
 * kd_sim_reader_take_dropped:
 *
 * Returns: how many bytes belonged to no packet, since the last call
 */
size_t
kd_sim_reader_take_dropped(KdSimReader *reader)
{
    size_t n = reader->n_dropped;
    reader->n_dropped = 0;
    return n;
}
