/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A pipe of another machine: the user's ssh runs `kd --pipe-bridge` there. */
#pragma once

#include <kdsrv/kd-plugin.h>

gboolean npipe_ssh_check_host(const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void npipe_ssh_dial_async(const KdHost *host, const char *remote, const char *pipe,
                          GCancellable *cancellable, GAsyncReadyCallback callback,
                          gpointer user_data);
int npipe_ssh_dial_finish(GAsyncResult *result, GError **error) G_GNUC_WARN_UNUSED_RESULT;
