/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The client's side of a link: what a target on a serial line is to its debugger. */
#include "kd-client-side.h"

#include <string.h>

#define QUEUE_BYTES ((size_t)256 * 1024)
/* What is not acknowledged is shown again so often. */
#define SHOW_US (1 * G_TIME_SPAN_SECOND)
/* Who has not acknowledged it after so many times has no debugger: a target gives up then too. */
#define SHOWS_MAX 20
/* A RESET so soon after one of ours is its answer. */
#define RESET_ANSWER_US (1 * G_TIME_SPAN_SECOND)
/* Debuggers send several at once, or answer an answer: one will do. */
#define RESET_BURST_US (250 * G_TIME_SPAN_MILLISECOND)

struct KdClientSide {
    KdClientSideFuncs funcs;
    void *user;
    KdPacketQueue *queue; /* its first packet is what is shown */
    gboolean is_attached;
    gboolean is_deaf;
    gboolean is_full; /* no room, until the client has read */

    uint32_t next_id; /* of what is shown */
    gboolean is_shown;
    gint64 show_us; /* when it is shown again */
    unsigned n_shows;

    uint32_t expected_id; /* of the client's next request */
    KdPacket last;        /* the last that was accepted, without its payload; type 0: none */
    gboolean is_fresh;    /* nothing has passed since ids were fresh */

    gboolean owes_ack;
    uint32_t ack_id;
    gint64 ack_us; /* until then it may wait for something to go with */
    gboolean owes_resend;
    gboolean owes_reset;
    gint64 own_reset_us;    /* of a RESET that was no answer, until it is answered; -1: none */
    gint64 answer_reset_us; /* of the last that was one; -1: none */
};

/* Both ends begin to count anew. */
static void
refresh(KdClientSide *side)
{
    side->next_id = KD_PACKET_INITIAL_ID | KD_PACKET_SYNC_ID;
    side->expected_id = KD_PACKET_INITIAL_ID;
    side->last = (KdPacket){0};
    side->is_fresh = TRUE;
    side->is_shown = FALSE;
    side->owes_ack = FALSE;
    side->owes_resend = FALSE;
}

/**
 * kd_client_side_new:
 * @funcs: copied
 * @user: for @funcs
 *
 * Returns: (transfer full): a side that nobody is attached to
 */
KdClientSide *
kd_client_side_new(const KdClientSideFuncs *funcs, void *user)
{
    KdClientSide *side = g_new0(KdClientSide, 1);

    side->funcs = *funcs;
    side->user = user;
    side->queue = kd_packet_queue_new(QUEUE_BYTES);
    refresh(side);
    return side;
}

/**
 * kd_client_side_free:
 * @side: (transfer full) (nullable):
 *
 * Frees a side.
 */
void
kd_client_side_free(KdClientSide *side)
{
    if (side != NULL) {
        kd_packet_queue_free(side->queue);
        g_free(side);
    }
}

/**
 * kd_client_side_get_queue:
 *
 * Returns: (transfer none): what the client is to get: while kd_client_side_is_shown(), its first
 *    packet must stay
 */
KdPacketQueue *
kd_client_side_get_queue(KdClientSide *side)
{
    return side->queue;
}

/**
 * kd_client_side_set_attached:
 *
 * Begins with a new client, or ends with the old one. The queue stays as it is.
 */
void
kd_client_side_set_attached(KdClientSide *side, gboolean is_attached)
{
    side->is_attached = is_attached;
    side->is_full = FALSE;
    side->owes_reset = FALSE;
    side->own_reset_us = -1;
    side->answer_reset_us = -1;
    kd_client_side_hear(side);
    refresh(side);
}

/**
 * kd_client_side_is_attached:
 *
 * Returns: whether there is a client
 */
gboolean
kd_client_side_is_attached(const KdClientSide *side)
{
    return side->is_attached;
}

/**
 * kd_client_side_is_listening:
 *
 * Returns: whether there is a client that can be expected to answer
 */
gboolean
kd_client_side_is_listening(const KdClientSide *side)
{
    return side->is_attached && !side->is_deaf;
}

/**
 * kd_client_side_set_ready:
 *
 * Says that there is room for more.
 */
void
kd_client_side_set_ready(KdClientSide *side)
{
    side->is_full = FALSE;
}

/* ---- what the client says ---- */

