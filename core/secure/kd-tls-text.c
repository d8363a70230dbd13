/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GnuTLS's sentences as a part of ours. */
#include "kd-tls-text.h"

#include <gnutls/gnutls.h>
#include <kdsrv/kd-plugin.h>

#include <string.h>

/**
 * kd_tls_text_build:
 * @status: of a function of GnuTLS that has failed
 *
 * Returns: (transfer full): what it means, without a capital at the start and a full stop
 */
char *
kd_tls_text_build(int status)
{
    char *text = g_strdup(gnutls_strerror(status));
    gsize len = strlen(text);

    if (len > 1 && text[len - 1] == '.') {
        text[len - 1] = '\0';
    }
    /* but PKCS, TLS and the like stay */
    if (len > 1 && g_ascii_islower(text[1])) {
        text[0] = g_ascii_tolower(text[0]);
    }
    return text;
}

/**
 * kd_tls_text_set_error:
 * @error: (nullable): where to put %KD_ERROR_TLS
 * @status: of a function of GnuTLS that has failed
 * @format: of printf(): what has failed
 *
 * Sets an error: what has failed, a colon, and what GnuTLS says.
 */
void
kd_tls_text_set_error(GError **error, int status, const char *format, ...)
{
    g_autofree char *text = kd_tls_text_build(status);
    va_list args;

    va_start(args, format);
    g_autofree char *what = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, KD_ERROR, KD_ERROR_TLS, "%s: %s", what, text);
}
