/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys and datagrams of KDNET: facts of a real exchange, and what is refused. */
#include "kdnet-cipher.h"

#include <kdsrv/kd-plugin.h>

#include <string.h>

static const char connection_check[] =
    "4d44424704002fa399cffa8f888c766d5e595a843c6dee47e25b8c9e098bd63242f627753eddfb5900eab024ca9c9c"
    "435055f1c8e7d2";
static const char resend[] =
    "4d44424704000c3e6d1655f7c70b5d8a875f9032af003152b7f200de2491adb391c109d86f1e94bbfcb63ea493ff1e"
    "588fdbaab8575f";
static const char response_start[] =
    "0102c19792dfac7aa1dfe007010018000b00240005000000070088f7570043a1260041b4fa1b2ddd14ee3eeb8db987"
    "c0c7257ce62eef126ab74ef212136c100c540b";
static const char data_key_hex[] =
    "6bd91c57bd6a551ad30b509c05c0c95b32cc5e47a0866907eaf0b1583384f660";

static void
check_equal(const void *bytes, size_t len, const void *expected, size_t expected_bytes)
{
    g_assert_cmpuint(len, ==, expected_bytes);
    g_assert_cmpint(memcmp(bytes, expected, len), ==, 0);
}

static size_t
parse_hex(const char *hex, uint8_t *bytes, size_t room)
{
    size_t len = strlen(hex) / 2;
    g_assert_cmpuint(len, <=, room);
    for (size_t i = 0; i < len; i++)
        bytes[i] =
            (uint8_t)(g_ascii_xdigit_value(hex[2 * i]) << 4 | g_ascii_xdigit_value(hex[2 * i + 1]));
    return len;
}

static void
parse_key(const char *text, KdnetKey *key)
{
    g_autoptr(GError) error = NULL;
    gboolean is_parsed = kdnet_key_parse(text, key, &error);
    g_assert_no_error(error);
    g_assert_true(is_parsed);
}

static KdnetCipher *
build_recorded_cipher(void)
{
    KdnetKey key;
    uint8_t response[KDNET_RESPONSE_BYTES] = {0};
    uint8_t data_key[KDNET_KEY_BYTES];
    parse_key("8.8.8.8", &key);
    (void)parse_hex(response_start, response, sizeof response);
    kdnet_key_derive(&key, response, data_key);
    return kdnet_cipher_new(data_key, key.hmac);
}

/* ---- keys ---- */

static void
test_key_little_endian(void)
{
    uint8_t expected[KDNET_KEY_BYTES];
    KdnetKey key;
    (void)parse_hex("84c61e0000000000ce21d6470500000042f7f19a04000000a7e18d4d00000000", expected,
                    sizeof expected);
    parse_key("17890.af3489a.9345kjm.lio147", &key);
    check_equal(key.control, sizeof key.control, expected, sizeof expected);
}

static void
test_key_hmac(void)
{
    KdnetKey key;
    parse_key("8.8.8.8", &key);
    for (size_t i = 0; i < sizeof key.control; i++) {
        g_assert_cmphex(key.control[i], ==, i % 8 == 0 ? 8 : 0);
        g_assert_cmphex(key.hmac[i], ==, (uint8_t)~key.control[i]);
    }
}

static void
test_key_range(void)
{
    KdnetKey key;
    parse_key("0.3w5e11264sgsf.0000000000001.z", &key);
    for (size_t i = 0; i < 8; i++) {
        g_assert_cmphex(key.control[i], ==, 0);
        g_assert_cmphex(key.control[8 + i], ==, 0xff);
        g_assert_cmphex(key.control[16 + i], ==, i == 0 ? 1 : 0);
        g_assert_cmphex(key.control[24 + i], ==, i == 0 ? 35 : 0);
    }
}

static void
test_key_refused(void)
{
    static const char *const texts[] = {
        "",
        ".",
        "...",
        "1.2.3",
        "1.2.3.",
        ".1.2.3",
        "1..2.3",
        "1.2.3.4.5",
        "1.2.3.4.",
        "1.2.3.4 ",
        " 1.2.3.4",
        "1.2.3.-4",
        "1.2.3.+4",
        "1.2.3.Z",
        "1.2.3.\xc3\xa9",
        "1,2,3,4",
        "3w5e11264sgsg.1.1.1",
        "1.1.1.3w5e11264sgsg",
        "1.1.1.zzzzzzzzzzzzz",
        "1.1.1.00000000000001",
        "1.1.1.0000000000000000000000000000000000000000000001",
    };
    static const KdnetKey zeros;
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        KdnetKey key;
        g_autoptr(GError) error = NULL;
        memset(&key, 0xa5, sizeof key);
        g_assert_false(kdnet_key_parse(texts[i], &key, &error));
        g_assert_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID);
        check_equal(&key, sizeof key, &zeros, sizeof zeros);
    }
}