/**
 * kd_client_side_hear:
 *
 * There is a debugger: it has said something.
 */
void
kd_client_side_hear(KdClientSide *side)
{
    side->is_deaf = FALSE;
    side->n_shows = 0;
}

/**
 * kd_client_side_is_duplicate:
 * @packet: of data, from the client
 *
 * Returns: whether it is the last that was accepted, once more
 */
gboolean
kd_client_side_is_duplicate(const KdClientSide *side, const KdPacket *packet)
{
    return side->last.type != 0 && side->last.type == packet->type &&
           (side->last.id & ~KD_PACKET_SYNC_ID) == (packet->id & ~KD_PACKET_SYNC_ID) &&
           side->last.payload_bytes == packet->payload_bytes &&
           side->last.checksum == packet->checksum;
}

/**
 * kd_client_side_is_next:
 * @packet: of data, from the client
 *
 * Returns: whether its id is the one that is waited for
 */
gboolean
kd_client_side_is_next(const KdClientSide *side, const KdPacket *packet)
{
    return (packet->id & KD_PACKET_SYNC_ID) != 0 || packet->id == side->expected_id;
}

static void
end_show(KdClientSide *side)
{
    if (side->is_shown) {
        side->is_shown = FALSE;
        side->is_fresh = FALSE;
        side->next_id = (side->next_id & ~KD_PACKET_SYNC_ID) ^ 1;
        kd_packet_queue_pop(side->queue);
    }
}

/**
 * kd_client_side_hear_request:
 *
 * A client that goes on to a request has got what was shown to it.
 */
void
kd_client_side_hear_request(KdClientSide *side)
{
    kd_client_side_hear(side);
    end_show(side);
}

/**
 * kd_client_side_hear_ack:
 * @packet: an ACK of the client
 *
 * Ends what is shown, if it is that.
 */
void
kd_client_side_hear_ack(KdClientSide *side, const KdPacket *packet)
{
    kd_client_side_hear(side);
    if (((packet->id ^ side->next_id) & ~KD_PACKET_SYNC_ID) == 0) {
        end_show(side);
    }
}

/**
 * kd_client_side_hear_reset:
 *
 * A RESET of the client. Not each is to be answered: it may be an answer itself, and of many that
 * come at once one will do.
 *
 * Returns: whether it counts: then kd_client_side_reset() is to follow
 */
gboolean
kd_client_side_hear_reset(KdClientSide *side, gint64 now_us)
{
    gboolean is_answer = side->own_reset_us >= 0 && now_us - side->own_reset_us < RESET_ANSWER_US;
    gboolean is_repeated = side->is_fresh && side->answer_reset_us >= 0 &&
                           now_us - side->answer_reset_us < RESET_BURST_US;

    kd_client_side_hear(side);
    side->own_reset_us = -1;
    return !is_answer && !is_repeated;
}

/* ---- what it is to get ---- */

/**
 * kd_client_side_accept:
 * @packet: of data, from the client; its payload is not looked at
 *
 * Counts a request as heard: the next has the other id.
 */
void
kd_client_side_accept(KdClientSide *side, const KdPacket *packet)
{
    side->last = *packet;
    side->last.payload = NULL;
    side->expected_id = (packet->id & ~KD_PACKET_SYNC_ID) ^ 1;
    side->is_fresh = FALSE;
}

/**
 * kd_client_side_ack:
 * @packet: of data, from the client
 * @due_us: when the ACK has to leave at last; until then it waits for something to leave with
 *
 * Acknowledges a request.
 */
void
kd_client_side_ack(KdClientSide *side, const KdPacket *packet, gint64 due_us)
{
    side->owes_ack = TRUE;
    side->ack_id = packet->id & ~KD_PACKET_SYNC_ID;
    side->ack_us = due_us;
}

/**
 * kd_client_side_forget_ack:
 *
 * Forgets an ACK that has not left: the client has gone on to something else, and would take it for
 * that one's.
 */
void
kd_client_side_forget_ack(KdClientSide *side)
{
    side->owes_ack = FALSE;
}

/**
 * kd_client_side_ask_again:
 *
 * Asks the client for a packet again that came damaged.
 */
void
kd_client_side_ask_again(KdClientSide *side)
{
    side->owes_resend = TRUE;
}

/**
 * kd_client_side_reset:
 * @is_answer: whether the client has sent one
 *
 * Sends a RESET: ids are fresh, and the next packet has the sync bit.
 */
