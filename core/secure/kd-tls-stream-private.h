/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The plaintext of a TLS session as an endpoint. Inside of this room alone. */
#pragma once

#include "kd-tls-session-private.h"

void kd_tls_stream_give(KdTlsSession *session, KdEndpoint *endpoint);
