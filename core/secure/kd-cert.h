/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One certificate with what belongs to it, and what can be said about it; for this room only. */
#pragma once

#include <gio/gio.h>
#include <gnutls/abstract.h>
#include <gnutls/x509.h>

/* Certificates that an end may show: its own and those that lead to an authority */
#define KD_CERT_MAX_CHAIN 16u

/**
 * KdCert:
 * @chain: its own certificate first
 * @n_chain: how many of @chain are filled, at least 1
 * @origin: file, or `pkcs11:` URI without a PIN: for messages
 * @base: (nullable): name of its file without the suffix
 * @key_path: (nullable): file that has its key
 * @key_uri: (nullable): where its key is in a token; with the PIN
 * @key: (nullable): once it was loaded
 */
typedef struct {
    gnutls_x509_crt_t chain[KD_CERT_MAX_CHAIN];
    guint n_chain;
    char *origin;
    char *base;
    char *key_path;
    char *key_uri;
    gnutls_privkey_t key;
} KdCert;

/* Why a certificate is of no use, whoever vouches for it */
typedef enum {
    KD_CERT_FAULT_NONE = 0,
    KD_CERT_FAULT_EXPIRED = 1,
    KD_CERT_FAULT_NOT_YET = 2,
    KD_CERT_FAULT_PURPOSE = 3,
    KD_CERT_FAULT_USAGE = 4,
    KD_CERT_FAULT_WEAK_KEY = 5,
    KD_CERT_FAULT_WEAK_SIGNATURE = 6,
    KD_CERT_FAULT_EXTENSION = 7,
} KdCertFault;

KdCert *kd_cert_new(const char *origin);
void kd_cert_free(KdCert *cert);
gnutls_x509_crt_t kd_cert_get_leaf(const KdCert *cert);
char *kd_cert_build_thumbprint(gnutls_x509_crt_t crt, gnutls_digest_algorithm_t kind);
gboolean kd_cert_has_thumbprint(gnutls_x509_crt_t crt, const char *digits);
gboolean kd_cert_has_name(gnutls_x509_crt_t crt, const char *name);
char *kd_cert_build_subject(gnutls_x509_crt_t crt);
char *kd_cert_build_issuer(gnutls_x509_crt_t crt);
char *kd_cert_build_names(gnutls_x509_crt_t crt);
KdCertFault kd_cert_find_fault(gnutls_x509_crt_t crt, const char *purpose, char **sentence);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdCert, kd_cert_free)
