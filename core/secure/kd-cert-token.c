/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Certificates and keys in PKCS #11 tokens, by URI (RFC 7512). */
#include "kd-cert-token.h"

#include "kd-cert-file.h"
#include "kd-secret.h"
#include "kd-tls-text.h"

#include <gnutls/pkcs11.h>
#include <kdsrv/kd-plugin.h>

#include <string.h>

#define SCHEME     "pkcs11:"
#define PIN_VALUE  "pin-value="
#define PIN_SOURCE "pin-source="

/**
 * kd_cert_token_is_uri:
 * @text: as typed
 *
 * Returns: whether it names something in a token
 */
gboolean
kd_cert_token_is_uri(const char *text)
{
    return g_ascii_strncasecmp(text, SCHEME, strlen(SCHEME)) == 0;
}

/**
 * kd_cert_token_build_shown:
 * @uri: with a PIN or without
 *
 * Returns: (transfer full): without what stands behind the question mark: for messages
 */
char *
kd_cert_token_build_shown(const char *uri)
{
    return g_strndup(uri, strcspn(uri, "?"));
}

/* @uri without its query and without what says whether a key or a certificate is meant */
static char *
build_path(const char *uri, const char *type)
{
    g_autofree char *path = kd_cert_token_build_shown(uri + strlen(SCHEME));
    g_auto(GStrv) attributes = g_strsplit(path, ";", -1);
    g_autoptr(GString) text = g_string_new(SCHEME);

    for (char **at = attributes; *at != NULL; at++) {
        if (**at != '\0' && !g_str_has_prefix(*at, "type=") &&
            !g_str_has_prefix(*at, "object-type=")) {
            g_string_append_printf(text, "%s;", *at);
        }
    }
    g_string_append_printf(text, "type=%s", type);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* The value of an attribute of the query, still encoded */
static char *
get_query_value(const char *uri, const char *name)
{
    const char *query = strchr(uri, '?');
    const char *at = query != NULL ? strstr(query, name) : NULL;

    if (at == NULL || (at[-1] != '?' && at[-1] != '&')) {
        return NULL;
    }
    at += strlen(name);
    return g_strndup(at, strcspn(at, "&"));
}

/* The first line of the file, as it stands behind `pin-value=`. GnuTLS would read the file itself,
 * but takes the end of the line for a part of the PIN, and lets everybody know it. */
static char *
read_pin(const char *source, GError **error)
{
    g_autofree char *path = g_uri_unescape_string(source, NULL);
    const char *name = path == NULL                        ? ""
                       : g_str_has_prefix(path, "file://") ? path + strlen("file://")
                       : g_str_has_prefix(path, "file:")   ? path + strlen("file:")
                                                           : path;

    if (!g_path_is_absolute(name)) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_TLS,
                            "pin-source= must be the absolute path of a file that has the PIN");
        return NULL;
    }
    g_autoptr(KdSecret) content = kd_cert_file_read(name, TRUE, error);
    if (content == NULL) {
        return NULL;
    }
    char *line =
        g_strndup(kd_secret_get_text(content), strcspn(kd_secret_get_text(content), "\r\n"));
    char *pin = g_uri_escape_string(line, NULL, FALSE);
    kd_secret_free_text(line);
    return pin;
}

/* The URI of a key, with the PIN that @uri tells. To be freed with kd_secret_free_text(). */
static char *
build_key_uri(const char *path, const char *uri, GError **error)
{
    char *pin = get_query_value(uri, PIN_VALUE);
    g_autofree char *source = get_query_value(uri, PIN_SOURCE);
    char *key_uri;

    if (pin == NULL && source != NULL) {
        pin = read_pin(source, error);
        if (pin == NULL) {
            return NULL;
        }
    }
    key_uri = pin != NULL ? g_strdup_printf("%s?" PIN_VALUE "%s", path, pin) : g_strdup(path);
    kd_secret_free_text(pin);
    return key_uri;
}

