/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keeps secrets of the command line out of the process list. */
#include "kd-secrets.h"

#include "kd-params.h"

#include <stdlib.h>
#include <string.h>

/* No plugin and so no table is loaded yet when this is needed. */
static const char *const SECRET_KEYS[] = {"password=", "key=", "pin-value="};

static gboolean
is_item_start(const char *text, const char *at)
{
    return at == text || strchr(":,{;?&", at[-1]) != NULL;
}

static char *
find_value(char *text, char *at)
{
    if (!is_item_start(text, at)) {
        return NULL;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(SECRET_KEYS); i++) {
        size_t len = strlen(SECRET_KEYS[i]);

        if (g_ascii_strncasecmp(at, SECRET_KEYS[i], len) == 0) {
            return at + len;
        }
    }
    return NULL;
}

static gboolean
hide_in(char *text)
{
    gboolean is_found = FALSE;

    for (char *at = text; *at != '\0'; at++) {
        char *value = find_value(text, at);

        if (value != NULL) {
            gboolean has_commas = value[0] == '@' || kd_params_is_in_braced_uri(text, at);
            size_t len = strcspn(value, has_commas ? "}" : ",}");

            memset(value, '*', len);
            is_found = TRUE;
        }
    }
    return is_found;
}

/**
 * kd_secrets_hide:
 * @argc: of main()
 * @argv: of main(), after it was copied
 *
 * Overwrites the values of passwords, keys and PINs in place, which is what other users see of this
 * process. The arguments of the debugger are left alone. SSLKEYLOGFILE is removed from the
 * environment: keys of TLS connections would be written there.
 *
 * Returns: whether there was one
 */
gboolean
kd_secrets_hide(int argc, char **argv)
{
    gboolean is_found = FALSE;

    (void)unsetenv("SSLKEYLOGFILE");
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        is_found = hide_in(argv[i]) || is_found;
    }
    return is_found;
}

/* Somebody may write the password behind what asks for it. */
static gboolean
is_asked(char **words)
{
    return g_strv_contains((const char *const *)words, "--ask-password") ||
           g_strv_contains((const char *const *)words, "--make-verifier");
}

/**
 * kd_secrets_parse:
 * @context: with all options
 * @words: (array zero-terminated=1): as typed; options are taken out, and not freed
 * @program: for the message
 * @error: %G_OPTION_ERROR, without the secrets of what was typed
 *
 * Takes options, and nothing else, from a command line.
 *
 * Returns: whether they are right
 */
gboolean
kd_secrets_parse(GOptionContext *context, char **words, const char *program, GError **error)
{
    g_autoptr(GError) failure = NULL;
    g_autofree char *masked = NULL;
    int argc = (int)g_strv_length(words);
    gboolean has_answer = is_asked(words);

    if (!g_option_context_parse(context, &argc, &words, &failure)) {
        masked = kd_params_build_masked(NULL, NULL, failure->message);
        g_set_error_literal(error, failure->domain, failure->code, masked);
        return FALSE;
    }
    if (argc > 1) {
        masked = has_answer ? g_strdup("a word that is none")
                            : kd_params_build_masked(NULL, NULL, words[1]);
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
                    "%s: expected an option (see %s --help)", masked, program);
        return FALSE;
    }
    return TRUE;
}
