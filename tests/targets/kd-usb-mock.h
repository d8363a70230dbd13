/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* USB devices of which nothing is there, for tests: umockdev lends the program a sysfs and device
 * nodes, and what the kernel's usbfs would say is said here. libusb notices no difference. */
#pragma once

#include <gio/gio.h>

#include <stdint.h>

typedef struct KdUsbMock KdUsbMock;
typedef struct KdUsbDevice KdUsbDevice;

/**
 * KdUsbDeviceSpec:
 * @vendor: 0: 3495
 * @product: 0: 00e0
 * @class_code: class, subclass and protocol of the interface; 0: 0xDC02FF
 * @max_packet_bytes: of both endpoints; 0: 1024
 * @name: (nullable): what NAME? is answered with; %NULL: it is not answered
 * @descriptors: (nullable): all of them in hexadecimal, in place of sound ones
 * @terminal: (nullable): `ttyUSB0`: the kernel's driver has made that of it
 *
 * What is plugged in.
 */
typedef struct {
    uint16_t vendor;
    uint16_t product;
    uint32_t class_code;
    uint16_t max_packet_bytes;
    const char *name;
    const char *descriptors;
    const char *terminal;
} KdUsbDeviceSpec;

/* What goes wrong, and how often from now on */
typedef enum {
    KD_USB_FAULT_READ = 0,        /* a read ends with an error; code: -EPIPE and the like        */
    KD_USB_FAULT_WRITE = 1,       /* a write does                                                */
    KD_USB_FAULT_SHORT_WRITE = 2, /* a write takes only half of its bytes, and says so          */
    KD_USB_FAULT_LOST_READ = 3,   /* a read never completes, until it is called back             */
    KD_USB_FAULT_LOST_WRITE = 4,  /* a write                                                     */
    KD_USB_FAULT_CLAIM = 5,       /* claiming fails; code: EBUSY and the like                    */
    KD_USB_FAULT_SUBMIT = 6,      /* nothing can be submitted; code: ENOMEM and the like         */
    KD_USB_FAULT_DEAF = 7,        /* a write is not taken by the device: it waits                */
    KD_USB_FAULT_STUCK = 8,       /* the node is always ready, as if there were something to reap */
    KD_USB_N_FAULTS = 9,
} KdUsbFault;

/* Counted since the device was plugged in */
typedef struct {
    guint n_ioctls;
    guint n_claims;
    guint n_releases;
    guint n_reads; /* that were submitted */
    guint n_writes;
    guint n_questions;  /* NAME? */
    guint n_zero_flags; /* writes that asked for an empty packet at their end */
    guint n_forbidden;  /* resets, cleared stalls, configurations: nobody may do that */
} KdUsbCounts;

/* Takes one bulk OUT transfer, but no NAME? that the mock answers; in another thread, and may send
 */
typedef void (*KdUsbWritten)(KdUsbDevice *device, const uint8_t *bytes, size_t len_bytes,
                             void *user);

KdUsbMock *kd_usb_mock_new(void);
void kd_usb_mock_free(KdUsbMock *mock);

KdUsbDevice *kd_usb_mock_plug(KdUsbMock *mock, const KdUsbDeviceSpec *spec);
void kd_usb_device_unplug(KdUsbDevice *device);
void kd_usb_device_set_written(KdUsbDevice *device, KdUsbWritten written, void *user);
void kd_usb_device_send(KdUsbDevice *device, const void *bytes, size_t len_bytes);
void kd_usb_device_send_open(KdUsbDevice *device, const void *bytes, size_t len_bytes);
void kd_usb_device_set_chaos(KdUsbDevice *device, guint percent, guint32 seed);
void kd_usb_device_fail(KdUsbDevice *device, KdUsbFault fault, guint n, int code);
GBytes *kd_usb_device_pop_written(KdUsbDevice *device);
gboolean kd_usb_device_is_claimed(KdUsbDevice *device);
void kd_usb_device_get_counts(KdUsbDevice *device, KdUsbCounts *counts);
const char *kd_usb_device_get_place(const KdUsbDevice *device);
const char *kd_usb_device_get_node(const KdUsbDevice *device);
char *kd_usb_mock_build_path(const KdUsbMock *mock, const char *path);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdUsbMock, kd_usb_mock_free)
