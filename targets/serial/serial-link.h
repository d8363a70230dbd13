/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One open serial link: a terminal, a VM's socket, or a TCP connection to a serial port. */
#pragma once

#include "serial-plan.h"

G_DECLARE_FINAL_TYPE(SerialLink, serial_link, SERIAL, LINK, GObject)
#define SERIAL_TYPE_LINK (serial_link_get_type())

void serial_link_open_async(const KdHost *host, SerialPlan *plan, const KdSink *sink,
                            GCancellable *cancellable, GAsyncReadyCallback callback,
                            gpointer user_data);
SerialLink *serial_link_open_finish(GAsyncResult *result, KdEndpoint *endpoint, GError **error);
void serial_link_reopen_async(SerialLink *link, GCancellable *cancellable,
                              GAsyncReadyCallback callback, gpointer user_data);
gboolean serial_link_reopen_finish(SerialLink *link, GAsyncResult *result, KdEndpoint *endpoint,
                                   GError **error);
void serial_link_control_async(SerialLink *link, uint32_t op, GVariant *arg,
                               GCancellable *cancellable, GAsyncReadyCallback callback,
                               gpointer user_data);
gboolean serial_link_control_finish(SerialLink *link, GAsyncResult *result, GVariant **out,
                                    GError **error);
void serial_link_close_async(SerialLink *link, GAsyncReadyCallback callback, gpointer user_data);
void serial_link_close_finish(SerialLink *link, GAsyncResult *result);
