/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a certificate can make of the question that is asked about it. */
#include "kd-trust-question.h"

#include <string.h>

#define SHA256         "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SCREEN_COLUMNS 80u

static char *
build(const char *name)
{
    const KdTlsPeer peer = {.name = (char *)name, .sha256 = (char *)SHA256};

    return kd_trust_question_build("ssl:labhost:1027", &peer);
}

static void
test_shown(void)
{
    g_autofree char *question = build("labhost");

    g_assert_nonnull(strstr(question, "  server       ssl:labhost:1027\n"));
    g_assert_nonnull(strstr(question, "  certificate  `labhost`\n"));
    g_assert_nonnull(strstr(question, "  SHA-256      0123 4567 89AB CDEF 0123"));
}

/* One that fills up the line of a screen would write the next one as well. */
static void
test_long_name(void)
{
    g_autofree char *name = g_strnfill(96, 'a');
    g_autofree char *question = build(name);
    g_auto(GStrv) lines = g_strsplit(question, "\n", -1);

    for (guint i = 0; lines[i] != NULL; i++) {
        g_assert_cmpuint(strlen(lines[i]), <, SCREEN_COLUMNS);
    }
}

static void
test_yes(void)
{
    g_assert_true(kd_trust_question_is_yes("yes"));
    g_assert_true(kd_trust_question_is_yes(" YES "));
    g_assert_false(kd_trust_question_is_yes("y"));
    g_assert_false(kd_trust_question_is_yes("yes please"));
    g_assert_false(kd_trust_question_is_yes(""));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/client/trust-question/shows-what-is-to-be-compared", test_shown);
    g_test_add_func("/client/trust-question/name-keeps-to-its-line", test_long_name);
    g_test_add_func("/client/trust-question/only-the-whole-word-is-yes", test_yes);
    return g_test_run();
}
