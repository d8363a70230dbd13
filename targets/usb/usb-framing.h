/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the packets are in what a bulk IN endpoint gives. */
#pragma once

#include <glib.h>

#include <stdint.h>

/* One read: no packet is longer, and it is a multiple of every packet size of USB */
#define USB_READ_BYTES 4096u

/**
 * UsbFraming:
 * @max_packet_bytes: of the endpoint
 * @is_skipping: what comes up to the next end belongs to something too long
 * @len_bytes: of what has no end yet
 * @bytes: that
 *
 * One transfer of a target is one packet. It ends with a packet of USB that is shorter than the
 * endpoint's, which a target may forget when the last one just fills it.
 */
typedef struct {
    uint16_t max_packet_bytes;
    gboolean is_skipping;
    size_t len_bytes;
    uint8_t bytes[2 * USB_READ_BYTES];
} UsbFraming;

/* Takes one packet of KD, or what stands for one; never empty, borrowed for the call */
typedef void (*UsbFramingFunc)(const uint8_t *bytes, size_t len_bytes, void *user);

/* How a read has ended */
typedef enum {
    USB_READ_ENDED = 1, /* by a short packet of USB: so has the transfer        */
    USB_READ_FULL = 2,  /* its buffer is full: the transfer may go on           */
    USB_READ_QUIET = 3, /* nothing more has come for a second                   */
} UsbRead;

void usb_framing_init(UsbFraming *framing, uint16_t max_packet_bytes);
void usb_framing_take(UsbFraming *framing, const uint8_t *bytes, size_t len_bytes, UsbRead read,
                      UsbFramingFunc fn, void *user);
