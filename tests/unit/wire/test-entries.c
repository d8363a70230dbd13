/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Payloads beside the vectors: entries, bounds, texts. */
#include "kd-bytes.h"
#include "kd-text.h"
#include "wire-hex.h"

#include <string.h>

static void
append_entry(GByteArray *out, uint16_t key, const void *value, size_t len)
{
    uint8_t head[4];

    kd_u16_store(head, key);
    kd_u16_store(head + 2, (uint16_t)len);
    g_byte_array_append(out, head, sizeof head);
    g_byte_array_append(out, value, (guint)len);
}

static gboolean
accepts_entry(uint8_t type, uint16_t key, const void *value, size_t len, guint n_times)
{
    g_autoptr(GByteArray) out = g_byte_array_new();

    for (guint i = 0; i < n_times; i++)
        append_entry(out, key, value, len);
    return wire_parse_any(type, out->data, out->len);
}

static void
test_unknown_entries(void)
{
    g_assert_true(accepts_entry(KD_FRAME_HELLO, 99, "\x1b", 1, 3));
    g_assert_true(accepts_entry(KD_FRAME_HELLO, 0xffff, "", 0, 1));
    g_assert_true(accepts_entry(KD_FRAME_HELLO, 0, "", 0, 1));
    g_assert_true(accepts_entry(KD_FRAME_AUTH, 35, "abc", 3, 2)); /* 3 + 32 is not 3 */
}

static void
test_duplicates(void)
{
    g_assert_true(accepts_entry(KD_FRAME_HELLO, 1, "\0\0\1\0", 4, 1));
    g_assert_false(accepts_entry(KD_FRAME_HELLO, 1, "\0\0\1\0", 4, 2));
    g_assert_false(accepts_entry(KD_FRAME_HELLO, 5, "kd", 2, 2));
    g_assert_false(accepts_entry(KD_FRAME_AUTH, 1, "none", 4, 2));
    g_assert_false(accepts_entry(KD_FRAME_AUTH, 2, "", 0, 2));
    g_assert_false(accepts_entry(KD_FRAME_AUTH, 3, "\1", 1, 2));
    g_assert_false(accepts_entry(KD_FRAME_OPEN, 1, "com:", 4, 2));
    g_assert_true(accepts_entry(KD_FRAME_HELLO, 3, "list", 4, 16));
    g_assert_false(accepts_entry(KD_FRAME_HELLO, 3, "list", 4, 17));
    g_assert_false(accepts_entry(KD_FRAME_HELLO, 4, "none", 4, 17));
}

static void
test_hello_bounds(void)
{
    static const struct {
        uint16_t key;
        uint32_t value;
        gboolean is_accepted;
    } bounds[] = {
        {1, 4095, FALSE},     {1, 4096, TRUE},
        {1, 64u << 20, TRUE}, {1, (64u << 20) + 1, FALSE},
        {1, 0, FALSE},        {1, UINT32_MAX, FALSE},
        {2, 1023, FALSE},     {2, 1024, TRUE},
        {2, 1u << 20, TRUE},  {2, (1u << 20) + 1, FALSE},
        {2, 0, FALSE},
    };

    for (guint i = 0; i < G_N_ELEMENTS(bounds); i++) {
        uint8_t value[4];

        kd_u32_store(value, bounds[i].value);
        g_assert_true(accepts_entry(KD_FRAME_HELLO, bounds[i].key, value, 4, 1) ==
                      bounds[i].is_accepted);
    }
    g_assert_false(accepts_entry(KD_FRAME_HELLO, 1, "\0\0\1\0\0", 5, 1));
    g_assert_false(accepts_entry(KD_FRAME_HELLO, 1, "\0\20\0", 3, 1));
}

static void
test_hello_defaults(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KdHello) hello = kd_hello_parse((const uint8_t *)"", 0, &error);

    g_assert_no_error(error);
    g_assert_cmpuint(hello->window, ==, KD_WINDOW_BYTES);
    g_assert_cmpuint(hello->max_data_bytes, ==, KD_MAX_DATA_BYTES);
    g_assert_nonnull(hello->features);
    g_assert_nonnull(hello->mechanisms);
}

static void
test_booleans(void)
{
    g_assert_true(accepts_entry(KD_FRAME_AUTH, 3, "\0", 1, 1));
    g_assert_true(accepts_entry(KD_FRAME_AUTH, 3, "\1", 1, 1));
    g_assert_false(accepts_entry(KD_FRAME_AUTH, 3, "\2", 1, 1));
    g_assert_false(accepts_entry(KD_FRAME_AUTH, 3, "", 0, 1));
}

