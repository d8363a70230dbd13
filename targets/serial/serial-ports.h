/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which serial ports there are. */
#pragma once

#include <kdsrv/kd-plugin.h>

void serial_ports_list_async(const KdHost *host, GVariant *filter, GCancellable *cancellable,
                             GAsyncReadyCallback callback, gpointer user_data);
GVariant *serial_ports_list_finish(GAsyncResult *result, GError **error);
