/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One open link to a target on USB, whether the target is there or not. */
#pragma once

#include <kdsrv/kd-plugin.h>

G_DECLARE_FINAL_TYPE(UsbLink, usb_link, USB, LINK, GObject)
#define USB_TYPE_LINK (usb_link_get_type())

void usb_link_open_async(const KdHost *host, GVariant *params, GVariant *session,
                         const KdSink *sink, GCancellable *cancellable,
                         GAsyncReadyCallback callback, gpointer user_data);
GObject *usb_link_open_finish(GAsyncResult *result, KdEndpoint *endpoint, GError **error);
void usb_link_control_async(GObject *object, uint32_t op, GVariant *arg, GCancellable *cancellable,
                            GAsyncReadyCallback callback, gpointer user_data);
gboolean usb_link_control_finish(GObject *object, GAsyncResult *result, GVariant **out,
                                 GError **error);
void usb_link_close_async(GObject *object, GAsyncReadyCallback callback, gpointer user_data);
void usb_link_close_finish(GObject *object, GAsyncResult *result);
