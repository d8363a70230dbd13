/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The name of a target on USB: in a link's string, and in the target's answer to NAME?. */
#include "usb-name.h"

#include <kdsrv/kd-plugin.h>

#include <string.h>

#define ANSWER "NAME="

static gboolean
is_letter_of_name(char letter)
{
    return g_ascii_isalnum(letter) || letter == '-' || letter == '_';
}

static gboolean
has_only_letters_of_names(const char *name)
{
    return name[0] != '\0' && strlen(name) <= USB_NAME_MAX_BYTES &&
           name[strspn(name, "-_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")] ==
               '\0';
}

/**
 * usb_name_check:
 * @name: of targetname=
 * @error: %KD_ERROR_PARAM_INVALID
 *
 * Returns: whether a target can have this name: 1 to 24 of letters, digits, `-` and `_`, without
 *    the word "debug" in any case
 */
gboolean
usb_name_check(const char *name, GError **error)
{
    if (!has_only_letters_of_names(name)) {
        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                    "usb: targetname=: 1 to %u letters, digits, - and _", USB_NAME_MAX_BYTES);
        return FALSE;
    }
    g_autofree char *lower = g_ascii_strdown(name, -1);
    if (strstr(lower, "debug") != NULL) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                            "usb: targetname=: no target can have `debug` in its name");
        return FALSE;
    }
    return TRUE;
}

/**
 * usb_name_is_same:
 *
 * Returns: whether two names mean one target; targets say theirs in upper case, whatever they were
 *    set up with
 */
gboolean
usb_name_is_same(const char *a, const char *b)
{
    return g_ascii_strcasecmp(a, b) == 0;
}

/**
 * usb_name_build_lock:
 *
 * Returns: (transfer full): what two openings of one target collide on
 */
char *
usb_name_build_lock(const char *name)
{
    g_autofree char *upper = g_ascii_strup(name, -1);
    return g_strconcat("usb:", upper, NULL);
}

/**
 * usb_name_is_answer:
 * @bytes: a whole transfer
 *
 * Returns: whether it means to be an answer to NAME?, well-formed or not; no KD packet begins so
 */
gboolean
usb_name_is_answer(const uint8_t *bytes, size_t len_bytes)
{
    return len_bytes >= strlen(ANSWER) && memcmp(bytes, ANSWER, strlen(ANSWER)) == 0;
}

/**
 * usb_name_parse_answer:
 * @bytes: a whole transfer
 *
 * Reads `NAME=<name>` with zeros behind it.
 *
 * Returns: (transfer full) (nullable): the name; %NULL: that is no answer
 */
char *
usb_name_parse_answer(const uint8_t *bytes, size_t len_bytes)
{
    if (!usb_name_is_answer(bytes, len_bytes) || len_bytes > USB_NAME_ANSWER_MAX_BYTES) {
        return NULL;
    }
    const char *name = (const char *)bytes + strlen(ANSWER);
    size_t left_bytes = len_bytes - strlen(ANSWER);
    size_t name_bytes = 0;
    while (name_bytes < left_bytes && is_letter_of_name(name[name_bytes])) {
        name_bytes++;
    }
    for (size_t i = name_bytes; i < left_bytes; i++) {
        if (name[i] != '\0') {
            return NULL;
        }
    }
    if (name_bytes == 0 || name_bytes > USB_NAME_MAX_BYTES) {
        return NULL;
    }
    return g_strndup(name, name_bytes);
}
