/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libusb on the host's loop. */
#pragma once

#include <kdsrv/kd-plugin.h>

#include <libusb.h>

typedef struct UsbContext UsbContext;

/* Something was plugged in or pulled out; called outside of libusb. */
typedef void (*UsbContextFunc)(void *user);

UsbContext *usb_context_new(const KdHost *host, UsbContextFunc changed, void *user, GError **error);
UsbContext *usb_context_ref(UsbContext *context);
void usb_context_unref(UsbContext *context);
void usb_context_forget(UsbContext *context);
void usb_context_rest(UsbContext *context);
gboolean usb_context_wake(UsbContext *context, GError **error);
libusb_context *usb_context_get(const UsbContext *context);
gboolean usb_context_has_hotplug(const UsbContext *context);
gboolean usb_context_take_refusal(UsbContext *context);

gboolean usb_context_is_turning(void);
void usb_context_defer(void (*fn)(gpointer user), gpointer user);
void usb_context_note_progress(UsbContext *context);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(UsbContext, usb_context_unref)
