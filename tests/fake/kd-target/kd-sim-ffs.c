/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* usb:FOLDER: the target is a USB device of this machine. */
#include "kd-sim-carrier.h"
#include "kd-sim-gadget.h"

static void
on_received(const uint8_t *bytes, size_t len_bytes, void *user)
{
    kd_sim_target_receive(user, bytes, len_bytes, NULL, g_get_monotonic_time());
}

static gboolean
on_send(const uint8_t *bytes, size_t len_bytes, const KdSimPeer *to G_GNUC_UNUSED, void *user)
{
    return kd_sim_gadget_send(user, bytes, len_bytes);
}

static void *
open_gadget(KdSimTarget *target, const char *folder, GError **error)
{
    KdSimGadget *gadget = kd_sim_gadget_new(folder, on_received, target, error);
    if (gadget != NULL)
        kd_sim_target_set_send(target, on_send, gadget);
    return gadget;
}

static void
close_gadget(KdSimTarget *target, void *carrier)
{
    kd_sim_target_set_send(target, NULL, NULL);
    kd_sim_gadget_free(carrier);
}

const KdSimCarrier kd_sim_usb_carrier = {
    .kind = "usb",
    .dialect = KD_SIM_DIALECT_USB,
    .open = open_gadget,
    .close = close_gadget,
};
