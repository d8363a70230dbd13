/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keeps secrets of the command line out of the process list. */
#include "kd-secrets.h"

#include <string.h>

/* No plugin and so no table is loaded yet when this is needed. */
static const char *const SECRET_KEYS[] = {"password=", "key="};

static gboolean
is_item_start(const char *text, const char *at)
{
    return at == text || strchr(":,{", at[-1]) != NULL;
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

static void
hide_in(char *text)
{
    for (char *at = text; *at != '\0'; at++) {
        char *value = find_value(text, at);

        if (value != NULL) {
            size_t len = strcspn(value, value[0] == '@' ? "}" : ",}");

            memset(value, '*', len);
        }
    }
}

/**
 * kd_secrets_hide:
 * @argc: of main()
 * @argv: of main(), after it was copied
 *
 * Overwrites the values of passwords and keys in place, which is what other users see of this
 * process. The arguments of the debugger are left alone.
 */
void
kd_secrets_hide(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        hide_in(argv[i]);
    }
}
