/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Connecting to a pipe, of this machine or of another. */
#pragma once

#include <kdsrv/kd-plugin.h>

gboolean npipe_check(GVariant *params, GError **error);
void npipe_connect_async(const KdHost *host, GVariant *params, GCancellable *cancellable,
                         GAsyncReadyCallback callback, gpointer user_data);
gboolean npipe_connect_finish(GAsyncResult *result, KdEndpoint *endpoint, GError **error);
