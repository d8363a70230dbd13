/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Typed values to the line that a listing shows. */
#include "kd-params.h"

#include "kd-param-table.h"
#include "kd-param-value.h"

#include <string.h>

/* Whether the value is what the table would have filled in */
static gboolean
is_default(const char *scheme, const KdParamSpec *spec, GVariant *value)
{
    if (spec->default_value == NULL) {
        return FALSE;
    }
    g_autoptr(GVariant) own = kd_param_value_parse(scheme, spec, KD_FORM_SERVER,
                                                   spec->default_value, "the default", NULL);
    return own != NULL && g_variant_equal(own, value);
}

/* A text may hold a string of its own, with secrets and commas in it */
static void
append_value(GString *listing, const KdParamSpec *spec, GVariant *value)
{
    g_autofree char *text = kd_param_value_build_text(spec, value);
    gboolean is_nested = strchr(text, ',') != NULL || g_str_has_prefix(text, "@{");
    g_autofree char *whole = g_strdup_printf(is_nested ? "=@{%s}" : "=%s", text);
    g_autofree char *masked = kd_params_build_masked(NULL, NULL, whole);
    g_string_append(listing, masked);
}

static void
append_key(GString *listing, const KdParamSpec *spec, GVariant *value)
{
    g_string_append_c(listing, g_ascii_toupper(spec->key[0]));
    g_string_append(listing, spec->key + 1);
    if (spec->type != KD_PARAM_FLAG) {
        append_value(listing, spec, value);
    }
}

static GVariant *
dup_listed_value(const char *key, GVariant *params, GVariant *bound)
{
    GVariant *value = bound != NULL ? g_variant_lookup_value(bound, key, NULL) : NULL;
    return value != NULL ? value : g_variant_lookup_value(params, key, NULL);
}

/**
 * kd_params_build_listing:
 * @params: a{sv} as kd_params_parse() made it
 * @bound: (nullable): a{sv} of the values that listening has made more exact
 *
 * Prints values as `tcp:Port=53:60,Password=*`: keys capitalised and in the table's order, secrets
 * as a star, nothing that equals its default. A range whose start is bound is the real port and the
 * end of the range (F14).
 *
 * Returns: (transfer full): the line, which parses again if there is no secret in it
 */
char *
kd_params_build_listing(const char *scheme, const KdParamSpec *table, GVariant *params,
                        GVariant *bound)
{
    g_autoptr(GString) listing = g_string_new(scheme);
    g_string_append_c(listing, ':');
    gsize start = listing->len;
    for (const KdParamSpec *spec = table; spec->key != NULL; spec++) {
        /* one line for a key, however many entries it has: the types of one key are alike */
        if (kd_param_table_find_any(table, spec->key) != spec) {
            continue;
        }
        g_autoptr(GVariant) value = dup_listed_value(spec->key, params, bound);
        if (value == NULL || is_default(scheme, spec, value) ||
            (spec->type == KD_PARAM_FLAG && !g_variant_get_boolean(value))) {
            continue;
        }
        if (listing->len > start) {
            g_string_append_c(listing, ',');
        }
        append_key(listing, spec, value);
    }
    return g_string_free(g_steal_pointer(&listing), FALSE);
}
