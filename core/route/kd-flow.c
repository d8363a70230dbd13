/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The data path of a route: what is read at one end is written at the other, with credit. */
#include "kd-flow.h"

#include "kd-message.h"

#include <errno.h>
#include <string.h>

/* Answers that a peer may let wait before it is read no further. */
#define MAX_OUT_BYTES (64u * 1024u)
#define N_VEC         16

typedef struct {
    struct iovec vec[N_VEC];
    int n;
    size_t len;
} KdBatch;

static KdSide
other(KdSide side)
{
    return side == KD_SIDE_PEER ? KD_SIDE_LINE : KD_SIDE_PEER;
}

/* Whether the run that was started for `end` may go on: a callback may have freed the route or
 * taken the end out. */
static gboolean
is_current(const KdRoute *route, KdSide side, const KdEnd *end)
{
    return !route->is_freed && route->ends[side] == end;
}

/**
 * kd_flow_wake:
 * @route: a route
 * @side: whose turn it is
 *
 * Lets an end run in the next round.
 */
void
kd_flow_wake(KdRoute *route, KdSide side)
{
    if (route->ends[side] != NULL) {
        kd_loop_ready(&route->ends[side]->watch, 0);
    }
}

/* ---- telling the owner: the only places where the data path leaves the room, so the main context
 * must turn afterwards ---- */

static void
tell_finished(KdRoute *route, KdSide side)
{
    route->flows[side].is_finished = TRUE;
    kd_loop_turn();
    route->funcs->finished(route, side, route->flows[side].error, route->user);
}

/**
 * kd_flow_tell_finished:
 * @route: a route
 * @side: the source
 *
 * Tells the owner, once, that everything an ended source said has been given.
 */
void
kd_flow_tell_finished(KdRoute *route, KdSide side)
{
    const KdFlow *flow = &route->flows[side];

    if (flow->is_ended && !flow->is_finished && kd_ring_get_len(&flow->ring) == 0) {
        tell_finished(route, side);
    }
}

/**
 * kd_flow_give_up:
 * @route: a route
 * @side: the source, which has ended, and of which the owner was not told
 *
 * Waits no longer for the other end to take what is left, and tells the owner.
 */
void
kd_flow_give_up(KdRoute *route, KdSide side)
{
    /* A frame that was begun stays whole, or the peer would take the next ones for its bytes. */
    if (route->framing == NULL || side == KD_SIDE_PEER) {
        kd_ring_clear(&route->flows[side].ring);
    }
    tell_finished(route, side);
}

/**
 * kd_flow_tell_failed:
 * @route: a framed route
 * @error: what the peer did
 *
 * Stops the route and tells the owner why.
 */
void
kd_flow_tell_failed(KdRoute *route, const GError *error)
{
    kd_route_stop(route);
    kd_loop_turn();
    route->funcs->failed(route, error, route->user);
}

/**
 * kd_flow_tell_reached:
 * @route: a route
 *
 * Tells the owner, once, that the held offset is reached.
 */
void
kd_flow_tell_reached(KdRoute *route)
{
    if (route->is_reached || kd_route_get_taken(route) < route->hold_at) {
        return;
    }
    route->is_reached = TRUE;
    kd_loop_turn();
    route->funcs->reached(route, route->user);
}

static void
end_flow(KdRoute *route, KdSide side, int error)
{
    KdFlow *flow = &route->flows[side];

    flow->is_ended = TRUE;
    flow->error = error;
    if (error != 0 && side == KD_SIDE_PEER) {
        /* A cut is no end: what it left half said is not given to the target. */
        kd_ring_clear(&flow->ring);
    }
    kd_flow_tell_finished(route, side);
}

/* ---- writing ---- */

static void
note_taken(KdRoute *route, KdSide side, size_t len)
{
    if (side != KD_SIDE_LINE) {
        return;
    }
    route->count.from_peer += len;
    if (route->framing != NULL) {
        route->framing->wire.credit.taken += len;
    }
}

