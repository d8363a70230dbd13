/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes a key and a self-signed certificate for a server; no files. For this room only. */
#pragma once

#include "kd-secret.h"

#include <gio/gio.h>

/* Days for which a certificate is good */
#define KD_CERT_MAKER_DAYS 3650

/**
 * KdCertPair:
 * @cert_pem: text of a file
 * @key_pem: text of another
 * @sha256: thumbprint of the certificate, 64 hex digits
 *
 * A certificate and its key.
 */
typedef struct {
    char *cert_pem;
    KdSecret *key_pem;
    char *sha256;
} KdCertPair;

gboolean kd_cert_maker_make(const char *name, KdCertPair *pair,
                            GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_cert_pair_clear(KdCertPair *pair);
