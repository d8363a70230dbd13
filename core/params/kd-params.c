/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Items to typed values: the table decides what may stand, what must, and what fills the gaps. */
#include "kd-params.h"

#include "kd-param-error.h"
#include "kd-param-item.h"
#include "kd-param-table.h"
#include "kd-param-value.h"

/* One run of kd_params_parse() */
typedef struct {
    const char *scheme;
    const KdParamSpec *table;
    KdForm form;
    const KdParamsSource *source;
    GHashTable *values; /* const KdParamSpec * -> GVariant * */
} KdParsing;

static GVariant *
get_value(const KdParsing *parsing, const KdParamSpec *spec)
{
    return g_hash_table_lookup(parsing->values, spec);
}

/* Whether a key, or one that excludes it, has a value */
static gboolean
is_settled(const KdParsing *parsing, const KdParamSpec *spec)
{
    if (get_value(parsing, spec) != NULL) {
        return TRUE;
    }
    if (spec->group == 0) {
        return FALSE;
    }
    for (const KdParamSpec *other = parsing->table; other->key != NULL; other++) {
        if (other->group == spec->group && get_value(parsing, other) != NULL) {
            return TRUE;
        }
    }
    return FALSE;
}

/* `port=`, or `hidden` for a flag */
static const char *
get_equals(const KdParamSpec *spec)
{
    return spec->type == KD_PARAM_FLAG ? "" : "=";
}

static gboolean
is_in_form(const KdParsing *parsing, const char *key, KdForm form)
{
    return kd_param_table_find(parsing->table, form, key) != NULL;
}

/* Why a key that the table has doesn't stand in this form */
static const char *
get_form_reason(const KdParsing *parsing, const char *key)
{
    switch (parsing->form) {
    case KD_FORM_SERVER:
        return is_in_form(parsing, key, KD_FORM_SERVER_CLICON) ? "only goes with clicon="
                                                               : "is only for clients";
    case KD_FORM_CLIENT:
        return is_in_form(parsing, key, KD_FORM_CLIENT_CLICON) ? "only goes with clicon="
                                                               : "is not for clients";
    case KD_FORM_SERVER_CLICON:
        return is_in_form(parsing, key, KD_FORM_SERVER) ? "does not go with clicon="
                                                        : "is only for clients";
    case KD_FORM_CLIENT_CLICON:
        return is_in_form(parsing, key, KD_FORM_CLIENT) ? "does not go with clicon="
                                                        : "is not for clients";
    case KD_FORM_TARGET:
        break;
    }
    return "does not stand here";
}

static void
set_unknown_key_error(const KdParsing *parsing, const char *key, GError **error)
{
    const KdParamSpec *spec = kd_param_table_find_any(parsing->table, key);
    if (spec != NULL) {
        kd_param_set_error(error, KD_ERROR_PARAM_UNKNOWN, "%s: %s%s %s", parsing->scheme, spec->key,
                           get_equals(spec), get_form_reason(parsing, key));
        return;
    }
    g_autofree char *shown = kd_param_build_shown(key);
    const char *similar = kd_param_table_find_similar(parsing->table, parsing->form, key);
    kd_param_set_error(error, KD_ERROR_PARAM_UNKNOWN, "%s: unknown key %s%s%s%s", parsing->scheme,
                       shown, similar != NULL ? " (did you mean " : "",
                       similar != NULL ? similar : "", similar != NULL ? "?)" : "");
}

static gboolean
take_items(KdParsing *parsing, const GPtrArray *items, GError **error)
{
    for (guint i = 0; i < items->len; i++) {
        const KdParamItem *item = g_ptr_array_index(items, i);
        const KdParamSpec *spec = kd_param_table_find(parsing->table, parsing->form, item->key);
        if (spec == NULL) {
            set_unknown_key_error(parsing, item->key, error);
            return FALSE;
        }
        if (get_value(parsing, spec) != NULL) {
            kd_param_set_error(error, KD_ERROR_PARAM_INVALID, "%s: %s%s is given twice",
                               parsing->scheme, spec->key, get_equals(spec));
            return FALSE;
        }
        GVariant *value =
            kd_param_value_parse(parsing->scheme, spec, parsing->form, item->value, NULL, error);
        if (value == NULL) {
            return FALSE;
        }
        if ((spec->flags & KD_PARAM_DEPRECATED) != 0) {
            g_message("%s: %s%s is deprecated", parsing->scheme, spec->key, get_equals(spec));
        }
        g_hash_table_insert(parsing->values, (gpointer)spec, value);
    }
    return TRUE;
}

