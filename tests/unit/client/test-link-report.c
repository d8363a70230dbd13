/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What --list links prints. */
#include "kd-link-report.h"

#include <string.h>

static KdListed *
list(const char *found)
{
    g_autoptr(GVariant) parsed = g_variant_ref_sink(g_variant_new_parsed(found));
    KdListed *listed = kd_listed_new();

    g_assert_true(kd_listed_add_found(listed, "test", parsed, NULL, NULL));
    return listed;
}

static void
assert_table(const char *found, const char *expected)
{
    g_autoptr(KdListed) listed = list(found);
    g_autofree char *table = kd_link_report_build_table(listed);

    g_assert_cmpstr(table, ==, expected);
}

static void
test_heads(void)
{
    assert_table("@aa{sv} []", "TRANS  STATE  NAME  IN USE BY\n");
}

static void
test_columns(void)
{
    assert_table("[{'trans': <'com:port=ttyUSB0'>, 'busy': <false>}, {'trans': <'x:'>, 'name': "
                 "<'long name of it'>, 'busy': <true>, 'holder': <'me'>}]",
                 "TRANS             STATE  NAME             IN USE BY\n"
                 "com:port=ttyUSB0  free\n"
                 "x:                busy   long name of it  me\n");
}

/* Two columns each, and one with nothing of its own. */
static void
test_widths(void)
{
    assert_table("[{'trans': <'a:'>, 'name': <'\\u5bbd\\u5bbd'>, 'holder': <'x'>}, {'trans': "
                 "<'b:'>, 'name': <'cafe\\u0301'>, 'holder': <'y'>}]",
                 "TRANS  STATE    NAME  IN USE BY\n"
                 "a:     unknown  \345\256\275\345\256\275  x\n"
                 "b:     unknown  cafe\314\201  y\n");
}

static void
test_turning(void)
{
    assert_table("[{'trans': <'a:\\u202e'>, 'name': <'b\\u2066c\\u2028d'>}]",
                 "TRANS  STATE    NAME   IN USE BY\n"
                 "a:?    unknown  b?c?d\n");
}

static void
test_json(void)
{
    g_autoptr(KdListed) listed = list("[{'trans': <'x:\"'>}]");
    g_autofree char *json = NULL;

    listed->has_more = TRUE;
    json = kd_link_report_build_json(listed);
    g_assert_nonnull(strstr(json, "\"trans\" : \"x:\\\"\""));
    g_assert_nonnull(strstr(json, "\"name\" : null"));
    g_assert_nonnull(strstr(json, "\"state\" : \"unknown\""));
    g_assert_nonnull(strstr(json, "\"complete\" : false"));
    g_assert_true(g_str_has_suffix(json, "}\n"));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/client/link-report/has-heads-without-links", test_heads);
    g_test_add_func("/client/link-report/aligns-its-columns", test_columns);
    g_test_add_func("/client/link-report/counts-what-a-terminal-shows", test_widths);
    g_test_add_func("/client/link-report/lets-nothing-turn-a-line-round", test_turning);
    g_test_add_func("/client/link-report/json-has-null-for-what-is-not-known", test_json);
    return g_test_run();
}