/* Where the key of a certificate is: same token, same id */
static char *
build_key_path(const char *cert_uri)
{
    g_autofree char *path = build_path(cert_uri, "private");
    const char *object = strstr(path, ";object=");

    if (object == NULL || strstr(path, ";id=") == NULL) {
        return g_steal_pointer(&path);
    }
    /* its label may be another one */
    const char *behind = object + 1 + strcspn(object + 1, ";");
    return g_strdup_printf("%.*s%s", (int)(object - path), path, behind);
}

static KdCert *
take_object(gnutls_pkcs11_obj_t object, const char *uri, GError **error)
{
    g_autofree char *key_path = NULL;
    char *own_uri = NULL;

    if (gnutls_pkcs11_obj_get_type(object) != GNUTLS_PKCS11_OBJ_X509_CRT ||
        gnutls_pkcs11_obj_export_url(object, GNUTLS_PKCS11_URL_GENERIC, &own_uri) < 0) {
        g_set_error(error, KD_ERROR, KD_ERROR_TLS, "%s: not a certificate", uri);
        return NULL;
    }
    g_autoptr(KdCert) cert = kd_cert_new(own_uri);
    gnutls_free(own_uri);
    if (gnutls_x509_crt_init(&cert->chain[0]) < 0) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_TLS, "out of memory");
        return NULL;
    }
    cert->n_chain = 1;
    int status = gnutls_x509_crt_import_pkcs11(cert->chain[0], object);
    if (status < 0) {
        kd_tls_text_set_error(error, status, "%s", cert->origin);
        return NULL;
    }
    key_path = build_key_path(cert->origin);
    cert->key_uri = build_key_uri(key_path, uri, error);
    return cert->key_uri != NULL ? g_steal_pointer(&cert) : NULL;
}

static gboolean
take_objects(gnutls_pkcs11_obj_t *objects, guint n, const char *uri, GPtrArray *certs,
             GError **error)
{
    for (guint i = 0; i < n; i++) {
        KdCert *cert = take_object(objects[i], uri, error);
        if (cert == NULL) {
            return FALSE;
        }
        g_ptr_array_add(certs, cert);
    }
    return TRUE;
}

/**
 * kd_cert_token_list:
 * @uri: `pkcs11:...`
 * @certs: (element-type KdCert): those that it names are added
 * @error: %KD_ERROR_TLS: there is no such token, or it can't be read
 *
 * Finds certificates in tokens. Keys are not touched yet, so no PIN is needed.
 *
 * Returns: whether the tokens could be asked
 */
gboolean
kd_cert_token_list(const char *uri, GPtrArray *certs, GError **error)
{
    g_autofree char *path = build_path(uri, "cert");
    gnutls_pkcs11_obj_t *objects = NULL;
    unsigned n = 0;
    int status = gnutls_pkcs11_obj_list_import_url4(&objects, &n, path, 0);

    if (status == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) {
        return TRUE;
    }
    if (status < 0) {
        kd_tls_text_set_error(error, status, "tokens can't be searched");
        return FALSE;
    }
    gboolean is_taken = take_objects(objects, n, uri, certs, error);
    for (unsigned i = 0; i < n; i++) {
        gnutls_pkcs11_obj_deinit(objects[i]);
    }
    gnutls_free(objects);
    return is_taken;
}

/**
 * kd_cert_token_list_all:
 * @certs: (element-type KdCert): what is found is added
 *
 * Finds the certificates of all tokens but those that hold the anchors of the system. A token that
 * can't be read is left out.
 */
void
kd_cert_token_list_all(GPtrArray *certs)
{
    char *uri = NULL;

    for (unsigned i = 0; gnutls_pkcs11_token_get_url(i, GNUTLS_PKCS11_URL_GENERIC, &uri) >= 0;
         i++) {
        g_autoptr(GError) error = NULL;
        unsigned flags = 0;
        if (gnutls_pkcs11_token_get_flags(uri, &flags) >= 0 &&
            (flags & GNUTLS_PKCS11_TOKEN_TRUSTED) == 0 && !kd_cert_token_list(uri, certs, &error)) {
            g_debug("%s", error->message);
        }
        gnutls_free(uri);
        uri = NULL;
    }
}

