/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kernel's files tell of a USB device, without asking the device. */
#pragma once

#include <glib.h>

#include <stdint.h>

char *usb_sysfs_find_terminal(const char *place);
char *usb_sysfs_find_driver(const char *place, uint8_t interface);
char *usb_sysfs_build_title(const char *place);
