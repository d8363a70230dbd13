/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one router: two ends, each a descriptor or a stream; the peer's end raw or framed. */
#include "kd-flow.h"

#include "kd-message.h"

#define KEEPALIVE_PING_S 5u
#define KEEPALIVE_DEAD_S 15u
/* An end that said its last byte is not waited for longer than this when nobody takes the rest. */
#define STUCK_S 10u

/* What was asked for outside of the data path. */
static gboolean
on_life_run(KdLoopWatch *watch)
{
    KdRoute *route = (KdRoute *)watch;

    kd_flow_tell_reached(route);
    if (!route->is_freed && !route->is_stopped) {
        kd_flow_tell_finished(route, KD_SIDE_PEER); /* its last bytes may have been dropped */
    }
    if (route->is_freed || !route->wants_flushed) {
        return FALSE;
    }
    if (route->ends[KD_SIDE_PEER] == NULL || kd_flow_flush(route, KD_SIDE_PEER)) {
        route->wants_flushed = FALSE;
        route->funcs->flushed(route, route->user);
    }
    return FALSE;
}

static void
on_life_gone(KdLoopWatch *watch)
{
    KdRoute *route = (KdRoute *)watch;

    kd_framing_free(route->framing);
    kd_ring_clear(&route->flows[KD_SIDE_PEER].ring);
    kd_ring_clear(&route->flows[KD_SIDE_LINE].ring);
    g_free(route);
}

static const KdLoopWatchFuncs life_funcs = {
    .run = on_life_run,
    .gone = on_life_gone,
};

/* ---- once a second ---- */

/* A link may take as long as it likes: whether its client is still there is known otherwise. */
static gboolean
is_patient(const KdRoute *route, KdSide side)
{
    return side == KD_SIDE_PEER && route->framing != NULL &&
           route->framing->wire.role == KD_ROLE_SERVER;
}

static void
give_up_stuck(KdRoute *route, KdSide side)
{
    KdFlow *flow = &route->flows[side];

    kd_ring_trim(&flow->ring);
    if (flow->is_ended && !flow->is_finished && !is_patient(route, side) &&
        ++flow->n_stuck_ticks >= STUCK_S) {
        kd_flow_give_up(route, side);
    }
}

static void
on_tick(KdTick *tick)
{
    KdRoute *route = (KdRoute *)(void *)((char *)tick - offsetof(KdRoute, tick));
    guint32 silent = kd_tick_get_now() - route->heard_tick;

    give_up_stuck(route, KD_SIDE_PEER);
    if (!route->is_freed) {
        give_up_stuck(route, KD_SIDE_LINE);
    }
    if (route->is_freed || !route->has_keepalive || route->is_stopped) {
        return;
    }
    if (silent >= KEEPALIVE_DEAD_S) {
        g_autoptr(GError) error = g_error_new(G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                                              "nothing was heard for %u s", KEEPALIVE_DEAD_S);
        kd_flow_tell_failed(route, error);
    } else if (silent > 0 && silent % KEEPALIVE_PING_S == 0) {
        uint8_t cookie[8] = {0};

        kd_framing_queue(route->framing, KD_FRAME_PING, cookie, sizeof cookie);
        kd_flow_wake(route, KD_SIDE_PEER);
    }
}

/* ---- for the owner ---- */

/**
 * kd_route_new:
 * @funcs: lives as long as the route
 * @user: for @funcs
 *
 * Returns: (transfer full): a route between two raw ends, none of which is there yet
 */
KdRoute *
kd_route_new(const KdRouteFuncs *funcs, void *user)
{
    KdRoute *route = g_new0(KdRoute, 1);

    route->life = (KdLoopWatch){.funcs = &life_funcs, .fd = -1};
    route->funcs = funcs;
    route->user = user;
    route->hold_at = KD_ROUTE_NO_HOLD;
    kd_ring_init(&route->flows[KD_SIDE_PEER].ring, KD_WINDOW_BYTES);
    kd_ring_init(&route->flows[KD_SIDE_LINE].ring, KD_WINDOW_BYTES);
    if (!kd_loop_add(&route->life, NULL)) {
        g_assert_not_reached(); /* without a descriptor nothing can be refused */
    }
    kd_tick_add(&route->tick, on_tick);
    return route;
}

/**
 * kd_route_new_framed:
 * @role: ours
 * @funcs: lives as long as the route
 * @user: for @funcs
 *
 * Returns: (transfer full): a route whose peer speaks the session protocol
 */
