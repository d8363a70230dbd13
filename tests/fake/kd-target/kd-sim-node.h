/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A FireWire node in user space: firewire-cdev carries what kd-sim-mailbox.h is asked for. */
#pragma once

#include <glib.h>

#include <stdint.h>

typedef struct KdSimNode KdSimNode;

/**
 * KdSimNodeMemory:
 * @read: fills @bytes; %FALSE: there is nothing at this address
 * @write: %FALSE: there is nothing at this address
 *
 * The node's memory as the bus sees it.
 */
typedef struct {
    gboolean (*read)(uint64_t address, uint8_t *bytes, size_t len_bytes, void *user);
    gboolean (*write)(uint64_t address, const uint8_t *bytes, size_t len_bytes, void *user);
} KdSimNodeMemory;

/**
 * KdSimNodeOptions:
 * @first_address: physical, of the memory that is asked for
 * @len_bytes: its length, a multiple of 4
 * @entries: what the root directory of the configuration ROM has beside what the kernel puts there:
 *    immediate values
 */
typedef struct {
    uint64_t first_address;
    uint32_t len_bytes;
    const uint32_t *entries;
    guint n_entries;
} KdSimNodeOptions;

KdSimNode *kd_sim_node_new(const char *path, const KdSimNodeOptions *options,
                           const KdSimNodeMemory *memory, void *user, GError **error);
void kd_sim_node_free(KdSimNode *node);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdSimNode, kd_sim_node_free)
