/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the packets and the break-ins in a stream of bytes. */
#pragma once

#include "kd-packet.h"

typedef struct KdPacketReader KdPacketReader;

typedef enum {
    KD_READ_MORE = 0,     /* all bytes have been read                                          */
    KD_READ_PACKET = 1,   /* a packet that is whole and right                                  */
    KD_READ_DAMAGED = 2,  /* there was a packet, but it was not right                          */
    KD_READ_BREAK_IN = 3, /* a byte 0x62 between packets                                       */
} KdRead;

KdPacketReader *kd_packet_reader_new(KdDialect dialect);
void kd_packet_reader_free(KdPacketReader *reader);
void kd_packet_reader_reset(KdPacketReader *reader);
KdRead kd_packet_reader_next(KdPacketReader *reader, const uint8_t **bytes, size_t *len_bytes,
                             gint64 now_us, KdPacket *packet);
gint64 kd_packet_reader_get_deadline_us(const KdPacketReader *reader);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdPacketReader, kd_packet_reader_free)