static gboolean
check_groups(const KdParsing *parsing, GError **error)
{
    for (const KdParamSpec *spec = parsing->table; spec->key != NULL; spec++) {
        if (spec->group == 0 || get_value(parsing, spec) == NULL) {
            continue;
        }
        for (const KdParamSpec *other = spec + 1; other->key != NULL; other++) {
            if (other->group != spec->group || get_value(parsing, other) == NULL) {
                continue;
            }
            kd_param_set_error(error, KD_ERROR_PARAM_INVALID,
                               "%s: %s%s and %s%s exclude each other", parsing->scheme, spec->key,
                               get_equals(spec), other->key, get_equals(other));
            return FALSE;
        }
    }
    return TRUE;
}

/* Fills one key that the user left out; @text NULL or "" is no value */
static gboolean
supply(KdParsing *parsing, const KdParamSpec *spec, const char *text, const char *origin,
       GError **error)
{
    if (text == NULL || *text == '\0') {
        return TRUE;
    }
    g_autofree char *where = g_strdup_printf("%s: %s from %s", parsing->scheme, spec->key, origin);
    if (!kd_param_text_check(where, text, error)) {
        return FALSE;
    }
    g_autoptr(GVariant) value =
        kd_param_value_parse(parsing->scheme, spec, parsing->form, text, origin, error);
    if (value == NULL) {
        return FALSE;
    }
    gboolean is_off = spec->type == KD_PARAM_FLAG && !g_variant_get_boolean(value);
    if (!is_off) {
        g_hash_table_insert(parsing->values, (gpointer)spec, g_steal_pointer(&value));
    }
    return TRUE;
}

