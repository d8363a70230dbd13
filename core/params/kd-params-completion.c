/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a shell may offer behind what has been typed of a string. */
#include "kd-params.h"

#include "kd-param-item.h"
#include "kd-param-table.h"
#include "kd-param-value.h"

#include <string.h>

/* What is known about a string that is not finished */
typedef struct {
    const KdParamSpec *table;
    KdForm form;
    GPtrArray *done;    /* of KdParamItem: the items before the last comma */
    const char *prefix; /* the whole text typed                            */
    gsize kept;         /* bytes of it that every candidate repeats        */
    GPtrArray *found;   /* of char *                                       */
} KdCompleting;

/* The last comma that no brace encloses, plus one; NULL when a brace is still open */
static const char *
find_last_item(const char *items)
{
    const char *last = items;
    for (const char *at = items; *at != '\0'; at++) {
        if (*at == ',') {
            last = at + 1;
        } else if (g_str_has_prefix(at, "=@{")) {
            at = kd_param_text_find_close(at + 2);
            if (at == NULL) {
                return NULL;
            }
        }
    }
    return last;
}

static void
offer(const KdCompleting *completing, const char *word, const char *ending)
{
    g_autofree char *kept = g_strndup(completing->prefix, completing->kept);
    g_ptr_array_add(completing->found, g_strconcat(kept, word, ending, NULL));
}

static gboolean
is_done(const KdCompleting *completing, const KdParamSpec *spec)
{
    for (guint i = 0; i < completing->done->len; i++) {
        const KdParamItem *item = g_ptr_array_index(completing->done, i);
        if (g_ascii_strcasecmp(item->key, spec->key) == 0) {
            return TRUE;
        }
        const KdParamSpec *used =
            kd_param_table_find(completing->table, completing->form, item->key);
        if (used != NULL && used->group != 0 && used->group == spec->group) {
            return TRUE;
        }
    }
    return FALSE;
}

/* Whether clicon= may still come: everything typed so far must stand beside it */
static gboolean
may_become(const KdCompleting *completing, KdForm clicon_form)
{
    if (clicon_form == completing->form) {
        return FALSE;
    }
    for (guint i = 0; i < completing->done->len; i++) {
        const KdParamItem *item = g_ptr_array_index(completing->done, i);
        if (kd_param_table_find(completing->table, clicon_form, item->key) == NULL) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean
is_offered(const KdCompleting *completing, const KdParamSpec *spec)
{
    KdForm clicon_form = kd_param_table_get_clicon_form(completing->table, completing->form);
    if ((spec->flags & KD_PARAM_DEPRECATED) != 0 || is_done(completing, spec)) {
        return FALSE;
    }
    if (kd_param_table_is_visible(completing->table, spec, completing->form)) {
        return TRUE;
    }
    return g_ascii_strcasecmp(spec->key, "clicon") == 0 &&
           kd_param_table_is_visible(completing->table, spec, clicon_form) &&
           may_become(completing, clicon_form);
}

static void
offer_keys(const KdCompleting *completing, const char *typed)
{
    for (const KdParamSpec *spec = completing->table; spec->key != NULL; spec++) {
        if (g_ascii_strncasecmp(spec->key, typed, strlen(typed)) == 0 &&
            is_offered(completing, spec)) {
            offer(completing, spec->key, spec->type == KD_PARAM_FLAG ? "" : "=");
        }
    }
}

static void
offer_values(const KdCompleting *completing, const char *key, const char *typed)
{
    const KdParamSpec *spec = kd_param_table_find(completing->table, completing->form, key);
    if (spec == NULL || is_done(completing, spec)) {
        return;
    }
    if (spec->type == KD_PARAM_UINT && spec->min == spec->max && spec->max != 0) {
        g_autofree char *only = kd_param_value_build_range(spec);
        if (g_str_has_prefix(only, typed)) {
            offer(completing, only, "");
        }
        return;
    }
    for (guint i = 0;
         spec->type == KD_PARAM_CHOICE && spec->choices != NULL && spec->choices[i] != NULL; i++) {
        if (g_ascii_strncasecmp(spec->choices[i], typed, strlen(typed)) == 0) {
            offer(completing, spec->choices[i], "");
        }
    }
}

/* Items before the last comma decide what the last one may be; wrong ones end the help */
static void
complete_items(KdCompleting *completing, const char *scheme, const char *items)
{
    const char *last = find_last_item(items);
    if (last == NULL || items[0] == ',') {
        return;
    }
    gsize before = last > items ? (gsize)(last - items) - 1 : 0;
    g_autofree char *done = g_strndup(items, before);
    g_autoptr(GPtrArray) list = kd_param_items_parse(scheme, done, NULL);
    if (list == NULL) {
        return;
    }
    completing->done = list;
    for (guint i = 0; i < list->len; i++) {
        const KdParamItem *item = g_ptr_array_index(list, i);
        if (g_ascii_strcasecmp(item->key, "clicon") == 0) {
            completing->form = kd_param_table_get_clicon_form(completing->table, completing->form);
        }
    }
    const char *equals = strchr(last, '=');
    const char *typed = equals != NULL ? equals + 1 : last;
    completing->kept = (gsize)(typed - completing->prefix);
    if (equals == NULL) {
        offer_keys(completing, typed);
    } else {
        g_autofree char *key = g_strndup(last, (gsize)(equals - last));
        offer_values(completing, key, typed);
    }
}

/**
 * kd_params_build_completions:
 * @prefix: the whole string as typed so far: `tcp:port=51,`
 *
 * Finds what a shell may offer: the scheme, further keys that may stand in the form and exclude
 * none of those typed, or the words of a choice. Inside an open `@{` nothing is known.
 *
 * Returns: (transfer full): whole strings, each starting with @prefix but for the case of its last
 * word; maybe none
 */
char **
kd_params_build_completions(const char *scheme, const KdParamSpec *table, KdForm form,
                            const char *prefix)
{
    g_autoptr(GPtrArray) found = g_ptr_array_new();
    KdCompleting completing = {.table = table, .form = form, .prefix = prefix, .found = found};
    gsize len = strlen(scheme);
    if (kd_param_text_check(scheme, prefix, NULL)) {
        if (strchr(prefix, ':') == NULL) {
            if (g_ascii_strncasecmp(scheme, prefix, strlen(prefix)) == 0) {
                offer(&completing, scheme, ":");
            }
        } else if (g_ascii_strncasecmp(scheme, prefix, len) == 0 && prefix[len] == ':') {
            complete_items(&completing, scheme, prefix + len + 1);
        }
    }
    g_ptr_array_add(found, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&found), FALSE);
}
