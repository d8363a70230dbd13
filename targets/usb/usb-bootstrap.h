/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Asking a device for its name, while it may already send packets. No I/O; time is given. */
#pragma once

#include <glib.h>

#include <stdint.h>

typedef struct UsbBootstrap UsbBootstrap;

UsbBootstrap *usb_bootstrap_new(gint64 now_us);
void usb_bootstrap_free(UsbBootstrap *bootstrap);
gboolean usb_bootstrap_is_due(const UsbBootstrap *bootstrap, gint64 now_us);
void usb_bootstrap_asked(UsbBootstrap *bootstrap, gint64 now_us);
gint64 usb_bootstrap_get_deadline_us(const UsbBootstrap *bootstrap);
gboolean usb_bootstrap_take(UsbBootstrap *bootstrap, const uint8_t *bytes, size_t len_bytes);
const char *usb_bootstrap_get_name(const UsbBootstrap *bootstrap);
guint usb_bootstrap_get_n_asked(const UsbBootstrap *bootstrap);
GPtrArray *usb_bootstrap_steal_packets(UsbBootstrap *bootstrap);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(UsbBootstrap, usb_bootstrap_free)
