/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a transport string to a connection with the server. */
#pragma once

#include "kd-registry.h"

gboolean kd_dial_up_check(const KdRegistry *registry, const char *server,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;
char *kd_dial_up_build_name(const KdRegistry *registry, const char *server);
void kd_dial_up_async(const KdRegistry *registry, const char *server, GCancellable *cancellable,
                      GAsyncReadyCallback callback, gpointer user_data);
gboolean kd_dial_up_finish(GAsyncResult *result, KdEndpoint *endpoint,
                           GError **error) G_GNUC_WARN_UNUSED_RESULT;
