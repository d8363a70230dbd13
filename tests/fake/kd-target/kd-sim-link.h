/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The target's side of a KD link where packets travel: serial lines, KDNET and USB. No I/O; time is
 * given. What a test holds is mostly this and a machine:
 *
 *   g_autoptr(KdSimMachine) machine = kd_sim_machine_new(NULL);
 *   g_autoptr(KdSimLink) link = kd_sim_link_new(KD_SIM_DIALECT_SERIAL, machine, NULL, send, user);
 *   kd_sim_machine_boot(machine, now_us);
 *   kd_sim_link_receive(link, bytes, len_bytes, now_us);
 *   ... kd_sim_link_get_deadline_us(link) ... kd_sim_link_tick(link, now_us);
 *
 * (1394: kd-sim-mailbox.h; names and transfers of USB: kd-sim-usb.h; datagrams: kd-sim-net.h) */
#pragma once

#include "kd-sim-machine.h"

#define KD_SIM_RETRY_MS 1000u
#define KD_SIM_TRIES    20u

typedef struct KdSimLink KdSimLink;

/**
 * KdSimSend:
 *
 * Takes what the target says, on serial lines any number of bytes, else one whole packet; %FALSE:
 * the carrier takes nothing now, and the target tries again when its time is over. Does not call
 * into the link.
 */
typedef gboolean (*KdSimSend)(const uint8_t *bytes, size_t len_bytes, void *user);

/**
 * KdSimLinkOptions:
 * @retry_ms: how long one wait of the target lasts, for an ACK as for a byte after a lone 0x62;
 *    0: %KD_SIM_RETRY_MS
 * @is_traced: each packet is told on stderr
 * @is_break_in_kept: one that a halted target gets halts it again when it has gone on. So it is on
 *    serial lines whatever this says; of the others it is not known
 * @reboot: (nullable): the machine begins to boot; called with the user of @send
 */
typedef struct {
    uint32_t retry_ms;
    void (*reboot)(gint64 now_us, void *user);
    gboolean is_traced;
    gboolean is_break_in_kept;
} KdSimLinkOptions;

/* Counted since the link was made */
typedef struct {
    uint64_t packets_in; /* data, whole and sound */
    uint64_t packets_out;
    uint64_t acks_in;
    uint64_t acks_out;
    uint64_t resends_in;
    uint64_t resends_out;
    uint64_t resets; /* that the host has sent */
    uint64_t retransmissions;
    uint64_t duplicates;
    uint64_t damaged;
    uint64_t out_of_step; /* data that came while the target waited for an ACK */
    uint64_t break_ins;
    uint64_t early; /* of these, those that a halted target has dropped */
    uint64_t eaten; /* bytes that came while the machine was running, or between packets */
} KdSimLinkStat;

KdSimLink *kd_sim_link_new(KdSimDialect dialect, KdSimMachine *machine,
                           const KdSimLinkOptions *options, KdSimSend send, void *user);
void kd_sim_link_free(KdSimLink *link);
void kd_sim_link_receive(KdSimLink *link, const uint8_t *bytes, size_t len_bytes, gint64 now_us);
void kd_sim_link_restart(KdSimLink *link, gint64 now_us);
gint64 kd_sim_link_get_deadline_us(const KdSimLink *link);
void kd_sim_link_tick(KdSimLink *link, gint64 now_us);
const KdSimLinkStat *kd_sim_link_get_stat(const KdSimLink *link);
KdSimMachine *kd_sim_link_get_machine(KdSimLink *link);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdSimLink, kd_sim_link_free)
