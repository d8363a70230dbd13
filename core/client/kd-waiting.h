/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* clicon: waits until the server dials us, and lets in nobody else. */
#pragma once

#include "kd-dial-up.h"

typedef struct KdWaiting KdWaiting;

/**
 * KdWaitingFunc:
 * @endpoint: (nullable): the server's connection, nothing said on it; taken by leaving it empty;
 *    %NULL on error
 * @error: (nullable): the server's name is not known, or the transport can't listen
 *
 * Told once; never before kd_waiting_new() has returned. The waiting is freed by its owner, here or
 * later.
 */
typedef void (*KdWaitingFunc)(KdEndpoint *endpoint, const GError *error, void *user);

KdWaiting *kd_waiting_new(const KdDialUp *dial_up, KdWaitingFunc func, void *user);
void kd_waiting_free(KdWaiting *waiting);