/* How many bytes the line may be given before the place that is held. */
static size_t
get_hold_room(const KdRoute *route, KdSide side)
{
    uint64_t room;

    if (side != KD_SIDE_LINE || route->hold_at == KD_ROUTE_NO_HOLD) {
        return SIZE_MAX;
    }
    room = route->hold_at - MIN(route->hold_at, kd_route_get_taken(route));
    return (size_t)MIN(room, SIZE_MAX);
}

/* Writes to an end that may be absent or broken: a broken one takes everything, so that nobody
 * waits for it; its owner hears of it through its reading side. Returns bytes taken. */
static size_t
give(KdRoute *route, KdSide side, const struct iovec *vec, int n, size_t len)
{
    KdEnd *end = route->ends[side];
    gssize done;

    if (end == NULL || !kd_end_is_writable(end)) {
        return 0;
    }
    done = kd_end_write(end, vec, n);
    if (done == -EAGAIN) {
        return 0;
    }
    return done < 0 ? len : (size_t)done;
}

/**
 * kd_flow_flush:
 * @route: a route
 * @side: for whom bytes wait
 *
 * Writes what waits for an end, as far as it takes it.
 *
 * Returns: whether nothing waits any more
 */
gboolean
kd_flow_flush(KdRoute *route, KdSide side)
{
    KdFlow *flow = &route->flows[other(side)];
    KdFraming *framing = side == KD_SIDE_PEER ? route->framing : NULL;
    struct iovec vec[2];

    if (route->ends[side] != NULL && !kd_end_flush(route->ends[side])) {
        return FALSE;
    }
    while (kd_ring_get_len(&flow->ring) > 0) {
        size_t len = MIN(kd_ring_get_len(&flow->ring), get_hold_room(route, side));
        int n = kd_ring_peek(&flow->ring, vec, len);
        size_t done = n > 0 ? give(route, side, vec, n, len) : 0;

        if (done == 0) {
            return FALSE;
        }
        kd_ring_pop(&flow->ring, done);
        note_taken(route, side, done);
        flow->n_stuck_ticks = 0;
    }
    while (framing != NULL && kd_framing_has_out(framing)) {
        size_t len = framing->out->len - framing->out_sent;
        size_t done;

        vec[0] = (struct iovec){.iov_base = framing->out->data + framing->out_sent, .iov_len = len};
        done = give(route, side, vec, 1, len);
        if (done == 0) {
            return FALSE;
        }
        kd_framing_sent(framing, done);
    }
    return TRUE;
}

/* Gives a batch of the peer's bytes to the line; the rest waits. Credit bounds what can wait. */
static void
commit(KdRoute *route, KdBatch *batch)
{
    KdFlow *flow = &route->flows[KD_SIDE_PEER];
    size_t done = 0;

    if (batch->n == 0) {
        return;
    }
    if (kd_ring_get_len(&flow->ring) == 0 && batch->len <= get_hold_room(route, KD_SIDE_LINE)) {
        done = give(route, KD_SIDE_LINE, batch->vec, batch->n, batch->len);
        note_taken(route, KD_SIDE_LINE, done);
    }
    for (int i = 0; i < batch->n; i++) {
        size_t skip = MIN(done, batch->vec[i].iov_len);

        kd_ring_push(&flow->ring, (const uint8_t *)batch->vec[i].iov_base + skip,
                     batch->vec[i].iov_len - skip);
        done -= skip;
    }
    batch->n = 0;
    batch->len = 0;
    (void)kd_flow_flush(route, KD_SIDE_LINE);
}

/* ---- the framed peer ---- */

static void
take_fin(KdRoute *route, const KdPiece *piece)
{
    g_autoptr(GError) error = NULL;
    uint64_t final = 0;

    if (!kd_fin_parse(&final, piece->bytes, piece->len, &error) ||
        !kd_wire_check_offset(&route->framing->wire, KD_FRAME_FIN, final, &error)) {
        kd_flow_tell_failed(route, error);
        return;
    }
    end_flow(route, KD_SIDE_PEER, 0);
}

