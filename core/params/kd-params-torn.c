/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Recognises a command line whose unquoted @{a,b} the shell has expanded. */
#include "kd-params.h"

#include <string.h>

#define KDSRV_PREFIX "kdsrv:"

static gboolean
has_prefix_any_case(const char *text, const char *prefix)
{
    return g_ascii_strncasecmp(text, prefix, strlen(prefix)) == 0;
}

/* The kdsrv: string that an argument is, or has after -k or --kernel= */
static const char *
find_kdsrv(const char *argument)
{
    if (has_prefix_any_case(argument, KDSRV_PREFIX)) {
        return argument;
    }
    if (argument[0] != '-') {
        return NULL;
    }
    if (argument[1] == 'k' && has_prefix_any_case(argument + 2, KDSRV_PREFIX)) {
        return argument + 2;
    }
    const char *equals = strchr(argument, '=');
    return equals != NULL && has_prefix_any_case(equals + 1, KDSRV_PREFIX) ? equals + 1 : NULL;
}

/* What is left of `@{a,b}` is `@a` in one word and `@b` in the next */
static gboolean
is_torn_value(const char *value)
{
    return value[0] == '@' && value[1] != '{';
}

/* Inside braces that still stand `=@` is a value of its own */
static gboolean
has_torn_value(const char *text, gboolean is_nested_too)
{
    gsize depth = 0;
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '{') {
            depth++;
        } else if (*at == '}' && depth > 0) {
            depth--;
        } else if (*at == '=' && (depth == 0 || is_nested_too) && is_torn_value(at + 1)) {
            return TRUE;
        }
    }
    return FALSE;
}

static int
find_options_end(int argc, char *const *argv)
{
    for (int i = 1; i < argc; i++) {
        if (argv[i] == NULL || strcmp(argv[i], "--") == 0) {
            return i;
        }
    }
    return argc;
}

static gboolean
is_torn_option(const char *argument, const char *next)
{
    static const char *const options[] = {"--server", "--trans"};
    for (gsize i = 0; i < G_N_ELEMENTS(options); i++) {
        if (!g_str_has_prefix(argument, options[i])) {
            continue;
        }
        const char *rest = argument + strlen(options[i]);
        if (*rest == '=' && is_torn_value(rest + 1)) {
            return TRUE;
        }
        if (*rest == '\0' && next != NULL && is_torn_value(next)) {
            return TRUE;
        }
    }
    return FALSE;
}

/**
 * kd_params_is_torn:
 * @argv: as main() has it
 *
 * Tells whether a shell has torn a nested string apart. What bash, zsh, ksh and fish make of
 * `kdsrv:server=@{tcp:server=h,port=1027},trans=@{com:port=com1,baud=57600}` is four words, the
 * first of them `kdsrv:server=@tcp:server=h,trans=@com:port=com1`; csh drops the braces of a group
 * without a comma too, the others keep those. Only the kdsrv: string and what follows --server and
 * --trans is looked at, and nothing after
 * `--`, which belongs to the debugger.
 *
 * Returns: whether the error should be the advice to quote
 */
gboolean
kd_params_is_torn(int argc, char *const *argv)
{
    int end = find_options_end(argc, argv);
    guint n_kdsrv = 0;
    gboolean is_torn_inside = FALSE;
    for (int i = 1; i < end; i++) {
        if (is_torn_option(argv[i], i + 1 < end ? argv[i + 1] : NULL)) {
            return TRUE;
        }
        const char *kdsrv = find_kdsrv(argv[i]);
        if (kdsrv == NULL) {
            continue;
        }
        n_kdsrv++;
        if (has_torn_value(kdsrv, FALSE)) {
            return TRUE;
        }
        is_torn_inside = is_torn_inside || has_torn_value(kdsrv, TRUE);
    }
    /* a brace group inside one without a comma: the outer braces are left, the word is doubled */
    return is_torn_inside && n_kdsrv > 1;
}
