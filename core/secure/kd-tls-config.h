/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What one string says about TLS: versions, our certificate, whom we trust. */
#pragma once

#include <kdsrv/kd-plugin.h>

/* Roles of the session protocol and of TLS, whoever dials */
typedef enum {
    KD_TLS_SERVER = 0,
    KD_TLS_CLIENT = 1,
} KdTlsRole;

typedef struct KdTlsConfig KdTlsConfig;

gboolean kd_tls_config_check(KdTlsRole role, const char *scheme, GVariant *params,
                             GError **error) G_GNUC_WARN_UNUSED_RESULT;
KdTlsConfig *kd_tls_config_new(KdTlsRole role, const char *scheme, GVariant *params,
                               GError **error) G_GNUC_WARN_UNUSED_RESULT;
KdTlsConfig *kd_tls_config_ref(KdTlsConfig *config);
void kd_tls_config_unref(KdTlsConfig *config);
const char *kd_tls_config_get_place(const KdTlsConfig *config);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdTlsConfig, kd_tls_config_unref)
