/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The target's side of a link: the ids, ACKs and repetitions of its dialect, and one request. */
#include "kd-target-side.h"

#include "kd-dialect-rules.h"
#include "kd-payload.h"
#include "kd-seen-list.h"
#include "kd-stored-packet.h"

/* A request that is not acknowledged is repeated so often, then dropped. */
#define REPEAT_US   (500 * G_TIME_SPAN_MILLISECOND)
#define REPEATS_MAX 5
/* A target that asks for the same again and again gets it so often. */
#define RESEND_US (10 * G_TIME_SPAN_MILLISECOND)
/* A RESET so soon after one of ours is its answer, and is not answered. */
#define RESET_ANSWER_US (1 * G_USEC_PER_SEC)
/* Where there is no RESEND, a damaged packet is left where it is so often: reading it again may do.
 */
#define DAMAGES_MAX 5

struct KdTargetSide {
    KdDialect dialect;
    const KdDialectRules *rules;
    KdTargetSend send;
    void *user;
    gboolean is_there;
    gboolean is_busy; /* the carrier takes nothing until it says so */

    uint32_t next_id;
    KdStoredPacket request;
    gboolean has_request;
    gboolean is_endless;  /* the request is repeated until it is taken */
    gboolean is_due;      /* it is to be sent now */
    gboolean is_sent;     /* once at least */
    gboolean is_repeated; /* it is or was on its way more than once */
    gboolean is_cut;      /* the repetition came while the target waited for an ACK */
    gboolean is_id_used;  /* an ACK has come for the id that it had, and it is to go once more */
    /* without ACKs: */
    gboolean may_repeat;   /* the carrier took it, and the target has not said anything since */
    gboolean is_repeating; /* the target wants it again */
    gint64 sent_us;
    gint64 repeat_us;
    gint64 give_up_us;

    gboolean owes_ack;
    uint32_t ack_id;
    gboolean owes_resend;
    gint64 resend_us; /* when the last was sent; -1: never */
    gboolean owes_reset;
    gint64 reset_us; /* when the last was sent and not answered yet; -1: never */
    gboolean owes_break_in;
    unsigned n_damages; /* in a row */

    KdSeenList seen;
    uint64_t n_sent;
    uint64_t n_repeated;
};

/**
 * kd_target_side_new:
 * @dialect: of the target
 * @send: where packets go
 * @user: for @send
 *
 * Returns: (transfer full): the side of a target that is not there yet
 */
KdTargetSide *
kd_target_side_new(KdDialect dialect, KdTargetSend send, void *user)
{
    KdTargetSide *side = g_new0(KdTargetSide, 1);

    side->dialect = dialect;
    side->rules = kd_dialect_get_rules(dialect);
    side->send = send;
    side->user = user;
    side->resend_us = -1;
    kd_target_side_start_over(side);
    return side;
}

/**
 * kd_target_side_free:
 * @side: (transfer full) (nullable):
 *
 * Frees a side.
 */
void
kd_target_side_free(KdTargetSide *side)
{
    g_free(side);
}

/**
 * kd_target_side_set_there:
 *
 * Says whether there is a target to send to. What it was to get at once is forgotten when it goes;
 * a request and a break-in wait for it.
 */
void
kd_target_side_set_there(KdTargetSide *side, gboolean is_there)
{
    side->is_there = is_there;
    side->is_busy = FALSE;
    side->owes_ack = FALSE;
    side->owes_resend = FALSE;
    side->is_due = side->has_request;
}

/**
 * kd_target_side_is_there:
 *
 * Returns: whether there is a target
 */
gboolean
kd_target_side_is_there(const KdTargetSide *side)
{
    return side->is_there;
}

/**
 * kd_target_side_set_ready:
 *
 * Says that the carrier takes packets again.
 */
void
kd_target_side_set_ready(KdTargetSide *side)
{
    side->is_busy = FALSE;
}

/* Both sides begin to count anew, where ids take turns; where they grow, each side goes on, and
 * what the target repeats after a RESET has the id that it had. */
static void
refresh_ids(KdTargetSide *side)
{
    if (side->rules->id_step == 0) {
        side->next_id = side->rules->first_id;
        side->seen.n = 0;
    }
    side->is_due = side->has_request;
}

/**
 * kd_target_side_start_over:
 *
 * Forgets all of a target that has restarted, the request too.
 */
void
kd_target_side_start_over(KdTargetSide *side)
{
    side->next_id = side->rules->first_id;
    side->seen.n = 0;
    side->n_damages = 0;
    side->owes_ack = FALSE;
    side->owes_resend = FALSE;
    side->owes_reset = FALSE;
    side->reset_us = -1;
    kd_target_side_drop_request(side);
}

/* ---- the request ---- */