KdRoute *
kd_route_new_framed(KdRole role, const KdRouteFuncs *funcs, void *user)
{
    KdRoute *route = kd_route_new(funcs, user);

    route->framing = kd_framing_new(role);
    route->heard_tick = kd_tick_get_now();
    return route;
}

/**
 * kd_route_free:
 * @route: (transfer full) (nullable): a route
 *
 * Closes the ends that are still there and forgets the route. Its functions are not called any
 * more, also when one of them made this call.
 */
void
kd_route_free(KdRoute *route)
{
    if (route == NULL || route->is_freed) {
        return;
    }
    route->is_freed = TRUE;
    kd_tick_remove(&route->tick);
    kd_end_free(g_steal_pointer(&route->ends[KD_SIDE_PEER]));
    kd_end_free(g_steal_pointer(&route->ends[KD_SIDE_LINE]));
    kd_loop_remove(&route->life);
}

/* A plugin's stream may do as it likes with the main context. */
static gboolean
is_noisy(const KdEndpoint *endpoint)
{
    return endpoint->fd < 0 && (endpoint->flags & KD_ENDPOINT_QUIET) == 0;
}

/**
 * kd_route_join:
 * @route: a route
 * @side: which end is missing
 * @endpoint: (transfer full): left empty; untouched on error
 * @error: where to put an error
 *
 * Gives the route an end. What waited for it goes out first.
 *
 * Returns: whether the loop took it
 */
gboolean
kd_route_join(KdRoute *route, KdSide side, KdEndpoint *endpoint, GError **error)
{
    KdFlow *flow = &route->flows[side];

    g_return_val_if_fail(route->ends[side] == NULL, FALSE);
    route->ends[side] = kd_end_new(endpoint, &kd_flow_end_funcs, route, error);
    if (route->ends[side] == NULL) {
        return FALSE;
    }
    flow->is_ended = flow->is_finished = flow->is_blocked = FALSE;
    flow->error = 0;
    flow->n_stuck_ticks = 0;
    route->is_noisy = route->is_noisy || is_noisy(&route->ends[side]->endpoint);
    kd_flow_wake(route, KD_SIDE_PEER);
    kd_flow_wake(route, KD_SIDE_LINE);
    return TRUE;
}

/**
 * kd_route_leave:
 * @route: a route
 * @side: which end to take out
 * @endpoint: (out caller-allocates): the end, still open
 *
 * Takes an end out. What it was to be given waits for the next one.
 *
 * Returns: whether there was one
 */
gboolean
kd_route_leave(KdRoute *route, KdSide side, KdEndpoint *endpoint)
{
    kd_endpoint_init(endpoint);
    if (route->ends[side] == NULL) {
        return FALSE;
    }
    kd_end_release(g_steal_pointer(&route->ends[side]), endpoint);
    return TRUE;
}

/**
 * kd_route_stop:
 * @route: a route
 *
 * Lets no more bytes pass, for good. Frames can still be sent, and the end of the peer's connection
 * is still told by finished.
 */
void
kd_route_stop(KdRoute *route)
{
    route->is_stopped = TRUE;
    kd_ring_clear(&route->flows[KD_SIDE_PEER].ring);
    kd_flow_wake(route, KD_SIDE_PEER);
}

/**
 * kd_route_get_wire:
 * @route: a framed route
 *
 * Returns: the states of its peer's connection; the owner advances the phase
 */
KdWire *
kd_route_get_wire(KdRoute *route)
{
    return &route->framing->wire;
}

/**
 * kd_route_send_preamble:
 * @route: a framed route
 *
 * Sends our preamble.
 */
void
kd_route_send_preamble(KdRoute *route)
{
    kd_framing_queue_preamble(route->framing);
    kd_flow_wake(route, KD_SIDE_PEER);
}

/**
 * kd_route_send:
 * @route: a framed route
 * @type: not DATA
 * @payload: (transfer full) (nullable): its payload
 *
 * Sends a frame behind everything that waits.
 */
void
kd_route_send(KdRoute *route, KdFrameType type, GBytes *payload)
{
    gsize len = 0;
    const void *bytes = payload != NULL ? g_bytes_get_data(payload, &len) : NULL;

    kd_framing_queue(route->framing, type, bytes, len);
    g_clear_pointer(&payload, g_bytes_unref);
    kd_flow_wake(route, KD_SIDE_PEER);
}

/**
 * kd_route_shut:
 * @route: a route
 * @side: who is told that nothing more comes
 *
 * Half-close: FIN to a framed peer, a shutdown to a raw end.
 */
