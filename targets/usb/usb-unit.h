/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One USB device that may be a target: its place, its name, and who has it. */
#pragma once

#include "usb-pipe.h"

typedef enum {
    USB_UNIT_IDLE = 0,    /* not open                                                   */
    USB_UNIT_ASKING = 1,  /* open: its name is asked for                                */
    USB_UNIT_NAMED = 2,   /* open: it has told its name                                 */
    USB_UNIT_TAKEN = 3,   /* a link has it                                              */
    USB_UNIT_CLOSING = 4, /* open for a moment yet                                      */
} UsbUnitState;

typedef struct UsbUnit UsbUnit;

/* The unit's state has changed by itself; called from within libusb, too. */
typedef void (*UsbUnitFunc)(UsbUnit *unit, void *user);

UsbUnit *usb_unit_new(UsbContext *context, libusb_device *device, UsbUnitFunc changed, void *user);
void usb_unit_rebind(UsbUnit *unit, UsbContext *context, libusb_device *device);
UsbUnit *usb_unit_ref(UsbUnit *unit);
void usb_unit_unref(UsbUnit *unit);
void usb_unit_forget(UsbUnit *unit);

UsbUnitState usb_unit_get_state(const UsbUnit *unit);
UsbKind usb_unit_get_kind(const UsbUnit *unit);
uint32_t usb_unit_get_number(const UsbUnit *unit);
const char *usb_unit_get_place(const UsbUnit *unit);
const char *usb_unit_get_label(const UsbUnit *unit);
const char *usb_unit_get_name(const UsbUnit *unit);
const UsbInterface *usb_unit_get_interface(const UsbUnit *unit);
int usb_unit_get_speed_mbit(const UsbUnit *unit);
const GError *usb_unit_get_error(const UsbUnit *unit);
gboolean usb_unit_is_silent(const UsbUnit *unit);
void usb_unit_set_gone(UsbUnit *unit);

gint64 usb_unit_get_deadline_us(const UsbUnit *unit);
gboolean usb_unit_may_be_asked(const UsbUnit *unit, gint64 now_us);
void usb_unit_forgive(UsbUnit *unit);
void usb_unit_ask(UsbUnit *unit, gint64 now_us);
void usb_unit_tick(UsbUnit *unit, gint64 now_us);
UsbPipe *usb_unit_take(UsbUnit *unit, const UsbPipeFuncs *funcs, void *user, GPtrArray **packets);
void usb_unit_give_back(UsbUnit *unit, gboolean has_failed, void (*closed)(gpointer user),
                        gpointer user);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(UsbUnit, usb_unit_unref)
