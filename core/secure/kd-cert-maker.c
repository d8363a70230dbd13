/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes a key and a self-signed certificate for a server; no files. */
#include "kd-cert-maker.h"

#include "kd-cert.h"
#include "kd-tls-text.h"

#include <gnutls/crypto.h>
#include <kdsrv/kd-plugin.h>

#include <string.h>

/* RFC 5280, 4.1.2.2: positive, at most 20 bytes */
#define SERIAL_BYTES 16
/* Clocks that are behind ours */
#define CLOCK_SLACK_S 3600
#define DAY_S         86400

static int
make_key(gnutls_x509_privkey_t *key)
{
    int status = gnutls_x509_privkey_init(key);

    return status < 0
               ? status
               : gnutls_x509_privkey_generate(*key, GNUTLS_PK_ECDSA,
                                              GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
}

/* A name that is no host's is the common name alone. */
static int
set_names(gnutls_x509_crt_t crt, const char *name)
{
    g_autoptr(GInetAddress) address = g_inet_address_new_from_string(name);
    int status = gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
                                               (unsigned)strlen(name));

    if (status < 0) {
        return status;
    }
    if (address != NULL) {
        return gnutls_x509_crt_set_subject_alt_name(
            crt, GNUTLS_SAN_IPADDRESS, g_inet_address_to_bytes(address),
            (unsigned)g_inet_address_get_native_size(address), GNUTLS_FSAN_SET);
    }
    g_autofree char *host = g_hostname_to_ascii(name);
    if (host == NULL ||
        strspn(host, G_CSET_a_2_z G_CSET_A_2_Z G_CSET_DIGITS ".-") != strlen(host)) {
        return 0;
    }
    return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, host,
                                                (unsigned)strlen(host), GNUTLS_FSAN_SET);
}

static int
set_validity(gnutls_x509_crt_t crt)
{
    time_t now = (time_t)(g_get_real_time() / G_USEC_PER_SEC);
    unsigned char serial[SERIAL_BYTES];
    int status = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof serial);

    serial[0] = (unsigned char)((serial[0] & 0x7f) | 0x01);
    if (status >= 0) {
        status = gnutls_x509_crt_set_serial(crt, serial, sizeof serial);
    }
    if (status >= 0) {
        status = gnutls_x509_crt_set_activation_time(crt, now - CLOCK_SLACK_S);
    }
    return status < 0
               ? status
               : gnutls_x509_crt_set_expiration_time(crt, now + (time_t)KD_CERT_MAKER_DAYS * DAY_S);
}

static int
set_uses(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key)
{
    unsigned char id[64];
    size_t id_len = sizeof id;
    int status = gnutls_x509_crt_set_basic_constraints(crt, 0, -1);

    if (status >= 0) {
        status = gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE);
    }
    if (status >= 0) {
        status = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
    }
    if (status >= 0) {
        status = gnutls_x509_privkey_get_key_id(key, GNUTLS_KEYID_USE_SHA1, id, &id_len);
    }
    return status < 0 ? status : gnutls_x509_crt_set_subject_key_id(crt, id, id_len);
}

static int
make_cert(const char *name, gnutls_x509_privkey_t key, gnutls_x509_crt_t *crt)
{
    int status = gnutls_x509_crt_init(crt);

    if (status >= 0) {
        status = gnutls_x509_crt_set_version(*crt, 3);
    }
    if (status >= 0) {
        status = set_names(*crt, name);
    }
    if (status >= 0) {
        status = set_validity(*crt);
    }
    if (status >= 0) {
        status = set_uses(*crt, key);
    }
    if (status >= 0) {
        status = gnutls_x509_crt_set_key(*crt, key);
    }
    return status < 0 ? status : gnutls_x509_crt_sign2(*crt, *crt, key, GNUTLS_DIG_SHA256, 0);
}

static int
export_pair(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key, KdCertPair *pair)
{
    gnutls_datum_t cert_pem = {NULL, 0}, key_pem = {NULL, 0};
    int status = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &cert_pem);

    if (status >= 0) {
        /* PKCS #8, which everybody reads */
        status = gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL,
                                                   GNUTLS_PKCS_PLAIN, &key_pem);
    }
    if (status >= 0) {
        pair->cert_pem = g_strndup((const char *)cert_pem.data, cert_pem.size);
        pair->key_pem = kd_secret_new((const char *)key_pem.data, (gssize)key_pem.size);
        pair->sha256 = kd_cert_build_thumbprint(crt, GNUTLS_DIG_SHA256);
        kd_secret_wipe(key_pem.data, key_pem.size);
    }
    gnutls_free(cert_pem.data);
    gnutls_free(key_pem.data);
    return status;
}

/**
 * kd_cert_maker_make:
 * @name: common name; DNS name or address, if it can be one
 * @pair: (out): filled, to be cleared with kd_cert_pair_clear()
 * @error: %KD_ERROR_TLS
 *
 * Makes a P-256 key and a certificate for servers that is signed by itself, for
 * %KD_CERT_MAKER_DAYS from an hour ago on.
 *
 * Returns: whether it is made
 */
gboolean
kd_cert_maker_make(const char *name, KdCertPair *pair, GError **error)
{
    gnutls_x509_privkey_t key = NULL;
    gnutls_x509_crt_t crt = NULL;
    int status = make_key(&key);

    if (status >= 0) {
        status = make_cert(name, key, &crt);
    }
    if (status >= 0) {
        status = export_pair(crt, key, pair);
    }
    if (status < 0) {
        kd_tls_text_set_error(error, status, "%s: no certificate can be made", name);
    }
    g_clear_pointer(&crt, gnutls_x509_crt_deinit);
    g_clear_pointer(&key, gnutls_x509_privkey_deinit);
    return status >= 0;
}

/**
 * kd_cert_pair_clear:
 * @pair: a pair
 *
 * Wipes and frees it.
 */
void
kd_cert_pair_clear(KdCertPair *pair)
{
    g_clear_pointer(&pair->cert_pem, g_free);
    g_clear_pointer(&pair->key_pem, kd_secret_unref);
    g_clear_pointer(&pair->sha256, g_free);
}