void
kd_route_shut(KdRoute *route, KdSide side)
{
    if (side == KD_SIDE_PEER && route->framing != NULL) {
        kd_route_send(route, KD_FRAME_FIN, kd_fin_build(route->framing->wire.credit.sent));
    } else if (route->ends[side] != NULL) {
        kd_end_shutdown_write(route->ends[side]);
    }
}

/**
 * kd_route_hang_up:
 * @route: a framed route
 *
 * Shuts our direction of the peer's connection down: the last thing after CLOSE.
 */
void
kd_route_hang_up(KdRoute *route)
{
    if (route->ends[KD_SIDE_PEER] != NULL) {
        kd_end_shutdown_write(route->ends[KD_SIDE_PEER]);
    }
}

/**
 * kd_route_get_line_flags:
 * @route: a route
 *
 * Returns: KD_ENDPOINT_* of the line's end; 0 where there is none
 */
uint32_t
kd_route_get_line_flags(const KdRoute *route)
{
    return route->ends[KD_SIDE_LINE] != NULL ? route->ends[KD_SIDE_LINE]->endpoint.flags : 0;
}

/**
 * kd_route_get_heard:
 * @route: a route
 *
 * Returns: how many bytes the peer has said: the offset of the next one
 */
uint64_t
kd_route_get_heard(const KdRoute *route)
{
    return route->framing != NULL
               ? route->framing->wire.credit.received
               : kd_route_get_taken(route) + kd_ring_get_len(&route->flows[KD_SIDE_PEER].ring);
}

/**
 * kd_route_get_taken:
 * @route: a route
 *
 * Returns: how many of the peer's bytes the line has taken, or were dropped
 */
uint64_t
kd_route_get_taken(const KdRoute *route)
{
    return route->framing != NULL ? route->framing->wire.credit.taken
                                  : route->count.from_peer + route->n_dropped;
}

/**
 * kd_route_hold:
 * @route: a route
 * @at: offset in the peer's bytes
 *
 * Lets the line take no byte at or behind @at; reached is called when it has taken those before.
 */
void
kd_route_hold(KdRoute *route, uint64_t at)
{
    route->hold_at = at;
    route->is_reached = FALSE;
    kd_loop_ready(&route->life, 0);
    /* After an earlier hold there may be bytes that now may pass, and an idle line. */
    kd_flow_wake(route, KD_SIDE_LINE);
}

/**
 * kd_route_unhold:
 * @route: a route
 *
 * Lets bytes pass again.
 */
void
kd_route_unhold(KdRoute *route)
{
    route->hold_at = KD_ROUTE_NO_HOLD;
    kd_flow_wake(route, KD_SIDE_LINE);
    kd_flow_wake(route, KD_SIDE_PEER);
}

/**
 * kd_route_drop:
 * @route: a route
 *
 * Drops what the peer sent and the line has not taken. Dropped bytes count as taken, so that the
 * offsets stay true (PROTOCOL.md, Breaks).
 *
 * Returns: how many bytes were dropped
 */
uint64_t
kd_route_drop(KdRoute *route)
{
    KdRing *ring = &route->flows[KD_SIDE_PEER].ring;
    size_t len = kd_ring_get_len(ring);

    kd_ring_clear(ring);
    route->n_dropped += len;
    if (route->framing != NULL) {
        route->framing->wire.credit.taken += len;
    }
    kd_loop_ready(&route->life, 0);
    kd_flow_wake(route, KD_SIDE_PEER);
    return len;
}

/**
 * kd_route_flush:
 * @route: a framed route
 *
 * Asks for flushed to be called when nothing waits for the peer any more.
 */
void
kd_route_flush(KdRoute *route)
{
    route->wants_flushed = TRUE;
    kd_loop_ready(&route->life, 0);
}

/**
 * kd_route_set_keepalive:
 * @route: a framed route
 * @is_on: after authentication
 *
 * Sends a PING after 5 s of silence, and fails after 15 s.
 */
void
kd_route_set_keepalive(KdRoute *route, gboolean is_on)
{
    route->has_keepalive = is_on;
    route->heard_tick = kd_tick_get_now();
}

/**
 * kd_route_get_count:
 * @route: a route
 * @count: (out caller-allocates): bytes so far
 */
void
kd_route_get_count(const KdRoute *route, KdRouteCount *count)
{
    *count = route->count;
}

/**
 * kd_route_is_taken:
 * @route: a framed route
 *
 * Returns: whether everything that the line said was taken at the peer's far side
 */
gboolean
kd_route_is_taken(const KdRoute *route)
{
    const KdCredit *credit = &route->framing->wire.credit;

    return kd_ring_get_len(&route->flows[KD_SIDE_LINE].ring) == 0 && credit->acked == credit->sent;
}
