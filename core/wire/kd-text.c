/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What counts as text on the wire: UTF-8 that a terminal can be given. */
#include "kd-text.h"

#include <string.h>

#define FIRST_PRINTABLE 0x20u
#define DELETE          0x7fu
#define LAST_C1         0x9fu

static gboolean
is_printable(gunichar c)
{
    return c >= FIRST_PRINTABLE && (c < DELETE || c > LAST_C1);
}

/* The character that starts at @bytes, and its length; 0 for what is not UTF-8. */
static gunichar
read_char(const uint8_t *bytes, size_t left, size_t *len)
{
    gunichar c = g_utf8_get_char_validated((const char *)bytes, (gssize)MIN(left, 6));

    if (c == (gunichar)-1 || c == (gunichar)-2) {
        *len = 1;
        return 0;
    }
    *len = (size_t)g_unichar_to_utf8(c, NULL);
    return c;
}

/**
 * kd_text_is_printable:
 * @bytes: as they came
 * @len: of @bytes
 *
 * Returns: whether @bytes is UTF-8 without control characters (C0, DEL, C1; so also without NUL)
 */
gboolean
kd_text_is_printable(const uint8_t *bytes, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i += n) {
        if (!is_printable(read_char(bytes + i, len - i, &n))) {
            return FALSE;
        }
    }
    return TRUE;
}

/**
 * kd_text_dup_printable:
 * @bytes: as they came
 * @len: of @bytes
 * @max_bytes: longest result, without its NUL
 *
 * Makes text of anything: each control character, and each byte that is no UTF-8, becomes `?`; what
 * is beyond @max_bytes is cut off between two characters.
 *
 * Returns: (transfer full): printable text
 */
char *
kd_text_dup_printable(const uint8_t *bytes, size_t len, size_t max_bytes)
{
    GString *text = g_string_sized_new(MIN(len, max_bytes));
    size_t n = 0;

    for (size_t i = 0; i < len; i += n) {
        gboolean is_kept = is_printable(read_char(bytes + i, len - i, &n));

        if (text->len + (is_kept ? n : 1) > max_bytes) {
            break;
        }
        if (is_kept) {
            g_string_append_len(text, (const char *)bytes + i, (gssize)n);
        } else {
            g_string_append_c(text, '?');
        }
    }
    return g_string_free(text, FALSE);
}
