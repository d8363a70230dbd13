/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text of other programs and of devices, fit for one line of a message. */
#include "serial-printable.h"

#define MAX_BYTES 200u

static gboolean
is_printable(gunichar letter)
{
    GUnicodeType type = g_unichar_type(letter);
    return g_unichar_isprint(letter) && type != G_UNICODE_LINE_SEPARATOR &&
           type != G_UNICODE_PARAGRAPH_SEPARATOR;
}

/**
 * serial_build_printable:
 * @text: in any encoding
 *
 * Cleans a text that somebody else chose, such as the name of a process or of a USB device: nothing
 * in it moves a terminal's cursor, starts a line or turns the direction of writing.
 *
 * Returns: (transfer full): at most 200 bytes of valid UTF-8, without white space around, `?` for
 *    what was replaced
 */
char *
serial_build_printable(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    g_autoptr(GString) line = g_string_new(NULL);
    g_strstrip(valid);
    for (const char *at = valid; *at != '\0'; at = g_utf8_next_char(at)) {
        gsize len_bytes = (gsize)(g_utf8_next_char(at) - at);
        if (line->len + len_bytes > MAX_BYTES) {
            break;
        }
        if (is_printable(g_utf8_get_char(at))) {
            g_string_append_len(line, at, (gssize)len_bytes);
        } else {
            g_string_append_c(line, '?');
        }
    }
    return g_string_free(g_steal_pointer(&line), FALSE);
}