/**
 * kd_target_side_request:
 * @packet: of data; its id does not matter
 * @is_endless: whether it is repeated until the target takes it
 *
 * Takes up a request, which kd_target_side_flush() sends. There must be none.
 */
void
kd_target_side_request(KdTargetSide *side, const KdPacket *packet, gboolean is_endless,
                       gint64 now_us)
{
    g_return_if_fail(!side->has_request);
    kd_stored_packet_set(&side->request, packet);
    side->has_request = TRUE;
    side->is_endless = is_endless;
    side->is_due = TRUE;
    side->is_sent = FALSE;
    side->is_repeating = FALSE;
    side->may_repeat = FALSE;
    side->is_repeated = FALSE;
    side->is_cut = FALSE;
    side->is_id_used = FALSE;
    side->repeat_us = -1;
    side->give_up_us = now_us + (REPEATS_MAX + 1) * REPEAT_US;
}

/**
 * kd_target_side_get_request:
 * @packet: (out caller-allocates): without an id; its payload is borrowed until the next request
 *
 * Returns: whether there is a request that the target has not taken
 */
gboolean
kd_target_side_get_request(const KdTargetSide *side, KdPacket *packet)
{
    if (side->has_request) {
        *packet = kd_stored_packet_get(&side->request);
    }
    return side->has_request;
}

/**
 * kd_target_side_is_request:
 *
 * Returns: whether a packet says the same as the request, whatever its id
 */
gboolean
kd_target_side_is_request(const KdTargetSide *side, const KdPacket *packet)
{
    return side->has_request && kd_stored_packet_is(&side->request, packet);
}

/**
 * kd_target_side_get_last_request:
 *
 * Returns: the request, or the last that there was; its payload is borrowed until the next
 */
KdPacket
kd_target_side_get_last_request(const KdTargetSide *side)
{
    return kd_stored_packet_get(&side->request);
}

/**
 * kd_target_side_set_ending:
 *
 * Has the request repeated as often as any other from now on, if it was one without end.
 */
void
kd_target_side_set_ending(KdTargetSide *side, gint64 now_us)
{
    if (side->has_request && side->is_endless) {
        side->is_endless = FALSE;
        side->give_up_us = now_us + (REPEATS_MAX + 1) * REPEAT_US;
    }
}

/**
 * kd_target_side_has_sent:
 *
 * Returns: whether there is a request that the target may have seen
 */
gboolean
kd_target_side_has_sent(const KdTargetSide *side)
{
    return side->has_request && side->is_sent;
}

/**
 * kd_target_side_drop_request:
 *
 * Ends the request, if there is one: the target is not to get it any more.
 */
void
kd_target_side_drop_request(KdTargetSide *side)
{
    side->has_request = FALSE;
    side->is_due = FALSE;
    side->is_repeating = FALSE;
    side->may_repeat = FALSE;
}

static void
count_on(KdTargetSide *side)
{
    if (side->rules->id_step == 0) {
        side->next_id ^= 1;
    } else {
        side->next_id += side->rules->id_step;
    }
}

/**
 * kd_target_side_take_request:
 *
 * Ends the request: the target has shown that it has it.
 */
void
kd_target_side_take_request(KdTargetSide *side)
{
    if (!side->is_id_used) {
        count_on(side);
    }
    kd_target_side_drop_request(side);
}

/* A target that waits for an ACK of its own and hears a request asks for it again, and counts what
 * it waits about as taken. If that was the reply to this request, and got lost on its way, it will
 * never come: a request that does no harm twice goes once more then, unless the reply comes yet. */
static gboolean
ask_once_more(KdTargetSide *side, gint64 now_us)
{
    KdPacket request = kd_stored_packet_get(&side->request);

    if (!side->is_cut || !kd_payload_may_repeat(&request)) {
        return FALSE;
    }
    count_on(side);
    side->is_id_used = TRUE;
    side->is_cut = FALSE;
    side->is_repeated = FALSE;
    side->is_due = FALSE;
    side->repeat_us = now_us + REPEAT_US;
    side->give_up_us = now_us + (REPEATS_MAX + 1) * REPEAT_US;
    return TRUE;
}

/* ---- what the target says ---- */

static void
hear_resend(KdTargetSide *side, gint64 now_us)
{
    side->is_cut = side->is_cut || side->is_repeated;
    if (side->has_request && side->is_sent && !side->is_due) {
        if (now_us - side->sent_us >= RESEND_US) {
            side->is_due = TRUE;
        } else {
            side->repeat_us = side->sent_us + RESEND_US;
        }
    } else if (side->may_repeat) {
        /* It was counted as taken, and its checksum was wrong. The mailbox sets the pace. */
        side->is_repeating = TRUE;
    }
}