static void
take_frame(KdRoute *route, const KdPiece *piece)
{
    switch (piece->header.type) {
    case KD_FRAME_ACK:
    case KD_FRAME_PONG:
        break; /* the header's ack was all it had to say */
    case KD_FRAME_FIN:
        take_fin(route, piece);
        break;
    default:
        kd_loop_turn();
        route->funcs->frame(route, &piece->header, piece->bytes, route->user);
    }
}

/* One piece of what the peer said, other than DATA. */
static void
take_piece(KdRoute *route, KdPieceKind kind, const KdPiece *piece, const GError *error)
{
    switch (kind) {
    case KD_PIECE_PREAMBLE:
        kd_loop_turn();
        route->funcs->preamble(route, piece->major, piece->minor, route->user);
        break;
    case KD_PIECE_FRAME:
        take_frame(route, piece);
        break;
    case KD_PIECE_PING:
        kd_framing_queue(route->framing, KD_FRAME_PONG, piece->bytes, piece->len);
        break;
    case KD_PIECE_ERROR:
        kd_flow_tell_failed(route, error);
        break;
    case KD_PIECE_NONE:
    case KD_PIECE_DATA:
    case KD_PIECE_ACK:
        break;
    }
}

/* What a read from the peer brought. FALSE: the run is over, the route may be freed. */
static gboolean
take_pieces(KdRoute *route, KdEnd *end, const uint8_t *bytes, size_t len)
{
    KdBatch batch = {.n = 0};
    KdPieceKind kind;

    do {
        g_autoptr(GError) error = NULL;
        KdPiece piece;

        kind = kd_framing_next(route->framing, &bytes, &len, &piece, &error);
        if (kind == KD_PIECE_DATA) {
            if (piece.len > 0) {
                batch.vec[batch.n++] =
                    (struct iovec){.iov_base = (void *)piece.bytes, .iov_len = piece.len};
                batch.len += piece.len;
            }
            if (batch.n == N_VEC) {
                commit(route, &batch);
            }
            continue;
        }
        /* Whatever else it is, it comes behind the bytes before it. */
        commit(route, &batch);
        if (kind == KD_PIECE_NONE) {
            break;
        }
        take_piece(route, kind, &piece, error);
        if (!is_current(route, KD_SIDE_PEER, end) || route->is_stopped) {
            return FALSE;
        }
    } while (TRUE);
    if (kd_credit_is_ack_due(&route->framing->wire.credit)) {
        kd_framing_queue(route->framing, KD_FRAME_ACK, NULL, 0);
    }
    return TRUE;
}

/* The peer's connection has ended, without a CLOSE that ended the route before. */
static void
lose_peer(KdRoute *route, int error)
{
    KdFlow *flow = &route->flows[KD_SIDE_PEER];

    if (!flow->is_finished) {
        end_flow(route, KD_SIDE_PEER, error == 0 ? ECONNABORTED : error);
    } else if (flow->error == 0) {
        g_autoptr(GError) gone = g_error_new_literal(G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED,
                                                     "the connection was cut after FIN");

        flow->error = ECONNABORTED; /* this is told once, too */
        kd_flow_tell_failed(route, gone);
    }
}

/* After CLOSE was sent: what still comes is dropped until the peer closes. From one that was not
 * authenticated no more is read than before: inside TLS it would cost us more than the peer. */
static gboolean
discard_peer(KdRoute *route, KdEnd *end)
{
    gboolean is_known = route->has_keepalive;
    size_t left = is_known ? KD_LOOP_BUFFER_BYTES : KD_MAX_PREAUTH_TOTAL - route->n_discarded;
    gssize n = 1;

    while (kd_end_is_readable(end) && n > 0 && left > 0) {
        n = kd_end_read(end, kd_loop_get_buffer(), left);
        left -= n > 0 ? (size_t)n : 0;
    }
    route->n_discarded = is_known ? 0 : KD_MAX_PREAUTH_TOTAL - left;
    if (n == 0 || (n < 0 && n != -EAGAIN)) {
        lose_peer(route, (int)-n);
        return FALSE;
    }
    return is_known && left == 0;
}

