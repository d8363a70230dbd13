/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fw:/dev/fwN: the target is the node of a FireWire card of this machine. */
#include "kd-sim-carrier.h"
#include "kd-sim-node.h"

#define FIRST_OWN_ENTRY 2u /* those before it are the kernel's to write */

static gboolean
on_read(uint64_t address, uint8_t *bytes, size_t len_bytes, void *user)
{
    return kd_sim_mailbox_read(user, address, bytes, len_bytes, g_get_monotonic_time());
}

static gboolean
on_write(uint64_t address, const uint8_t *bytes, size_t len_bytes, void *user)
{
    return kd_sim_mailbox_write(user, address, bytes, len_bytes, g_get_monotonic_time());
}

static void *
open_node(KdSimTarget *target, const char *path, GError **error)
{
    static const KdSimNodeMemory memory = {.read = on_read, .write = on_write};
    KdSimMailbox *mailbox = kd_sim_target_get_mailbox(target);
    uint32_t entries[KD_SIM_MAILBOX_DIRECTORY];
    kd_sim_mailbox_build_directory(mailbox, entries);
    const KdSimNodeOptions options = {
        .first_address = KD_SIM_MAILBOX_CONFIG_ADDRESS,
        .len_bytes =
            KD_SIM_MAILBOX_RECEIVE_ADDRESS + KD_SIM_MAILBOX_BYTES - KD_SIM_MAILBOX_CONFIG_ADDRESS,
        .entries = entries + FIRST_OWN_ENTRY,
        .n_entries = KD_SIM_MAILBOX_DIRECTORY - FIRST_OWN_ENTRY,
    };
    return kd_sim_node_new(path, &options, &memory, mailbox, error);
}

static void
close_node(KdSimTarget *target G_GNUC_UNUSED, void *carrier)
{
    kd_sim_node_free(carrier);
}

const KdSimCarrier kd_sim_fw_carrier = {
    .kind = "fw",
    .dialect = KD_SIM_DIALECT_1394,
    .open = open_node,
    .close = close_node,
};
