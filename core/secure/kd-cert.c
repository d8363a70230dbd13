/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One certificate with what belongs to it, and what can be said about its names. */
#include "kd-cert.h"

#include "kd-secret.h"
#include "kd-thumbprint.h"

#include <arpa/inet.h>
#include <string.h>

/* Bytes of a name that are shown */
#define MAX_SHOWN_BYTES 96u
#define MAX_NAME_BYTES  512u
/* Names of a certificate that are shown */
#define MAX_SHOWN_NAMES 4u

/**
 * kd_cert_new:
 * @origin: file, or URI without a PIN
 *
 * Returns: (transfer full): without a certificate yet
 */
KdCert *
kd_cert_new(const char *origin)
{
    KdCert *cert = g_new0(KdCert, 1);

    cert->origin = g_strdup(origin);
    return cert;
}

/**
 * kd_cert_free:
 * @cert: (nullable): a certificate
 *
 * Frees it and its key.
 */
void
kd_cert_free(KdCert *cert)
{
    if (cert == NULL) {
        return;
    }
    for (guint i = 0; i < cert->n_chain; i++) {
        gnutls_x509_crt_deinit(cert->chain[i]);
    }
    g_clear_pointer(&cert->key, gnutls_privkey_deinit);
    g_free(cert->origin);
    g_free(cert->base);
    g_free(cert->key_path);
    kd_secret_free_text(cert->key_uri);
    g_free(cert);
}

/**
 * kd_cert_get_leaf:
 * @cert: with at least one certificate
 *
 * Returns: (transfer none): its own, in front of those that vouch for it
 */
gnutls_x509_crt_t
kd_cert_get_leaf(const KdCert *cert)
{
    return cert->chain[0];
}

/**
 * kd_cert_build_thumbprint:
 * @crt: a certificate
 * @kind: %GNUTLS_DIG_SHA1 or %GNUTLS_DIG_SHA256
 *
 * Returns: (transfer full): hash of its DER form, lower-case hex digits
 */
char *
kd_cert_build_thumbprint(gnutls_x509_crt_t crt, gnutls_digest_algorithm_t kind)
{
    guint8 hash[64];
    size_t len = sizeof hash;

    if (gnutls_x509_crt_get_fingerprint(crt, kind, hash, &len) < 0) {
        len = 0;
    }
    return kd_thumbprint_build(hash, len);
}

/**
 * kd_cert_has_thumbprint:
 * @crt: a certificate
 * @digits: as kd_thumbprint_parse() gives it
 *
 * Returns: whether it is this one
 */
gboolean
kd_cert_has_thumbprint(gnutls_x509_crt_t crt, const char *digits)
{
    g_autofree char *own = kd_cert_build_thumbprint(
        crt, strlen(digits) == KD_THUMBPRINT_SHA1_DIGITS ? GNUTLS_DIG_SHA1 : GNUTLS_DIG_SHA256);
    return strcmp(own, digits) == 0;
}

static char *
get_common_name(gnutls_x509_crt_t crt, gboolean is_issuer)
{
    char name[MAX_NAME_BYTES];
    size_t len = sizeof name;
    int status = is_issuer ? gnutls_x509_crt_get_issuer_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME,
                                                                  0, 0, name, &len)
                           : gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0,
                                                           name, &len);

    return status >= 0 && len > 0 && memchr(name, '\0', len) == NULL ? g_strndup(name, len) : NULL;
}

static char *
build_address(const char *bytes, gsize len_bytes)
{
    char text[INET6_ADDRSTRLEN];
    int family = len_bytes == 4 ? AF_INET : len_bytes == 16 ? AF_INET6 : AF_UNSPEC;

    return family != AF_UNSPEC && inet_ntop(family, bytes, text, sizeof text) != NULL
               ? g_strdup(text)
               : NULL;
}

/* The DNS name or the address at @index; is_end says that there is nothing any more */
static char *
get_alt_name(gnutls_x509_crt_t crt, guint index, gboolean *is_end)
{
    char name[MAX_NAME_BYTES];
    size_t len = sizeof name;
    unsigned kind = 0;
    int status = gnutls_x509_crt_get_subject_alt_name2(crt, index, name, &len, &kind, NULL);

    *is_end = status < 0 && status != GNUTLS_E_SHORT_MEMORY_BUFFER;
    if (status < 0) {
        return NULL;
    }
    if (kind == GNUTLS_SAN_IPADDRESS) {
        return build_address(name, len);
    }
    if (kind != GNUTLS_SAN_DNSNAME || memchr(name, '\0', len) != NULL) {
        return NULL;
    }
    return g_strndup(name, len);
}

