/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One packet of the KD protocol, in and out of its bytes. */
#pragma once

#include "kd-dialect.h"

#include <gio/gio.h>

#include <stdint.h>

#define KD_PACKET_HEADER_BYTES      16u
#define KD_PACKET_PAYLOAD_MAX_BYTES 4000u
#define KD_PACKET_MAX_BYTES         4017u /* with the 0xAA of a serial line */
#define KD_PACKET_INITIAL_ID        0x80800000u
#define KD_PACKET_SYNC_ID           0x800u
#define KD_PACKET_TRAILER           0xAAu
#define KD_PACKET_BREAK_IN          0x62u

/* For a buffer of which nothing is read that was not written before: where compilers fill all
 * variables with zeros, doing so for each packet costs more than building it */
#if __has_attribute(uninitialized)
#define KD_PACKET_UNFILLED __attribute__((uninitialized))
#else
#define KD_PACKET_UNFILLED
#endif

enum {
    KD_PACKET_STATE_CHANGE32 = 1,
    KD_PACKET_STATE_MANIPULATE = 2,
    KD_PACKET_DEBUG_IO = 3,
    KD_PACKET_ACK = 4,    /* control */
    KD_PACKET_RESEND = 5, /* control */
    KD_PACKET_RESET = 6,  /* control */
    KD_PACKET_STATE_CHANGE64 = 7,
    KD_PACKET_POLL_BREAK_IN = 8,
    KD_PACKET_TRACE_IO = 9,
    KD_PACKET_CONTROL_REQUEST = 10,
    KD_PACKET_FILE_IO = 11,
};

/**
 * KdPacket:
 * @is_control: ACK, RESEND or RESET: no payload, no checksum
 * @type: KD_PACKET_ACK and so on
 * @id: of the packet, or the one that it speaks of
 * @payload: (nullable): borrowed
 * @payload_bytes: at most %KD_PACKET_PAYLOAD_MAX_BYTES
 * @checksum: as it was received; kd_packet_build() makes its own
 */
typedef struct {
    gboolean is_control;
    uint16_t type;
    uint32_t id;
    const uint8_t *payload;
    size_t payload_bytes;
    uint32_t checksum;
} KdPacket;

/* What a packet's header says, before its payload is there. */
typedef enum {
    KD_HEADER_SHORT = 0,   /* too few bytes to tell                                            */
    KD_HEADER_FOREIGN = 1, /* no packet starts like this                                       */
    KD_HEADER_DAMAGED = 2, /* a packet that can't be: it is longer than packets are            */
    KD_HEADER_WHOLE = 3,
} KdHeader;

KdHeader kd_packet_read_header(KdDialect dialect, const uint8_t *bytes, size_t len_bytes,
                               size_t *packet_bytes);
gboolean kd_packet_parse(KdDialect dialect, const uint8_t *bytes, size_t len_bytes,
                         KdPacket *packet, GError **error) G_GNUC_WARN_UNUSED_RESULT;
size_t kd_packet_build(KdDialect dialect, const KdPacket *packet,
                       uint8_t bytes[static KD_PACKET_MAX_BYTES]);
uint32_t kd_packet_sum(const uint8_t *bytes, size_t len_bytes);
