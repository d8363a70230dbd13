/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A USB device in user space: FunctionFS carries what kd-sim-usb.h says and hears. */
#pragma once

#include <glib.h>

#include <stdint.h>

/* the longest bulk transfer; what is longer comes in pieces of that */
#define KD_SIM_GADGET_TRANSFER_BYTES 8192u

typedef struct KdSimGadget KdSimGadget;

/**
 * KdSimGadgetReceived:
 *
 * Takes one bulk OUT transfer, borrowed. May send.
 */
typedef void (*KdSimGadgetReceived)(const uint8_t *bytes, size_t len_bytes, void *user);

KdSimGadget *kd_sim_gadget_new(const char *folder, KdSimGadgetReceived received, void *user,
                               GError **error);
void kd_sim_gadget_free(KdSimGadget *gadget);
gboolean kd_sim_gadget_send(KdSimGadget *gadget, const uint8_t *bytes, size_t len_bytes);
gboolean kd_sim_gadget_is_enabled(const KdSimGadget *gadget);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdSimGadget, kd_sim_gadget_free)
