/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Listening on a range of ports, and dialling: what tcp and ssl do alike. */
#pragma once

#include <kdsrv/kd-plugin.h>

gboolean tcp_check(GVariant *params, GError **error);
void tcp_listen_async(const KdHost *host, GVariant *params, GCancellable *cancellable,
                      GAsyncReadyCallback callback, gpointer user_data);
gboolean tcp_listen_finish(GAsyncResult *result, KdListening *listening, GError **error);
void tcp_connect_async(const KdHost *host, GVariant *params, GCancellable *cancellable,
                       GAsyncReadyCallback callback, gpointer user_data);
gboolean tcp_connect_finish(GAsyncResult *result, KdEndpoint *endpoint, GError **error);
