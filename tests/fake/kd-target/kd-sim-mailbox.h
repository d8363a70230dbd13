/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The simulated target on FireWire: a piece of physical memory with two mailboxes. No I/O.
 *
 * A carrier answers the host's asynchronous requests with kd_sim_mailbox_read() and
 * kd_sim_mailbox_write() (%FALSE: RCODE_ADDRESS_ERROR), and puts the quadlets of
 * kd_sim_mailbox_build_directory() into the root directory of the node's configuration ROM. All
 * bytes are as they lie in the target's memory: words little-endian. */
#pragma once

#include "kd-sim-link.h"

#define KD_SIM_MAILBOX_CONFIG_ADDRESS  0x00F01000u
#define KD_SIM_MAILBOX_CONFIG_BYTES    32u
#define KD_SIM_MAILBOX_SEND_ADDRESS    0x00F02000u
#define KD_SIM_MAILBOX_RECEIVE_ADDRESS 0x00F03000u
#define KD_SIM_MAILBOX_BYTES           4096u
#define KD_SIM_MAILBOX_TAG             0xBABABABAu
#define KD_SIM_MAILBOX_PENDING         0x103u
#define KD_SIM_MAILBOX_DIRECTORY       5u /* quadlets */

typedef struct KdSimMailbox KdSimMailbox;

typedef struct {
    uint64_t reads;
    uint64_t writes;
    uint64_t packets_in;
    uint64_t packets_out;
    uint64_t damaged;
    uint64_t break_ins;
    uint64_t aborted; /* own packets that a request of the host overtook */
} KdSimMailboxStat;

KdSimMailbox *kd_sim_mailbox_new(KdSimMachine *machine, const KdSimLinkOptions *options,
                                 uint32_t channel);
void kd_sim_mailbox_free(KdSimMailbox *mailbox);
gboolean kd_sim_mailbox_read(KdSimMailbox *mailbox, uint64_t address, uint8_t *bytes,
                             size_t len_bytes, gint64 now_us);
gboolean kd_sim_mailbox_write(KdSimMailbox *mailbox, uint64_t address, const uint8_t *bytes,
                              size_t len_bytes, gint64 now_us);
void kd_sim_mailbox_build_directory(const KdSimMailbox *mailbox,
                                    uint32_t quadlets[static KD_SIM_MAILBOX_DIRECTORY]);
gint64 kd_sim_mailbox_get_deadline_us(const KdSimMailbox *mailbox);
void kd_sim_mailbox_tick(KdSimMailbox *mailbox, gint64 now_us);
const KdSimMailboxStat *kd_sim_mailbox_get_stat(const KdSimMailbox *mailbox);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdSimMailbox, kd_sim_mailbox_free)
