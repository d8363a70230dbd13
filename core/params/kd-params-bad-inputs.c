/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a table, strings that must be refused: one fault each, on top of a string that is right. */
#include "kd-params.h"

#include "kd-param-table.h"
#include "kd-param-value.h"

#include <string.h>

/* The strings under way */
typedef struct {
    const KdParamSpec *table;
    KdForm form;
    GPtrArray *found; /* of char * */
} KdSpoiling;

/* An item that the key's entry accepts */
static char *
build_good_item(const KdParamSpec *spec)
{
    switch (spec->type) {
    case KD_PARAM_FLAG:
        return g_strdup(spec->key);
    case KD_PARAM_UINT:
    case KD_PARAM_PORTS:
        return g_strdup_printf("%s=%" G_GUINT64_FORMAT, spec->key, kd_param_value_get_min(spec));
    case KD_PARAM_CHOICE:
        return g_strdup_printf("%s=%s", spec->key,
                               spec->choices != NULL && spec->choices[0] != NULL ? spec->choices[0]
                                                                                 : "a");
    case KD_PARAM_PATH:
        return g_strdup_printf("%s=/a", spec->key);
    case KD_PARAM_DEVICE:
        return g_strdup_printf("%s=com1", spec->key);
    default:
        return g_strdup_printf("%s=a", spec->key);
    }
}

/* Whether the right string has the key: required, and the first of its group */
static gboolean
is_in_base(const KdSpoiling *spoiling, const KdParamSpec *spec)
{
    if (!kd_param_table_is_visible(spoiling->table, spec, spoiling->form) ||
        !kd_param_table_is_required(spoiling->table, spec, spoiling->form)) {
        return FALSE;
    }
    for (const KdParamSpec *other = spoiling->table; other != spec; other++) {
        if (spec->group != 0 && other->group == spec->group &&
            kd_param_table_is_visible(spoiling->table, other, spoiling->form)) {
            return FALSE;
        }
    }
    return TRUE;
}

/* The right string without @left_out and what it excludes */
static GString *
build_base(const KdSpoiling *spoiling, const KdParamSpec *left_out)
{
    GString *base = g_string_new(NULL);
    for (const KdParamSpec *spec = spoiling->table; spec->key != NULL; spec++) {
        gboolean is_left_out =
            left_out != NULL &&
            (spec == left_out || (left_out->group != 0 && spec->group == left_out->group));
        if (is_left_out || !is_in_base(spoiling, spec)) {
            continue;
        }
        g_autofree char *item = build_good_item(spec);
        g_string_append_printf(base, "%s%s", base->len > 0 ? "," : "", item);
    }
    return base;
}

/* Adds the right string with @item in place of what @spec has there */
static void
add_item(const KdSpoiling *spoiling, const KdParamSpec *spec, const char *item)
{
    g_autoptr(GString) text = build_base(spoiling, spec);
    g_string_append_printf(text, "%s%s", text->len > 0 ? "," : "", item);
    g_ptr_array_add(spoiling->found, g_string_free(g_steal_pointer(&text), FALSE));
}

static void
add_value(const KdSpoiling *spoiling, const KdParamSpec *spec, const char *value)
{
    g_autofree char *item = g_strdup_printf("%s=%s", spec->key, value);
    add_item(spoiling, spec, item);
}

static void
add_number(const KdSpoiling *spoiling, const KdParamSpec *spec, uint64_t number)
{
    g_autofree char *value = g_strdup_printf("%" G_GUINT64_FORMAT, number);
    add_value(spoiling, spec, value);
}

static void
add_numbers(const KdSpoiling *spoiling, const KdParamSpec *spec)
{
    static const char *const wrong[] = {
        "x", "-1", "+1", "0x10", "1 ", " 1", "1.", "1e400", "999999999999999999999999"};
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        add_value(spoiling, spec, wrong[i]);
    }
    if (kd_param_value_get_min(spec) > 0) {
        add_number(spoiling, spec, kd_param_value_get_min(spec) - 1);
    }
    if (kd_param_value_get_max(spec) < UINT64_MAX) {
        add_number(spoiling, spec, kd_param_value_get_max(spec) + 1);
    }
}

static void
add_ports(const KdSpoiling *spoiling, const KdParamSpec *spec)
{
    static const char *const wrong[] = {":", "1:", ":1", "1:2:3", "0:1", "60:51", "1:65536", "1:x"};
    add_numbers(spoiling, spec);
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        add_value(spoiling, spec, wrong[i]);
    }
    if ((spec->flags & KD_PARAM_EXACT) != 0) {
        add_value(spoiling, spec, "51:60");
    }
}

static void
add_too_long(const KdSpoiling *spoiling, const KdParamSpec *spec, const char *start)
{
    gsize max_len = kd_param_value_get_max_len(spec);
    if (max_len >= KD_PARAMS_MAX_BYTES) {
        return;
    }
    g_autoptr(GString) value = g_string_new(start);
    while (value->len <= max_len) {
        g_string_append_c(value, 'a');
    }
    add_value(spoiling, spec, value->str);
}

