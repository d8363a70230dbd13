/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where certificates and their keys lie: a user's folder, the machine's, or a PKCS #11 token. */
#include "kd-cert-store.h"

#include <kdsrv/kd-plugin.h>

/**
 * kd_cert_store_make:
 * @store: where to put it
 * @name: of the certificate: common name and DNS name
 * @error: where to put an error
 *
 * Makes a key and a self-signed certificate for a server.
 *
 * Returns: (transfer full) (nullable): its SHA-256 thumbprint, 64 hex digits
 */
char *
kd_cert_store_make(KdCertStore store, const char *name, GError **error)
{
    (void)store;
    (void)name;
    g_set_error_literal(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED, "not yet");
    return NULL;
}
