/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The simulated target on KDNET: offers, keys and numbered datagrams around a link. No I/O; the
 * carrier sends from a new port for each boot, which kd_sim_net_get_boot() numbers. */
#pragma once

#include "kd-sim-faults.h"
#include "kd-sim-link.h"

#define KD_SIM_POKE_MS 3000u

typedef struct KdSimNet KdSimNet;

/**
 * KdSimNetOptions:
 * @key: `w.x.y.z`
 * @version: 2 to 5
 * @poke_ms: between two offers; 0: %KD_SIM_POKE_MS
 * @seed: of the nonces
 * @host: where it sends its offers; port 0: nowhere, until it is asked
 * @own: what it writes into them as its own address
 */
typedef struct {
    KdSimLinkOptions link;
    const char *key;
    uint8_t version;
    uint32_t poke_ms;
    uint64_t seed;
    KdSimPeer host;
    KdSimPeer own;
} KdSimNetOptions;

typedef struct {
    uint64_t datagrams_in;
    uint64_t datagrams_out;
    uint64_t pokes;
    uint64_t offers; /* asked for by an empty control datagram */
    uint64_t sessions;
    uint64_t stale;    /* responses to no recent poke, or to one that was answered */
    uint64_t replayed; /* data whose number is not above all before */
    uint64_t unauthentic;
} KdSimNetStat;

typedef gboolean (*KdSimNetSend)(const uint8_t *datagram, size_t len_bytes, const KdSimPeer *to,
                                 void *user);

KdSimNet *kd_sim_net_new(KdSimMachine *machine, const KdSimNetOptions *options, KdSimNetSend send,
                         void *user, GError **error);
void kd_sim_net_free(KdSimNet *net);
void kd_sim_net_receive(KdSimNet *net, const uint8_t *datagram, size_t len_bytes,
                        const KdSimPeer *from, gint64 now_us);
gint64 kd_sim_net_get_deadline_us(const KdSimNet *net);
void kd_sim_net_tick(KdSimNet *net, gint64 now_us);
gboolean kd_sim_net_is_connected(const KdSimNet *net);
uint32_t kd_sim_net_get_boot(const KdSimNet *net);
KdSimLink *kd_sim_net_get_link(KdSimNet *net);
const KdSimNetStat *kd_sim_net_get_stat(const KdSimNet *net);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdSimNet, kd_sim_net_free)
