/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Thumbprints as people paste them. */
#include "kd-thumbprint.h"

#define SHA1   "0123456789abcdef0123456789abcdef01234567"
#define SHA256 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void
assert_parsed(const char *text, const char *expected)
{
    g_autofree char *digits = kd_thumbprint_parse(text);

    g_assert_cmpstr(digits, ==, expected);
}

static void
test_plain(void)
{
    assert_parsed(SHA1, SHA1);
    assert_parsed(SHA256, SHA256);
}

static void
test_upper_case(void)
{
    assert_parsed("0123456789ABCDEF0123456789ABCDEF01234567", SHA1);
}

static void
test_separators(void)
{
    assert_parsed("01:23:45:67:89:ab:cd:ef:01:23:45:67:89:ab:cd:ef:01:23:45:67", SHA1);
    assert_parsed("01 23 45 67 89 ab cd ef 01 23 45 67 89 ab cd ef 01 23 45 67 ", SHA1);
}

static void
test_pasted(void)
{
    assert_parsed("\u200e" SHA1, SHA1);
    assert_parsed(SHA256 "\u200f\u00a0", SHA256);
}

static void
test_prefixed(void)
{
    assert_parsed("sha256:" SHA256, SHA256);
    assert_parsed("SHA-1: " SHA1, SHA1);
}

static void
test_names(void)
{
    assert_parsed("labhost", NULL);
    assert_parsed("deadbeef", NULL);
    assert_parsed("0123456789abcdef0123456789abcdef0123456g", NULL);
    assert_parsed("0123456789abcdef0123456789abcdef0123456\u00e9", NULL);
    assert_parsed("", NULL);
}

static void
test_torn(void)
{
    g_assert_cmpuint(kd_thumbprint_count_torn("0123456789abcdef0123456789abcdef0123456"), ==, 39);
    g_assert_cmpuint(kd_thumbprint_count_torn(SHA256 "0"), ==, 65);
    g_assert_cmpuint(kd_thumbprint_count_torn(SHA256), ==, 0);
    g_assert_cmpuint(kd_thumbprint_count_torn("deadbeef"), ==, 0);
}

static void
test_build(void)
{
    const guint8 bytes[] = {0x00, 0x7f, 0xff};
    g_autofree char *text = kd_thumbprint_build(bytes, sizeof bytes);

    g_assert_cmpstr(text, ==, "007fff");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/secure/thumbprint/is-read-plain", test_plain);
    g_test_add_func("/secure/thumbprint/is-read-in-any-case", test_upper_case);
    g_test_add_func("/secure/thumbprint/is-read-with-separators", test_separators);
    g_test_add_func("/secure/thumbprint/is-read-with-pasted-marks", test_pasted);
    g_test_add_func("/secure/thumbprint/is-read-with-its-kind-in-front", test_prefixed);
    g_test_add_func("/secure/thumbprint/is-no-name", test_names);
    g_test_add_func("/secure/thumbprint/is-torn", test_torn);
    g_test_add_func("/secure/thumbprint/is-printed", test_build);
    return g_test_run();
}
