/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A packet of anything, and a stream of KDCOM that is cut anywhere. */
#include "kd-fuzz.h"
#include "kd-packet-reader.h"

#include <string.h>

/* What is accepted can be said again, and is then understood the same way. */
static void
check_packet(KdDialect dialect, const uint8_t *bytes, size_t len_bytes)
{
    g_autoptr(GError) error = NULL;
    uint8_t again[KD_PACKET_MAX_BYTES];
    KdPacket packet;
    gboolean is_packet = kd_packet_parse(dialect, bytes, len_bytes, &packet, &error);

    g_assert_true(is_packet == (error == NULL));
    if (error != NULL) {
        g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
        g_assert_cmpuint(packet.type, ==, 0);
        return;
    }
    size_t n = kd_packet_build(dialect, &packet, again);
    g_assert_cmpuint(len_bytes - n, <=, dialect == KD_DIALECT_USB); /* it takes a trailer too */
    g_assert_cmpuint(packet.payload_bytes, <=, KD_PACKET_PAYLOAD_MAX_BYTES);
    /* a control packet's checksum means nothing */
    g_assert_cmpint(memcmp(bytes, again, packet.is_control ? 12 : n), ==, 0);
}

static void
note_found(GByteArray *found, KdRead read, const KdPacket *packet)
{
    uint8_t kind = (uint8_t)read;

    g_byte_array_append(found, &kind, 1);
    if (read == KD_READ_PACKET) {
        uint8_t head[6] = {(uint8_t)packet->type, packet->is_control != 0};

        memcpy(head + 2, &packet->id, 4);
        g_byte_array_append(found, head, sizeof head);
        if (packet->payload_bytes > 0)
            g_byte_array_append(found, packet->payload, (guint)packet->payload_bytes);
    }
}

/* Returns: what is found if the stream comes in such pieces */
static GByteArray *
read_stream(KdDialect dialect, const uint8_t *bytes, size_t len_bytes, size_t piece_bytes)
{
    g_autoptr(KdPacketReader) reader = kd_packet_reader_new(dialect);
    GByteArray *found = g_byte_array_new();
    KdPacket packet;
    KdRead read;

    for (size_t at = 0; at < len_bytes; at += piece_bytes) {
        const uint8_t *next = bytes + at;
        size_t left = MIN(piece_bytes, len_bytes - at);

        while ((read = kd_packet_reader_next(reader, &next, &left, 1000, &packet)) != KD_READ_MORE)
            note_found(found, read, &packet);
        g_assert_cmpuint(left, ==, 0);
    }
    /* Half a packet is given up in the end. */
    const uint8_t *none = NULL;
    size_t nothing = 0;
    while ((read = kd_packet_reader_next(reader, &none, &nothing, 1000 + G_USEC_PER_SEC,
                                         &packet)) != KD_READ_MORE)
        note_found(found, read, &packet);
    g_assert_cmpint(kd_packet_reader_get_deadline_us(reader), ==, -1);
    return found;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    KdDialect dialect = KD_DIALECT_SERIAL + data[0] % 4;
    size_t piece_bytes = 1 + data[1];
    const uint8_t *bytes = data + 2;
    size_t len_bytes = size - 2;

    check_packet(dialect, bytes, len_bytes);
    g_autoptr(GByteArray) whole = read_stream(dialect, bytes, len_bytes, MAX(len_bytes, 1));
    g_autoptr(GByteArray) cut = read_stream(dialect, bytes, len_bytes, piece_bytes);
    g_assert_cmpuint(whole->len, ==, cut->len);
    g_assert_true(whole->len == 0 || memcmp(whole->data, cut->data, whole->len) == 0);
    return 0;
}
