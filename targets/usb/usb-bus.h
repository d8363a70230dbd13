/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The targets on this machine's USB, and who looks for which of them. */
#pragma once

#include "usb-unit.h"

typedef struct UsbBus UsbBus;
typedef struct UsbSeeker UsbSeeker;

/**
 * UsbSeekerFuncs:
 * @found: the one that was looked for, ready to be taken by usb_unit_take(), which it has to do;
 * the seeker is freed by it
 * @changed: (nullable): something has changed that may be worth a word
 *
 * Called from the loop, never from within libusb nor from usb_bus_seek().
 */
typedef struct {
    void (*found)(UsbUnit *unit, void *user);
    void (*changed)(void *user);
} UsbSeekerFuncs;

UsbBus *usb_bus_acquire(const KdHost *host, GError **error);
void usb_bus_release(UsbBus *bus);
const GPtrArray *usb_bus_get_units(const UsbBus *bus);
void usb_bus_work(UsbBus *bus);

UsbSeeker *usb_bus_seek(UsbBus *bus, const char *name, const UsbSeekerFuncs *funcs, void *user);
void usb_seeker_free(UsbSeeker *seeker);
