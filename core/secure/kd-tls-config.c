/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What one string says about TLS: versions, our certificate, whom we trust. */
#include "kd-tls-config.h"

#include "kd-cert-folders.h"
#include "kd-cert-judge.h"
#include "kd-thumbprint.h"
#include "kd-tls-config-private.h"
#include "kd-tls-credentials.h"
#include "kd-tls-params.h"
#include "kd-tls-place.h"
#include "kd-tls-text.h"

#include <string.h>

struct KdTlsConfig {
    grefcount n_refs;
    KdTlsRole role;
    gnutls_certificate_credentials_t credentials;
    const char *priority;
    gnutls_certificate_request_t request;
    char *server_name;
    KdCertJudge judge;
    gboolean is_test;
    KdTlsJudgeFunc test_judge; /* (nullable): then everything is trusted */
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
    return kd_tls_params_check(role, scheme, params, error);
}

/* The message names a file itself. */
static void
prefix_cert_error(GError **error, const char *key, const char *text)
{
    g_autofree char *shown = kd_tls_params_build_shown(text);

    if (g_path_is_absolute(text)) {
        g_prefix_error(error, "%s: ", key);
    } else {
        g_prefix_error(error, "%s=%s: ", key, shown);
    }
}

static gboolean
load_own(KdTlsConfig *config, const char *key, const KdCertWish *wish, GError **error)
{
    config->credentials = kd_tls_credentials_new(wish, error);
    if (config->credentials == NULL) {
        prefix_cert_error(error, key, wish->text);
    }
    return config->credentials != NULL;
}

/* Anchors that must be there, or those of folders that need not */
static gboolean
load_anchors(KdTlsConfig *config, const char *path, gboolean is_needed, GError **error)
{
    guint n_added = 0;

    if (!is_needed && !g_file_test(path, G_FILE_TEST_EXISTS)) {
        return TRUE;
    }
    if (!kd_tls_anchors_add_path(config->judge.anchors, path, &n_added, error)) {
        return FALSE;
    }
    if (is_needed && n_added == 0) {
        g_set_error(error, KD_ERROR, KD_ERROR_TLS,
                    "%s: no certificate of an authority in it (.pem, .crt, .cer)", path);
        return FALSE;
    }
    return TRUE;
}

static gboolean
load_server(KdTlsConfig *config, GVariant *params, GError **error)
{
    const char *key = NULL;
    KdCertWish wish = {.purpose = GNUTLS_KP_TLS_WWW_SERVER, .needs_key = TRUE};
    const char *request = kd_tls_params_get(params, "clientcert");
    const char *ca = kd_tls_params_get(params, "ca");
    g_autofree char *fallback = kd_cert_folders_build_client_anchors();

    wish.text = kd_tls_params_get_cert(params, &key, &wish.store);
    if (!load_own(config, key, &wish, error)) {
        return FALSE;
    }
    config->request = g_strcmp0(request, "require") == 0   ? GNUTLS_CERT_REQUIRE
                      : g_strcmp0(request, "request") == 0 ? GNUTLS_CERT_REQUEST
                                                           : GNUTLS_CERT_IGNORE;
    if (config->request == GNUTLS_CERT_IGNORE) {
        return TRUE;
    }
    config->judge.anchors = kd_tls_anchors_new(FALSE);
    if (!load_anchors(config, ca != NULL ? ca : fallback, TRUE, error)) {
        if (ca == NULL) {
            g_prefix_error(error, "clientcert=%s needs ca=PATH: ", request);
        }
        return FALSE;
    }
    return TRUE;
}

/* What the string says about the server's certificate: a pin, or a name */
static gboolean
load_pin(KdTlsConfig *config, GVariant *params, GError **error)
{
    KdCertJudge *judge = &config->judge;
    g_autoptr(KdCert) cert = NULL;
    KdCertWish wish = {.purpose = GNUTLS_KP_TLS_WWW_SERVER};
    const char *key = NULL;

    wish.text = kd_tls_params_get_cert(params, &key, &wish.store);
    if (wish.text == NULL) {
        return TRUE;
    }
    judge->pin_key = g_strdup(key);
    judge->pin = kd_thumbprint_parse(wish.text);
    if (judge->pin != NULL && !g_path_is_absolute(wish.text)) {
        return TRUE;
    }
    g_clear_pointer(&judge->pin, g_free);
    if (!kd_cert_search(&wish, &cert, error)) {
        prefix_cert_error(error, key, wish.text);
        return FALSE;
    }
    if (cert != NULL) {
        judge->pin = kd_cert_build_thumbprint(kd_cert_get_leaf(cert), GNUTLS_DIG_SHA256);
    } else {
        judge->name = g_strdup(wish.text);
    }
    return TRUE;
}

