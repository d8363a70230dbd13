/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Listening on a pipe: one name, one server. */
#pragma once

#include <kdsrv/kd-plugin.h>

void npipe_listen_async(const KdHost *host, GVariant *params, GCancellable *cancellable,
                        GAsyncReadyCallback callback, gpointer user_data);
gboolean npipe_listen_finish(GAsyncResult *result, KdListening *listening, GError **error);
void npipe_unlisten(GObject *listener);