static void
test_key_unsaid(void)
{
    static const char *const texts[] = {"canary1.canary2.canary3.canary4.canary5",
                                        "canary1.canary2.canary3.canaryToo",
                                        "canary1.canary2.canary3.canarycanarycanary"};
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        KdnetKey key;
        g_autoptr(GError) error = NULL;
        g_assert_false(kdnet_key_parse(texts[i], &key, &error));
        g_assert_null(strstr(error->message, "canary"));
        g_assert_null(strpbrk(error->message, "\r\n"));
    }
}

static void
test_key_clear(void)
{
    static const KdnetKey zeros;
    KdnetKey key;
    parse_key("1.2.3.4", &key);
    kdnet_key_clear(&key);
    check_equal(&key, sizeof key, &zeros, sizeof zeros);
}

static void
test_derive(void)
{
    KdnetKey key;
    uint8_t response[KDNET_RESPONSE_BYTES] = {0};
    uint8_t expected[KDNET_KEY_BYTES];
    uint8_t data_key[KDNET_KEY_BYTES];
    parse_key("8.8.8.8", &key);
    (void)parse_hex(response_start, response, sizeof response);
    (void)parse_hex(data_key_hex, expected, sizeof expected);
    kdnet_key_derive(&key, response, data_key);
    check_equal(data_key, sizeof data_key, expected, sizeof expected);
    response[KDNET_RESPONSE_BYTES - 1] = 1; /* the last byte counts too */
    kdnet_key_derive(&key, response, data_key);
    g_assert_cmpint(memcmp(data_key, expected, sizeof expected), !=, 0);
}

/* ---- datagrams ---- */

static void
test_open_recorded(void)
{
    g_autoptr(KdnetCipher) cipher = build_recorded_cipher();
    uint8_t datagram[KDNET_DATAGRAM_MAX_BYTES];
    static const uint8_t check_body[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0x02, 0xa8, 0xc0};
    static const uint8_t resend_body[16] = {0x69, 0x69, 0x69, 0x69, 5};
    KdnetOpened opened = {0};

    size_t len = parse_hex(connection_check, datagram, sizeof datagram);
    /* 8 bytes of word, 12 of body, 12 of padding */
    g_assert_true(kdnet_cipher_open(cipher, datagram, len, &opened));
    g_assert_cmpuint(opened.version, ==, 4);
    g_assert_cmpuint(opened.channel, ==, KDNET_CHANNEL_DATA);
    g_assert_cmpuint(opened.seq, ==, 1);
    g_assert_false(opened.is_from_host);
    check_equal(opened.body, opened.body_bytes, check_body, sizeof check_body);

    len = parse_hex(resend, datagram, sizeof datagram);
    g_assert_true(kdnet_cipher_open(cipher, datagram, len, &opened));
    g_assert_cmpuint(opened.version, ==, 4);
    g_assert_cmpuint(opened.seq, ==, 1);
    g_assert_true(opened.is_from_host);
    check_equal(opened.body, opened.body_bytes, resend_body, sizeof resend_body);
}

static void
test_seal_recorded(void)
{
    g_autoptr(KdnetCipher) cipher = build_recorded_cipher();
    static const uint8_t check_body[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0x02, 0xa8, 0xc0};
    static const uint8_t resend_body[16] = {0x69, 0x69, 0x69, 0x69, 5};
    uint8_t expected[KDNET_DATAGRAM_MAX_BYTES];
    uint8_t datagram[KDNET_DATAGRAM_MAX_BYTES];
    size_t expected_bytes = parse_hex(connection_check, expected, sizeof expected);
    size_t len = kdnet_cipher_seal(cipher, 4, KDNET_CHANNEL_DATA, 1, FALSE, check_body,
                                   sizeof check_body, datagram);
    check_equal(datagram, len, expected, expected_bytes);
    expected_bytes = parse_hex(resend, expected, sizeof expected);
    len = kdnet_cipher_seal(cipher, 4, KDNET_CHANNEL_DATA, 1, TRUE, resend_body, sizeof resend_body,
                            datagram);
    check_equal(datagram, len, expected, expected_bytes);
}

