/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of pipes: the codes of a server's, and what may not stand in any. */
#include "npipe-name.h"

#include <kdsrv/kd-plugin.h>

#include <string.h>

static void
test_codes(void)
{
    static const struct {
        const char *text;
        const char *name;
    } right[] = {
        {"lab", "lab"},
        {"k_%x_%d", "k_ff_257"},
        {"%d%x", "255101"},
        {"%X", "FF"},
        {"%u-%o", "255-401"},
        {"100%%", "100%"},
        {"%%x%%d%%n", "%x%d%n"},
        {"%x%%%x", "ff%101"},
        {"\\\\.\\pipe\\lab", "lab"},
        {"\\\\.\\PIPE\\k%x", "kff"},
        {"a,b=c@{d}", "a,b=c@{d}"},
        {"r\xc3\xb6hre", "r\xc3\xb6hre"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(right); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *name = npipe_name_expand(right[i].text, 255, 257, &error);
        g_assert_no_error(error);
        g_assert_cmpstr(name, ==, right[i].name);
    }
}

static void
test_wrong_codes(void)
{
    static const char *const wrong[] = {
        "%s",
        "%n",
        "%*d",
        "%*x",
        "%5x",
        "%05d",
        "%-d",
        "%+d",
        "%#x",
        "% d",
        "%.3d",
        "%1$x",
        "%ld",
        "%lx",
        "%hhx",
        "%zu",
        "%jd",
        "%i",
        "%c",
        "%p",
        "%f",
        "%e",
        "%g",
        "%a",
        "%m",
        "%C",
        "%S",
        "%",
        "lab%",
        "%%%",
        "%x%",
        "%x%d%",
        "%d%n",
        "%x%d%x",
        "%x%x%d",
        "%%%d%x%o",
        "%x%d%%%u",
        "%\n",
        "%\xc3\xbc",
        "%%s%s",
        "\\\\.\\pipe\\%s",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *name = npipe_name_expand(wrong[i], 255, 257, &error);
        g_test_message("%s", wrong[i]);
        g_assert_null(name);
        g_assert_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID);
        g_assert_true(g_str_has_prefix(error->message, "npipe: pipe=: "));
        g_assert_true(g_utf8_validate(error->message, -1, NULL));
    }
}

static void
test_third_code(void)
{
    g_autoptr(GError) error = NULL;
    g_assert_null(npipe_name_expand("%x%d%x", 1, 2, &error));
    g_assert_nonnull(strstr(error->message, "third"));
}

/* Also where the numbers are as large as can be. */
static void
test_large(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *name = npipe_name_expand("%o.%d", G_MAXUINT64, G_MAXUINT64, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(name, ==, "1777777777777777777777.18446744073709551615");
}

static void
test_wrong_names(void)
{
    g_autofree char *very_long = g_strnfill(250, 'a');
    const char *const wrong[] = {
        "",
        "\\\\.\\pipe\\",
        "a b",
        " lab",
        "lab ",
        "a\tb",
        "a\nb",
        "a\xc2\xa0"
        "b",
        "\"lab\"",
        "la'b",
        "a/b",
        "/lab",
        "../lab",
        "a\\b",
        "\\\\far\\pipe\\lab",
        ".",
        "..",
        ".lab.lock",
        "a\x01",
        "a\x7f",
        "\xff\xfe",
        very_long,
    };
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
        for (guint k = 0; k < 2; k++) {
            g_autoptr(GError) error = NULL;
            g_autofree char *name = k == 0 ? npipe_name_build(wrong[i], &error)
                                           : npipe_name_expand(wrong[i], 1, 2, &error);
            g_assert_null(name);
            g_assert_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID);
            g_assert_true(g_str_has_prefix(error->message, "npipe: pipe=: "));
        }
    }
}

static void
test_literal(void)
{
    static const char *const right[] = {"%x", "%s%n", "100%", "lab"};
    for (size_t i = 0; i < G_N_ELEMENTS(right); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *name = npipe_name_build(right[i], &error);
        g_assert_no_error(error);
        g_assert_cmpstr(name, ==, right[i]);
    }
    g_autofree char *stripped = npipe_name_build("\\\\.\\pipe\\lab", NULL);
    g_assert_cmpstr(stripped, ==, "lab");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/npipe/name/codes-are-process-and-thread", test_codes);
    g_test_add_func("/npipe/name/what-else-printf-knows-is-refused", test_wrong_codes);
    g_test_add_func("/npipe/name/third-code-is-named", test_third_code);
    g_test_add_func("/npipe/name/largest-numbers-fit", test_large);
    g_test_add_func("/npipe/name/wrong-characters-are-refused", test_wrong_names);
    g_test_add_func("/npipe/name/client-means-it-literally", test_literal);
    return g_test_run();
}
