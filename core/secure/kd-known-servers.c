/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Certificates of servers that the user has confirmed: $XDG_CONFIG_HOME/kdsrv/known_servers. */
#include "kd-known-servers.h"

#include <kdsrv/kd-plugin.h>

/**
 * kd_known_servers_build_path:
 *
 * Returns: (transfer full): the file
 */
char *
kd_known_servers_build_path(void)
{
    return g_build_filename(g_get_user_config_dir(), "kdsrv", "known_servers", NULL);
}

/**
 * kd_known_servers_find:
 * @place: of the server: `ssl:labhost:1027`
 * @sha256: (out) (transfer full) (nullable): thumbprint, 64 hex digits; %NULL: not known
 * @error: where to put an error
 *
 * Returns: whether the file could be read, or is not there
 */
gboolean
kd_known_servers_find(const char *place, char **sha256, GError **error)
{
    (void)place;
    (void)error;
    *sha256 = NULL;
    return TRUE;
}

/**
 * kd_known_servers_add:
 * @place: of the server
 * @sha256: thumbprint, 64 hex digits
 * @error: where to put an error
 *
 * Remembers a certificate that the user has confirmed.
 *
 * Returns: whether it was written
 */
gboolean
kd_known_servers_add(const char *place, const char *sha256, GError **error)
{
    (void)place;
    (void)sha256;
    g_set_error_literal(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED, "not yet");
    return FALSE;
}
