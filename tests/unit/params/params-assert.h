/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Assertions that the tests of params share. */
#pragma once

#include "params-tables.h"

#include <string.h>

/* Parses what must be right */
static inline GVariant *
parse_right(const char *scheme, const KdParamSpec *table, KdForm form, const char *items,
            const KdParamsSource *source)
{
    g_autoptr(GError) error = NULL;
    GVariant *params = kd_params_parse(scheme, table, form, items, source, &error);
    g_assert_no_error(error);
    g_assert_nonnull(params);
    g_assert_false(g_variant_is_floating(params));
    return params;
}

/* Asserts the whole message, and that no value comes with it */
static inline void
assert_wrong_with_source(const char *scheme, const KdParamSpec *table, KdForm form,
                         const char *items, const KdParamsSource *source, KdError code,
                         const char *message)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) params = kd_params_parse(scheme, table, form, items, source, &error);
    g_assert_null(params);
    g_assert_error(error, KD_ERROR, (int)code);
    g_assert_cmpstr(error->message, ==, message);
    g_assert_cmpuint(strlen(error->message), <, 300);
}

static inline void
assert_wrong(const char *scheme, const KdParamSpec *table, KdForm form, const char *items,
             KdError code, const char *message)
{
    assert_wrong_with_source(scheme, table, form, items, NULL, code, message);
}

/* Asserts the a{sv} by its text form, where every number is a uint64 and every pair one of uint16
 */
static inline void
assert_params(GVariant *params, const char *text)
{
    g_autoptr(GString) printed = g_string_new(NULL);
    g_variant_print_string(params, printed, FALSE);
    g_string_replace(printed, "<uint64 ", "<", 0);
    g_string_replace(printed, "(uint16 ", "(", 0);
    g_string_replace(printed, ", uint16 ", ", ", 0);
    g_assert_cmpstr(printed->str, ==, text);
}

static inline void
assert_parses(const char *scheme, const KdParamSpec *table, KdForm form, const char *items,
              const char *text)
{
    g_autoptr(GVariant) params = parse_right(scheme, table, form, items, NULL);
    assert_params(params, text);
}
