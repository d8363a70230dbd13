/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Preamble and frame header, byte for byte. */
#include "kd-bytes.h"
#include "kd-frame.h"
#include "wire-hex.h"
#include "wire-vectors.h"

#include <string.h>

#define HEX_OF(name, what, hex) static const char HEX_##name[] G_GNUC_UNUSED = hex;
KD_WIRE_VECTORS(HEX_OF)

static void
check_preamble(const char *hex, KdRole role)
{
    g_autoptr(GError) error = NULL;
    uint8_t out[KD_PREAMBLE_BYTES];
    uint16_t major = 0xffff;
    uint16_t minor = 0xffff;
    size_t len = 0;
    g_autofree uint8_t *expected = wire_dup_hex(hex, &len);

    kd_preamble_store(out, role, 1, 2);
    g_assert_cmpmem(out, sizeof out, expected, (int)len);
    g_assert_true(kd_preamble_load(expected, role, &major, &minor, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(major, ==, 1);
    g_assert_cmpuint(minor, ==, 2);
}

static void
test_preamble_vectors(void)
{
    check_preamble(HEX_PREAMBLE_CLIENT, KD_ROLE_CLIENT);
    check_preamble(HEX_PREAMBLE_SERVER, KD_ROLE_SERVER);
}

static void
test_preamble_is_our_version(void)
{
    g_assert_cmpuint(KD_PROTOCOL_MAJOR, ==, 1);
    g_assert_cmpuint(KD_PROTOCOL_MINOR, ==, 2);
}

static void
test_preamble_other_major(void)
{
    g_autoptr(GError) error = NULL;
    uint8_t bytes[KD_PREAMBLE_BYTES];
    uint16_t major = 0;
    uint16_t minor = 0;

    kd_preamble_store(bytes, KD_ROLE_CLIENT, 0x0203, 0x0405);
    g_assert_true(kd_preamble_load(bytes, KD_ROLE_CLIENT, &major, &minor, &error));
    g_assert_no_error(error);
    g_assert_cmphex(major, ==, 0x0203);
    g_assert_cmphex(minor, ==, 0x0405);
}

static void
test_preamble_reflection(void)
{
    g_autoptr(GError) error = NULL;
    uint8_t bytes[KD_PREAMBLE_BYTES];
    uint16_t major = 0;
    uint16_t minor = 0;

    kd_preamble_store(bytes, KD_ROLE_SERVER, 1, 0);
    g_assert_false(kd_preamble_load(bytes, KD_ROLE_CLIENT, &major, &minor, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_PROTOCOL);
}

/* Every byte but those of the version is fixed. */
static void
test_preamble_fixed_bytes(void)
{
    for (guint i = 0; i < KD_PREAMBLE_BYTES; i++) {
        if (i >= 8 && i < 12)
            continue;
        for (guint bit = 0; bit < 8; bit++) {
            g_autoptr(GError) error = NULL;
            uint8_t bytes[KD_PREAMBLE_BYTES];
            uint16_t major = 0;
            uint16_t minor = 0;

            kd_preamble_store(bytes, KD_ROLE_CLIENT, 1, 0);
            bytes[i] ^= (uint8_t)(1u << bit);
            g_assert_false(kd_preamble_load(bytes, KD_ROLE_CLIENT, &major, &minor, &error));
            g_assert_error(error, KD_ERROR, KD_ERROR_PROTOCOL);
        }
    }
}

static void
test_preamble_text_mode(void)
{
    static const uint8_t mangled[KD_PREAMBLE_BYTES] = {0x89, 0x4b, 0x44, 0x53, 0x0a, 0x1a, 0x0a, 1};
    g_autoptr(GError) error = NULL;
    uint16_t major = 0;
    uint16_t minor = 0;

    g_assert_false(kd_preamble_load(mangled, KD_ROLE_SERVER, &major, &minor, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_PROTOCOL);
    g_assert_nonnull(strstr(error->message, "line ends"));
}

static void
test_preamble_tls(void)
{
    static const uint8_t alert[KD_PREAMBLE_BYTES] = {0x15, 3, 3, 0, 2, 2, 10};
    static const uint8_t hello[KD_PREAMBLE_BYTES] = {0x16, 3, 1, 1, 0, 1};
    uint16_t major = 0;
    uint16_t minor = 0;

    for (guint i = 0; i < 2; i++) {
        g_autoptr(GError) error = NULL;

        g_assert_true(kd_preamble_is_tls(i == 0 ? alert : hello, 3));
        g_assert_false(kd_preamble_is_tls(i == 0 ? alert : hello, 2));
        g_assert_false(
            kd_preamble_load(i == 0 ? alert : hello, KD_ROLE_SERVER, &major, &minor, &error));
        g_assert_error(error, KD_ERROR, KD_ERROR_PROTOCOL);
        g_assert_nonnull(strstr(error->message, "speaks TLS"));
    }
}

static void
test_header_layout(void)
{
    static const uint8_t expected[KD_HEADER_BYTES] = {
        0x12, 0x03, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 1, 2, 3, 4, 5, 6, 7, 8};
    const KdFrameHeader header = {
        .type = 0x12,
        .flags = 0x03,
        .channel = 0x5634,
        .length = UINT32_C(0xdebc9a78),
        .ack = UINT64_C(0x0807060504030201),
    };
    KdFrameHeader loaded = {0};
    uint8_t out[KD_HEADER_BYTES];

    kd_frame_header_store(out, &header);
    g_assert_cmpmem(out, sizeof out, expected, sizeof expected);
    kd_frame_header_load(&loaded, out);
    g_assert_cmphex(loaded.type, ==, header.type);
    g_assert_cmphex(loaded.flags, ==, header.flags);
    g_assert_cmphex(loaded.channel, ==, header.channel);
    g_assert_cmphex(loaded.length, ==, header.length);
    g_assert_cmphex(loaded.ack, ==, header.ack);
}

/* Numbers may lie anywhere in a read buffer. */
static void
test_header_unaligned(void)
{
    uint8_t bytes[KD_HEADER_BYTES + 8];
    const KdFrameHeader header = {.type = 16, .length = 0x01020304, .ack = UINT64_MAX - 1};

    for (guint offset = 0; offset < 8; offset++) {
        KdFrameHeader loaded = {0};

        kd_frame_header_store(bytes + offset, &header);
        kd_frame_header_load(&loaded, bytes + offset);
        g_assert_cmphex(loaded.length, ==, header.length);
        g_assert_cmphex(loaded.ack, ==, header.ack);
    }
}

static void
test_frame_names(void)
{
    g_assert_cmpstr(kd_frame_get_name(KD_FRAME_HELLO), ==, "HELLO");
    g_assert_cmpstr(kd_frame_get_name(KD_FRAME_END_SERVER), ==, "END-SERVER");
    g_assert_cmpstr(kd_frame_get_name(KD_FRAME_CLOSE), ==, "CLOSE");
    g_assert_cmpstr(kd_frame_get_name(KD_FRAME_TAKE_OVER), ==, "TAKE-OVER");
    g_assert_cmpstr(kd_frame_get_name(0), ==, "unknown");
    g_assert_cmpstr(kd_frame_get_name(255), ==, "unknown");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/wire/preamble/equals-its-vectors", test_preamble_vectors);
    g_test_add_func("/wire/preamble/version-is-1-0", test_preamble_is_our_version);
    g_test_add_func("/wire/preamble/leaves-another-major-to-the-caller", test_preamble_other_major);
    g_test_add_func("/wire/preamble/refuses-its-own-reflection", test_preamble_reflection);
    g_test_add_func("/wire/preamble/refuses-any-change-of-fixed-bits", test_preamble_fixed_bytes);
    g_test_add_func("/wire/preamble/names-a-carrier-in-text-mode", test_preamble_text_mode);
    g_test_add_func("/wire/preamble/names-tls", test_preamble_tls);
    g_test_add_func("/wire/header/is-little-endian", test_header_layout);
    g_test_add_func("/wire/header/needs-no-alignment", test_header_unaligned);
    g_test_add_func("/wire/frame/has-a-name", test_frame_names);
    return g_test_run();
}
