/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One try to get to a server: dialling it or being dialled by it, then TLS where there is any. */
#pragma once

#include "kd-dial-up.h"
#include "kd-tls-handshake.h"

typedef struct KdAttempt KdAttempt;

/**
 * KdAttemptFunc:
 * @endpoint: (nullable): taken by leaving it empty; %NULL on error
 * @peer: (nullable): what TLS has found out, also on error
 * @error: (nullable): of the transport, %KD_ERROR_TLS, or %G_IO_ERROR_TIMED_OUT
 *
 * Told once how a try ended; never before kd_attempt_new() has returned. The try is freed by its
 * owner, here or later.
 */
typedef void (*KdAttemptFunc)(KdEndpoint *endpoint, const KdTlsPeer *peer, const GError *error,
                              void *user);

KdAttempt *kd_attempt_new(const KdDialUp *dial_up, KdAttemptFunc func, void *user);
void kd_attempt_free(KdAttempt *attempt);
