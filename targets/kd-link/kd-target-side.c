/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The target's side of a link: the ids, ACKs and repetitions of its dialect, and one request. */
#include "kd-target-state.h"

/* A target that asks for the same again and again gets it so often. */
#define RESEND_US (10 * G_TIME_SPAN_MILLISECOND)
/* A RESET so soon after one of ours is its answer, and is not answered. */
#define RESET_ANSWER_US (1 * G_TIME_SPAN_SECOND)
/* Where there is no RESEND, a damaged packet is left where it is so often: reading it again may do.
 */
#define DAMAGES_MAX 5

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
    side->is_offered = FALSE;
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

/**
 * kd_target_side_refresh_ids:
 *
 * Both sides begin to count anew, where ids take turns; where they grow, each side goes on, and
 * what the target repeats after a RESET has the id that it had.
 */
void
kd_target_side_refresh_ids(KdTargetSide *side)
{
    if (side->rules->id_step == 0) {
        side->is_id_spent = FALSE;
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
    side->is_id_spent = FALSE;
}

/* ---- what the target says ---- */

static void
hear_resend(KdTargetSide *side, gint64 now_us)
{
    side->is_cut = side->is_cut || side->n_sendings > 1;
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
        kd_target_side_refresh_ids(side);
        return KD_TARGET_SAID_RESET;
    }
    if (!side->has_request || !side->is_sent || side->is_id_used ||
        ((packet->id ^ side->next_id) & ~(side->rules->id_step == 0 ? KD_PACKET_SYNC_ID : 0u)) !=
            0) {
        return KD_TARGET_SAID_NOTHING;
    }
    if (kd_target_side_ask_once_more(side, now_us)) {
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
        kd_target_side_refresh_ids(side);
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

/* ---- counts ---- */

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
