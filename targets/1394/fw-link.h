/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One open link to a target on FireWire. */
#pragma once

#include <kdsrv/kd-plugin.h>

G_DECLARE_FINAL_TYPE(FwLink, fw_link, FW, LINK, GObject)
#define FW_TYPE_LINK (fw_link_get_type())

void fw_link_open_async(const KdHost *host, GVariant *params, GVariant *session, const KdSink *sink,
                        GCancellable *cancellable, GAsyncReadyCallback callback,
                        gpointer user_data);
GObject *fw_link_open_finish(GAsyncResult *result, KdEndpoint *endpoint, GError **error);
void fw_link_control_async(GObject *object, uint32_t op, GVariant *arg, GCancellable *cancellable,
                           GAsyncReadyCallback callback, gpointer user_data);
gboolean fw_link_control_finish(GObject *object, GAsyncResult *result, GVariant **out,
                                GError **error);
void fw_link_close_async(GObject *object, GAsyncReadyCallback callback, gpointer user_data);
void fw_link_close_finish(GObject *object, GAsyncResult *result);
