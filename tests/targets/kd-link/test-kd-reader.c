/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Packets and break-ins in a stream of KDCOM. */
#include "kd-packet-reader.h"

#include <string.h>

typedef struct {
    KdPacketReader *reader;
    GByteArray *bytes; /* what comes next */
    GString *found;    /* what was found: P and its type, D, B */
    GByteArray *last;  /* payload of the last packet */
    gint64 now_us;
} Line;

static void
set_up(Line *line, gconstpointer unused)
{
    (void)unused;
    line->reader = kd_packet_reader_new(KD_DIALECT_SERIAL);
    line->bytes = g_byte_array_new();
    line->last = g_byte_array_new();
    line->found = g_string_new(NULL);
    line->now_us = 1000000;
}

static void
tear_down(Line *line, gconstpointer unused)
{
    (void)unused;
    kd_packet_reader_free(line->reader);
    g_byte_array_unref(line->bytes);
    g_byte_array_unref(line->last);
    g_string_free(line->found, TRUE);
}

static void
add(Line *line, const void *bytes, size_t len_bytes)
{
    g_byte_array_append(line->bytes, bytes, (guint)len_bytes);
}

static void
add_packet(Line *line, uint16_t type, const void *payload, size_t payload_bytes)
{
    uint8_t bytes[KD_PACKET_MAX_BYTES];
    KdPacket packet = {.is_control = type >= 4 && type <= 6,
                       .type = type,
                       .id = KD_PACKET_INITIAL_ID,
                       .payload = payload,
                       .payload_bytes = payload_bytes};

    add(line, bytes, kd_packet_build(KD_DIALECT_SERIAL, &packet, bytes));
}

static void
read_bytes(Line *line, const uint8_t *bytes, size_t len_bytes)
{
    KdPacket packet;
    KdRead found;

    while ((found = kd_packet_reader_next(line->reader, &bytes, &len_bytes, line->now_us,
                                          &packet)) != KD_READ_MORE) {
        if (found == KD_READ_PACKET) {
            g_string_append_printf(line->found, "P%u ", packet.type);
            g_byte_array_set_size(line->last, 0);
            if (packet.payload_bytes > 0)
                g_byte_array_append(line->last, packet.payload, (guint)packet.payload_bytes);
        } else {
            g_string_append(line->found, found == KD_READ_DAMAGED ? "D " : "B ");
        }
    }
    g_assert_cmpuint(len_bytes, ==, 0);
}

/* Reads what was added, in pieces, and compares what is found in it. */
static void
expect(Line *line, size_t piece_bytes, const char *found)
{
    g_string_truncate(line->found, 0);
    for (guint at = 0; at < line->bytes->len; at += (guint)piece_bytes)
        read_bytes(line, line->bytes->data + at, MIN(piece_bytes, line->bytes->len - at));
    g_byte_array_set_size(line->bytes, 0);
    g_assert_cmpstr(line->found->str, ==, found);
}

static void
test_pieces(Line *line, gconstpointer unused)
{
    uint8_t payload[4000];

    (void)unused;
    memset(payload, 0x62, sizeof payload);
    for (size_t piece = 1; piece < 9000; piece = piece * 3 + 1) {
        add_packet(line, 2, payload, sizeof payload);
        add_packet(line, 4, NULL, 0);
        add_packet(line, 3, payload, 17);
        add_packet(line, 11, payload, sizeof payload);
        expect(line, piece, "P2 P4 P3 P11 ");
        g_assert_cmpmem(line->last->data, line->last->len, payload, sizeof payload);
        g_assert_cmpint(kd_packet_reader_get_deadline_us(line->reader), ==, -1);
    }
}

static void
test_leader_in_payload(Line *line, gconstpointer unused)
{
    (void)unused;
    add_packet(line, 2, "0000iiii0000bbbb", 16);
    add_packet(line, 3, "xxxx0000iiii0000", 16);
    expect(line, 1, "P2 P3 ");
}

static void
test_garbage(Line *line, gconstpointer unused)
{
    (void)unused;
    add(line, "hello 0000 wob iiiib 00000000", 29);
    add_packet(line, 2, "x", 1);
    add(line, "000", 3);
    add_packet(line, 6, NULL, 0);
    add(line, "iiiii", 5);
    add_packet(line, 6, NULL, 0);
    expect(line, 7, "P2 P6 P6 ");
}

static void
test_break_in(Line *line, gconstpointer unused)
{
    (void)unused;
    add(line, "b", 1);
    expect(line, 1, "B ");
    add_packet(line, 6, NULL, 0);
    add(line, "b", 1);
    add_packet(line, 2, "b", 1);
    add(line, "bb", 2);
    expect(line, 1, "P6 B P2 B B ");
}