static gboolean
run_framed(KdRoute *route, KdEnd *end)
{
    KdFlow *flow = &route->flows[KD_SIDE_PEER];
    size_t quantum = kd_loop_get_quantum_bytes();
    size_t moved = 0;

    if (route->is_stopped) {
        return discard_peer(route, end);
    }
    /* Always read, also while the line takes nothing: a break must not stand behind DATA. */
    while (kd_end_is_readable(end)) {
        gssize n;

        if (route->framing->out->len > MAX_OUT_BYTES && !kd_flow_flush(route, KD_SIDE_PEER)) {
            flow->is_blocked = TRUE;
            return FALSE;
        }
        if (moved >= quantum) {
            return TRUE;
        }
        n = kd_end_read(end, kd_loop_get_buffer(), quantum);
        if (n == -EAGAIN) {
            return FALSE;
        }
        if (n <= 0) {
            lose_peer(route, (int)-n);
            return FALSE;
        }
        moved += (size_t)n;
        route->heard_tick = kd_tick_get_now();
        if (!take_pieces(route, end, kd_loop_get_buffer(), (size_t)n)) {
            return FALSE;
        }
    }
    return FALSE;
}

/* ---- a raw end ---- */

/* How many bytes a raw end may be read for; 0 = none now. */
static size_t
get_raw_room(KdRoute *route, KdSide side, size_t quantum)
{
    const KdWire *wire;
    uint64_t room;

    if (route->framing == NULL || side == KD_SIDE_PEER) {
        /* What is held back is not read either: nothing bounds it but the ring. */
        return MIN(quantum, get_hold_room(route, other(side)));
    }
    wire = &route->framing->wire;
    room = MIN(kd_credit_get_available(&wire->credit), wire->peer_max_data_bytes);
    return (size_t)MIN(room, quantum);
}

/* Hands bytes that lie in the loop's buffer to the other end; the rest waits. */
static void
hand_over(KdRoute *route, KdSide side, uint8_t *bytes, size_t len)
{
    KdFlow *flow = &route->flows[side];
    struct iovec vec = {.iov_base = bytes, .iov_len = len};
    size_t done;

    if (side == KD_SIDE_LINE) {
        route->count.from_line += len;
    }
    if (route->framing != NULL) {
        KdFrameHeader header = {.type = KD_FRAME_DATA, .length = (uint32_t)len};

        /* The header goes into the headroom, so that framing costs neither a copy nor a call. */
        route->framing->wire.credit.sent += len;
        header.ack = kd_credit_report(&route->framing->wire.credit);
        vec.iov_base = bytes - KD_HEADER_BYTES;
        vec.iov_len = len + KD_HEADER_BYTES;
        kd_frame_header_store(vec.iov_base, &header);
    }
    done = give(route, other(side), &vec, 1, vec.iov_len);
    if (route->framing == NULL) {
        note_taken(route, other(side), done);
    }
    if (done < vec.iov_len) {
        kd_ring_push(&flow->ring, (const uint8_t *)vec.iov_base + done, vec.iov_len - done);
        /* A stream may have taken less than it could: then nobody would ask it again. */
        (void)kd_flow_flush(route, other(side));
    }
}

