/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of pipes: what may stand in one, and the codes that a server's may have. */
#include "npipe-name.h"

#include <kdsrv/kd-plugin.h>

#include <string.h>

/* What stands in front of a pipe's name elsewhere */
#define PIPE_PREFIX "\\\\.\\pipe\\"

/* A dot, `.lock` and the name are one file's name. */
#define MAX_NAME_BYTES 249u /* also in a message below */

#define MAX_CODES 2u

static void
refuse(GError **error, const char *why)
{
    g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID, NPIPE_SCHEME ": pipe=: %s", why);
}

static const char *
skip_prefix(const char *text)
{
    size_t len = strlen(PIPE_PREFIX);
    return g_ascii_strncasecmp(text, PIPE_PREFIX, len) == 0 ? text + len : text;
}

/* Returns: (nullable): what is wrong with the name */
static const char *
find_fault(const char *name)
{
    if (*name == '\0') {
        return "the name is empty";
    }
    if (*name == '.') {
        return "a pipe's name does not start with a dot";
    }
    if (!g_utf8_validate(name, -1, NULL)) {
        return "a pipe's name is UTF-8";
    }
    if (strlen(name) > MAX_NAME_BYTES) {
        return "the name is too long: at most 249 bytes";
    }
    for (const char *at = name; *at != '\0'; at = g_utf8_next_char(at)) {
        gunichar c = g_utf8_get_char(at);
        if (g_unichar_isspace(c) || g_unichar_iscntrl(c)) {
            return "a pipe's name has no spaces";
        }
        if (c == '"' || c == '\'') {
            return "a pipe's name has no quotation marks";
        }
        if (c == '/' || c == '\\') {
            return "a pipe's name has no slash and no backslash, apart from \\\\.\\pipe\\ in front";
        }
    }
    return NULL;
}

/**
 * npipe_name_build:
 * @text: as a client gives it; `\\.\pipe\` may stand in front
 * @error: %KD_ERROR_PARAM_INVALID
 *
 * Takes a name literally: a percent sign means itself.
 *
 * Returns: (transfer full) (nullable): the name
 */
char *
npipe_name_build(const char *text, GError **error)
{
    const char *name = skip_prefix(text);
    const char *fault = find_fault(name);
    if (fault != NULL) {
        refuse(error, fault);
        return NULL;
    }
    return g_strdup(name);
}

/* Writes one number in the base that the code asks for. Returns: whether there is such a code */
static gboolean
append_number(GString *name, char code, guint64 number)
{
    switch (code) {
    case 'x':
        g_string_append_printf(name, "%" G_GINT64_MODIFIER "x", number);
        return TRUE;
    case 'X':
        g_string_append_printf(name, "%" G_GINT64_MODIFIER "X", number);
        return TRUE;
    case 'o':
        g_string_append_printf(name, "%" G_GINT64_MODIFIER "o", number);
        return TRUE;
    case 'd':
    case 'u':
        g_string_append_printf(name, "%" G_GUINT64_FORMAT, number);
        return TRUE;
    default:
        return FALSE;
    }
}

static void
refuse_code(GError **error, const char *code)
{
    if (*code == '\0') {
        refuse(error, "a percent sign at the end stands for nothing: %% is the sign itself");
        return;
    }
    g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                NPIPE_SCHEME ": pipe=: %%%c is not a code: there are %%x %%X %%d %%u %%o, first "
                             "for the process, then for the thread, and %%%% is the sign itself",
                g_ascii_isprint(*code) ? *code : '?');
}

/**
 * npipe_name_expand:
 * @text: as a server gives it; `\\.\pipe\` may stand in front
 * @process: for the first code
 * @thread: for the second code
 * @error: %KD_ERROR_PARAM_INVALID
 *
 * Replaces the codes `%x`, `%X`, `%d`, `%u` and `%o`, of which there may be two, and `%%`. What
 * looks like anything else that printf knows is refused.
 *
 * Returns: (transfer full) (nullable): the name
 */
char *
npipe_name_expand(const char *text, guint64 process, guint64 thread, GError **error)
{
    g_autoptr(GString) name = g_string_new(NULL);
    guint n_codes = 0;
    for (const char *at = skip_prefix(text); *at != '\0'; at++) {
        if (*at != '%') {
            g_string_append_c(name, *at);
            continue;
        }
        at++;
        if (*at == '%') {
            g_string_append_c(name, '%');
            continue;
        }
        if (!append_number(name, *at, n_codes == 0 ? process : thread)) {
            refuse_code(error, at);
            return NULL;
        }
        if (++n_codes > MAX_CODES) {
            refuse(error, "a third code: there is one for the process and one for the thread");
            return NULL;
        }
    }
    const char *fault = find_fault(name->str);
    if (fault != NULL) {
        refuse(error, fault);
        return NULL;
    }
    return g_strdup(name->str);
}
