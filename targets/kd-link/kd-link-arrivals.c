/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a link layer hears from the target: for the client, or for nobody. */
#include "kd-link-state.h"
#include "kd-payload.h"

/* Of the texts that no client has seen the last are kept. */
#define TEXTS_BYTES ((size_t)64 * 1024)

/* Of a reply to a request that the target may have twice */
typedef enum {
    DOUBLED_NOT = 0,    /* it has it once */
    DOUBLED_WANTED = 1, /* it is the first */
    DOUBLED_STALE = 2,  /* nobody waits for it, or not any more */
} Doubled;

/* Whether it is the reply to the request that the target has not acknowledged, and not to an
 * earlier one of the same kind. */
static gboolean
is_reply_to(const KdLinkLayer *layer, const KdPacket *packet, const KdPacket *request,
            gint64 now_us)
{
    KdReplyKey key = kd_payload_get_reply_key(packet);
    KdReplyKey asked = kd_payload_get_reply_key(request);

    return request->type == KD_PACKET_STATE_MANIPULATE && key.api == asked.api &&
           !kd_reply_list_has(&layer->replies, key, now_us) &&
           (key.where == asked.where || !kd_reply_list_is_double(&layer->replies, now_us));
}

/* A target that goes on has taken what made it go on, although its ACK got lost. A request that has
 * two ids needs the ACK of the second all the same: who has got neither counts from there. Returns:
 * whether that is so, and somebody waits for the reply, or nobody */
static Doubled
take_as_ack(KdLinkLayer *layer, const KdPacket *packet, gint64 now_us)
{
    KdPacket request;
    gboolean is_taken = FALSE;

    if (!kd_target_side_has_sent(layer->target) ||
        !kd_target_side_get_request(layer->target, &request)) {
        return DOUBLED_NOT;
    }
    if (kd_payload_is_reply(packet)) {
        is_taken = is_reply_to(layer, packet, &request, now_us);
        if (is_taken && kd_target_side_has_doubled(layer->target)) {
            return kd_link_requests_satisfy(layer, now_us) ? DOUBLED_WANTED : DOUBLED_STALE;
        }
    } else {
        is_taken = request.type != KD_PACKET_STATE_MANIPULATE || kd_payload_is_resuming(&request) ||
                   kd_payload_get_api(&request) == KD_API_SWITCH_PROCESSOR;
    }
    if (is_taken) {
        kd_target_side_take_request(layer->target);
        kd_link_requests_taken(layer, now_us);
    }
    return DOUBLED_NOT;
}

/* Whether a reply is for somebody. */
static gboolean
is_for_client(KdLinkLayer *layer, const KdPacket *packet, Doubled doubled, gint64 now_us)
{
    if (doubled == DOUBLED_NOT) {
        return kd_reply_list_take(&layer->replies, kd_payload_get_reply_key(packet), now_us);
    }
    kd_reply_list_expect_double(&layer->replies, now_us);
    return doubled == DOUBLED_WANTED;
}

/**
 * kd_link_arrivals_trim:
 *
 * Drops the oldest texts that no client has seen, and counts them.
 */
void
kd_link_arrivals_trim(KdLinkLayer *layer)
{
    KdPacketQueue *queue = kd_client_side_get_queue(layer->client);

    layer->n_unseen_prints += kd_packet_queue_trim(queue, kd_payload_is_text, TEXTS_BYTES,
                                                   kd_client_side_is_shown(layer->client));
}

/* Nobody listens. Returns: whether the target is to be told that its packet has come */
static gboolean
keep(KdLinkLayer *layer, const KdPacket *packet)
{
    KdPacketQueue *queue = kd_client_side_get_queue(layer->client);

    if (kd_payload_is_text(packet)) {
        layer->n_unseen_prints += !kd_packet_queue_push(queue, packet);
        kd_link_arrivals_trim(layer);
    } else if (kd_payload_is_state_change(packet) && !kd_unattended_is_question(packet)) {
        if (kd_packet_queue_has(queue, kd_payload_is_state_change)) {
            kd_client_side_show_again(layer->client);
            kd_packet_queue_drop(queue, kd_payload_is_state_change, FALSE);
        }
        return kd_packet_queue_push(queue, packet);
    }
    return TRUE;
}

static void
note_state(KdLinkLayer *layer, const KdPacket *packet)
{
    if (kd_payload_is_state_change(packet)) {
        layer->state = KD_TARGET_STATE_HALTED;
        kd_stored_packet_set(&layer->state_change, packet);
        kd_break_in_end(&layer->break_in);
        kd_target_side_break_in(layer->target, FALSE);
    } else if (packet->type == KD_PACKET_DEBUG_IO || packet->type == KD_PACKET_FILE_IO ||
               packet->type == KD_PACKET_TRACE_IO) {
        /* A target that has halted would not say that. */
        layer->state = KD_TARGET_STATE_RUNNING;
        kd_stored_packet_clear(&layer->state_change);
    }
}

/**
 * kd_link_arrivals_take:
 * @packet: of data, from the target
 *
 * Takes a packet up for the client, acknowledges it, and learns from it.
 *
 * Returns: %FALSE: there is no room, and the target has to say it again
 */
gboolean
kd_link_arrivals_take(KdLinkLayer *layer, const KdPacket *packet, gint64 now_us)
{
    gboolean is_listening = kd_client_side_is_listening(layer->client);
    gboolean is_reply = kd_payload_is_reply(packet);
    gboolean is_question = kd_unattended_is_question(packet);

    layer->is_heard = TRUE;
    layer->is_desynced = FALSE;
    if (kd_target_side_is_duplicate(layer->target, packet)) {
        layer->n_duplicates++;
        kd_target_side_ack(layer->target, packet);
        return TRUE;
    }
    Doubled doubled = take_as_ack(layer, packet, now_us);
    gboolean is_wanted = !is_reply || is_for_client(layer, packet, doubled, now_us);
    if (is_wanted && is_listening) {
        if (!kd_packet_queue_push(kd_client_side_get_queue(layer->client), packet)) {
            return FALSE;
        }
    } else if (is_wanted && !keep(layer, packet)) {
        return FALSE;
    }
    if (is_wanted) {
        layer->reply_us = -1;
    }
    kd_target_side_remember(layer->target, packet);
    kd_target_side_ack(layer->target, packet);
    note_state(layer, packet);
    if (!is_reply) {
        kd_unattended_clear(&layer->question);
    }
    if (is_question) {
        kd_unattended_ask(&layer->question, packet);
        if (!is_listening) {
            kd_link_requests_answer(layer, now_us);
        }
    }
    return TRUE;
}
