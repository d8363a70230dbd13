/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* USB devices that the guest is itself: a gadget at one end of dummy_hcd, its host at the other. */
#pragma once

#include <glib.h>

/* SuperSpeed controllers that dummy_hcd makes, each with one port */
#define KD_GUEST_GADGET_PORTS 2u

/**
 * KdGuestGadget:
 * @name: of its folders
 * @folder: (nullable): where its FunctionFS is mounted
 * @port: of dummy_hcd
 *
 * A device that can be plugged in and pulled out.
 */
typedef struct {
    char *name;
    char *folder;
    guint port;
} KdGuestGadget;

void kd_guest_load(const char *module, ...) G_GNUC_NULL_TERMINATED;

KdGuestGadget *kd_guest_gadget_new(guint port, const char *serial);
KdGuestGadget *kd_guest_gadget_new_tty(guint port);
void kd_guest_gadget_free(KdGuestGadget *gadget);
char *kd_guest_gadget_build_link(const KdGuestGadget *gadget);
void kd_guest_gadget_plug(const KdGuestGadget *gadget);
void kd_guest_gadget_await(const KdGuestGadget *gadget);
int kd_guest_gadget_open_tty(void);
void kd_guest_gadget_unplug(const KdGuestGadget *gadget);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdGuestGadget, kd_guest_gadget_free)
