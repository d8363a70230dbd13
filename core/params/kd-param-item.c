/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text to items: the grammar, its limits, and nothing about what the keys mean. */
#include "kd-param-item.h"

#include "kd-param-error.h"

#include <string.h>

static void
param_item_free(KdParamItem *item)
{
    g_free(item->key);
    /* may be a password */
    if (item->value != NULL) {
        memset(item->value, 0, strlen(item->value));
    }
    g_free(item->value);
    g_free(item);
}

static void
on_item_free(gpointer item)
{
    param_item_free(item);
}

/**
 * kd_param_text_check:
 * @where: what the text belongs to, for the message: `tcp`
 * @text: from outside
 *
 * Refuses a text that is too long, not UTF-8, or has control characters in it; nothing is allocated
 * from the text before.
 *
 * Returns: whether the text may be looked at; else %KD_ERROR_PARAM_INVALID
 */
gboolean
kd_param_text_check(const char *where, const char *text, GError **error)
{
    gsize len = strnlen(text, KD_PARAMS_MAX_BYTES + 1);
    if (len > KD_PARAMS_MAX_BYTES) {
        kd_param_set_error(error, KD_ERROR_PARAM_INVALID, "%s: longer than %u bytes", where,
                           KD_PARAMS_MAX_BYTES);
        return FALSE;
    }
    if (!g_utf8_validate(text, (gssize)len, NULL)) {
        kd_param_set_error(error, KD_ERROR_PARAM_INVALID, "%s: not valid UTF-8", where);
        return FALSE;
    }
    for (const char *at = text; *at != '\0'; at = g_utf8_next_char(at)) {
        if (kd_param_is_control(g_utf8_get_char(at))) {
            kd_param_set_error(error, KD_ERROR_PARAM_INVALID, "%s: has a control character in it",
                               where);
            return FALSE;
        }
    }
    return TRUE;
}

/**
 * kd_param_text_find_close:
 * @open: at the `{` of `@{`
 *
 * Returns: (nullable): the `}` that belongs to it
 */
const char *
kd_param_text_find_close(const char *open)
{
    gsize depth = 0;
    for (const char *at = open; *at != '\0'; at++) {
        if (*at == '{') {
            depth++;
        } else if (*at == '}' && --depth == 0) {
            return at;
        }
    }
    return NULL;
}

static gboolean
is_too_deep(const char *open, const char *close)
{
    guint depth = 0;
    for (const char *at = open; at < close; at++) {
        if (*at == '{' && ++depth > KD_PARAMS_MAX_DEPTH) {
            return TRUE;
        }
        if (*at == '}') {
            depth--;
        }
    }
    return FALSE;
}

/* Takes `@{ balanced }` at *at; returns what stands between the braces */
static char *
take_nested_value(const char *scheme, const char *key, const char **at, GError **error)
{
    g_autofree char *shown = kd_param_build_shown(key);
    const char *open = *at + 1;
    const char *close = kd_param_text_find_close(open);
    if (close == NULL) {
        kd_param_set_error(error, KD_ERROR_PARAM_INVALID, "%s: %s=@{ has no closing }", scheme,
                           shown);
        return NULL;
    }
    if (is_too_deep(open, close)) {
        kd_param_set_error(error, KD_ERROR_PARAM_INVALID, "%s: %s=@{ is nested deeper than %u",
                           scheme, shown, KD_PARAMS_MAX_DEPTH);
        return NULL;
    }
    if (close[1] != ',' && close[1] != '\0') {
        kd_param_set_error(error, KD_ERROR_PARAM_INVALID,
                           "%s: %s=@{...} must be followed by a comma", scheme, shown);
        return NULL;
    }
    *at = close + 1;
    return g_strndup(open + 1, (gsize)(close - open - 1));
}

