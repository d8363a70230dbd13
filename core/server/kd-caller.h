/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A server that dials its one client (clicon=), until somebody answers. */
#pragma once

#include <kdsrv/kd-plugin.h>

#define KD_CALLER_PATIENCE_MS 60000u

typedef struct KdCaller KdCaller;

/**
 * KdCallerFunc:
 * @endpoint: (nullable): the connection, on which nothing was said; taken by leaving it empty
 * @peer: (nullable): who it is, for people
 * @error: (nullable): why there is none
 *
 * Told once how calling has ended; the caller may be freed in it.
 */
typedef void (*KdCallerFunc)(KdCaller *caller, KdEndpoint *endpoint, const char *peer,
                             const GError *error, void *user);

KdCaller *kd_caller_new(const KdHost *host, const KdTransport *transport, GVariant *params,
                        KdCallerFunc func, void *user);
void kd_caller_start(KdCaller *caller, guint patience_ms);
void kd_caller_stop(KdCaller *caller);
void kd_caller_free(KdCaller *caller);
