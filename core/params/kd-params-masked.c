/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The text as typed, without its secrets: for logs and messages, even about what does not parse. */
#include "kd-params.h"

#include "kd-param-error.h"
#include "kd-param-item.h"

#include <string.h>

#define URI_SCHEME "pkcs11:"

static gboolean
is_key_letter(char letter)
{
    return g_ascii_isalnum(letter) || letter == '-' || letter == '_';
}

/* The brace around @at */
static const char *
find_open(const char *text, const char *at)
{
    gsize depth = 0;
    while (at > text) {
        at--;
        if (*at == '}') {
            depth++;
        } else if (*at == '{' && depth-- == 0) {
            return at;
        }
    }
    return NULL;
}

/**
 * kd_params_is_in_braced_uri:
 * @text: as typed
 * @at: in it
 *
 * Returns: whether @at is in a `@{pkcs11:...}`, where a comma is part of the URI (RFC 7512, 2.3),
 * and so maybe of a PIN
 */
gboolean
kd_params_is_in_braced_uri(const char *text, const char *at)
{
    const char *open = find_open(text, at);
    return open != NULL && g_ascii_strncasecmp(open + 1, URI_SCHEME, strlen(URI_SCHEME)) == 0;
}

/* Whether the text before an equals sign ends in a key whose value must not be shown */
static gboolean
is_secret_key(const KdParamSpec *table, const char *start, const char *equals)
{
    const char *end = equals;
    while (end > start && g_ascii_isspace(end[-1])) {
        end--;
    }
    const char *begin = end;
    while (begin > start && is_key_letter(begin[-1])) {
        begin--;
    }
    g_autofree char *key = g_ascii_strdown(begin, (gssize)(end - begin));
    /* `passwort=` is a typing error, and what follows it is still the password */
    if (strstr(key, "pass") != NULL || strcmp(key, "key") == 0 || strcmp(key, "pin-value") == 0) {
        return TRUE;
    }
    for (const KdParamSpec *spec = table; spec != NULL && spec->key != NULL; spec++) {
        if ((spec->flags & KD_PARAM_SECRET) != 0 && g_ascii_strcasecmp(spec->key, key) == 0) {
            return TRUE;
        }
    }
    return FALSE;
}

/* The end of a plain value: a comma, or braces that close what it is nested in. A brace with more
 * text behind it closes nothing, so it may be part of a mistyped secret. */
static const char *
find_plain_end(const char *value)
{
    const char *at = value;
    while (*at != '\0' && *at != ',') {
        if (*at == '}') {
            const char *behind = at + strspn(at, "}");
            if (*behind == '\0' || *behind == ',') {
                return at;
            }
            at = behind;
        } else {
            at++;
        }
    }
    return at;
}

static const char *
find_value_end(const char *text, const char *value)
{
    if (kd_params_is_in_braced_uri(text, value)) {
        return value + strcspn(value, "}");
    }
    if (!g_str_has_prefix(value, "@{")) {
        return find_plain_end(value);
    }
    const char *close = kd_param_text_find_close(value + 1);
    return close != NULL ? find_plain_end(close + 1) : value + strlen(value);
}

/* Whatever it was, it can be printed afterwards */
static char *
build_printable(const char *items)
{
    gsize len = strnlen(items, KD_PARAMS_MAX_BYTES + 1);
    g_autofree char *valid = g_utf8_make_valid(items, (gssize)MIN(len, KD_PARAMS_MAX_BYTES));
    g_autoptr(GString) text = g_string_sized_new(len);
    for (const char *at = valid; *at != '\0'; at = g_utf8_next_char(at)) {
        gunichar letter = g_utf8_get_char(at);
        g_string_append_unichar(text, kd_param_is_control(letter) ? '?' : letter);
    }
    if (len > KD_PARAMS_MAX_BYTES) {
        g_string_append(text, "...");
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/**
 * kd_params_build_masked:
 * @scheme: (nullable): put in front with a colon
 * @table: (nullable): whose secret keys are masked too
 * @items: (nullable): as typed; need not parse
 *
 * Replaces the value of each secret key by a star, at any depth: the table's, and always
 * `password=`, `key=` and the `pin-value=` of a pkcs11: URI (RFC 7512, 2.4). Control characters
 * become `?`, what is longer than a string may be is cut.
 *
 * Returns: (transfer full): one line, valid UTF-8
 */
char *
kd_params_build_masked(const char *scheme, const KdParamSpec *table, const char *items)
{
    g_autofree char *text = build_printable(items != NULL ? items : "");
    g_autoptr(GString) masked = g_string_new(scheme);
    if (scheme != NULL) {
        g_string_append_c(masked, ':');
    }
    const char *at = text, *equals;
    while ((equals = strchr(at, '=')) != NULL) {
        g_string_append_len(masked, at, equals + 1 - at);
        gboolean is_secret = is_secret_key(table, text, equals);
        at = equals + 1;
        if (is_secret) {
            const char *end = find_value_end(text, at);
            if (end > at) {
                g_string_append_c(masked, '*');
            }
            at = end;
        }
    }
    g_string_append(masked, at);
    memset(text, 0, strlen(text));
    return g_string_free(g_steal_pointer(&masked), FALSE);
}