/**
 * kd_cert_has_name:
 * @crt: a certificate
 * @name: common name, DNS name or address; compared without regard to case
 *
 * Returns: whether it is called so. Wildcards are not expanded.
 */
gboolean
kd_cert_has_name(gnutls_x509_crt_t crt, const char *name)
{
    g_autofree char *common = get_common_name(crt, FALSE);
    gboolean is_end = FALSE;

    if (common != NULL && g_ascii_strcasecmp(common, name) == 0) {
        return TRUE;
    }
    for (guint i = 0; !is_end; i++) {
        g_autofree char *alt = get_alt_name(crt, i, &is_end);
        if (alt != NULL && g_ascii_strcasecmp(alt, name) == 0) {
            return TRUE;
        }
    }
    return FALSE;
}

/* What others have put into a certificate is fit for a terminal afterwards */
static char *
build_printable(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    g_autoptr(GString) shown = g_string_new(NULL);

    for (const char *at = valid; *at != '\0'; at = g_utf8_next_char(at)) {
        gunichar letter = g_utf8_get_char(at);
        if (shown->len >= MAX_SHOWN_BYTES) {
            g_string_append(shown, "...");
            break;
        }
        g_string_append_unichar(shown, g_unichar_isprint(letter) && letter != '`' ? letter : '?');
    }
    return g_string_free(g_steal_pointer(&shown), FALSE);
}

static char *
get_distinguished_name(gnutls_x509_crt_t crt, gboolean is_issuer)
{
    gnutls_datum_t name = {NULL, 0};
    int status = is_issuer ? gnutls_x509_crt_get_issuer_dn3(crt, &name, 0)
                           : gnutls_x509_crt_get_dn3(crt, &name, 0);

    if (status < 0) {
        return NULL;
    }
    char *text = g_strndup((const char *)name.data, name.size);
    gnutls_free(name.data);
    return text;
}

/**
 * kd_cert_build_subject:
 * @crt: a certificate
 *
 * Returns: (transfer full): what it is called, printable: its common name, else its first DNS name
 *    or address, else its distinguished name
 */
char *
kd_cert_build_subject(gnutls_x509_crt_t crt)
{
    g_autofree char *name = get_common_name(crt, FALSE);
    gboolean is_end = FALSE;

    for (guint i = 0; name == NULL && !is_end; i++) {
        name = get_alt_name(crt, i, &is_end);
    }
    if (name == NULL) {
        name = get_distinguished_name(crt, FALSE);
    }
    return name != NULL && *name != '\0' ? build_printable(name) : g_strdup("(no name)");
}

/**
 * kd_cert_build_issuer:
 * @crt: a certificate
 *
 * Returns: (transfer full): what its issuer is called, printable
 */
char *
kd_cert_build_issuer(gnutls_x509_crt_t crt)
{
    g_autofree char *name = get_common_name(crt, TRUE);

    if (name == NULL) {
        name = get_distinguished_name(crt, TRUE);
    }
    return name != NULL && *name != '\0' ? build_printable(name) : g_strdup("(no name)");
}

/**
 * kd_cert_build_names:
 * @crt: a certificate
 *
 * Returns: (transfer full): the names for which it is good, printable: DNS names and addresses,
 *    else its common name
 */
char *
kd_cert_build_names(gnutls_x509_crt_t crt)
{
    g_autoptr(GString) names = g_string_new(NULL);
    gboolean is_end = FALSE;
    guint n = 0;

    for (guint i = 0; !is_end; i++) {
        g_autofree char *alt = get_alt_name(crt, i, &is_end);
        if (alt == NULL) {
            continue;
        }
        if (n++ == MAX_SHOWN_NAMES) {
            g_string_append(names, ", ...");
            break;
        }
        g_autofree char *shown = build_printable(alt);
        g_string_append_printf(names, "%s%s", names->len > 0 ? ", " : "", shown);
    }
    return names->len > 0 ? g_string_free(g_steal_pointer(&names), FALSE)
                          : kd_cert_build_subject(crt);
}
