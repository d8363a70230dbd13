/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What one string says about TLS: versions, our certificate, whom we trust. */
#include "kd-tls-config.h"

/**
 * kd_tls_config_check:
 * @role: ours
 * @scheme: of the transport
 * @params: a{sv} with the host's keys
 * @error: KD_ERROR_PARAM_*: the string is wrong
 *
 * Judges the string alone; opens nothing.
 *
 * Returns: whether it can be right
 */
gboolean
kd_tls_config_check(KdTlsRole role, const char *scheme, GVariant *params, GError **error)
{
    (void)role;
    (void)params;
    g_set_error(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED, "%s: this version has no TLS yet", scheme);
    return FALSE;
}

/**
 * kd_tls_config_new:
 * @role: ours
 * @scheme: of the transport
 * @params: a{sv} with the host's keys
 * @error: %KD_ERROR_TLS: a certificate, a key or a file is missing or wrong
 *
 * Reads certificates, keys and anchors.
 *
 * Returns: (transfer full) (nullable): all that a handshake needs
 */
KdTlsConfig *
kd_tls_config_new(KdTlsRole role, const char *scheme, GVariant *params, GError **error)
{
    if (kd_tls_config_check(role, scheme, params, error)) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED, "not yet");
    }
    return NULL;
}

/**
 * kd_tls_config_ref:
 * @config: a configuration
 *
 * Returns: (transfer full): @config
 */
KdTlsConfig *
kd_tls_config_ref(KdTlsConfig *config)
{
    return config;
}

/**
 * kd_tls_config_unref:
 * @config: (nullable): a configuration
 *
 * Frees it when nobody else holds it.
 */
void
kd_tls_config_unref(KdTlsConfig *config)
{
    (void)config;
}

/**
 * kd_tls_config_get_place:
 * @config: of a client
 *
 * Returns: how its server is called in the file of known servers: `ssl:labhost:1027`
 */
const char *
kd_tls_config_get_place(const KdTlsConfig *config)
{
    (void)config;
    return "";
}