/**
 * kd_target_side_hear_control:
 * @packet: an ACK, a RESEND or a RESET of the target
 *
 * Does what its dialect says: a RESEND repeats the request; a RESET makes ids fresh, and is
 * answered unless it is an answer itself.
 *
 * Returns: what it was
 */
KdTargetSaid
kd_target_side_hear_control(KdTargetSide *side, const KdPacket *packet, gint64 now_us)
{
    side->n_damages = 0;
    if (packet->type == KD_PACKET_RESEND) {
        hear_resend(side, now_us);
        return KD_TARGET_SAID_NOTHING;
    }
    if (!side->rules->has_acks) {
        return KD_TARGET_SAID_NOTHING;
    }
    if (packet->type == KD_PACKET_RESET) {
        gboolean is_answer = side->reset_us >= 0 && now_us - side->reset_us < RESET_ANSWER_US;

        side->reset_us = -1;
        side->owes_reset = !is_answer;
        refresh_ids(side);
        return KD_TARGET_SAID_RESET;
    }
    if (!side->has_request || !side->is_sent || side->is_id_used ||
        ((packet->id ^ side->next_id) & ~(side->rules->id_step == 0 ? KD_PACKET_SYNC_ID : 0u)) !=
            0) {
        return KD_TARGET_SAID_NOTHING;
    }
    if (ask_once_more(side, now_us)) {
        return KD_TARGET_SAID_NOTHING;
    }
    kd_target_side_take_request(side);
    return KD_TARGET_SAID_ACK;
}

/* Without what may differ when a packet comes again. */
static KdPacket
get_bare(const KdTargetSide *side, const KdPacket *packet)
{
    KdPacket bare = *packet;

    bare.id = side->rules->id_step == 0 ? packet->id & ~KD_PACKET_SYNC_ID : packet->id;
    return bare;
}

/**
 * kd_target_side_is_duplicate:
 * @packet: of data, from the target
 *
 * Ids alone don't tell: a target that has given a packet up uses its id again, and one that has
 * lost its debugger starts over.
 *
 * Returns: whether it has been remembered, and not too long ago
 */
gboolean
kd_target_side_is_duplicate(const KdTargetSide *side, const KdPacket *packet)
{
    KdPacket bare = get_bare(side, packet);

    return kd_seen_list_has(&side->seen, &bare);
}

/**
 * kd_target_side_remember:
 * @packet: of data, from the target: it has been stored
 *
 * Remembers a packet. One with a sync bit says that the target counts anew.
 */
void
kd_target_side_remember(KdTargetSide *side, const KdPacket *packet)
{
    side->n_damages = 0;
    side->is_repeating = FALSE;
    side->may_repeat = FALSE;
    if (side->rules->id_step == 0 && (packet->id & KD_PACKET_SYNC_ID) != 0) {
        refresh_ids(side);
    }
    KdPacket bare = get_bare(side, packet);
    kd_seen_list_add(&side->seen, &bare, side->rules->n_remembered);
}

/**
 * kd_target_side_ack:
 * @packet: of data, from the target
 *
 * Acknowledges a packet, at the next kd_target_side_flush(). Only the last can be waited for.
 */
void
kd_target_side_ack(KdTargetSide *side, const KdPacket *packet)
{
    side->owes_ack = side->rules->has_acks;
    side->ack_id = packet->id & side->rules->ack_mask;
}

/**
 * kd_target_side_hear_damage:
 *
 * Asks the target for a packet again that came damaged, but not more often than it can be answered.
 *
 * Returns: %FALSE: the packet is to be left where it is, and read again
 */
gboolean
kd_target_side_hear_damage(KdTargetSide *side, gint64 now_us)
{
    if (!side->rules->has_acks) {
        side->n_damages = side->n_damages < DAMAGES_MAX ? side->n_damages + 1 : 0;
        return side->n_damages == 0;
    }
    if (side->resend_us < 0 || now_us - side->resend_us >= RESEND_US) {
        side->owes_resend = TRUE;
    }
    return TRUE;
}

/* ---- what it is to get ---- */

/**
 * kd_target_side_reset:
 *
 * Sends a RESET at the next kd_target_side_flush(), where there is such a thing. Ids are fresh
 * then.
 */
void
kd_target_side_reset(KdTargetSide *side)
{
    side->owes_reset = side->rules->has_acks;
}

/**
 * kd_target_side_break_in:
 * @is_wanted: %FALSE: one that was not sent yet is not wanted any more
 *
 * Sends a break-in at the next kd_target_side_flush().
 */
void
kd_target_side_break_in(KdTargetSide *side, gboolean is_wanted)
{
    side->owes_break_in = is_wanted;
}