static void
test_sizes(void)
{
    static const struct {
        size_t body_bytes;
        size_t datagram_bytes;
    } cases[] = {{0, 38},    {1, 38},      {16, 54},  {56 + 16, 102}, {322, 358},
                 {344, 374}, {1304, 1334}, {4008, 0}, {4016, 4054}};
    g_autoptr(KdnetCipher) cipher = build_recorded_cipher();
    uint8_t body[KDNET_BODY_MAX_BYTES + 1];
    uint8_t datagram[KDNET_DATAGRAM_MAX_BYTES];
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (uint8_t)(i * 7 + 1);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        KdnetOpened opened = {0};
        uint64_t seq = UINT64_C(0xfedcba98765432) + i;
        size_t len = kdnet_cipher_seal(cipher, 5, KDNET_CHANNEL_CONTROL, seq, TRUE, body,
                                       cases[i].body_bytes, datagram);
        if (cases[i].datagram_bytes != 0)
            g_assert_cmpuint(len, ==, cases[i].datagram_bytes);
        g_assert_true(kdnet_cipher_open(cipher, datagram, len, &opened));
        g_assert_cmpuint(opened.version, ==, 5);
        g_assert_cmpuint(opened.channel, ==, KDNET_CHANNEL_CONTROL);
        g_assert_cmpuint(opened.seq, ==, seq);
        g_assert_true(opened.is_from_host);
        check_equal(opened.body, opened.body_bytes, body, cases[i].body_bytes);
    }
    g_assert_cmpuint(
        kdnet_cipher_seal(cipher, 5, KDNET_CHANNEL_DATA, 1, TRUE, body, sizeof body, datagram), ==,
        0);
}

static void
test_every_bit(void)
{
    g_autoptr(KdnetCipher) cipher = build_recorded_cipher();
    uint8_t datagram[KDNET_DATAGRAM_MAX_BYTES];
    KdnetOpened opened = {0};
    size_t len = parse_hex(connection_check, datagram, sizeof datagram);
    for (size_t bit = 0; bit < len * 8; bit++) {
        datagram[bit / 8] ^= (uint8_t)(1u << bit % 8);
        g_assert_false(kdnet_cipher_open(cipher, datagram, len, &opened));
        datagram[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    g_assert_true(kdnet_cipher_open(cipher, datagram, len, &opened)); /* no failure is kept */
}

static void
test_every_length(void)
{
    g_autoptr(KdnetCipher) cipher = build_recorded_cipher();
    uint8_t datagram[KDNET_DATAGRAM_MAX_BYTES + 64] = {0};
    KdnetOpened opened = {0};
    size_t len = parse_hex(connection_check, datagram, sizeof datagram);
    for (size_t other = 0; other < sizeof datagram; other++) {
        g_autofree uint8_t *exact = g_memdup2(datagram, other);
        if (other != len)
            g_assert_false(kdnet_cipher_open(cipher, exact, other, &opened));
    }
}

static void
test_other_keys(void)
{
    g_autoptr(KdnetCipher) recorded = build_recorded_cipher();
    uint8_t datagram[KDNET_DATAGRAM_MAX_BYTES];
    KdnetOpened opened = {0};
    KdnetKey key;
    KdnetKey other;
    size_t len = parse_hex(connection_check, datagram, sizeof datagram);
    parse_key("8.8.8.8", &key);
    parse_key("8.8.8.9", &other);
    /* the control key; another target's keys; the right key for the data, and the wrong one */
    g_autoptr(KdnetCipher) control = kdnet_cipher_new(key.control, key.hmac);
    g_autoptr(KdnetCipher) theirs = kdnet_cipher_new(other.control, other.hmac);
    g_assert_false(kdnet_cipher_open(control, datagram, len, &opened));
    g_assert_false(kdnet_cipher_open(theirs, datagram, len, &opened));
    uint8_t data_key[KDNET_KEY_BYTES];
    (void)parse_hex(data_key_hex, data_key, sizeof data_key);
    g_autoptr(KdnetCipher) half = kdnet_cipher_new(data_key, other.hmac);
    g_assert_false(kdnet_cipher_open(half, datagram, len, &opened));
    g_assert_true(kdnet_cipher_open(recorded, datagram, len, &opened));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kdnet/key/numbers-are-little-endian", test_key_little_endian);
    g_test_add_func("/kdnet/key/second-key-is-the-first-inverted", test_key_hmac);
    g_test_add_func("/kdnet/key/numbers-have-64-bits", test_key_range);
    g_test_add_func("/kdnet/key/what-is-no-key-is-refused", test_key_refused);
    g_test_add_func("/kdnet/key/errors-do-not-repeat-it", test_key_unsaid);
    g_test_add_func("/kdnet/key/cleared-key-is-zeros", test_key_clear);
    g_test_add_func("/kdnet/key/data-key-is-the-recorded-one", test_derive);
    g_test_add_func("/kdnet/cipher/opens-recorded-datagrams", test_open_recorded);
    g_test_add_func("/kdnet/cipher/seals-what-was-recorded", test_seal_recorded);
    g_test_add_func("/kdnet/cipher/every-size-comes-back", test_sizes);
    g_test_add_func("/kdnet/cipher/one-changed-bit-is-noticed", test_every_bit);
    g_test_add_func("/kdnet/cipher/another-length-is-refused", test_every_length);
    g_test_add_func("/kdnet/cipher/other-keys-open-nothing", test_other_keys);
    return g_test_run();
}
