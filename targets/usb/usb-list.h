/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which targets there are on this machine's USB. */
#pragma once

#include <kdsrv/kd-plugin.h>

void usb_list_async(const KdHost *host, GVariant *filter, GCancellable *cancellable,
                    GAsyncReadyCallback callback, gpointer user_data);
GVariant *usb_list_finish(GAsyncResult *result, GError **error);
