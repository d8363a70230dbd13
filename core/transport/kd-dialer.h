/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Dials by a transport: the counterpart of KdListener, for clients, and for servers with clicon=.
 */
#pragma once

#include <kdsrv/kd-plugin.h>

void kd_dialer_connect_async(const KdHost *host, const KdTransport *transport, GVariant *params,
                             GCancellable *cancellable, GAsyncReadyCallback callback,
                             gpointer user_data);
gboolean kd_dialer_connect_finish(GAsyncResult *result, KdEndpoint *endpoint,
                                  GError **error) G_GNUC_WARN_UNUSED_RESULT;
