/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which USB devices are targets, and where in them KD is spoken. */
#pragma once

#include <glib.h>

#include <libusb.h>
#include <stdint.h>

typedef enum {
    USB_KIND_OTHER = 0, /* a target only if its interface says so                       */
    USB_KIND_KD = 1,    /* known to be one                                              */
    USB_KIND_LINUX = 2, /* a debug device that the kernel makes a terminal of: not ours */
} UsbKind;

/**
 * UsbInterface:
 * @number: of the interface
 * @in: address of its bulk IN endpoint
 * @out: address of its bulk OUT endpoint
 * @in_packet_bytes: 8 to 1024, a power of two
 * @out_packet_bytes: the same
 *
 * Where KD is spoken.
 */
typedef struct {
    uint8_t number;
    uint8_t in;
    uint8_t out;
    uint16_t in_packet_bytes;
    uint16_t out_packet_bytes;
} UsbInterface;

UsbKind usb_match_get_kind(uint16_t vendor, uint16_t product);
gboolean usb_match_find_interface(const struct libusb_config_descriptor *config, UsbKind kind,
                                  UsbInterface *found) G_GNUC_WARN_UNUSED_RESULT;