static void
add_texts(const KdSpoiling *spoiling, const KdParamSpec *spec)
{
    switch (spec->type) {
    case KD_PARAM_CHOICE:
        add_value(spoiling, spec, "no-such-word");
        break;
    case KD_PARAM_HOST:
        add_too_long(spoiling, spec, "a");
        add_value(spoiling, spec, "\\\\");
        add_value(spoiling, spec, "a b");
        break;
    case KD_PARAM_PATH:
        add_too_long(spoiling, spec, "/");
        add_value(spoiling, spec, "a/relative/path");
        break;
    case KD_PARAM_DEVICE:
        add_too_long(spoiling, spec, "/");
        add_value(spoiling, spec, "com0");
        add_value(spoiling, spec, "../a");
        add_value(spoiling, spec, "a b");
        if (spoiling->form == KD_FORM_TARGET) {
            add_value(spoiling, spec, "2");
        }
        break;
    case KD_PARAM_STRING:
        add_too_long(spoiling, spec, "a");
        if (kd_param_value_is_password(spec)) {
            add_value(spoiling, spec, "p@ss");
        }
        break;
    default:
        break;
    }
}

/* What can be wrong with any key of the form */
static void
add_for_key(const KdSpoiling *spoiling, const KdParamSpec *spec)
{
    g_autofree char *good = build_good_item(spec);
    g_autofree char *twice = g_strdup_printf("%s,%s", good, good);
    add_item(spoiling, spec, twice);
    add_value(spoiling, spec, "");
    add_value(spoiling, spec, "@{}");
    add_value(spoiling, spec, "@{a");
    add_value(spoiling, spec, "@{a}b");
    add_value(spoiling, spec, "a\x01");
    if (spec->type == KD_PARAM_FLAG) {
        add_value(spoiling, spec, "1");
    } else {
        add_item(spoiling, spec, spec->key);
    }
    if (spec->type == KD_PARAM_UINT) {
        add_numbers(spoiling, spec);
    }
    if (spec->type == KD_PARAM_PORTS) {
        add_ports(spoiling, spec);
    }
    add_texts(spoiling, spec);
}

/* Two of a group, and none of what must stand (unless the environment could supply it) */
static void
add_for_table(const KdSpoiling *spoiling, const KdParamSpec *spec)
{
    for (const KdParamSpec *other = spec + 1; other->key != NULL && spec->group != 0; other++) {
        if (other->group != spec->group ||
            !kd_param_table_is_visible(spoiling->table, other, spoiling->form)) {
            continue;
        }
        g_autofree char *one = build_good_item(spec);
        g_autofree char *two = build_good_item(other);
        g_autofree char *both = g_strdup_printf("%s,%s", one, two);
        add_item(spoiling, spec, both);
    }
    if (!is_in_base(spoiling, spec)) {
        return;
    }
    for (const KdParamSpec *other = spoiling->table; other->key != NULL; other++) {
        gboolean is_same = other == spec || (spec->group != 0 && other->group == spec->group);
        if (is_same && (other->environment != NULL || other->default_value != NULL)) {
            return;
        }
    }
    g_autoptr(GString) without = build_base(spoiling, spec);
    g_ptr_array_add(spoiling->found, g_string_free(g_steal_pointer(&without), FALSE));
}

/* What no table allows */
static void
add_for_grammar(const KdSpoiling *spoiling)
{
    add_item(spoiling, NULL, "no-such-key=1");
    add_item(spoiling, NULL, "no-such-flag");
    add_item(spoiling, NULL, "=1");
    add_item(spoiling, NULL, ",no-such-flag");
    add_item(spoiling, NULL, "no-such-flag,");
    add_item(spoiling, NULL, "no-such-key=@{@{@{@{@{@{@{@{@{a}}}}}}}}}");
    g_autofree char *long_text = g_strnfill(KD_PARAMS_MAX_BYTES + 1, 'a');
    add_item(spoiling, NULL, long_text);
    g_autoptr(GString) many = g_string_new("a");
    for (guint i = 0; i < KD_PARAMS_MAX_ITEMS; i++) {
        g_string_append_printf(many, ",a%u", i);
    }
    add_item(spoiling, NULL, many->str);
}

/**
 * kd_params_build_bad_inputs:
 *
 * Derives strings from a table that kd_params_parse() refuses with this table and form, whatever
 * the environment has: one fault each, added to a string that is right. For conformance tests and
 * as seeds of a fuzzer.
 *
 * Returns: (transfer full): what would stand behind the colon; valid UTF-8, with control characters
 * in some
 */
char **
kd_params_build_bad_inputs(const char *scheme G_GNUC_UNUSED, const KdParamSpec *table, KdForm form)
{
    g_autoptr(GPtrArray) found = g_ptr_array_new();
    KdSpoiling spoiling = {table, form, found};
    KdForm clicon_form = kd_param_table_get_clicon_form(table, form);
    add_for_grammar(&spoiling);
    for (const KdParamSpec *spec = table; spec->key != NULL; spec++) {
        if (kd_param_table_is_visible(table, spec, form)) {
            add_for_key(&spoiling, spec);
            add_for_table(&spoiling, spec);
        } else if (kd_param_table_find(table, form, spec->key) == NULL &&
                   kd_param_table_find(table, clicon_form, spec->key) == NULL) {
            g_autofree char *item = build_good_item(spec);
            add_item(&spoiling, NULL, item);
        }
    }
    g_ptr_array_add(found, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&found), FALSE);
}