static void
set_key_error(const KdCert *cert, int status, GError **error)
{
    const char *text = NULL;

    switch (status) {
    case GNUTLS_E_PKCS11_PIN_ERROR:
        text = "the PIN is missing or wrong; give a pkcs11: URI with ?pin-source=PATH of a file "
               "that has it";
        break;
    case GNUTLS_E_PKCS11_PIN_LOCKED:
        text = "the PIN is locked after too many attempts";
        break;
    case GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE:
        text = "no private key with the id of the certificate";
        break;
    default:
        kd_tls_text_set_error(error, status, "%s", cert->origin);
        return;
    }
    g_set_error(error, KD_ERROR, KD_ERROR_TLS, "%s: %s", cert->origin, text);
}

/* The token itself, without what says which object */
static char *
build_token_path(const char *uri)
{
    static const char *const of_object[] = {"id=", "object=", "type=", "object-type="};
    g_auto(GStrv) attributes = g_strsplit(uri + strlen(SCHEME), ";", -1);
    g_autoptr(GString) path = g_string_new(NULL);

    for (char **at = attributes; *at != NULL; at++) {
        gboolean is_of_token = TRUE;
        for (guint i = 0; i < G_N_ELEMENTS(of_object); i++) {
            is_of_token = is_of_token && !g_str_has_prefix(*at, of_object[i]);
        }
        if (is_of_token) {
            g_string_append_printf(path, "%s%s", path->len > 0 ? ";" : SCHEME, *at);
        }
    }
    return g_string_free(g_steal_pointer(&path), FALSE);
}

/* Takes the issuer of a certificate out of those of the token */
static gnutls_x509_crt_t
take_issuer(GPtrArray *certs, gnutls_x509_crt_t crt)
{
    for (guint i = 0; i < certs->len; i++) {
        KdCert *cert = g_ptr_array_index(certs, i);
        if (cert->n_chain > 0 && gnutls_x509_crt_check_issuer(crt, cert->chain[0]) != 0) {
            cert->n_chain = 0;
            return cert->chain[0];
        }
    }
    return NULL;
}

/* Those that vouch for it and are in the same token are sent, too; without them it may still do */
static void
complete_chain(KdCert *cert)
{
    g_autofree char *token = build_token_path(cert->origin);
    g_autoptr(GPtrArray) certs = g_ptr_array_new_with_free_func((GDestroyNotify)kd_cert_free);
    g_autoptr(GError) error = NULL;

    if (!kd_cert_token_list(token, certs, &error)) {
        g_debug("%s", error->message);
        return;
    }
    while (cert->n_chain < KD_CERT_MAX_CHAIN) {
        gnutls_x509_crt_t last = cert->chain[cert->n_chain - 1];
        gnutls_x509_crt_t issuer =
            gnutls_x509_crt_check_issuer(last, last) != 0 ? NULL : take_issuer(certs, last);
        if (issuer == NULL) {
            return;
        }
        cert->chain[cert->n_chain++] = issuer;
    }
}

/**
 * kd_cert_token_load_key:
 * @cert: of a token; those that vouch for it are added
 * @error: %KD_ERROR_TLS: no such key, or no PIN
 *
 * Finds the key of a certificate. It stays where it is: each handshake asks the token to sign.
 *
 * Returns: (transfer full) (nullable): the key
 */
gnutls_privkey_t
kd_cert_token_load_key(KdCert *cert, GError **error)
{
    gnutls_privkey_t key = NULL;
    int status = gnutls_privkey_init(&key);

    if (status >= 0) {
        status = gnutls_privkey_import_url(key, cert->key_uri, 0);
    }
    if (status < 0) {
        set_key_error(cert, status, error);
        g_clear_pointer(&key, gnutls_privkey_deinit);
        return NULL;
    }
    complete_chain(cert);
    return key;
}
