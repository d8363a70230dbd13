/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which tables of keys the loader refuses. */
#include "kd-key-table.h"

static void
assert_refused(const KdParamSpec *table, const char *reason)
{
    g_autoptr(GError) error = NULL;
    g_assert_false(kd_key_table_check(table, "x.so: transport `x`", &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_ABI);
    g_assert_true(g_str_has_prefix(error->message, "x.so: transport `x`: "));
    g_assert_nonnull(strstr(error->message, reason));
}

static void
assert_accepted(const KdParamSpec *table)
{
    g_autoptr(GError) error = NULL;
    gboolean is_fine = kd_key_table_check(table, "x.so", &error);
    g_assert_no_error(error);
    g_assert_true(is_fine);
}

static void
test_every_type_is_accepted(void)
{
    static const char *const words[] = {"tls1", "tls2", NULL};
    KdParamSpec table[KD_PARAM_DEVICE + 1] = {0};
    static const char *const keys[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    for (guint i = 0; i < KD_PARAM_DEVICE; i++) {
        table[i] = (KdParamSpec){.key = keys[i], .type = i + 1, .help = "a key", .choices = words};
    }
    assert_accepted(table);
}

static void
test_table_without_keys_is_accepted(void)
{
    const KdParamSpec table[] = {{0}};
    assert_accepted(table);
}

static void
test_missing_table_is_refused(void)
{
    assert_refused(NULL, "no key table");
}

static void
test_table_without_end_is_refused(void)
{
    static char keys[KD_KEY_TABLE_MAX][8];
    static KdParamSpec table[KD_KEY_TABLE_MAX];
    for (guint i = 0; i < KD_KEY_TABLE_MAX; i++) {
        g_snprintf(keys[i], sizeof keys[i], "key%u", i);
        table[i] = (KdParamSpec){.key = keys[i], .type = KD_PARAM_FLAG, .help = "a key"};
    }
    assert_refused(table, "no end within 128 entries");
    table[KD_KEY_TABLE_MAX - 1] = (KdParamSpec){0};
    assert_accepted(table);
}

static void
test_entry_without_key_is_refused(void)
{
    assert_refused((KdParamSpec[]){{.type = KD_PARAM_FLAG, .help = "a key"}, {0}}, "entry 1");
    assert_refused((KdParamSpec[]){{.key = "", .type = KD_PARAM_FLAG, .help = "a key"}, {0}},
                   "entry 1");
    assert_refused((KdParamSpec[]){{.key = "a=b", .type = KD_PARAM_FLAG, .help = "a key"}, {0}},
                   "entry 1");
}

static void
test_entry_without_help_is_refused(void)
{
    assert_refused((KdParamSpec[]){{.key = "port", .type = KD_PARAM_PORTS}, {0}}, "no help");
    assert_refused((KdParamSpec[]){{.key = "port", .type = KD_PARAM_PORTS, .help = "\033[m"}, {0}},
                   "no help");
}

static void
test_unknown_type_is_refused(void)
{
    assert_refused((KdParamSpec[]){{.key = "port", .type = 9, .help = "a key"}, {0}}, "type");
    assert_refused((KdParamSpec[]){{.key = "port", .help = "a key"}, {0}}, "type");
}

static void
test_choice_without_words_is_refused(void)
{
    const char *const none[] = {NULL};
    assert_refused((KdParamSpec[]){{.key = "proto", .type = KD_PARAM_CHOICE, .help = "p"}, {0}},
                   "no words");
    assert_refused(
        (KdParamSpec[]){{.key = "proto", .type = KD_PARAM_CHOICE, .help = "p", .choices = none},
                        {0}},
        "no words");
}

static void
test_words_without_end_are_refused(void)
{
    const char *words[KD_KEY_TABLE_CHOICES];
    for (guint i = 0; i < KD_KEY_TABLE_CHOICES; i++) {
        words[i] = "word";
    }
    assert_refused(
        (KdParamSpec[]){{.key = "proto", .type = KD_PARAM_CHOICE, .help = "p", .choices = words},
                        {0}},
        "no end");
}

static void
test_range_upside_down_is_refused(void)
{
    assert_refused(
        (KdParamSpec[]){{.key = "baud", .type = KD_PARAM_UINT, .help = "b", .min = 2, .max = 1},
                        {0}},
        "above its largest");
}

static void
test_key_stands_once_for_each_form(void)
{
    KdParamSpec table[] = {
        {.key = "port", .type = KD_PARAM_PORTS, .flags = KD_PARAM_SERVER, .help = "where"},
        {.key = "Port", .type = KD_PARAM_UINT, .flags = KD_PARAM_CLIENT, .help = "where"},
        {0},
    };
    assert_accepted(table);
    table[1].flags = KD_PARAM_SERVER | KD_PARAM_CLIENT;
    assert_refused(table, "twice");
    table[1].flags = 0;
    assert_refused(table, "twice");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/loader/key-table/every-type-is-accepted", test_every_type_is_accepted);
    g_test_add_func("/loader/key-table/table-without-keys-is-accepted",
                    test_table_without_keys_is_accepted);
    g_test_add_func("/loader/key-table/missing-table-is-refused", test_missing_table_is_refused);
    g_test_add_func("/loader/key-table/table-without-end-is-refused",
                    test_table_without_end_is_refused);
    g_test_add_func("/loader/key-table/entry-without-key-is-refused",
                    test_entry_without_key_is_refused);
    g_test_add_func("/loader/key-table/entry-without-help-is-refused",
                    test_entry_without_help_is_refused);
    g_test_add_func("/loader/key-table/unknown-type-is-refused", test_unknown_type_is_refused);
    g_test_add_func("/loader/key-table/choice-without-words-is-refused",
                    test_choice_without_words_is_refused);
    g_test_add_func("/loader/key-table/words-without-end-are-refused",
                    test_words_without_end_are_refused);
    g_test_add_func("/loader/key-table/range-upside-down-is-refused",
                    test_range_upside_down_is_refused);
    g_test_add_func("/loader/key-table/key-stands-once-for-each-form",
                    test_key_stands_once_for_each_form);
    return g_test_run();
}