/* Takes the item at *at, which is not the end of the text */
static KdParamItem *
take_item(const char *scheme, const char **at, GError **error)
{
    gsize key_len = strcspn(*at, "=,");
    if (key_len == 0) {
        kd_param_set_error(error, KD_ERROR_PARAM_INVALID,
                           (*at)[0] == '=' ? "%s: a value without a key before its ="
                                           : "%s: an empty item, one comma too many",
                           scheme);
        return NULL;
    }
    g_autofree char *key = g_strndup(*at, key_len);
    char *value = NULL;
    *at += key_len;
    if (**at == '=') {
        (*at)++;
        if (g_str_has_prefix(*at, "@{")) {
            value = take_nested_value(scheme, key, at, error);
            if (value == NULL) {
                return NULL;
            }
        } else {
            gsize len = strcspn(*at, ",");
            value = g_strndup(*at, len);
            *at += len;
        }
    }
    KdParamItem *item = g_new0(KdParamItem, 1);
    item->key = g_steal_pointer(&key);
    item->value = value;
    return item;
}

/**
 * kd_param_items_parse:
 * @scheme: for messages
 * @items: what stands behind the colon; "" is an empty list
 *
 * Cuts a text into its items. The text has passed kd_param_text_check().
 *
 * Returns: (transfer full) (element-type KdParamItem): or %NULL with %KD_ERROR_PARAM_INVALID
 */
GPtrArray *
kd_param_items_parse(const char *scheme, const char *items, GError **error)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(on_item_free);
    const char *at = items;
    while (*at != '\0') {
        if (list->len == KD_PARAMS_MAX_ITEMS) {
            kd_param_set_error(error, KD_ERROR_PARAM_INVALID, "%s: more than %u items", scheme,
                               KD_PARAMS_MAX_ITEMS);
            return NULL;
        }
        KdParamItem *item = take_item(scheme, &at, error);
        if (item == NULL) {
            return NULL;
        }
        g_ptr_array_add(list, item);
        if (*at == ',' && *++at == '\0') {
            kd_param_set_error(error, KD_ERROR_PARAM_INVALID,
                               "%s: an empty item, one comma too many", scheme);
            return NULL;
        }
    }
    return g_steal_pointer(&list);
}

/* The part before the colon, lower-cased */
static char *
take_scheme(const char *text, GError **error)
{
    const char *colon = strchr(text, ':');
    if (colon == NULL) {
        kd_param_set_error(error, KD_ERROR_PARAM_INVALID,
                           "no scheme: write SCHEME:KEY=VALUE,..., as in tcp:port=1027");
        return NULL;
    }
    gsize len = (gsize)(colon - text);
    if (len == 0) {
        kd_param_set_error(error, KD_ERROR_PARAM_INVALID,
                           "nothing before the colon: write a scheme, as in tcp:port=1027");
        return NULL;
    }
    if (len > KD_PARAMS_MAX_SCHEME) {
        kd_param_set_error(error, KD_ERROR_PARAM_INVALID,
                           "the scheme before the colon is longer than %u bytes",
                           KD_PARAMS_MAX_SCHEME);
        return NULL;
    }
    for (gsize i = 0; i < len; i++) {
        if (!g_ascii_isalnum(text[i])) {
            kd_param_set_error(error, KD_ERROR_PARAM_INVALID,
                               "the scheme before the colon has more than letters and digits");
            return NULL;
        }
    }
    return g_ascii_strdown(text, (gssize)len);
}

/**
 * kd_params_split:
 * @text: `scheme:item,item,...`
 * @scheme: (out) (transfer full): in lower case
 * @items: (out) (transfer full): what stands behind the colon, maybe ""
 *
 * Takes the scheme off a string, so that the table for the rest can be looked up. The grammar of
 * the items is checked here too, so that a string is refused for its form before it is for its
 * scheme.
 *
 * Returns: whether both are set; else %KD_ERROR_PARAM_INVALID
 */
gboolean
kd_params_split(const char *text, char **scheme, char **items, GError **error)
{
    g_return_val_if_fail(text != NULL && scheme != NULL && items != NULL, FALSE);
    *scheme = NULL;
    *items = NULL;
    if (!kd_param_text_check("the string", text, error)) {
        return FALSE;
    }
    g_autofree char *head = take_scheme(text, error);
    if (head == NULL) {
        return FALSE;
    }
    const char *rest = strchr(text, ':') + 1;
    g_autoptr(GPtrArray) list = kd_param_items_parse(head, rest, error);
    if (list == NULL) {
        return FALSE;
    }
    *scheme = g_steal_pointer(&head);
    *items = g_strdup(rest);
    return TRUE;
}
