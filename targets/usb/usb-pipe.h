/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An open device: packets in, packets out. */
#pragma once

#include "usb-context.h"
#include "usb-match.h"

#define USB_WRITE_MAX_BYTES 4096u

typedef struct UsbPipe UsbPipe;

/* Why a pipe has ended */
typedef enum {
    USB_END_GONE = 1,   /* the device was unplugged, or has left the bus                  */
    USB_END_FAILED = 2, /* it is there, but nothing passes                                */
} UsbEnd;

/**
 * UsbPipeFuncs:
 * @received: takes one packet, borrowed
 * @sent: the next packet can be sent
 * @ended: nothing passes any more; the pipe is to be closed
 *
 * Called from the loop, mostly from within libusb; each may send and close.
 */
typedef struct {
    void (*received)(const uint8_t *bytes, size_t len_bytes, void *user);
    void (*sent)(void *user);
    void (*ended)(UsbEnd why, void *user);
} UsbPipeFuncs;

UsbPipe *usb_pipe_open(UsbContext *context, libusb_device *device, const UsbInterface *interface,
                       const UsbPipeFuncs *funcs, void *user, GError **error);
void usb_pipe_set_funcs(UsbPipe *pipe, const UsbPipeFuncs *funcs, void *user);
gboolean usb_pipe_send(UsbPipe *pipe, const uint8_t *bytes, size_t len_bytes);
void usb_pipe_close(UsbPipe *pipe, void (*closed)(gpointer user), gpointer user);
