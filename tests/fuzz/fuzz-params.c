/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any text as a string of every scheme: a value or an error, and no secret in what is shown. */
#include "kd-fuzz.h"

#include "../unit/params/params-tables.h"

#include <string.h>

#define SECRET "Zq9SecretXyZ"

static GLogWriterOutput
on_log(GLogLevelFlags level G_GNUC_UNUSED, const GLogField *fields G_GNUC_UNUSED,
       gsize n_fields G_GNUC_UNUSED, gpointer user G_GNUC_UNUSED)
{
    return G_LOG_WRITER_HANDLED;
}

static void
assert_clean_line(const char *line)
{
    g_assert_true(g_utf8_validate(line, -1, NULL));
    for (const char *at = line; *at != '\0'; at = g_utf8_next_char(at))
        g_assert_false(g_unichar_iscntrl(g_utf8_get_char(at)));
    g_assert_null(strstr(line, SECRET));
}

/* Value or error, never neither, never both */
static void
assert_one_of(gconstpointer value, const GError *error)
{
    g_assert_true((value != NULL) != (error != NULL));
    if (error != NULL) {
        g_assert_true(error->domain == KD_ERROR);
        g_assert_cmpuint(strlen(error->message), <, 300);
        assert_clean_line(error->message);
    }
}

static void
try_split(const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *scheme = NULL;
    g_autofree char *items = NULL;
    gboolean is_split = kd_params_split(text, &scheme, &items, &error);
    assert_one_of(scheme, error);
    assert_one_of(items, error);
    g_assert_true(is_split == (error == NULL));
}

/* What a listing shows means the same again, if no star hides a part of it */
static void
assert_listing(const char *scheme, const KdParamSpec *table, KdForm form, GVariant *params)
{
    g_autofree char *listing = kd_params_build_listing(scheme, table, params, NULL);
    assert_clean_line(listing);
    if (strchr(listing, '*') != NULL || strlen(listing) > KD_PARAMS_MAX_BYTES)
        return;
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) again =
        kd_params_parse(scheme, table, form, listing + strlen(scheme) + 1, NULL, &error);
    g_assert_no_error(error);
    g_assert_true(g_variant_equal(params, again));
}

static void
try_table(const char *scheme, const KdParamSpec *table, KdForm form, const char *items)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) params = kd_params_parse(scheme, table, form, items, NULL, &error);
    assert_one_of(params, error);
    if (params != NULL) {
        assert_listing(scheme, table, form, params);
        g_assert_cmpint(kd_params_get_form(table, form, params), !=, 0);
    }
    g_autofree char *typed = g_strconcat(scheme, ":", items, NULL);
    g_auto(GStrv) completions = kd_params_build_completions(scheme, table, form, typed);
    g_assert_cmpuint(g_strv_length(completions), <, 64);
}

static void
try_all_tables(const char *items)
{
    for (gsize i = 0; i < G_N_ELEMENTS(all_tables); i++) {
        for (gsize j = 0; j < G_N_ELEMENTS(all_forms); j++)
            try_table(all_tables[i].scheme, all_tables[i].table, all_forms[j], items);
        g_autofree char *masked =
            kd_params_build_masked(all_tables[i].scheme, all_tables[i].table, items);
        assert_clean_line(masked);
    }
}

/**
 * LLVMFuzzerTestOneInput:
 *
 * Tries one text, as a whole string and as the items of each scheme, alone and with a password at
 * its end that nothing may show.
 *
 * Returns: 0
 */
int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static gsize is_quiet;
    if (g_once_init_enter(&is_quiet)) {
        g_log_set_writer_func(on_log, NULL, NULL);
        g_once_init_leave(&is_quiet, 1);
    }
    g_autofree char *text = g_strndup((const char *)bytes, MIN(len, 2 * KD_PARAMS_MAX_BYTES));
    if (strstr(text, SECRET) != NULL)
        return 0;
    g_autofree char *with_secret =
        g_strconcat(text, *text != '\0' ? "," : "", "password=", SECRET, NULL);
    char *argv[] = {(char *)"kd", (char *)"--server", text, (char *)"-k", text, NULL};
    kd_params_is_torn(5, argv);
    try_split(text);
    try_all_tables(text);
    try_all_tables(with_secret);
    return 0;
}