static void
test_break_in_before_reset(Line *line, gconstpointer unused)
{
    (void)unused;
    add(line, "b", 1);
    add_packet(line, 6, NULL, 0);
    expect(line, 100, "B P6 ");
}

static void
test_break_in_in_garbage(Line *line, gconstpointer unused)
{
    (void)unused;
    add(line, "tab", 3);
    expect(line, 3, "");
    line->now_us += 200 * G_TIME_SPAN_MILLISECOND;
    add(line, "b", 1); /* the line was quiet: this one is meant */
    expect(line, 1, "B ");
}

static void
test_damaged(Line *line, gconstpointer unused)
{
    (void)unused;
    add_packet(line, 2, "payload", 7);
    line->bytes->data[17] ^= 0x40;
    add(line, "b", 1);
    add_packet(line, 2, "payload", 7);
    expect(line, 5, "D B P2 ");
}

static void
test_false_start(Line *line, gconstpointer unused)
{
    /* A header that is right in itself, in front of a packet that it seems to contain */
    static const uint8_t header[] = {'0', '0', '0', '0', 2, 0, 20, 0, 0, 0, 0x80, 0x80, 9, 9, 0, 0};

    (void)unused;
    add(line, header, sizeof header);
    add_packet(line, 4, NULL, 0);
    add_packet(line, 2, "b", 1);
    expect(line, 3, "D P4 P2 ");
}

static void
test_too_long(Line *line, gconstpointer unused)
{
    static const uint8_t header[] = {'0', '0', '0', '0', 2, 0, 0xa1, 0x0f};

    (void)unused;
    add(line, header, sizeof header);
    add(line, header, sizeof header);
    add_packet(line, 2, "x", 1);
    expect(line, 50, "D P2 ");
}

static void
test_stall(Line *line, gconstpointer unused)
{
    (void)unused;
    add_packet(line, 2, "payload", 7);
    guint half = line->bytes->len - 3;
    g_byte_array_set_size(line->bytes, half);
    expect(line, 100, "");
    gint64 deadline_us = kd_packet_reader_get_deadline_us(line->reader);
    g_assert_cmpint(deadline_us, ==, line->now_us + G_USEC_PER_SEC);
    line->now_us = deadline_us - 1;
    read_bytes(line, NULL, 0);
    g_assert_cmpstr(line->found->str, ==, "");
    line->now_us = deadline_us;
    read_bytes(line, NULL, 0);
    g_assert_cmpstr(line->found->str, ==, "D ");
    g_assert_cmpint(kd_packet_reader_get_deadline_us(line->reader), ==, -1);
}

static void
test_reset(Line *line, gconstpointer unused)
{
    (void)unused;
    add(line, "0000", 4);
    expect(line, 4, "");
    kd_packet_reader_reset(line->reader);
    add(line, "b", 1);
    expect(line, 1, "B ");
}

static void
test_noise(Line *line, gconstpointer unused)
{
    static const char letters[] = "00ii\2\4b\0";

    (void)unused;
    for (int round = 0; round < 300; round++) {
        gint n = g_test_rand_int_range(0, 60);

        for (gint i = 0; i < n; i++)
            add(line, &letters[g_test_rand_int_range(0, 8)], 1);
        g_string_truncate(line->found, 0);
        read_bytes(line, line->bytes->data, line->bytes->len);
        g_byte_array_set_size(line->bytes, 0);
        /* What seemed to be half a packet is given up, and the next is found. */
        line->now_us += G_USEC_PER_SEC;
        read_bytes(line, NULL, 0);
        g_assert_cmpint(kd_packet_reader_get_deadline_us(line->reader), ==, -1);
        add_packet(line, 7, "x", 1);
        expect(line, 4, "P7 ");
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, fn) g_test_add("/kd-reader/" name, Line, NULL, set_up, fn, tear_down)
    ADD("packets-come-in-pieces-of-any-size", test_pieces);
    ADD("leader-inside-a-payload-starts-nothing", test_leader_in_payload);
    ADD("packets-are-found-in-garbage", test_garbage);
    ADD("break-in-is-a-byte-between-packets", test_break_in);
    ADD("break-in-and-reset-in-one-write-are-both-heard", test_break_in_before_reset);
    ADD("break-in-inside-garbage-is-none", test_break_in_in_garbage);
    ADD("damaged-packet-is-told-once-and-the-next-is-found", test_damaged);
    ADD("packet-inside-a-false-one-is-found", test_false_start);
    ADD("longer-than-4000-bytes-is-damaged", test_too_long);
    ADD("half-a-packet-is-given-up-after-a-second", test_stall);
    ADD("reset-forgets-half-a-packet", test_reset);
    ADD("packet-after-any-noise-is-found-once-it-is-quiet", test_noise);
    return g_test_run();
}
