/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one request that a target's side has: until the target has taken it, or never does. */
#include "kd-payload.h"
#include "kd-target-state.h"

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
    side->is_offered = FALSE;
    side->n_sendings = 0;
    side->is_cut = side->is_id_spent;
    side->is_id_used = FALSE;
    side->is_doubled = FALSE;
    side->pause_us =
        side->rules->has_acks && !kd_payload_may_repeat(packet) ? PATIENT_REPEAT_US : REPEAT_US;
    side->repeat_us = -1;
    side->give_up_us = now_us + (REPEATS_MAX + 1) * side->pause_us;
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
        side->give_up_us = now_us + MAX((REPEATS_MAX + 1) * REPEAT_US, side->pause_us + REPEAT_US);
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
 * kd_target_side_may_have:
 *
 * A mailbox is said to be busy with a request until the target has taken it.
 *
 * Returns: whether there is a request that the target has seen, or will see in its mailbox
 */
gboolean
kd_target_side_may_have(const KdTargetSide *side)
{
    return side->has_request && (side->is_sent || side->is_offered);
}

/**
 * kd_target_side_drop_request:
 *
 * Ends the request, if there is one: the target is not to get it any more.
 */
void
kd_target_side_drop_request(KdTargetSide *side)
{
    side->is_id_spent =
        side->is_id_spent || (side->has_request && side->is_sent && !side->is_id_used);
    side->has_request = FALSE;
    side->is_due = FALSE;
    side->is_repeating = FALSE;
    side->may_repeat = FALSE;
}

static void
count_on(KdTargetSide *side)
{
    side->is_id_spent = FALSE;
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
    side->is_id_spent = FALSE;
}

/**
 * kd_target_side_ask_once_more:
 *
 * A target that waits for an ACK of its own and hears a request asks for it again, and counts what
 * it waits about as taken. If that was the reply to this request, and got lost on its way, it will
 * never come: a request that does no harm twice goes once more then, unless the reply comes yet.
 *
 * Returns: whether it will go once more: its ACK is the repetition's
 */
gboolean
kd_target_side_ask_once_more(KdTargetSide *side, gint64 now_us)
{
    KdPacket request = kd_stored_packet_get(&side->request);

    /* Of three the second may have done that, and what the target said to it may be lost too. */
    if ((!side->is_cut && side->n_sendings < 3) || !kd_payload_may_repeat(&request)) {
        return FALSE;
    }
    count_on(side);
    side->is_id_used = TRUE;
    side->n_sendings = 0;
    side->is_cut = FALSE;
    side->is_due = FALSE;
    side->repeat_us = now_us + REPEAT_US;
    side->give_up_us = now_us + (REPEATS_MAX + 1) * REPEAT_US;
    return TRUE;
}

/**
 * kd_target_side_has_doubled:
 *
 * Returns: whether the target may have the request, or the last that there was, twice: under two
 *    ids
 */
gboolean
kd_target_side_has_doubled(const KdTargetSide *side)
{
    return side->is_doubled;
}

/**
 * kd_target_side_set_doubled:
 *
 * Says that the target has had the request before.
 */
void
kd_target_side_set_doubled(KdTargetSide *side)
{
    side->is_doubled = TRUE;
}
