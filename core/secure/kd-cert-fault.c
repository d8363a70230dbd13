/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Why a certificate is of no use, whoever vouches for it. */
#include "kd-cert.h"

#include <string.h>

/* Least bits of a key */
#define MIN_RSA_BITS   2048u
#define MIN_CURVE_BITS 256u

#define MAX_OID_BYTES 128u

/* Critical extensions that are understood here or by GnuTLS's verification (RFC 5280, 4.2) */
static const char *const known_extensions[] = {
    "2.5.29.14",         /* subject key identifier   */
    "2.5.29.15",         /* key usage                */
    "2.5.29.17",         /* subject alternative name */
    "2.5.29.19",         /* basic constraints        */
    "2.5.29.30",         /* name constraints         */
    "2.5.29.31",         /* where its CRL is         */
    "2.5.29.35",         /* authority key identifier */
    "2.5.29.37",         /* extended key usage       */
    "1.3.6.1.5.5.7.1.1", /* authority information    */
    "1.3.6.1.5.5.7.1.24" /* TLS feature              */
};

static char *
build_time(gint64 seconds)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(seconds);

    return time != NULL ? g_date_time_format(time, "%Y-%m-%d %H:%M UTC")
                        : g_strdup("an impossible date");
}

static KdCertFault
find_time_fault(gnutls_x509_crt_t crt, char **sentence)
{
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;
    gint64 begin = gnutls_x509_crt_get_activation_time(crt);
    gint64 end = gnutls_x509_crt_get_expiration_time(crt);

    if (end < 0 || now > end) {
        g_autofree char *text = build_time(end);
        *sentence = g_strdup_printf("expired on %s", text);
        return KD_CERT_FAULT_EXPIRED;
    }
    if (begin < 0 || now < begin) {
        g_autofree char *text = build_time(begin);
        *sentence = g_strdup_printf("is not yet valid, only from %s on", text);
        return KD_CERT_FAULT_NOT_YET;
    }
    return KD_CERT_FAULT_NONE;
}

static KdCertFault
find_purpose_fault(gnutls_x509_crt_t crt, const char *purpose, char **sentence)
{
    const gboolean is_server = strcmp(purpose, GNUTLS_KP_TLS_WWW_SERVER) == 0;
    unsigned usage = 0;

    if (gnutls_x509_crt_check_key_purpose(crt, purpose, 0) == 0) {
        *sentence = g_strdup_printf("is not for %s: its extended key usage lacks %s",
                                    is_server ? "servers" : "clients",
                                    is_server ? "serverAuth" : "clientAuth");
        return KD_CERT_FAULT_PURPOSE;
    }
    int status = gnutls_x509_crt_get_key_usage(crt, &usage, NULL);
    if (status != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE &&
        (status < 0 || (usage & GNUTLS_KEY_DIGITAL_SIGNATURE) == 0)) {
        *sentence = g_strdup("is not for TLS: its key usage lacks digitalSignature");
        return KD_CERT_FAULT_USAGE;
    }
    return KD_CERT_FAULT_NONE;
}

static guint
get_min_bits(int kind)
{
    switch (kind) {
    case GNUTLS_PK_RSA:
    case GNUTLS_PK_RSA_PSS:
        return MIN_RSA_BITS;
    case GNUTLS_PK_ECDSA:
    case GNUTLS_PK_EDDSA_ED25519:
    case GNUTLS_PK_EDDSA_ED448:
        return MIN_CURVE_BITS;
    default:
        return 0;
    }
}

static KdCertFault
find_weakness(gnutls_x509_crt_t crt, char **sentence)
{
    unsigned bits = 0;
    int kind = gnutls_x509_crt_get_pk_algorithm(crt, &bits);
    guint min_bits = get_min_bits(kind);
    int signature = gnutls_x509_crt_get_signature_algorithm(crt);

    if (min_bits == 0) {
        *sentence = g_strdup_printf("has a key of a kind that is of no use here: %s",
                                    kind >= 0 ? gnutls_pk_get_name(kind) : "unknown");
        return KD_CERT_FAULT_WEAK_KEY;
    }
    /* 255 bits of Ed25519 are meant as 256 */
    if (bits < min_bits && kind != GNUTLS_PK_EDDSA_ED25519) {
        *sentence = g_strdup_printf("has a weak key: %s of %u bits, at least %u are needed",
                                    gnutls_pk_get_name(kind), bits, min_bits);
        return KD_CERT_FAULT_WEAK_KEY;
    }
    if (signature < 0 ||
        gnutls_sign_is_secure2(signature, GNUTLS_SIGN_FLAG_SECURE_FOR_CERTS) == 0) {
        const char *name = signature >= 0 ? gnutls_sign_get_name(signature) : NULL;
        *sentence =
            g_strdup_printf("has a weak signature: %s", name != NULL ? name : "of unknown kind");
        return KD_CERT_FAULT_WEAK_SIGNATURE;
    }
    return KD_CERT_FAULT_NONE;
}

static gboolean
is_known_extension(const char *oid)
{
    for (guint i = 0; i < G_N_ELEMENTS(known_extensions); i++) {
        if (strcmp(known_extensions[i], oid) == 0) {
            return TRUE;
        }
    }
    return FALSE;
}

static KdCertFault
find_unknown_extension(gnutls_x509_crt_t crt, char **sentence)
{
    for (unsigned i = 0;; i++) {
        char oid[MAX_OID_BYTES];
        size_t len = sizeof oid;
        unsigned is_critical = 0;
        int status = gnutls_x509_crt_get_extension_info(crt, i, oid, &len, &is_critical);
        if (status == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) {
            return KD_CERT_FAULT_NONE;
        }
        if (status < 0 || (is_critical != 0 && !is_known_extension(oid))) {
            *sentence = g_strdup_printf("has a critical extension that is unknown here: %s",
                                        status < 0 ? "unreadable" : oid);
            return KD_CERT_FAULT_EXTENSION;
        }
    }
}

/**
 * kd_cert_find_fault:
 * @crt: a certificate of an end, not of an authority
 * @purpose: %GNUTLS_KP_TLS_WWW_SERVER or %GNUTLS_KP_TLS_WWW_CLIENT
 * @sentence: (out) (transfer full): what is wrong, to stand behind its name; untouched without
 *
 * Looks for what rules a certificate out, whoever vouches for it: time, purpose (a certificate that
 * names none is good for all), keys and signatures that are too weak.
 *
 * Returns: the first fault
 */
KdCertFault
kd_cert_find_fault(gnutls_x509_crt_t crt, const char *purpose, char **sentence)
{
    KdCertFault fault = find_time_fault(crt, sentence);

    if (fault == KD_CERT_FAULT_NONE) {
        fault = find_purpose_fault(crt, purpose, sentence);
    }
    if (fault == KD_CERT_FAULT_NONE) {
        fault = find_weakness(crt, sentence);
    }
    if (fault == KD_CERT_FAULT_NONE) {
        fault = find_unknown_extension(crt, sentence);
    }
    return fault;
}
