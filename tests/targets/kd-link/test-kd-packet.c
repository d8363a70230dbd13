/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One packet of the KD protocol: its bytes in each dialect, and what is wrong with others. */
#include "kd-packet.h"

#include <string.h>

static const uint8_t payload[] = {0x46, 0x31, 0, 0, 1, 2, 0xff};

/* As on a serial line: leader, type, length, id, checksum, payload, trailer */
static const uint8_t serial_bytes[] = {
    '0',  '0',  '0', '0', 2,    0,    7, 0, 0, 0x08, 0x80, 0x80,
    0x79, 0x01, 0,   0,   0x46, 0x31, 0, 0, 1, 2,    0xff, 0xaa,
};
static const uint8_t reset_bytes[] = {'i', 'i', 'i', 'i', 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};

static KdPacket
parse(KdDialect dialect, const uint8_t *bytes, size_t len_bytes)
{
    g_autoptr(GError) error = NULL;
    KdPacket packet;

    g_assert_true(kd_packet_parse(dialect, bytes, len_bytes, &packet, &error));
    g_assert_no_error(error);
    return packet;
}

static void
expect_bad(KdDialect dialect, const uint8_t *bytes, size_t len_bytes, const char *why)
{
    g_autoptr(GError) error = NULL;
    KdPacket packet;

    g_assert_false(kd_packet_parse(dialect, bytes, len_bytes, &packet, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA);
    g_assert_cmpstr(error->message, ==, why);
    g_assert_cmpuint(packet.type, ==, 0);
    g_assert_null(packet.payload);
}

static void
test_round_trip(void)
{
    const KdPacket packet = {
        .type = KD_PACKET_STATE_MANIPULATE,
        .id = 0x80800800,
        .payload = payload,
        .payload_bytes = sizeof payload,
    };
    uint8_t bytes[KD_PACKET_MAX_BYTES];

    g_assert_cmpuint(kd_packet_build(KD_DIALECT_SERIAL, &packet, bytes), ==, sizeof serial_bytes);
    g_assert_cmpmem(bytes, sizeof serial_bytes, serial_bytes, sizeof serial_bytes);
    for (KdDialect dialect = KD_DIALECT_SERIAL; dialect <= KD_DIALECT_1394; dialect++) {
        size_t n = kd_packet_build(dialect, &packet, bytes);
        KdPacket again = parse(dialect, bytes, n);

        g_assert_cmpuint(n, ==, sizeof serial_bytes - (dialect != KD_DIALECT_SERIAL));
        g_assert_false(again.is_control);
        g_assert_cmpuint(again.type, ==, packet.type);
        g_assert_cmphex(again.id, ==, packet.id);
        g_assert_cmphex(again.checksum, ==, 0x179);
        g_assert_cmpmem(again.payload, (int)again.payload_bytes, payload, sizeof payload);
    }
}

static void
test_control(void)
{
    const KdPacket reset = {.is_control = TRUE, .type = KD_PACKET_RESET};
    uint8_t bytes[KD_PACKET_MAX_BYTES];

    for (KdDialect dialect = KD_DIALECT_SERIAL; dialect <= KD_DIALECT_1394; dialect++) {
        g_assert_cmpuint(kd_packet_build(dialect, &reset, bytes), ==, sizeof reset_bytes);
        g_assert_cmpmem(bytes, sizeof reset_bytes, reset_bytes, sizeof reset_bytes);
        KdPacket again = parse(dialect, bytes, sizeof reset_bytes);
        g_assert_true(again.is_control);
        g_assert_cmpuint(again.type, ==, KD_PACKET_RESET);
        g_assert_null(again.payload);
    }
}

static void
test_all_types(void)
{
    uint8_t bytes[KD_PACKET_MAX_BYTES];

    for (uint16_t type = 0; type < 64; type++) {
        for (int is_control = 0; is_control <= 1; is_control++) {
            KdPacket packet = {.is_control = is_control, .type = type};
            size_t n = kd_packet_build(KD_DIALECT_NET, &packet, bytes);
            gboolean is_control_type = type >= 4 && type <= 6;
            gboolean exists = type >= 1 && type <= 11 && is_control == is_control_type;

            g_assert_true(kd_packet_parse(KD_DIALECT_NET, bytes, n, &packet, NULL) == exists);
        }
    }
}

static void
test_longest(void)
{
    uint8_t most[KD_PACKET_PAYLOAD_MAX_BYTES];
    uint8_t bytes[KD_PACKET_MAX_BYTES + 1];

    memset(most, 0xff, sizeof most);
    const KdPacket packet = {
        .type = KD_PACKET_FILE_IO, .payload = most, .payload_bytes = sizeof most};
    g_assert_cmpuint(kd_packet_build(KD_DIALECT_SERIAL, &packet, bytes), ==, KD_PACKET_MAX_BYTES);
    g_assert_cmpuint(parse(KD_DIALECT_SERIAL, bytes, KD_PACKET_MAX_BYTES).payload_bytes, ==, 4000);
    g_assert_cmphex(parse(KD_DIALECT_SERIAL, bytes, KD_PACKET_MAX_BYTES).checksum, ==, 4000 * 255);
    bytes[6] = 0xa1; /* 4001 */
    expect_bad(KD_DIALECT_SERIAL, bytes, sizeof bytes, "longer than packets are");
}

static void
test_bad(void)
{
    uint8_t bytes[sizeof serial_bytes + 1] = {0};
    size_t n = sizeof serial_bytes;

    memcpy(bytes, serial_bytes, n);
    expect_bad(KD_DIALECT_SERIAL, bytes, 15, "shorter than a packet's header");
    expect_bad(KD_DIALECT_SERIAL, NULL, 0, "shorter than a packet's header");
    expect_bad(KD_DIALECT_SERIAL, bytes, n - 1, "not as long as it says");
    expect_bad(KD_DIALECT_SERIAL, bytes, n + 1, "not as long as it says");
    bytes[n - 1] = 0xab;
    expect_bad(KD_DIALECT_SERIAL, bytes, n, "without the byte at its end");
    bytes[n - 1] = 0xaa;
    bytes[20] ^= 1;
    expect_bad(KD_DIALECT_SERIAL, bytes, n, "with a wrong checksum");
    bytes[3] = 'i';
    expect_bad(KD_DIALECT_SERIAL, bytes, n, "does not start like a packet");
    memcpy(bytes, reset_bytes, sizeof reset_bytes);
    bytes[6] = 1;
    expect_bad(KD_DIALECT_NET, bytes, sizeof reset_bytes + 1, "longer than packets are");
}

static void
test_trailer(void)
{
    size_t n = sizeof serial_bytes;
    uint8_t bytes[sizeof serial_bytes];

    g_assert_cmpuint(parse(KD_DIALECT_USB, serial_bytes, n).payload_bytes, ==, sizeof payload);
    g_assert_cmpuint(parse(KD_DIALECT_USB, serial_bytes, n - 1).payload_bytes, ==, sizeof payload);
    memcpy(bytes, serial_bytes, n);
    bytes[n - 1] = 0;
    expect_bad(KD_DIALECT_USB, bytes, n, "not as long as it says");
    expect_bad(KD_DIALECT_NET, serial_bytes, n, "not as long as it says");
    expect_bad(KD_DIALECT_1394, serial_bytes, n, "not as long as it says");
}

static void
test_sum(void)
{
    uint8_t bytes[KD_PACKET_PAYLOAD_MAX_BYTES];
    uint32_t sum = 0;

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)g_test_rand_int();
    for (size_t n = 0; n <= sizeof bytes; n++) {
        g_assert_cmphex(kd_packet_sum(bytes, n), ==, sum);
        if (n < sizeof bytes)
            sum += bytes[n];
    }
    memset(bytes, 0xff, sizeof bytes);
    g_assert_cmpuint(kd_packet_sum(bytes, sizeof bytes), ==, 255 * sizeof bytes);
    g_assert_cmpuint(kd_packet_sum(NULL, 0), ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kd-packet/what-is-built-is-parsed-in-every-dialect", test_round_trip);
    g_test_add_func("/kd-packet/control-packets-have-a-header-only", test_control);
    g_test_add_func("/kd-packet/every-type-up-to-11-passes-and-no-other", test_all_types);
    g_test_add_func("/kd-packet/payload-has-at-most-4000-bytes", test_longest);
    g_test_add_func("/kd-packet/bad-ones-are-refused-with-the-reason", test_bad);
    g_test_add_func("/kd-packet/only-usb-may-or-may-not-have-a-trailer", test_trailer);
    g_test_add_func("/kd-packet/checksum-is-the-sum-of-all-bytes", test_sum);
    return g_test_run();
}