void
kd_client_side_reset(KdClientSide *side, gboolean is_answer, gint64 now_us)
{
    refresh(side);
    side->owes_reset = side->is_attached;
    if (is_answer) {
        side->answer_reset_us = now_us;
    } else {
        side->own_reset_us = side->is_attached ? now_us : -1;
    }
}

/**
 * kd_client_side_is_shown:
 *
 * Returns: whether the client has been sent the first of the queue and has not acknowledged it
 */
gboolean
kd_client_side_is_shown(const KdClientSide *side)
{
    return side->is_shown;
}

/**
 * kd_client_side_show_again:
 *
 * Shows the first of the queue now, whether or not it was shown before; until then it may be
 * dropped from the queue.
 */
void
kd_client_side_show_again(KdClientSide *side)
{
    side->is_shown = FALSE;
}

static size_t
add_control(uint8_t *bytes, uint16_t type, uint32_t id)
{
    KD_PACKET_UNFILLED uint8_t packet_bytes[KD_PACKET_MAX_BYTES];
    KdPacket packet = {.is_control = TRUE, .type = type, .id = id};
    size_t n = kd_packet_build(KD_DIALECT_SERIAL, &packet, packet_bytes);

    memcpy(bytes, packet_bytes, n);
    return n;
}

/* Counts that nothing was heard for another while, and shows again what was shown, but not before
 * the client has read it. */
static gboolean
wait_on(KdClientSide *side, gint64 now_us)
{
    side->show_us = now_us + SHOW_US;
    if (side->funcs.has_taken == NULL || side->funcs.has_taken(side->user)) {
        side->is_shown = FALSE;
    }
    if (side->n_shows < SHOWS_MAX) {
        side->n_shows++;
        side->is_deaf = side->n_shows == SHOWS_MAX;
        return side->is_deaf;
    }
    return FALSE;
}

/**
 * kd_client_side_flush:
 *
 * Sends what the client is to get now, in one piece.
 *
 * Returns: whether the client has turned out to be deaf by now: it has not acknowledged anything
 *    for 20 s
 */
gboolean
kd_client_side_flush(KdClientSide *side, gint64 now_us)
{
    KD_PACKET_UNFILLED uint8_t bytes[3 * KD_PACKET_HEADER_BYTES + KD_PACKET_MAX_BYTES];
    size_t n = 0;
    KdPacket packet;
    gboolean is_newly_deaf = FALSE;

    if (!side->is_attached || side->is_full) {
        return FALSE;
    }
    if (side->is_shown && now_us >= side->show_us) {
        is_newly_deaf = wait_on(side, now_us);
    }
    gboolean shows = !side->is_shown && kd_packet_queue_peek(side->queue, &packet);
    gboolean acks = side->owes_ack && (shows || now_us >= side->ack_us);
    if (side->owes_reset) {
        n += add_control(bytes + n, KD_PACKET_RESET, 0);
    }
    if (acks) {
        n += add_control(bytes + n, KD_PACKET_ACK, side->ack_id);
    }
    if (side->owes_resend) {
        n += add_control(bytes + n, KD_PACKET_RESEND, 0);
    }
    if (shows) {
        packet.id = side->next_id;
        n += kd_packet_build(KD_DIALECT_SERIAL, &packet, bytes + n);
    }
    if (n == 0) {
        return is_newly_deaf;
    }
    if (!side->funcs.send(bytes, n, side->user)) {
        side->is_full = TRUE;
        return is_newly_deaf;
    }
    side->owes_reset = FALSE;
    side->owes_ack = side->owes_ack && !acks;
    side->owes_resend = FALSE;
    if (shows) {
        side->is_shown = TRUE;
        side->show_us = now_us + SHOW_US;
    }
    return is_newly_deaf;
}

/**
 * kd_client_side_get_deadline_us:
 *
 * Returns: when kd_client_side_flush() has something to do again; -1: not before something happens
 */
gint64
kd_client_side_get_deadline_us(const KdClientSide *side)
{
    gint64 deadline_us = -1;

    if (!side->is_attached || side->is_full) {
        return -1;
    }
    if (side->owes_ack) {
        deadline_us = side->ack_us;
    }
    if (side->is_shown && (deadline_us < 0 || side->show_us < deadline_us)) {
        deadline_us = side->show_us;
    }
    return deadline_us;
}