/* The environment first: a default must not hide what the server's owner has set */
static gboolean
supply_left_out(KdParsing *parsing, GError **error)
{
    const KdParamsSource *source = parsing->source;
    for (const KdParamSpec *spec = parsing->table; spec->key != NULL; spec++) {
        if (spec->environment == NULL || source == NULL || source->environment == NULL ||
            !kd_param_table_is_visible(parsing->table, spec, parsing->form) ||
            is_settled(parsing, spec)) {
            continue;
        }
        const char *text = source->environment(spec->environment, source->user);
        if (!supply(parsing, spec, text, spec->environment, error)) {
            return FALSE;
        }
    }
    for (const KdParamSpec *spec = parsing->table; spec->key != NULL; spec++) {
        if (spec->default_value == NULL ||
            !kd_param_table_is_visible(parsing->table, spec, parsing->form) ||
            is_settled(parsing, spec)) {
            continue;
        }
        if (!supply(parsing, spec, spec->default_value, "the default", error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static void
set_missing_error(const KdParsing *parsing, const KdParamSpec *missing, GError **error)
{
    g_autoptr(GString) keys = g_string_new(NULL);
    g_autoptr(GString) variables = g_string_new(NULL);
    guint n_keys = 0, n_variables = 0;
    for (const KdParamSpec *spec = missing; spec->key != NULL; spec++) {
        gboolean is_meant =
            spec == missing || (missing->group != 0 && spec->group == missing->group);
        if (!is_meant || !kd_param_table_is_visible(parsing->table, spec, parsing->form)) {
            continue;
        }
        g_string_append_printf(keys, "%s%s%s", n_keys++ > 0 ? " or " : "", spec->key,
                               get_equals(spec));
        if (spec->environment != NULL) {
            g_string_append_printf(variables, "%s%s", n_variables++ > 0 ? " or " : "",
                                   spec->environment);
        }
    }
    const KdParamsSource *source = parsing->source;
    if (n_variables == 0 || source == NULL || source->environment == NULL) {
        kd_param_set_error(error, KD_ERROR_PARAM_MISSING, "%s: %s is missing", parsing->scheme,
                           keys->str);
        return;
    }
    const char *machine = source->machine;
    kd_param_set_error(error, KD_ERROR_PARAM_MISSING, "%s: %s is missing, and %s is not set%s%s",
                       parsing->scheme, keys->str, variables->str, machine != NULL ? " on " : "",
                       machine != NULL ? machine : "");
}

static gboolean
check_required(const KdParsing *parsing, GError **error)
{
    for (const KdParamSpec *spec = parsing->table; spec->key != NULL; spec++) {
        if (kd_param_table_is_visible(parsing->table, spec, parsing->form) &&
            kd_param_table_is_required(parsing->table, spec, parsing->form) &&
            !is_settled(parsing, spec)) {
            set_missing_error(parsing, spec, error);
            return FALSE;
        }
    }
    return TRUE;
}

static GVariant *
build_result(const KdParsing *parsing)
{
    g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE_VARDICT);
    for (const KdParamSpec *spec = parsing->table; spec->key != NULL; spec++) {
        GVariant *value = get_value(parsing, spec);
        if (value != NULL) {
            g_variant_builder_add(&builder, "{sv}", spec->key, value);
        }
    }
    return g_variant_ref_sink(g_variant_builder_end(&builder));
}

static gboolean
has_key(const GPtrArray *items, const char *key)
{
    for (guint i = 0; i < items->len; i++) {
        const KdParamItem *item = g_ptr_array_index(items, i);
        if (g_ascii_strcasecmp(item->key, key) == 0) {
            return TRUE;
        }
    }
    return FALSE;
}

static void
on_value_free(gpointer value)
{
    g_variant_unref(value);
}

/**
 * kd_params_parse:
 * @scheme: for messages
 * @table: the scheme's keys
 * @form: SERVER and CLIENT become their clicon forms when clicon= stands in @items and the table
 *    knows that form
 * @items: what stands behind the colon
 * @source: (nullable): where values that @items leaves out come from
 *
 * Turns the items of a string into typed values. A key left out is taken from the environment
 * variable that its entry names, then from the entry's default. A secret text whose entry sets
 * max_len is a password: letters and digits only.
 *
 * Returns: (transfer full): a{sv}, sunk, keys in the table's spelling and order; or %NULL with
 * %KD_ERROR_PARAM_UNKNOWN, %KD_ERROR_PARAM_MISSING or %KD_ERROR_PARAM_INVALID, in one line of less
 * than 300 bytes that names scheme and key
 */
GVariant *
kd_params_parse(const char *scheme, const KdParamSpec *table, KdForm form, const char *items,
                const KdParamsSource *source, GError **error)
{
    g_return_val_if_fail(scheme != NULL && table != NULL && items != NULL, NULL);
    if (!kd_param_text_check(scheme, items, error)) {
        return NULL;
    }
    g_autoptr(GPtrArray) list = kd_param_items_parse(scheme, items, error);
    if (list == NULL) {
        return NULL;
    }
    if (has_key(list, "clicon")) {
        form = kd_param_table_get_clicon_form(table, form);
    }
    g_autoptr(GHashTable) values = g_hash_table_new_full(NULL, NULL, NULL, on_value_free);
    KdParsing parsing = {scheme, table, form, source, values};
    if (!take_items(&parsing, list, error) || !check_groups(&parsing, error) ||
        !supply_left_out(&parsing, error) || !check_required(&parsing, error)) {
        return NULL;
    }
    return build_result(&parsing);
}

/**
 * kd_params_get_form:
 * @table: that @params were parsed by
 * @form: that they were parsed in
 * @params: a{sv}
 *
 * Returns: the form that they have: the clicon one if clicon= stands in them.
 */
KdForm
kd_params_get_form(const KdParamSpec *table, KdForm form, GVariant *params)
{
    KdForm clicon_form = kd_param_table_get_clicon_form(table, form);
    const KdParamSpec *spec = kd_param_table_find(table, clicon_form, "clicon");
    if (spec == NULL || clicon_form == form) {
        return form;
    }
    g_autoptr(GVariant) value = g_variant_lookup_value(params, spec->key, NULL);
    return value != NULL ? clicon_form : form;
}
