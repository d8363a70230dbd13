/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Why TLS ended, in words and as an errno. Inside of this room alone. */
#pragma once

#include "kd-tls-session-private.h"

/* Not of GnuTLS: nothing of this connection can be bound to it. */
#define KD_TLS_E_NO_BINDING (-65536)

GError *kd_tls_failure_build(const KdTlsSession *session, int code) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_tls_failure_is_tls(const KdTlsSession *session);
int kd_tls_failure_get_errno(const KdTlsSession *session, int code);
