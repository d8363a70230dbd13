/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The documented line of a scheme, and the longer text that explains each key of it. */
#include "kd-params.h"

#include "kd-param-table.h"
#include "kd-param-value.h"

#include <string.h>

/* What stands for a value: the table's word, else one for the type */
static const char *
get_placeholder(const KdParamSpec *spec)
{
    if (spec->placeholder != NULL) {
        return spec->placeholder;
    }
    switch (spec->type) {
    case KD_PARAM_UINT:
        return "N";
    case KD_PARAM_CHOICE:
        return "WORD";
    case KD_PARAM_PORTS:
        return "PORT";
    case KD_PARAM_HOST:
        return "HOST";
    case KD_PARAM_PATH:
        return "PATH";
    case KD_PARAM_DEVICE:
        return "DEVICE";
    default:
        return "TEXT";
    }
}

static void
append_term(GString *text, const KdParamSpec *spec)
{
    g_string_append(text, spec->key);
    if (spec->type != KD_PARAM_FLAG) {
        g_string_append_printf(text, "=%s", get_placeholder(spec));
    }
}

static gboolean
is_documented(const KdParamSpec *table, const KdParamSpec *spec, KdForm form)
{
    return (spec->flags & (KD_PARAM_EXTENSION | KD_PARAM_DEPRECATED)) == 0 &&
           kd_param_table_is_visible(table, spec, form);
}

static guint
count_group(const KdParamSpec *table, const KdParamSpec *end, uint32_t group, KdForm form)
{
    guint n = 0;
    for (const KdParamSpec *spec = table; spec->key != NULL && spec != end; spec++) {
        if (spec->group == group && is_documented(table, spec, form)) {
            n++;
        }
    }
    return n;
}

/* `{a=A|b=B}`: the keys of one group, where the first of them stands */
static void
append_group(GString *line, const KdParamSpec *table, uint32_t group, KdForm form)
{
    const char *between = "{";
    for (const KdParamSpec *spec = table; spec->key != NULL; spec++) {
        if (spec->group != group || !is_documented(table, spec, form)) {
            continue;
        }
        g_string_append(line, between);
        append_term(line, spec);
        between = "|";
    }
    g_string_append_c(line, '}');
}

/**
 * kd_params_build_usage:
 *
 * Prints the form as the documentation does: `tcp:port=S[,hidden][,password=P]`. Extensions and
 * deprecated keys are left out.
 *
 * Returns: (transfer full): one line without its end
 */
char *
kd_params_build_usage(const char *scheme, const KdParamSpec *table, KdForm form)
{
    g_autoptr(GString) line = g_string_new(scheme);
    g_string_append_c(line, ':');
    gboolean is_first = TRUE;
    for (const KdParamSpec *spec = table; spec->key != NULL; spec++) {
        if (!is_documented(table, spec, form) ||
            (spec->group != 0 && count_group(table, spec, spec->group, form) > 0)) {
            continue;
        }
        gboolean is_required = kd_param_table_is_required(table, spec, form);
        if (!is_required) {
            g_string_append_c(line, '[');
        }
        if (!is_first) {
            g_string_append_c(line, ',');
        }
        if (spec->group != 0 && count_group(table, NULL, spec->group, form) > 1) {
            append_group(line, table, spec->group, form);
        } else {
            append_term(line, spec);
        }
        if (!is_required) {
            g_string_append_c(line, ']');
        }
        is_first = FALSE;
    }
    return g_string_free(g_steal_pointer(&line), FALSE);
}

/* What follows the sentence about a key: range or words, where else it comes from, what it is */
static void
append_facts(GString *help, const KdParamSpec *spec)
{
    g_autofree char *range = kd_param_value_build_range(spec);
    gboolean is_told = spec->type == KD_PARAM_UINT && spec->min == spec->max && spec->max != 0;
    if (range != NULL && !is_told) {
        g_string_append_printf(help, "; %s", range);
    }
    if (kd_param_value_is_password(spec)) {
        g_string_append_printf(help, "; at most %u", spec->max_len);
    }
    if (spec->default_value != NULL) {
        g_string_append_printf(help, "; default %s",
                               (spec->flags & KD_PARAM_SECRET) != 0 ? "*" : spec->default_value);
    }
    if (spec->environment != NULL) {
        g_string_append_printf(help, "; else from %s", spec->environment);
    }
    if ((spec->flags & KD_PARAM_IGNORED) != 0) {
        g_string_append(help, " (no effect)");
    }
    if ((spec->flags & KD_PARAM_DEPRECATED) != 0) {
        g_string_append(help, " (deprecated)");
    }
    if ((spec->flags & KD_PARAM_EXTENSION) != 0) {
        g_string_append(help, " (ours)");
    }
}

/* Whether help tells of the entry: the first that its key has in either form */
static gboolean
is_in_help(const KdParamSpec *table, const KdParamSpec *spec, KdForm form, KdForm clicon_form)
{
    if (kd_param_table_is_visible(table, spec, form)) {
        return TRUE;
    }
    return kd_param_table_is_visible(table, spec, clicon_form) &&
           kd_param_table_find(table, form, spec->key) == NULL;
}

static gsize
get_term_len(const KdParamSpec *spec)
{
    g_autoptr(GString) term = g_string_new(NULL);
    append_term(term, spec);
    return term->len;
}

static void
append_key_help(GString *help, const KdParamSpec *spec, gsize width)
{
    g_string_append(help, "  ");
    gsize start = help->len;
    append_term(help, spec);
    while (help->len < start + width + 2) {
        g_string_append_c(help, ' ');
    }
    if (spec->help != NULL) {
        g_string_append(help, spec->help);
    }
    append_facts(help, spec);
    g_string_append_c(help, '\n');
}

/**
 * kd_params_build_help:
 * @form: SERVER and CLIENT are explained together with their clicon forms
 *
 * Explains a scheme: its documented lines, then one aligned line for each key, ours marked.
 *
 * Returns: (transfer full): lines
 */
char *
kd_params_build_help(const char *scheme, const KdParamSpec *table, KdForm form)
{
    KdForm clicon_form = kd_param_table_get_clicon_form(table, form);
    g_autofree char *usage = kd_params_build_usage(scheme, table, form);
    g_autoptr(GString) help = g_string_new(usage);
    g_string_append_c(help, '\n');
    if (clicon_form != form) {
        g_autofree char *other = kd_params_build_usage(scheme, table, clicon_form);
        g_string_append_printf(help, "%s\n", other);
    }
    gsize width = 0;
    for (const KdParamSpec *spec = table; spec->key != NULL; spec++) {
        if (is_in_help(table, spec, form, clicon_form)) {
            width = MAX(width, get_term_len(spec));
        }
    }
    for (const KdParamSpec *spec = table; spec->key != NULL; spec++) {
        if (is_in_help(table, spec, form, clicon_form)) {
            append_key_help(help, spec, width);
        }
    }
    return g_string_free(g_steal_pointer(&help), FALSE);
}
