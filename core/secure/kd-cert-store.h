/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where certificates and their keys lie: a user's folder, the machine's, or a PKCS #11 token. */
#pragma once

#include <gio/gio.h>

typedef enum {
    KD_CERT_STORE_USER = 0,    /* certuser=: $XDG_CONFIG_HOME/kdsrv/certs                    */
    KD_CERT_STORE_MACHINE = 1, /* machuser=: /etc/kdsrv/certs, keys in /etc/kdsrv/private    */
} KdCertStore;

char *kd_cert_store_make(KdCertStore store, const char *name,
                         GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_cert_store_build_paths(KdCertStore store, const char *name, char **cert_path,
                               char **key_path);
gboolean kd_cert_store_check_name(const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;
