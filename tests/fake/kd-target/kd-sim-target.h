/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A whole simulated target: machine, dialect and faults in one. No I/O; a carrier moves its bytes.
 */
#pragma once

#include "kd-sim-faults.h"
#include "kd-sim-mailbox.h"
#include "kd-sim-net.h"
#include "kd-sim-usb.h"

typedef struct KdSimTarget KdSimTarget;

/**
 * KdSimTargetOptions:
 * @key: `w.x.y.z` of KDNET
 * @name: (nullable): of USB
 * @channel: of 1394
 * @version: of KDNET; 0: 5
 * @seed: of nonces and faults
 * @build: of the kernel; 0: %KD_SIM_VERSION_MINOR
 * @boot_ms: how long a reboot takes
 * @is_traced: as in #KdSimLinkOptions
 * @is_break_in_kept: too
 * @host: of KDNET, as in #KdSimNetOptions
 * @own: of KDNET, too
 */
typedef struct {
    KdSimDialect dialect;
    const char *key;
    const char *name;
    gboolean is_name_late;
    uint32_t channel;
    uint8_t version;
    uint64_t seed;
    uint32_t retry_ms;
    uint32_t poke_ms;
    uint16_t build;
    uint32_t boot_ms;
    gboolean is_run_at_boot;
    gboolean is_traced;
    gboolean is_break_in_kept;
    KdSimFaultPlan faults;
    KdSimPeer host;
    KdSimPeer own;
} KdSimTargetOptions;

/**
 * KdSimTargetSend:
 * @to: (nullable): of a datagram
 *
 * A carrier's side: takes bytes of a stream, or one packet; %FALSE: it takes nothing now. Does not
 * call into the target.
 */
typedef gboolean (*KdSimTargetSend)(const uint8_t *bytes, size_t len_bytes, const KdSimPeer *to,
                                    void *user);

KdSimTarget *kd_sim_target_new(const KdSimTargetOptions *options, GError **error);
void kd_sim_target_free(KdSimTarget *target);
void kd_sim_target_set_send(KdSimTarget *target, KdSimTargetSend send, void *user);
void kd_sim_target_boot(KdSimTarget *target, gint64 now_us);
void kd_sim_target_receive(KdSimTarget *target, const uint8_t *bytes, size_t len_bytes,
                           const KdSimPeer *from, gint64 now_us);
gint64 kd_sim_target_get_deadline_us(const KdSimTarget *target);
void kd_sim_target_tick(KdSimTarget *target, gint64 now_us);

const KdSimTargetOptions *kd_sim_target_get_options(const KdSimTarget *target);
KdSimMachine *kd_sim_target_get_machine(KdSimTarget *target);
KdSimFaults *kd_sim_target_get_faults(KdSimTarget *target);
KdSimMailbox *kd_sim_target_get_mailbox(KdSimTarget *target);
KdSimNet *kd_sim_target_get_net(KdSimTarget *target);
gboolean kd_sim_target_find_counter(const KdSimTarget *target, const char *name, uint64_t *value);
char *kd_sim_target_build_stat(const KdSimTarget *target);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdSimTarget, kd_sim_target_free)
