/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Certificates and keys in PEM files; for this room only. */
#pragma once

#include "kd-cert.h"
#include "kd-secret.h"

#define KD_CERT_FILE_MAX_BYTES (1024u * 1024u)

KdSecret *kd_cert_file_read(const char *path, gboolean is_private,
                            GError **error) G_GNUC_WARN_UNUSED_RESULT;
KdCert *kd_cert_file_load(const char *path, const char *key_folder,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;
gnutls_privkey_t kd_cert_file_load_key(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;
