/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Certificates and keys in PKCS #11 tokens, by URI (RFC 7512); for this room only. */
#pragma once

#include "kd-cert.h"

gboolean kd_cert_token_is_uri(const char *text);
char *kd_cert_token_build_shown(const char *uri);
gboolean kd_cert_token_list(const char *uri, GPtrArray *certs,
                            GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_cert_token_list_all(GPtrArray *certs);
gnutls_privkey_t kd_cert_token_load_key(KdCert *cert, GError **error) G_GNUC_WARN_UNUSED_RESULT;
