/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether a plugin's table of keys can be trusted to be one. */
#include "kd-key-table.h"

#include <string.h>

#define KEY_MAX_BYTES  32u
#define TEXT_MAX_BYTES 512u

#define FORMS_ALL \
    (KD_PARAM_SERVER | KD_PARAM_CLIENT | KD_PARAM_SERVER_CLICON | KD_PARAM_CLIENT_CLICON)

/**
 * kd_key_table_is_text:
 * @text: (nullable): of a plugin
 *
 * Returns: whether it is one printable line of a sane length
 */
gboolean
kd_key_table_is_text(const char *text)
{
    if (text == NULL || *text == '\0' || strnlen(text, TEXT_MAX_BYTES + 1) > TEXT_MAX_BYTES ||
        !g_utf8_validate(text, -1, NULL)) {
        return FALSE;
    }
    for (const char *at = text; *at != '\0'; at = g_utf8_next_char(at)) {
        if (!g_unichar_isprint(g_utf8_get_char(at))) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean
is_key(const char *key)
{
    size_t len = strnlen(key, KEY_MAX_BYTES + 1);
    if (len == 0 || len > KEY_MAX_BYTES) {
        return FALSE;
    }
    for (size_t i = 0; i < len; i++) {
        if (!g_ascii_isalnum(key[i]) && key[i] != '-' && key[i] != '_') {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean
refuse(GError **error, const char *owner, const KdParamSpec *spec, const char *reason)
{
    g_set_error(error, KD_ERROR, KD_ERROR_ABI, "%s: key `%s`: %s", owner, spec->key, reason);
    return FALSE;
}

static gboolean
check_choices(const KdParamSpec *spec, const char *owner, GError **error)
{
    if (spec->choices == NULL || spec->choices[0] == NULL) {
        return refuse(error, owner, spec, "it has no words to choose from");
    }
    for (size_t i = 0; i < KD_KEY_TABLE_CHOICES; i++) {
        if (spec->choices[i] == NULL) {
            return TRUE;
        }
        if (!kd_key_table_is_text(spec->choices[i])) {
            return refuse(error, owner, spec, "a word to choose is empty or not printable");
        }
    }
    return refuse(error, owner, spec, "its list of words has no end");
}

static gboolean
is_text_or_null(const char *text)
{
    return text == NULL || *text == '\0' || kd_key_table_is_text(text);
}

static gboolean
check_entry(const KdParamSpec *spec, const char *owner, GError **error)
{
    if (spec->type < KD_PARAM_FLAG || spec->type > KD_PARAM_DEVICE) {
        return refuse(error, owner, spec, "its type is unknown");
    }
    if (!kd_key_table_is_text(spec->help)) {
        return refuse(error, owner, spec, "it has no help of one printable line");
    }
    if (!is_text_or_null(spec->default_value) || !is_text_or_null(spec->placeholder) ||
        !is_text_or_null(spec->environment)) {
        return refuse(error, owner, spec, "a text of it is not one printable line");
    }
    if (spec->max != 0 && spec->min > spec->max) {
        return refuse(error, owner, spec, "its least value is above its largest");
    }
    return spec->type != KD_PARAM_CHOICE || check_choices(spec, owner, error);
}

static uint32_t
get_forms(const KdParamSpec *spec)
{
    uint32_t forms = spec->flags & FORMS_ALL;
    return forms != 0 ? forms : FORMS_ALL;
}

static gboolean
check_twins(const KdParamSpec *table, size_t index, const char *owner, GError **error)
{
    for (size_t i = 0; i < index; i++) {
        if (g_ascii_strcasecmp(table[i].key, table[index].key) == 0 &&
            (get_forms(&table[i]) & get_forms(&table[index])) != 0) {
            return refuse(error, owner, &table[index], "it stands twice for one form");
        }
    }
    return TRUE;
}

/**
 * kd_key_table_check:
 * @table: (nullable): of a plugin
 * @owner: file and scheme, for the message
 *
 * Checks that a table of keys ends, and that each of its entries can be parsed with and shown.
 *
 * Returns: %FALSE with KD_ERROR_ABI
 */
gboolean
kd_key_table_check(const KdParamSpec *table, const char *owner, GError **error)
{
    if (table == NULL) {
        g_set_error(error, KD_ERROR, KD_ERROR_ABI, "%s: it has no key table", owner);
        return FALSE;
    }
    for (size_t i = 0; i < KD_KEY_TABLE_MAX; i++) {
        const KdParamSpec *spec = &table[i];
        if (spec->key == NULL && spec->type == 0 && spec->help == NULL) {
            return TRUE;
        }
        if (spec->key == NULL || !is_key(spec->key)) {
            g_set_error(error, KD_ERROR, KD_ERROR_ABI,
                        "%s: entry %" G_GSIZE_FORMAT " of the key table has no key of letters, "
                        "digits, - and _",
                        owner, i + 1);
            return FALSE;
        }
        if (!check_entry(spec, owner, error) || !check_twins(table, i, owner, error)) {
            return FALSE;
        }
    }
    g_set_error(error, KD_ERROR, KD_ERROR_ABI,
                "%s: the key table has no end within %u entries (the last one is zeroed)", owner,
                KD_KEY_TABLE_MAX);
    return FALSE;
}
