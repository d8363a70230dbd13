/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What one string says about TLS: versions, our certificate, whom we trust. */
#include "kd-tls-config.h"
#include "kd-tls-config-private.h"

/* TLS 1.0 and 1.1 are in GnuTLS's NORMAL, and the server's order is to count. */
#define PRIORITY "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:%SERVER_PRECEDENCE"

struct KdTlsConfig {
    grefcount n_refs;
    KdTlsRole role;
    gnutls_certificate_credentials_t credentials;
    char *priority;
    gnutls_certificate_request_t request;
    char *server_name;
    KdTlsJudgeFunc judge; /* (nullable): of a test */
};

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
 * kd_tls_config_new_for_test:
 * @role: ours
 * @credentials: (transfer full): what we show
 * @priority: (nullable): other than the usual one
 * @request: of a server: whether it asks for a certificate
 * @judge: (nullable): asked instead of kd_tls_config_judge(); %NULL: everything is trusted
 *
 * Makes a configuration without reading a file. For tests alone.
 *
 * Returns: (transfer full): a configuration
 */
KdTlsConfig *
kd_tls_config_new_for_test(KdTlsRole role, gnutls_certificate_credentials_t credentials,
                           const char *priority, gnutls_certificate_request_t request,
                           KdTlsJudgeFunc judge)
{
    KdTlsConfig *config = g_new0(KdTlsConfig, 1);

    g_ref_count_init(&config->n_refs);
    config->role = role;
    config->credentials = credentials;
    config->priority = g_strdup(priority);
    config->request = request;
    config->judge = judge;
    return config;
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
    g_ref_count_inc(&config->n_refs);
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
    if (config == NULL || !g_ref_count_dec(&config->n_refs)) {
        return;
    }
    if (config->credentials != NULL) {
        gnutls_certificate_free_credentials(config->credentials);
    }
    g_free(config->priority);
    g_free(config->server_name);
    g_free(config);
}

/**
 * kd_tls_config_get_role:
 * @config: a configuration
 *
 * Returns: ours
 */
KdTlsRole
kd_tls_config_get_role(const KdTlsConfig *config)
{
    return config->role;
}

/**
 * kd_tls_config_get_credentials:
 * @config: a configuration
 *
 * Returns: (transfer none): what we show; a session that uses them holds a reference of @config
 */
gnutls_certificate_credentials_t
kd_tls_config_get_credentials(const KdTlsConfig *config)
{
    return config->credentials;
}

/**
 * kd_tls_config_get_priority:
 * @config: a configuration
 *
 * Returns: versions and ciphers, as GnuTLS writes them
 */
const char *
kd_tls_config_get_priority(const KdTlsConfig *config)
{
    return config->priority != NULL ? config->priority : PRIORITY;
}

/**
 * kd_tls_config_get_request:
 * @config: of a server
 *
 * Returns: whether it asks its clients for a certificate
 */
gnutls_certificate_request_t
kd_tls_config_get_request(const KdTlsConfig *config)
{
    return config->request;
}

/**
 * kd_tls_config_get_server_name:
 * @config: of a client
 *
 * Returns: (nullable): how the server is called in the first message (RFC 6066, 3); no address
 */
const char *
kd_tls_config_get_server_name(const KdTlsConfig *config)
{
    return config->server_name;
}

/**
 * kd_tls_config_judge:
 * @config: a configuration
 * @session: in the middle of a handshake; a client may have shown no certificate
 * @peer: its verdict, name and sha256 are filled in, as far as they are known, also on error
 * @error: %KD_ERROR_TLS: why the handshake ends here; one sentence. With the verdict
 *    %KD_TLS_UNKNOWN the user may confirm the certificate, and dial again
 *
 * Judges the certificate of the other side.
 *
 * Returns: whether the handshake may go on
 */
gboolean
kd_tls_config_judge(const KdTlsConfig *config, gnutls_session_t session, KdTlsPeer *peer,
                    GError **error)
{
    return config->judge == NULL || config->judge(session, peer, error);
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
