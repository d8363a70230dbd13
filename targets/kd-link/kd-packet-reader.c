/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the packets and the break-ins in a stream of bytes. */
#include "kd-packet-reader.h"

#include <string.h>

/* Half a packet that gets no more bytes for so long is none. */
#define STALL_US (1 * G_TIME_SPAN_SECOND)
/* After so long without a byte whatever comes is a beginning, not the rest of something. */
#define QUIET_US (200 * G_TIME_SPAN_MILLISECOND)

struct KdPacketReader {
    KdDialect dialect;
    gboolean is_lost; /* what came last belongs to no packet: a 0x62 among it is no break-in */
    gint64 heard_us;  /* when the last byte came; -1: none yet */
    size_t start;
    size_t end;
    uint8_t bytes[2 * KD_PACKET_MAX_BYTES];
};

/**
 * kd_packet_reader_new:
 * @dialect: that the stream is in
 *
 * Returns: (transfer full): a reader; it allocates nothing after this
 */
KdPacketReader *
kd_packet_reader_new(KdDialect dialect)
{
    KdPacketReader *reader = g_new0(KdPacketReader, 1);

    reader->dialect = dialect;
    kd_packet_reader_reset(reader);
    return reader;
}

/**
 * kd_packet_reader_free:
 * @reader: (transfer full) (nullable):
 *
 * Frees a reader.
 */
void
kd_packet_reader_free(KdPacketReader *reader)
{
    g_free(reader);
}

/**
 * kd_packet_reader_reset:
 *
 * Forgets what was read: another stream begins.
 */
void
kd_packet_reader_reset(KdPacketReader *reader)
{
    reader->is_lost = FALSE;
    reader->heard_us = -1;
    reader->start = 0;
    reader->end = 0;
}

/* Takes up as many bytes as there is room for. */
static void
fill(KdPacketReader *reader, const uint8_t **bytes, size_t *len_bytes)
{
    if (reader->start == reader->end) {
        reader->start = 0;
        reader->end = 0;
    } else if (reader->start > KD_PACKET_MAX_BYTES) {
        memmove(reader->bytes, reader->bytes + reader->start, reader->end - reader->start);
        reader->end -= reader->start;
        reader->start = 0;
    }
    size_t n = MIN(*len_bytes, sizeof reader->bytes - reader->end);
    if (n > 0) {
        memcpy(reader->bytes + reader->end, *bytes, n);
    }
    reader->end += n;
    *bytes += n;
    *len_bytes -= n;
}

/* A packet's header stands at the start, and all of the packet behind it. One that ends where it
 * should is dropped whole if its checksum is wrong; else the next may begin anywhere in it. */
static KdRead
read_packet(KdPacketReader *reader, size_t packet_bytes, KdPacket *packet)
{
    const uint8_t *bytes = reader->bytes + reader->start;
    gboolean is_framed = kd_packet_parse(reader->dialect, bytes, packet_bytes, packet, NULL);

    if (is_framed) {
        reader->start += packet_bytes;
        reader->is_lost = FALSE;
        return KD_READ_PACKET;
    }
    if (bytes[packet_bytes - 1] == KD_PACKET_TRAILER) {
        reader->start += packet_bytes;
    } else {
        reader->start++;
        reader->is_lost = TRUE;
    }
    return KD_READ_DAMAGED;
}

static KdRead
scan(KdPacketReader *reader, KdPacket *packet)
{
    while (reader->start < reader->end) {
        const uint8_t *bytes = reader->bytes + reader->start;
        size_t left = reader->end - reader->start;
        size_t packet_bytes = 0;

        switch (kd_packet_read_header(reader->dialect, bytes, left, &packet_bytes)) {
        case KD_HEADER_SHORT:
            return KD_READ_MORE;
        case KD_HEADER_WHOLE:
            return left < packet_bytes ? KD_READ_MORE : read_packet(reader, packet_bytes, packet);
        case KD_HEADER_DAMAGED:
            reader->start++;
            if (!reader->is_lost) {
                reader->is_lost = TRUE;
                return KD_READ_DAMAGED;
            }
            break;
        case KD_HEADER_FOREIGN:
        default:
            reader->start++;
            if (bytes[0] == KD_PACKET_BREAK_IN && !reader->is_lost) {
                return KD_READ_BREAK_IN;
            }
            reader->is_lost = TRUE;
        }
    }
    return KD_READ_MORE;
}

/* Gives up the first byte of half a packet. Returns: whether it had the header of one */
static gboolean
give_up(KdPacketReader *reader)
{
    size_t packet_bytes = 0;
    KdHeader header = kd_packet_read_header(reader->dialect, reader->bytes + reader->start,
                                            reader->end - reader->start, &packet_bytes);

    reader->start++;
    reader->is_lost = TRUE;
    return header == KD_HEADER_WHOLE;
}

/**
 * kd_packet_reader_next:
 * @bytes: (inout): what has come; moved behind what was taken up
 * @len_bytes: (inout): how much; 0 to have looked what has become of half a packet
 * @now_us: the time
 * @packet: (out caller-allocates): of %KD_READ_PACKET; its payload is valid until the next call
 *
 * Reads on. To be called until it wants more: then all bytes have been taken up. Four equal
 * characters start a packet only if what follows them is right in every way, and what is found to
 * be wrong is searched for a packet again, from its second byte on. Half a packet of which nothing
 * has come for a second is given up.
 *
 * Returns: what was found
 */
KdRead
kd_packet_reader_next(KdPacketReader *reader, const uint8_t **bytes, size_t *len_bytes,
                      gint64 now_us, KdPacket *packet)
{
    gint64 silence_us = reader->heard_us >= 0 ? now_us - reader->heard_us : 0;

    if (reader->start == reader->end && silence_us >= QUIET_US) {
        reader->is_lost = FALSE;
    }
    if (*len_bytes > 0) {
        reader->heard_us = now_us;
    }
    for (;;) {
        KdRead found = scan(reader, packet);

        if (found != KD_READ_MORE) {
            return found;
        }
        if (reader->start < reader->end && silence_us >= STALL_US) {
            if (give_up(reader)) {
                return KD_READ_DAMAGED;
            }
        } else if (*len_bytes > 0) {
            fill(reader, bytes, len_bytes);
            silence_us = 0;
        } else {
            return KD_READ_MORE;
        }
    }
}

/**
 * kd_packet_reader_get_deadline_us:
 *
 * Returns: when kd_packet_reader_next() is to be called although nothing has come; -1: never
 */
gint64
kd_packet_reader_get_deadline_us(const KdPacketReader *reader)
{
    return reader->start < reader->end ? reader->heard_us + STALL_US : -1;
}
