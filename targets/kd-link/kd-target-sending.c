/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a target's side sends, when, and how often. */
#include "kd-target-state.h"

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
    KD_PACKET_UNFILLED uint8_t bytes[KD_PACKET_MAX_BYTES];
    KdPacket packet = {.is_control = TRUE, .type = type, .id = id};

    return put(side, bytes, kd_packet_build(side->dialect, &packet, bytes));
}

static void
put_reset(KdTargetSide *side, gint64 now_us)
{
    if (put_control(side, KD_PACKET_RESET, side->rules->has_next_id_in_reset ? side->next_id : 0)) {
        side->owes_reset = FALSE;
        side->reset_us = now_us;
        kd_target_side_refresh_ids(side);
    }
}

static KdRequestState
put_request(KdTargetSide *side, gint64 now_us)
{
    KD_PACKET_UNFILLED uint8_t bytes[KD_PACKET_MAX_BYTES];
    KdPacket packet = kd_stored_packet_get(&side->request);

    packet.id = side->next_id;
    side->is_offered =
        side->is_offered || (!side->rules->has_acks && side->is_there && !side->is_busy);
    if (!put(side, bytes, kd_packet_build(side->dialect, &packet, bytes))) {
        return KD_REQUEST_PENDING;
    }
    side->n_repeated += side->is_sent || side->is_repeating;
    side->n_sendings++;
    side->is_doubled = side->is_doubled || side->is_id_used;
    side->is_id_used = FALSE;
    side->is_sent = TRUE;
    side->sent_us = now_us;
    side->repeat_us = now_us + side->pause_us;
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
