/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One-line errors about parameters: short, and clean enough for a log and a terminal. */
#include "kd-param-error.h"

#include <string.h>

#define MAX_MESSAGE_BYTES 299u
#define MAX_SHOWN_BYTES   32u

/**
 * kd_param_is_control:
 * @letter: a character of a valid text
 *
 * Returns: whether it would move a terminal's cursor or start a new line.
 */
gboolean
kd_param_is_control(gunichar letter)
{
    GUnicodeType type = g_unichar_type(letter);
    return type == G_UNICODE_CONTROL || type == G_UNICODE_LINE_SEPARATOR ||
           type == G_UNICODE_PARAGRAPH_SEPARATOR;
}

/**
 * kd_param_set_error:
 * @error: (nullable): as for g_set_error()
 * @code: of the domain KD_ERROR
 * @format: of printf()
 *
 * Sets an error whose message is one line of less than 300 bytes without control characters,
 * whatever was printed into it.
 */
void
kd_param_set_error(GError **error, KdError code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    g_autofree char *message = g_strdup_vprintf(format, args);
    va_end(args);

    g_autofree char *valid = g_utf8_make_valid(message, -1);
    g_autoptr(GString) line = g_string_new(NULL);
    for (const char *at = valid; *at != '\0'; at = g_utf8_next_char(at)) {
        gsize len = (gsize)(g_utf8_next_char(at) - at);
        if (line->len + len > MAX_MESSAGE_BYTES) {
            break;
        }
        if (kd_param_is_control(g_utf8_get_char(at))) {
            g_string_append_c(line, '?');
        } else {
            g_string_append_len(line, at, (gssize)len);
        }
    }
    g_set_error_literal(error, KD_ERROR, (int)code, line->str);
}

/* Where a password stands behind its key and a wrong sign: `port=1027;password=abc`, `password:abc`
 * Returns: how many bytes of the text may be shown. */
static gsize
count_showable(const char *text)
{
    static const char key[] = "password";

    for (const char *at = text; *at != '\0'; at++) {
        const char *behind = at + sizeof key - 1;

        if (g_ascii_strncasecmp(at, key, sizeof key - 1) == 0 && *behind != '\0' &&
            *behind != '-' && !g_ascii_isalnum(*behind)) {
            return (gsize)(behind - text);
        }
    }
    return strlen(text);
}

/**
 * kd_param_build_shown:
 * @text: what the user typed
 *
 * Makes a piece of the user's text fit for a message: printable ASCII, at most 32 bytes.
 *
 * Returns: (transfer full): the text, with `?` for the rest, `...` for what was cut, and nothing of
 *    what looks like a password
 */
char *
kd_param_build_shown(const char *text)
{
    gsize len = count_showable(text);
    g_autoptr(GString) shown = g_string_new(NULL);
    for (gsize i = 0; i < MIN(len, MAX_SHOWN_BYTES); i++) {
        g_string_append_c(shown, g_ascii_isprint(text[i]) ? text[i] : '?');
    }
    if (len > MAX_SHOWN_BYTES) {
        g_string_append(shown, "...");
    } else if (text[len] != '\0') {
        g_string_append(shown, "=*");
    }
    return g_string_free(g_steal_pointer(&shown), FALSE);
}