static void
test_text_caps(void)
{
    g_autofree char *text = g_strnfill(1100, 'x');

    g_assert_true(accepts_entry(KD_FRAME_HELLO, 5, text, 64, 1));
    g_assert_false(accepts_entry(KD_FRAME_HELLO, 5, text, 65, 1));
    g_assert_false(accepts_entry(KD_FRAME_HELLO, 5, "", 0, 1));
    g_assert_false(accepts_entry(KD_FRAME_HELLO, 3, "a\0b", 3, 1));
    g_assert_false(accepts_entry(KD_FRAME_HELLO, 4, "\x1b[m", 3, 1));
    g_assert_true(accepts_entry(KD_FRAME_OPEN, 1, text, 1024, 1));
    g_assert_false(accepts_entry(KD_FRAME_OPEN, 1, text, 1025, 1));
    g_assert_false(accepts_entry(KD_FRAME_OPEN, 1, "com:\n", 5, 1));
    g_assert_true(accepts_entry(KD_FRAME_AUTH, 2, text, 896, 1));
    g_assert_false(accepts_entry(KD_FRAME_AUTH, 2, text, 897, 1));
}

static void
test_result_text(void)
{
    g_autofree char *text = g_strnfill(1100, 'x');
    g_autoptr(GBytes) built = kd_result_build(&(KdResult){.text = text});
    g_autoptr(GBytes) mended = kd_result_build(&(KdResult){.text = (char *)"a\x1b"
                                                                           "b\xff"});
    g_autoptr(GError) error = NULL;
    g_autoptr(KdResult) heard = NULL;
    size_t len = 0;
    const uint8_t *payload = g_bytes_get_data(built, &len);
    g_autofree uint8_t *bad = g_malloc0(17);

    g_assert_cmpuint(len, ==, 16 + KD_MAX_STATUS_BYTES);
    g_assert_true(wire_parse_any(KD_FRAME_RESULT, payload, len));
    payload = g_bytes_get_data(mended, &len);
    heard = kd_result_parse(payload, len, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(heard->text, ==, "a?b?");
    g_assert_false(wire_parse_any(KD_FRAME_RESULT, bad, 17)); /* a NUL */
    bad[16] = 'x';
    g_assert_true(wire_parse_any(KD_FRAME_RESULT, bad, 17));
}

static void
test_close_text(void)
{
    static const uint8_t payload[] = {2, 0, 0, 0, 0, 0, 0, 0, 'n', 'o', 0x1b, 0, 0xff, '!'};
    g_autoptr(GError) error = NULL;
    g_autoptr(KdClose) close = kd_close_parse(payload, sizeof payload, &error);
    g_autoptr(KdClose) bare = kd_close_parse(payload, 8, &error);
    g_autoptr(KdClose) cut = NULL;
    g_autofree uint8_t *longest = g_malloc(KD_MAX_CONTROL_BYTES);

    g_assert_no_error(error);
    g_assert_cmpstr(close->text, ==,
                    "no??"
                    "?!");
    g_assert_cmpstr(bare->text, ==, "");
    memset(longest, 'x', KD_MAX_CONTROL_BYTES);
    cut = kd_close_parse(longest, KD_MAX_CONTROL_BYTES, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(strlen(cut->text), ==, KD_MAX_SENTENCE_BYTES);
}

/* Cut or mended, the string would name another link. */
static void
test_open_is_not_altered(void)
{
    g_autofree char *text = g_strnfill(5000, 'x');
    g_autoptr(GBytes) longer = kd_open_build(&(KdOpen){.trans = text});
    g_autoptr(GBytes) control = kd_open_build(&(KdOpen){.trans = (char *)"com:\x1b"});
    size_t len = 0;
    const uint8_t *payload = g_bytes_get_data(longer, &len);

    g_assert_cmpuint(len, <=, KD_MAX_CONTROL_BYTES);
    g_assert_false(wire_parse_any(KD_FRAME_OPEN, payload, len));
    payload = g_bytes_get_data(control, &len);
    g_assert_false(wire_parse_any(KD_FRAME_OPEN, payload, len));
}

static void
test_missing(void)
{
    g_assert_false(wire_parse_any(KD_FRAME_OPEN, (const uint8_t *)"", 0));
    g_assert_false(accepts_entry(KD_FRAME_OPEN, 2, "me", 2, 1));
    g_assert_false(accepts_entry(KD_FRAME_OPENED, 2, "com", 3, 1));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/wire/message/skips-unknown-entries", test_unknown_entries);
    g_test_add_func("/wire/message/refuses-an-entry-that-stands-twice", test_duplicates);
    g_test_add_func("/wire/message/refuses-other-booleans", test_booleans);
    g_test_add_func("/wire/message/refuses-long-or-unprintable-texts", test_text_caps);
    g_test_add_func("/wire/message/needs-its-entries", test_missing);
    g_test_add_func("/wire/hello/keeps-to-its-bounds", test_hello_bounds);
    g_test_add_func("/wire/hello/has-defaults", test_hello_defaults);
    g_test_add_func("/wire/result/text-is-made-fit-when-built", test_result_text);
    g_test_add_func("/wire/close/text-is-always-readable", test_close_text);
    g_test_add_func("/wire/open/string-is-never-altered", test_open_is_not_altered);
    return g_test_run();
}
