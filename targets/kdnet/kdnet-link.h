/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One open net link: its socket, its session with the target, and its port to the client. */
#pragma once

#include "kdnet-plan.h"

#define KDNET_TYPE_LINK kdnet_link_get_type()
G_DECLARE_FINAL_TYPE(KdnetLink, kdnet_link, KDNET, LINK, GObject)

void kdnet_link_open_async(const KdHost *host, KdnetPlan *plan, const KdSink *sink,
                           GCancellable *cancellable, GAsyncReadyCallback callback,
                           gpointer user_data);
KdnetLink *kdnet_link_open_finish(GAsyncResult *result, KdEndpoint *endpoint, GError **error);
void kdnet_link_control_async(KdnetLink *link, uint32_t op, GVariant *arg,
                              GCancellable *cancellable, GAsyncReadyCallback callback,
                              gpointer user_data);
gboolean kdnet_link_control_finish(KdnetLink *link, GAsyncResult *result, GVariant **out,
                                   GError **error);
void kdnet_link_close_async(KdnetLink *link, GAsyncReadyCallback callback, gpointer user_data);
void kdnet_link_close_finish(KdnetLink *link, GAsyncResult *result);
