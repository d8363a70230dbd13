/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Our own certificate with its key, fit to be shown; for this room only. */
#pragma once

#include "kd-cert-search.h"

#include <gnutls/gnutls.h>

gnutls_certificate_credentials_t kd_tls_credentials_new(const KdCertWish *wish,
                                                        GError **error) G_GNUC_WARN_UNUSED_RESULT;