/**
 * kd_target_side_owes_break_in:
 *
 * Returns: whether a break-in is waiting for the carrier
 */
gboolean
kd_target_side_owes_break_in(const KdTargetSide *side)
{
    return side->owes_break_in;
}

static gboolean
put(KdTargetSide *side, const uint8_t *bytes, size_t len_bytes)
{
    if (!side->is_there || side->is_busy) {
        return FALSE;
    }
    if (!side->send(bytes, len_bytes, side->user)) {
        side->is_busy = TRUE;
        return FALSE;
    }
    side->n_sent++;
    return TRUE;
}

static gboolean
put_control(KdTargetSide *side, uint16_t type, uint32_t id)
{
    uint8_t bytes[KD_PACKET_MAX_BYTES];
    KdPacket packet = {.is_control = TRUE, .type = type, .id = id};

    return put(side, bytes, kd_packet_build(side->dialect, &packet, bytes));
}

static void
put_reset(KdTargetSide *side, gint64 now_us)
{
    if (put_control(side, KD_PACKET_RESET, side->rules->has_next_id_in_reset ? side->next_id : 0)) {
        side->owes_reset = FALSE;
        side->reset_us = now_us;
        refresh_ids(side);
    }
}

static KdRequestState
put_request(KdTargetSide *side, gint64 now_us)
{
    uint8_t bytes[KD_PACKET_MAX_BYTES];
    KdPacket packet = kd_stored_packet_get(&side->request);

    packet.id = side->next_id;
    if (!put(side, bytes, kd_packet_build(side->dialect, &packet, bytes))) {
        return KD_REQUEST_PENDING;
    }
    side->n_repeated += side->is_sent || side->is_repeating;
    side->is_repeated = side->is_sent && !side->is_id_used;
    side->is_id_used = FALSE;
    side->is_sent = TRUE;
    side->sent_us = now_us;
    side->repeat_us = now_us + REPEAT_US;
    side->is_due = FALSE;
    if (side->rules->has_acks) {
        return KD_REQUEST_PENDING;
    }
    /* The carrier has put it into the target's memory. */
    gboolean is_first = side->has_request;
    kd_target_side_take_request(side);
    side->may_repeat = TRUE;
    return is_first ? KD_REQUEST_TAKEN : KD_REQUEST_PENDING;
}

/**
 * kd_target_side_flush:
 *
 * Sends what the target is to get now, as far as the carrier takes it, and ends a request that was
 * repeated in vain.
 *
 * Returns: what has become of the request by that
 */
KdRequestState
kd_target_side_flush(KdTargetSide *side, gint64 now_us)
{
    static const uint8_t break_in = KD_PACKET_BREAK_IN;

    if (side->owes_ack && put_control(side, KD_PACKET_ACK, side->ack_id)) {
        side->owes_ack = FALSE;
    }
    if (side->owes_reset) {
        put_reset(side, now_us);
    }
    if (side->owes_resend && put_control(side, KD_PACKET_RESEND, 0)) {
        side->owes_resend = FALSE;
        side->resend_us = now_us;
    }
    if (side->owes_break_in && put(side, &break_in, 1)) {
        side->owes_break_in = FALSE;
    }
    if (side->has_request && !side->is_endless && now_us >= side->give_up_us) {
        kd_target_side_drop_request(side);
        return KD_REQUEST_DROPPED;
    }
    if (side->has_request && !side->is_due && side->repeat_us >= 0 && now_us >= side->repeat_us) {
        side->is_due = TRUE;
    }
    return side->is_due || side->is_repeating ? put_request(side, now_us) : KD_REQUEST_PENDING;
}

/**
 * kd_target_side_get_deadline_us:
 *
 * Returns: when kd_target_side_flush() has something to do again; -1: not before something happens
 */
gint64
kd_target_side_get_deadline_us(const KdTargetSide *side)
{
    gint64 deadline_us = -1;

    if (!side->has_request) {
        return -1;
    }
    /* What the carrier does not take waits for the carrier, not for the clock. */
    if (side->is_there && !side->is_busy && !side->is_due) {
        deadline_us = side->repeat_us;
    }
    if (!side->is_endless && (deadline_us < 0 || side->give_up_us < deadline_us)) {
        deadline_us = side->give_up_us;
    }
    return deadline_us;
}

/**
 * kd_target_side_get_n_sent:
 *
 * Returns: how many packets and break-ins the target got
 */
uint64_t
kd_target_side_get_n_sent(const KdTargetSide *side)
{
    return side->n_sent;
}

/**
 * kd_target_side_get_n_repeated:
 *
 * Returns: how many of them were repetitions of a request
 */
uint64_t
kd_target_side_get_n_repeated(const KdTargetSide *side)
{
    return side->n_repeated;
}