static gboolean
load_client_anchors(KdTlsConfig *config, const char *ca, GError **error)
{
    g_autofree char *user = kd_cert_folders_build_anchors(KD_CERT_STORE_USER);
    g_autofree char *machine = kd_cert_folders_build_anchors(KD_CERT_STORE_MACHINE);

    config->judge.anchors = kd_tls_anchors_new(ca == NULL);
    if (ca != NULL) {
        return load_anchors(config, ca, TRUE, error);
    }
    return load_anchors(config, user, FALSE, error) && load_anchors(config, machine, FALSE, error);
}

static gboolean
load_client(KdTlsConfig *config, const char *scheme, GVariant *params, GError **error)
{
    const KdCertWish wish = {.store = KD_CERT_STORE_USER,
                             .text = kd_tls_params_get(params, "clientcert"),
                             .purpose = GNUTLS_KP_TLS_WWW_CLIENT,
                             .needs_key = TRUE};

    config->judge.hosts = kd_tls_place_build_hosts(params);
    config->judge.place = kd_tls_place_build(scheme, params);
    config->server_name = kd_tls_place_build_server_name(params);
    if (!load_pin(config, params, error)) {
        return FALSE;
    }
    if (config->judge.pin == NULL &&
        !load_client_anchors(config, kd_tls_params_get(params, "ca"), error)) {
        return FALSE;
    }
    if (wish.text != NULL) {
        return load_own(config, "clientcert", &wish, error);
    }
    int status = gnutls_certificate_allocate_credentials(&config->credentials);
    if (status < 0) {
        kd_tls_text_set_error(error, status, "no credentials");
    }
    return status >= 0;
}

/**
 * kd_tls_config_new:
 * @role: ours
 * @scheme: of the transport
 * @params: a{sv} with the host's keys
 * @error: KD_ERROR_PARAM_*: the string is wrong; %KD_ERROR_TLS, G_IO_ERROR_*: a certificate, a key
 *    or a file is missing or wrong
 *
 * Reads certificates, keys and anchors, each once. What changes on the disk afterwards counts for
 * the next configuration of the same parameters; this one stays as it is while somebody holds it.
 *
 * Returns: (transfer full) (nullable): all that a handshake needs
 */
KdTlsConfig *
kd_tls_config_new(KdTlsRole role, const char *scheme, GVariant *params, GError **error)
{
    g_autoptr(KdTlsConfig) config = NULL;

    if (!kd_tls_config_check(role, scheme, params, error)) {
        return NULL;
    }
    config = g_new0(KdTlsConfig, 1);
    g_ref_count_init(&config->n_refs);
    config->role = role;
    config->judge.role = role;
    config->priority = kd_tls_params_get_priority(params);
    if (!(role == KD_TLS_SERVER ? load_server(config, params, error)
                                : load_client(config, scheme, params, error))) {
        g_prefix_error(error, "%s: ", scheme);
        return NULL;
    }
    return g_steal_pointer(&config);
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
    g_autoptr(GVariant) none = g_variant_ref_sink(g_variant_new("a{sv}", NULL));
    KdTlsConfig *config = g_new0(KdTlsConfig, 1);

    g_ref_count_init(&config->n_refs);
    config->role = role;
    config->credentials = credentials;
    config->priority =
        priority != NULL ? g_intern_string(priority) : kd_tls_params_get_priority(none);
    config->request = request;
    config->judge.role = role;
    config->is_test = TRUE;
    config->test_judge = judge;
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
    kd_cert_judge_clear(&config->judge);
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
    return config->priority;
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
    const gnutls_datum_t *shown = NULL;
    unsigned n_shown = 0;

    if (config->is_test && config->test_judge != NULL) {
        return config->test_judge(session, peer, error);
    }
    if (config->is_test) {
        peer->verdict = KD_TLS_TRUSTED;
        return TRUE;
    }
    shown = gnutls_certificate_get_peers(session, &n_shown);
    if (config->role == KD_TLS_SERVER && shown == NULL && config->request != GNUTLS_CERT_REQUIRE) {
        return TRUE;
    }
    return kd_cert_judge_try(&config->judge, shown, shown != NULL ? n_shown : 0, peer, error);
}

/**
 * kd_tls_config_get_place:
 * @config: a configuration
 *
 * Returns: (transfer none): how a client's server is called in the file of known servers:
 * `ssl:labhost:1027`
 */
const char *
kd_tls_config_get_place(const KdTlsConfig *config)
{
    return config->judge.place != NULL ? config->judge.place : "";
}
