/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What counts as text, and what becomes of the rest. */
#include "kd-text.h"

#include <string.h>

static gboolean
is_printable(const char *text)
{
    return kd_text_is_printable((const uint8_t *)text, strlen(text));
}

static void
test_accepts(void)
{
    g_assert_true(is_printable(""));
    g_assert_true(is_printable(" !~"));
    g_assert_true(is_printable("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x9e"));
    g_assert_true(is_printable("\xc2\xa0")); /* the first after C1 */
}

static void
test_refuses(void)
{
    static const char *const refused[] = {
        "a\nb",
        "\t",
        "\x1b[2J",
        "\x7f",
        "\xc2\x80",
        "\xc2\x9f", /* C1 */
        "\xc2\x9b[2J",
        "\xff",
        "\xc3",
        "\xe2\x82",
        "\xc0\xaf",     /* overlong */
        "\xed\xa0\x80", /* surrogate */
        "\xf5\x80\x80\x80",
    };

    for (guint i = 0; i < G_N_ELEMENTS(refused); i++)
        g_assert_false(is_printable(refused[i]));
    for (char c = 1; c < 0x20; c++)
        g_assert_false(kd_text_is_printable((const uint8_t *)&c, 1));
    g_assert_false(kd_text_is_printable((const uint8_t *)"a\0b", 3));
}

static void
check_dup(const char *bytes, size_t len, size_t max_bytes, const char *expected)
{
    g_autofree char *text = kd_text_dup_printable((const uint8_t *)bytes, len, max_bytes);

    g_assert_cmpstr(text, ==, expected);
}

static void
test_mends(void)
{
    check_dup("plain", 5, 100, "plain");
    check_dup("", 0, 100, "");
    check_dup("\x1b[2J", 4, 100, "?[2J");
    check_dup("a\0b\n", 4, 100, "a?b?");
    check_dup("\xc2\x9bX", 3, 100, "?X");
    check_dup("\xffX\xc3", 3, 100, "?X?");
    check_dup("\xe2\x82", 2, 100, "??");
}

static void
test_cuts(void)
{
    check_dup("abcdef", 6, 3, "abc");
    check_dup("caf\xc3\xa9", 5, 5, "caf\xc3\xa9");
    check_dup("caf\xc3\xa9s", 6, 4, "caf");
    check_dup("abc", 3, 0, "");
}

static void
test_random(void)
{
    for (guint i = 0; i < 20000; i++) {
        uint8_t bytes[24];
        size_t len = (size_t)g_test_rand_int_range(0, sizeof bytes + 1);
        size_t max_bytes = (size_t)g_test_rand_int_range(0, 30);
        g_autofree uint8_t *exact = NULL;
        g_autofree char *text = NULL;

        for (size_t n = 0; n < len; n++)
            bytes[n] = (uint8_t)g_test_rand_int_range(0, 256);
        exact = g_memdup2(bytes, MAX(len, 1));
        text = kd_text_dup_printable(exact, len, max_bytes);
        g_assert_cmpuint(strlen(text), <=, max_bytes);
        g_assert_true(g_utf8_validate(text, -1, NULL));
        g_assert_true(is_printable(text));
        if (kd_text_is_printable(exact, len) && len <= max_bytes)
            g_assert_cmpmem(text, (int)strlen(text), exact, (int)len);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/wire/text/accepts-printable-utf-8", test_accepts);
    g_test_add_func("/wire/text/refuses-controls-and-bad-utf-8", test_refuses);
    g_test_add_func("/wire/text/replaces-what-is-not-printable", test_mends);
    g_test_add_func("/wire/text/cuts-between-characters", test_cuts);
    g_test_add_func("/wire/text/makes-text-of-anything", test_random);
    return g_test_run();
}
