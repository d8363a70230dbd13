/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From what a string says to the one certificate that is meant; for this room only. */
#pragma once

#include "kd-cert-store.h"
#include "kd-cert.h"

/**
 * KdCertWish:
 * @store: where names and thumbprints are looked up
 * @text: name, thumbprint, absolute path or `pkcs11:` URI
 * @purpose: %GNUTLS_KP_TLS_WWW_SERVER or %GNUTLS_KP_TLS_WWW_CLIENT
 * @needs_key: it is to be shown, not only compared
 *
 * What is looked for.
 */
typedef struct {
    KdCertStore store;
    const char *text;
    const char *purpose;
    gboolean needs_key;
} KdCertWish;

gboolean kd_cert_search(const KdCertWish *wish, KdCert **found,
                        GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_cert_search_load_key(KdCert *cert, GError **error) G_GNUC_WARN_UNUSED_RESULT;