static gboolean
run_raw(KdRoute *route, KdSide side, KdEnd *end)
{
    KdFlow *flow = &route->flows[side];
    size_t quantum = kd_loop_get_quantum_bytes();
    size_t moved = 0;

    while (!route->is_stopped && !flow->is_ended && kd_end_is_readable(end)) {
        size_t room = get_raw_room(route, side, quantum);
        KdEnd *to = route->ends[other(side)];
        gssize n;

        if (moved >= quantum) {
            return TRUE;
        }
        if (room == 0 || to == NULL || !kd_flow_flush(route, other(side)) ||
            !kd_end_is_writable(to)) {
            flow->is_blocked = TRUE;
            return FALSE;
        }
        n = kd_end_read(end, kd_loop_get_buffer(), room);
        if (n == -EAGAIN) {
            return FALSE;
        }
        if (n <= 0) {
            end_flow(route, side, (int)-n);
            return FALSE;
        }
        moved += (size_t)n;
        hand_over(route, side, kd_loop_get_buffer(), (size_t)n);
    }
    return FALSE;
}

/* ---- the ends' turn ---- */

/* The source of what goes to `side`, if it waited for room or credit there. */
static void
wake_source(KdRoute *route, KdSide side)
{
    KdFlow *flow = &route->flows[other(side)];
    const KdEnd *end = route->ends[side];

    if (flow->is_blocked && end != NULL && kd_end_is_writable(end) &&
        get_raw_room(route, other(side), KD_LOOP_BUFFER_BYTES) > 0) {
        flow->is_blocked = FALSE;
        kd_flow_wake(route, other(side));
    }
}

/* Nothing waits for `side` any more, and its credit may have grown. */
static void
go_on(KdRoute *route, KdSide side)
{
    wake_source(route, side);
    if (side == KD_SIDE_PEER && route->framing != NULL && route->flows[side].is_blocked) {
        route->flows[side].is_blocked = FALSE; /* it had let too many answers wait */
        kd_flow_wake(route, side);
    }
}

/* A link that has ended its half, and then takes no more either, has nothing left to wait for; its
 * end was told already, so its client would talk to nobody. */
static void
tell_broken_half(KdRoute *route)
{
    const KdFlow *flow = &route->flows[KD_SIDE_LINE];
    const KdEnd *end = route->ends[KD_SIDE_LINE];
    g_autoptr(GError) error = NULL;

    if (end == NULL || end->write_error == 0 || !flow->is_finished || route->is_stopped ||
        route->framing == NULL || route->framing->wire.role != KD_ROLE_SERVER) {
        return;
    }
    g_set_error(&error, KD_ERROR, KD_ERROR_LINK_LOST, "the target takes no more bytes: %s",
                g_strerror(end->write_error));
    kd_flow_tell_failed(route, error);
}

static gboolean
on_end_run(KdLoopWatch *watch)
{
    KdEnd *end = (KdEnd *)watch;
    KdRoute *route = end->owner;
    KdSide side = route->ends[KD_SIDE_PEER] == end ? KD_SIDE_PEER : KD_SIDE_LINE;
    gboolean has_more;

    if (route->is_noisy) {
        kd_loop_turn();
    }
    has_more = side == KD_SIDE_PEER && route->framing != NULL ? run_framed(route, end)
                                                              : run_raw(route, side, end);
    if (!is_current(route, side, end)) {
        return FALSE;
    }
    if (kd_flow_flush(route, side)) {
        go_on(route, side);
        kd_flow_tell_finished(route, other(side));
    }
    if (is_current(route, side, end) && route->framing != NULL) {
        if (kd_credit_is_ack_due(&route->framing->wire.credit)) {
            kd_framing_queue(route->framing, KD_FRAME_ACK, NULL, 0);
            (void)kd_flow_flush(route, KD_SIDE_PEER);
        }
    }
    if (is_current(route, side, end)) {
        kd_flow_tell_reached(route);
    }
    if (is_current(route, side, end) && side == KD_SIDE_LINE) {
        tell_broken_half(route);
    }
    if (is_current(route, side, end) && route->wants_flushed) {
        kd_loop_ready(&route->life, 0);
    }
    return has_more && is_current(route, side, end);
}

/* Of the ends of every route. */
const KdLoopWatchFuncs kd_flow_end_funcs = {
    .run = on_end_run,
    .gone = kd_end_gone,
    .is_pure = TRUE,
};
