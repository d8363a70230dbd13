/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host's keys that say something about TLS. */
#include "kd-tls-params.h"

#include "kd-cert-token.h"
#include "kd-thumbprint.h"

#include <string.h>

/* What both protocol versions have in common: forward secrecy and AEAD alone, no SHA-1. Written out
 * from nothing, because GnuTLS's NORMAL still has TLS 1.0 and changes with its version. */
#define SUITES                                                                    \
    ":+ECDHE-ECDSA:+ECDHE-RSA:+AES-256-GCM:+CHACHA20-POLY1305:+AES-128-GCM:+AEAD" \
    ":+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:+GROUP-SECP521R1"           \
    ":+SIGN-ALL:-SIGN-RSA-SHA1:-SIGN-ECDSA-SHA1:+CTYPE-X509:+COMP-NULL:%SERVER_PRECEDENCE"

static const struct {
    const char *proto;
    const char *priority; /* NULL: no library has it */
} protos[] = {
    {"tls1", "NONE:+VERS-TLS1.3:+VERS-TLS1.2" SUITES},
    {"tls1.2", "NONE:+VERS-TLS1.2" SUITES},
    {"tls1.3", "NONE:+VERS-TLS1.3" SUITES},
    {"ssl3", NULL},
    {"ssl2", NULL},
    {"pct1", NULL},
};

/**
 * kd_tls_params_get:
 * @params: a{sv}
 * @key: of a text
 *
 * Returns: (transfer none) (nullable): its value, if there is one
 */
const char *
kd_tls_params_get(GVariant *params, const char *key)
{
    const char *text = NULL;

    return g_variant_lookup(params, key, "&s", &text) ? text : NULL;
}

/**
 * kd_tls_params_get_cert:
 * @params: a{sv}
 * @key: (out): which of the two keys it is
 * @store: (out): where it is looked up
 *
 * Returns: (transfer none) (nullable): value of `certuser` or `machuser`
 */
const char *
kd_tls_params_get_cert(GVariant *params, const char **key, KdCertStore *store)
{
    const char *text = kd_tls_params_get(params, "certuser");

    *key = text != NULL ? "certuser" : "machuser";
    *store = text != NULL ? KD_CERT_STORE_USER : KD_CERT_STORE_MACHINE;
    return text != NULL ? text : kd_tls_params_get(params, "machuser");
}

static const char *
get_proto(GVariant *params)
{
    const char *proto = kd_tls_params_get(params, "proto");

    return proto != NULL ? proto : "tls1";
}

/**
 * kd_tls_params_get_priority:
 * @params: a{sv} that was checked
 *
 * Returns: versions and algorithms as GnuTLS writes them
 */
const char *
kd_tls_params_get_priority(GVariant *params)
{
    const char *proto = get_proto(params);

    for (guint i = 0; i < G_N_ELEMENTS(protos); i++) {
        if (strcmp(protos[i].proto, proto) == 0 && protos[i].priority != NULL) {
            return protos[i].priority;
        }
    }
    return protos[0].priority;
}

/**
 * kd_tls_params_build_shown:
 * @text: name, thumbprint, path or URI
 *
 * Returns: (transfer full): fit for messages: without a PIN
 */
char *
kd_tls_params_build_shown(const char *text)
{
    g_autofree char *shown =
        kd_cert_token_is_uri(text) ? kd_cert_token_build_shown(text) : g_strdup(text);

    return g_utf8_make_valid(shown, -1);
}

static gboolean
check_proto(const char *scheme, GVariant *params, GError **error)
{
    const char *proto = get_proto(params);

    for (guint i = 0; i < G_N_ELEMENTS(protos); i++) {
        if (strcmp(protos[i].proto, proto) != 0) {
            continue;
        }
        if (protos[i].priority == NULL) {
            g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                        "%s: proto=%s: not available in any supported TLS library, use proto=tls1",
                        scheme, proto);
            return FALSE;
        }
        return TRUE;
    }
    g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                "%s: proto=%s: not one of tls1, tls1.2 and tls1.3", scheme, proto);
    return FALSE;
}

/* Name, thumbprint, path or URI */
static gboolean
check_cert_text(const char *scheme, const char *key, const char *text, GError **error)
{
    gsize n_digits = kd_thumbprint_count_torn(text);
    g_autofree char *shown = kd_tls_params_build_shown(text);

    if (*text == '\0') {
        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                    "%s: %s=: a name, a thumbprint, an absolute path or a pkcs11: URI is needed",
                    scheme, key);
        return FALSE;
    }
    if (kd_cert_token_is_uri(text) || g_path_is_absolute(text)) {
        return TRUE;
    }
    if (n_digits > 0) {
        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                    "%s: %s=%s: %" G_GSIZE_FORMAT " hex digits; a thumbprint has 64 (SHA-256) or "
                    "40 (SHA-1)",
                    scheme, key, shown, n_digits);
        return FALSE;
    }
    if (strchr(text, '/') != NULL) {
        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                    "%s: %s=%s: neither a name nor an absolute path", scheme, key, shown);
        return FALSE;
    }
    return TRUE;
}

static gboolean
check_certs(KdTlsRole role, const char *scheme, GVariant *params, GError **error)
{
    const char *user = kd_tls_params_get(params, "certuser");
    const char *machine = kd_tls_params_get(params, "machuser");

    if (user != NULL && machine != NULL) {
        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                    "%s: certuser= and machuser= exclude each other", scheme);
        return FALSE;
    }
    if (user == NULL && machine == NULL && role == KD_TLS_SERVER) {
        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_MISSING,
                    "%s: certuser= or machuser= is needed: the certificate to show; kdsrv "
                    "--make-cert NAME makes one",
                    scheme);
        return FALSE;
    }
    return (user == NULL || check_cert_text(scheme, "certuser", user, error)) &&
           (machine == NULL || check_cert_text(scheme, "machuser", machine, error));
}

static gboolean
check_client_request(const char *scheme, GVariant *params, GError **error)
{
    const char *request = kd_tls_params_get(params, "clientcert");
    gboolean is_none = request == NULL || strcmp(request, "none") == 0;

    if (!is_none && strcmp(request, "request") != 0 && strcmp(request, "require") != 0) {
        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                    "%s: clientcert=%s: not one of none, request and require", scheme, request);
        return FALSE;
    }
    if (is_none && kd_tls_params_get(params, "ca") != NULL) {
        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                    "%s: ca= is of no use without clientcert=request or clientcert=require: "
                    "clients are not asked for a certificate",
                    scheme);
        return FALSE;
    }
    return TRUE;
}

/**
 * kd_tls_params_check:
 * @role: ours
 * @scheme: of the transport, for messages
 * @params: a{sv} with the host's keys
 * @error: KD_ERROR_PARAM_*: the string is wrong
 *
 * Judges the string alone.
 *
 * Returns: whether it can be right
 */
gboolean
kd_tls_params_check(KdTlsRole role, const char *scheme, GVariant *params, GError **error)
{
    const char *ca = kd_tls_params_get(params, "ca");
    const char *client = kd_tls_params_get(params, "clientcert");

    if (!check_proto(scheme, params, error) || !check_certs(role, scheme, params, error)) {
        return FALSE;
    }
    if (ca != NULL && !g_path_is_absolute(ca)) {
        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID, "%s: ca=%s: not an absolute path",
                    scheme, ca);
        return FALSE;
    }
    if (role == KD_TLS_SERVER) {
        return check_client_request(scheme, params, error);
    }
    return client == NULL || check_cert_text(scheme, "clientcert", client, error);
}
