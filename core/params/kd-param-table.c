/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Questions to a table of keys: which stand in a form, which are required, which one was meant. */
#include "kd-param-table.h"

#include <string.h>

#define FORM_FLAGS \
    (KD_PARAM_SERVER | KD_PARAM_CLIENT | KD_PARAM_SERVER_CLICON | KD_PARAM_CLIENT_CLICON)
#define MAX_SIMILAR_BYTES 32u /* longer words are not compared */

static uint32_t
get_form_flag(KdForm form)
{
    switch (form) {
    case KD_FORM_SERVER:
        return KD_PARAM_SERVER;
    case KD_FORM_CLIENT:
        return KD_PARAM_CLIENT;
    case KD_FORM_SERVER_CLICON:
        return KD_PARAM_SERVER_CLICON;
    case KD_FORM_CLIENT_CLICON:
        return KD_PARAM_CLIENT_CLICON;
    case KD_FORM_TARGET:
        return FORM_FLAGS;
    }
    return 0;
}

/**
 * kd_param_table_is_allowed:
 *
 * Returns: whether the entry counts in the form.
 */
gboolean
kd_param_table_is_allowed(const KdParamSpec *spec, KdForm form)
{
    return (spec->flags & FORM_FLAGS) == 0 || (spec->flags & get_form_flag(form)) != 0;
}

/**
 * kd_param_table_find:
 * @key: in any case
 *
 * Returns: (nullable): the key's entry in the form
 */
const KdParamSpec *
kd_param_table_find(const KdParamSpec *table, KdForm form, const char *key)
{
    for (const KdParamSpec *spec = table; spec->key != NULL; spec++) {
        if (kd_param_table_is_allowed(spec, form) && g_ascii_strcasecmp(spec->key, key) == 0) {
            return spec;
        }
    }
    return NULL;
}

/**
 * kd_param_table_find_any:
 * @key: in any case
 *
 * Returns: (nullable): the key's first entry, whatever its form
 */
const KdParamSpec *
kd_param_table_find_any(const KdParamSpec *table, const char *key)
{
    return kd_param_table_find(table, KD_FORM_TARGET, key);
}

/**
 * kd_param_table_is_visible:
 *
 * Returns: whether @spec is the entry that its key has in the form.
 */
gboolean
kd_param_table_is_visible(const KdParamSpec *table, const KdParamSpec *spec, KdForm form)
{
    return kd_param_table_find(table, form, spec->key) == spec;
}

/**
 * kd_param_table_is_required:
 *
 * Returns: whether @spec, or one of its group, must stand in the form.
 */
gboolean
kd_param_table_is_required(const KdParamSpec *table, const KdParamSpec *spec, KdForm form)
{
    if (spec->group == 0) {
        return (spec->flags & KD_PARAM_REQUIRED) != 0;
    }
    for (const KdParamSpec *other = table; other->key != NULL; other++) {
        if (other->group == spec->group && (other->flags & KD_PARAM_REQUIRED) != 0 &&
            kd_param_table_is_visible(table, other, form)) {
            return TRUE;
        }
    }
    return FALSE;
}

/**
 * kd_param_table_get_clicon_form:
 *
 * Returns: the form that @form becomes when the key clicon stands in it; @form itself when the
 * table has no such form.
 */
KdForm
kd_param_table_get_clicon_form(const KdParamSpec *table, KdForm form)
{
    KdForm other;
    switch (form) {
    case KD_FORM_SERVER:
        other = KD_FORM_SERVER_CLICON;
        break;
    case KD_FORM_CLIENT:
        other = KD_FORM_CLIENT_CLICON;
        break;
    default:
        return form;
    }
    const KdParamSpec *clicon = kd_param_table_find(table, other, "clicon");
    return clicon != NULL && (clicon->flags & FORM_FLAGS) != 0 ? other : form;
}

/* Edits between two words, where swapping two neighbours is one; G_MAXUINT for long words */
static guint
count_edits(const char *a, const char *b)
{
    guint rows[3][MAX_SIMILAR_BYTES + 1];
    gsize a_len = strlen(a), b_len = strlen(b);
    if (a_len > MAX_SIMILAR_BYTES || b_len > MAX_SIMILAR_BYTES) {
        return G_MAXUINT;
    }
    for (guint j = 0; j <= b_len; j++) {
        rows[0][j] = j;
    }
    for (guint i = 1; i <= a_len; i++) {
        guint *row = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        row[0] = i;
        for (guint j = 1; j <= b_len; j++) {
            guint changed = g_ascii_tolower(a[i - 1]) != g_ascii_tolower(b[j - 1]) ? 1 : 0;
            row[j] = MIN(MIN(row[j - 1], last[j]) + 1, last[j - 1] + changed);
            if (i > 1 && j > 1 && g_ascii_tolower(a[i - 1]) == g_ascii_tolower(b[j - 2]) &&
                g_ascii_tolower(a[i - 2]) == g_ascii_tolower(b[j - 1])) {
                row[j] = MIN(row[j], before[j - 2] + 1);
            }
        }
    }
    return rows[a_len % 3][b_len];
}

/**
 * kd_param_table_find_similar:
 * @key: that the form doesn't know
 *
 * Returns: (nullable): the form's key that was probably meant
 */
const char *
kd_param_table_find_similar(const KdParamSpec *table, KdForm form, const char *key)
{
    const char *best = NULL;
    guint best_edits = 3;
    gsize len = strlen(key);
    for (const KdParamSpec *spec = table; spec->key != NULL; spec++) {
        if (!kd_param_table_is_visible(table, spec, form) ||
            (spec->flags & KD_PARAM_DEPRECATED) != 0) {
            continue;
        }
        if (len >= 3 && g_ascii_strncasecmp(spec->key, key, len) == 0) {
            return spec->key;
        }
        guint edits = count_edits(spec->key, key);
        if (edits < best_edits && (gsize)edits * 2 < strlen(spec->key)) {
            best = spec->key;
            best_edits = edits;
        }
    }
    return best;
}
