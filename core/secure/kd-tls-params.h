/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host's keys that say something about TLS; for this room only. */
#pragma once

#include "kd-cert-store.h"
#include "kd-tls-config.h"

const char *kd_tls_params_get(GVariant *params, const char *key);
const char *kd_tls_params_get_cert(GVariant *params, const char **key, KdCertStore *store);
const char *kd_tls_params_get_priority(GVariant *params);
char *kd_tls_params_build_shown(const char *text);
gboolean kd_tls_params_check(KdTlsRole role, const char *scheme, GVariant *params,
                             GError **error) G_GNUC_WARN_UNUSED_RESULT;
