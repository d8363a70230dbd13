/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The KD link layer: ends a target's dialect and speaks KDCOM to the client. No I/O; time is given.
 */
#pragma once

#include "kd-packet.h"

typedef struct KdLinkLayer KdLinkLayer;

/**
 * KdLinkLayerFuncs:
 * @to_target: takes one packet in the dialect's form, or the one byte of a break-in; %FALSE: the
 *    carrier takes none now, and kd_link_layer_target_ready() will follow
 * @to_client: takes bytes of KDCOM, all or none; %FALSE: there is no room for them, and
 *    kd_link_layer_client_ready() will follow
 * @note: (nullable): one sentence for log and client
 * @client_has_taken: (nullable): whether the client has read all that @to_client took: nothing is
 *    repeated before it has; %NULL: always
 *
 * Where a link layer puts what it has to say. None may free the layer or call into it.
 */
typedef struct {
    gboolean (*to_target)(const uint8_t *bytes, size_t len_bytes, void *user);
    gboolean (*to_client)(const uint8_t *bytes, size_t len_bytes, void *user);
    void (*note)(const char *text, void *user);
    gboolean (*client_has_taken)(void *user);
} KdLinkLayerFuncs;

/* What is known of the target */
typedef enum {
    KD_TARGET_STATE_UNKNOWN = 0, /* nothing was heard yet, since the start or its restart */
    KD_TARGET_STATE_RUNNING = 1,
    KD_TARGET_STATE_HALTED = 2, /* it has shown a state change and waits for requests */
} KdTargetState;

/**
 * KdLinkLayerStatus:
 *
 * For people: what is known, and what was counted since the layer was made.
 */
typedef struct {
    KdTargetState state;
    uint64_t n_packets_from_target;
    uint64_t n_packets_to_target;
    uint64_t n_retransmissions;
    uint64_t n_duplicates;
    uint64_t n_damaged;
    uint64_t n_unseen_prints; /* debug strings that no client has seen and none will */
} KdLinkLayerStatus;

KdLinkLayer *kd_link_layer_new(KdDialect dialect, const KdLinkLayerFuncs *funcs, void *user);
void kd_link_layer_free(KdLinkLayer *layer);

void kd_link_layer_set_client(KdLinkLayer *layer, gboolean is_attached, gint64 now_us);
void kd_link_layer_from_client(KdLinkLayer *layer, const uint8_t *bytes, size_t len_bytes,
                               gint64 now_us);
void kd_link_layer_client_ready(KdLinkLayer *layer, gint64 now_us);

void kd_link_layer_set_target(KdLinkLayer *layer, gboolean is_there, gint64 now_us);
gboolean kd_link_layer_from_target(KdLinkLayer *layer, const uint8_t *bytes, size_t len_bytes,
                                   gint64 now_us);
void kd_link_layer_target_ready(KdLinkLayer *layer, gint64 now_us);
gboolean kd_link_layer_target_restarted(KdLinkLayer *layer, gint64 now_us);

void kd_link_layer_break_in(KdLinkLayer *layer, gint64 now_us);
void kd_link_layer_resync(KdLinkLayer *layer, gint64 now_us);

gint64 kd_link_layer_get_deadline_us(const KdLinkLayer *layer);
void kd_link_layer_tick(KdLinkLayer *layer, gint64 now_us);
void kd_link_layer_get_status(const KdLinkLayer *layer, KdLinkLayerStatus *status);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdLinkLayer, kd_link_layer_free)
