/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The inside of a route, shared by its data path (kd-flow.c) and its owner's side (kd-route.c). */
#pragma once

#include "kd-ring.h"
#include "kd-route.h"
#include "kd-tick.h"

#define KD_ROUTE_NO_HOLD UINT64_MAX

/**
 * KdFlow:
 * @ring: what the other end has not taken yet
 * @is_blocked: the source waits for the other end or for credit
 * @is_ended: the source said its last byte
 * @is_finished: and the owner was told
 * @error: of the source
 * @n_stuck_ticks: seconds since the end in which the other end took nothing
 *
 * Bytes on their way from one end to the other.
 */
typedef struct {
    KdRing ring;
    gboolean is_blocked;
    gboolean is_ended;
    gboolean is_finished;
    int error;
    guint n_stuck_ticks;
} KdFlow;

struct KdRoute {
    KdLoopWatch life; /* no descriptor: what is deferred, and the end of the object     */
    const KdRouteFuncs *funcs;
    void *user;
    KdEnd *ends[2];
    KdFlow flows[2]; /* by source                                                       */
    KdFraming *framing;
    KdTick tick;
    KdRouteCount count;
    uint64_t n_dropped; /* bytes of the peer                                                    */
    size_t n_discarded; /* bytes of a peer that was not authenticated, after the stop           */
    uint64_t hold_at;
    gboolean is_reached;
    gboolean is_stopped;
    gboolean is_freed;
    gboolean is_noisy; /* after what its ends do, the main context has to turn                  */
    gboolean has_keepalive;
    gboolean wants_flushed;
    guint32 heard_tick;
};

extern const KdLoopWatchFuncs kd_flow_end_funcs;

void kd_flow_wake(KdRoute *route, KdSide side);
gboolean kd_flow_flush(KdRoute *route, KdSide side);
void kd_flow_tell_finished(KdRoute *route, KdSide side);
void kd_flow_give_up(KdRoute *route, KdSide side);
void kd_flow_tell_failed(KdRoute *route, const GError *error);
void kd_flow_tell_reached(KdRoute *route);
