/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Our own certificate with its key, fit to be shown. */
#include "kd-tls-credentials.h"

#include "kd-cert-folders.h"
#include "kd-thumbprint.h"
#include "kd-tls-text.h"

#include <kdsrv/kd-plugin.h>

#include <string.h>

static gboolean
is_server(const KdCertWish *wish)
{
    return strcmp(wish->purpose, GNUTLS_KP_TLS_WWW_SERVER) == 0;
}

static const char *
get_fix(const KdCertWish *wish, KdCertFault fault)
{
    switch (fault) {
    case KD_CERT_FAULT_EXPIRED:
        return is_server(wish) ? "get a new one, or make one with kdsrv --make-cert"
                               : "get a new one";
    case KD_CERT_FAULT_NOT_YET:
        return "check this machine's clock";
    case KD_CERT_FAULT_PURPOSE:
        return is_server(wish) ? "get one with serverAuth, or make one with kdsrv --make-cert"
                               : "get one with clientAuth";
    case KD_CERT_FAULT_USAGE:
        return "get one with digitalSignature";
    case KD_CERT_FAULT_WEAK_KEY:
        return "get one with a P-256 key, or RSA of at least 2048 bits";
    case KD_CERT_FAULT_WEAK_SIGNATURE:
        return "get one that is signed with SHA-256";
    default:
        return "get another one";
    }
}

static void
set_missing_error(const KdCertWish *wish, GError **error)
{
    g_autofree char *folder = kd_cert_folders_build_certs(wish->store);
    g_autofree char *digits = kd_thumbprint_parse(wish->text);

    if (is_server(wish) && digits == NULL) {
        g_set_error(error, KD_ERROR, KD_ERROR_TLS,
                    "no such certificate in %s or a token; kdsrv --make-cert %s%s makes one",
                    folder, wish->text, wish->store == KD_CERT_STORE_MACHINE ? " --machine" : "");
    } else {
        g_set_error(error, KD_ERROR, KD_ERROR_TLS, "no such certificate in %s or a token", folder);
    }
}

static KdCert *
load_fit(const KdCertWish *wish, GError **error)
{
    g_autoptr(KdCert) cert = NULL;
    g_autofree char *sentence = NULL;

    if (!kd_cert_search(wish, &cert, error)) {
        return NULL;
    }
    if (cert == NULL) {
        set_missing_error(wish, error);
        return NULL;
    }
    KdCertFault fault = kd_cert_find_fault(kd_cert_get_leaf(cert), wish->purpose, &sentence);
    if (fault != KD_CERT_FAULT_NONE) {
        g_set_error(error, KD_ERROR, KD_ERROR_TLS, "%s: %s; %s", cert->origin, sentence,
                    get_fix(wish, fault));
        return NULL;
    }
    return kd_cert_search_load_key(cert, error) ? g_steal_pointer(&cert) : NULL;
}

/* Signs something and looks whether the certificate's key agrees. A token asks for its PIN now, and
 * not during the first handshake. */
static int
try_key(const KdCert *cert)
{
    static const char text[] = "whether key and certificate belong together";
    const gnutls_datum_t message = {(unsigned char *)text, sizeof text};
    gnutls_digest_algorithm_t digest = GNUTLS_DIG_SHA256;
    gnutls_datum_t signature = {NULL, 0};
    gnutls_pubkey_t public = NULL;
    int status = gnutls_pubkey_init(&public);

    if (status >= 0) {
        status = gnutls_pubkey_import_x509(public, kd_cert_get_leaf(cert), 0);
    }
    int kind = status >= 0 ? gnutls_pubkey_get_pk_algorithm(public, NULL) : status;
    if (status >= 0 && kind != gnutls_privkey_get_pk_algorithm(cert->key, NULL)) {
        status = GNUTLS_E_CERTIFICATE_KEY_MISMATCH;
    }
    if (status >= 0) {
        status = gnutls_pubkey_get_preferred_hash_algorithm(public, &digest, NULL);
    }
    gnutls_sign_algorithm_t algorithm = gnutls_pk_to_sign(kind, digest);
    if (status >= 0) {
        status = gnutls_privkey_sign_data2(cert->key, algorithm, 0, &message, &signature);
    }
    if (status >= 0 && gnutls_pubkey_verify_data2(public, algorithm, 0, &message, &signature) < 0) {
        status = GNUTLS_E_CERTIFICATE_KEY_MISMATCH;
    }
    gnutls_free(signature.data);
    g_clear_pointer(&public, gnutls_pubkey_deinit);
    return status;
}

/* The credentials keep the key and what is in the array, but not the array. */
static int
set_key(gnutls_certificate_credentials_t credentials, KdCert *cert)
{
    gnutls_pcert_st shown[KD_CERT_MAX_CHAIN];
    guint n = 0;
    int status = 0;

    while (n < cert->n_chain) {
        status = gnutls_pcert_import_x509(&shown[n], cert->chain[n], 0);
        if (status < 0) {
            break;
        }
        n++;
    }
    if (status >= 0) {
        gnutls_certificate_set_flags(credentials, GNUTLS_CERTIFICATE_SKIP_KEY_CERT_MATCH);
        status = gnutls_certificate_set_key(credentials, NULL, 0, shown, (int)n, cert->key);
    }
    if (status >= 0) {
        cert->key = NULL;
        return status;
    }
    for (guint i = 0; i < n; i++) {
        gnutls_pcert_deinit(&shown[i]);
    }
    return status;
}

static void
set_key_error(const KdCert *cert, int status, GError **error)
{
    const char *key = cert->key_path != NULL ? cert->key_path : "in the token";

    if (status == GNUTLS_E_CERTIFICATE_KEY_MISMATCH) {
        g_set_error(error, KD_ERROR, KD_ERROR_TLS,
                    "%s: the key (%s) belongs to another certificate; put the right pair there",
                    cert->origin, key);
    } else if (status == GNUTLS_E_PKCS11_PIN_ERROR || status == GNUTLS_E_PKCS11_USER_ERROR) {
        g_set_error(error, KD_ERROR, KD_ERROR_TLS,
                    "%s: the token wants another PIN; give a pkcs11: URI with ?pin-source=PATH of "
                    "a file that has it",
                    cert->origin);
    } else {
        kd_tls_text_set_error(error, status, "%s: the key (%s) is of no use", cert->origin, key);
    }
}

/**
 * kd_tls_credentials_new:
 * @wish: for a certificate with its key
 * @error: %KD_ERROR_TLS: there is none, or it is not fit; G_IO_ERROR_* of a file
 *
 * Finds a certificate, checks that it is fit to be shown, and tries its key by signing once.
 *
 * Returns: (transfer full) (nullable): credentials
 */
gnutls_certificate_credentials_t
kd_tls_credentials_new(const KdCertWish *wish, GError **error)
{
    gnutls_certificate_credentials_t credentials = NULL;
    g_autoptr(KdCert) cert = load_fit(wish, error);

    if (cert == NULL) {
        return NULL;
    }
    int status = try_key(cert);
    if (status >= 0) {
        status = gnutls_certificate_allocate_credentials(&credentials);
    }
    if (status >= 0) {
        status = set_key(credentials, cert);
    }
    if (status < 0) {
        set_key_error(cert, status, error);
        g_clear_pointer(&credentials, gnutls_certificate_free_credentials);
    }
    return credentials;
}
