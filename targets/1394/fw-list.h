/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The targets that could be opened now. */
#pragma once

#include <kdsrv/kd-plugin.h>

void fw_list_async(const KdHost *host, GVariant *filter, GCancellable *cancellable,
                   GAsyncReadyCallback callback, gpointer user_data);
GVariant *fw_list_finish(GAsyncResult *result, GError **error);
