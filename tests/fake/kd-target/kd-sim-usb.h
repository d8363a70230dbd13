/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The simulated target at a USB debug cable: its name, and one packet a transfer. No I/O.
 *
 * A carrier (FunctionFS, umockdev) gives each bulk OUT transfer to kd_sim_usb_receive() and makes
 * of each call of send one bulk IN transfer; it splits and joins nothing, and keeps ZLPs to itself.
 */
#pragma once

#include "kd-sim-link.h"

/* interface class, subclass and protocol of the function, and the ids of the device */
#define KD_SIM_USB_VENDOR       0x3495u
#define KD_SIM_USB_PRODUCT      0x00e0u
#define KD_SIM_USB_CLASS        0xDCu
#define KD_SIM_USB_SUBCLASS     0x02u
#define KD_SIM_USB_PROTOCOL     0xFFu
#define KD_SIM_USB_IN           0x81u
#define KD_SIM_USB_OUT          0x01u
#define KD_SIM_USB_MANUFACTURER "Microsoft"
#define KD_SIM_USB_MODEL        "KDUSB USB3 XHCI Debug"
#define KD_SIM_USB_SERIAL       "123456789"

typedef struct KdSimUsb KdSimUsb;

/**
 * KdSimUsbOptions:
 * @name: (nullable): what `NAME?` is answered with, upper case; "KDSIM"
 * @is_name_late: the answer comes after one KD packet that it has not asked for
 */
typedef struct {
    KdSimLinkOptions link;
    const char *name;
    gboolean is_name_late;
} KdSimUsbOptions;

KdSimUsb *kd_sim_usb_new(KdSimMachine *machine, const KdSimUsbOptions *options, KdSimSend send,
                         void *user);
void kd_sim_usb_free(KdSimUsb *usb);
void kd_sim_usb_receive(KdSimUsb *usb, const uint8_t *bytes, size_t len_bytes, gint64 now_us);
gint64 kd_sim_usb_get_deadline_us(const KdSimUsb *usb);
void kd_sim_usb_tick(KdSimUsb *usb, gint64 now_us);
KdSimLink *kd_sim_usb_get_link(KdSimUsb *usb);
uint64_t kd_sim_usb_get_n_names(const KdSimUsb *usb);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdSimUsb, kd_sim_usb_free)
