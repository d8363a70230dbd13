/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a handshake asks of a configuration, in GnuTLS's terms: inside of this room alone. */
#pragma once

#include "kd-tls-handshake.h"

#include <gnutls/gnutls.h>

KdTlsRole kd_tls_config_get_role(const KdTlsConfig *config);
gnutls_certificate_credentials_t kd_tls_config_get_credentials(const KdTlsConfig *config);
const char *kd_tls_config_get_priority(const KdTlsConfig *config);
gnutls_certificate_request_t kd_tls_config_get_request(const KdTlsConfig *config);
const char *kd_tls_config_get_server_name(const KdTlsConfig *config);
gboolean kd_tls_config_judge(const KdTlsConfig *config, gnutls_session_t session, KdTlsPeer *peer,
                             GError **error) G_GNUC_WARN_UNUSED_RESULT;

/**
 * KdTlsJudgeFunc:
 *
 * What kd_tls_config_judge() does instead, in a test.
 */
typedef gboolean (*KdTlsJudgeFunc)(gnutls_session_t session, KdTlsPeer *peer, GError **error);

KdTlsConfig *kd_tls_config_new_for_test(KdTlsRole role,
                                        gnutls_certificate_credentials_t credentials,
                                        const char *priority, gnutls_certificate_request_t request,
                                        KdTlsJudgeFunc judge);
