/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A target's hunt for packets among the bytes of a serial line. */
#pragma once

#include "kd-sim-packet.h"

typedef enum {
    KD_SIM_READ_MORE = 0, /* all bytes are read */
    KD_SIM_READ_HEADER =
        1, /* a header is whole; its payload is read next, unless there is a reset */
    KD_SIM_READ_PACKET = 2, /* the payload too, and 0xAA is behind it */
    KD_SIM_READ_DAMAGE = 3, /* something else is behind it */
} KdSimRead;

typedef enum {
    KD_SIM_SILENCE_NOTHING = 0,
    KD_SIM_SILENCE_BREAK_IN = 1,
    KD_SIM_SILENCE_DAMAGE = 2, /* a payload that did not go on */
} KdSimSilence;

typedef struct {
    uint32_t n_header;  /* bytes of it; up to 4: leader bytes in a row */
    uint32_t n_payload; /* bytes of it, with the one behind it */
    gboolean is_in_payload;
    gboolean is_break_in_seen; /* the last byte was 0x62, between packets */
    size_t n_dropped;
    KdSimHeader header;
    uint8_t header_bytes[KD_SIM_HEADER_BYTES];
    uint8_t payload[KD_SIM_PAYLOAD_MAX_BYTES + 1];
} KdSimReader;

void kd_sim_reader_reset(KdSimReader *reader);
KdSimRead kd_sim_reader_read(KdSimReader *reader, const uint8_t *bytes, size_t len_bytes,
                             size_t *at, KdSimHeader *header);
gboolean kd_sim_reader_is_waiting(const KdSimReader *reader);
KdSimSilence kd_sim_reader_end_wait(KdSimReader *reader);
size_t kd_sim_reader_take_dropped(KdSimReader *reader);
