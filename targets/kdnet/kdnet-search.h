/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finds the addresses of a target that a string names. */
#pragma once

#include "kdnet-session.h"

#include <kdsrv-support/kd-dial.h>

/**
 * KdnetPlaces:
 * @addresses: those that the host's rules allow
 * @n: how many
 *
 * Where a target may be.
 */
typedef struct {
    KdnetAddress addresses[KDNET_ASKED_MAX];
    size_t n;
} KdnetPlaces;

void kdnet_search_async(const KdHost *host, const char *name, uint16_t port,
                        GCancellable *cancellable, GAsyncReadyCallback callback,
                        gpointer user_data);
KdnetPlaces *kdnet_search_finish(GAsyncResult *result, GError **error);
