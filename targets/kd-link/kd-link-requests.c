/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A link layer's requests to the target: the client's, one after the other, and its own answers. */
#include "kd-link-state.h"
#include "kd-payload.h"

/* The ACK of a request that has a reply waits so long for it: one write, and the client wakes up
 * once. A debugger waits for an ACK twenty times longer; and a clock that goes off seldom is seldom
 * set. */
#define ACK_WAIT_US (20 * G_TIME_SPAN_MILLISECOND)
/* Targets repeat their replies once a second: one that has not come by then never will. */
#define REPLY_US      (1600 * G_TIME_SPAN_MILLISECOND)
#define ASK_AGAIN_MAX 5u

static KdPacket
without_payload(const KdPacket *packet)
{
    KdPacket head = *packet;

    head.payload = NULL;
    return head;
}

static void
start(KdLinkLayer *layer, const KdPacket *packet, KdOwner owner, gint64 now_us)
{
    kd_target_side_request(layer->target, packet, owner == KD_OWNER_LAYER, now_us);
    layer->reply_us = -1;
    layer->owner = owner;
    layer->request = without_payload(packet);
    layer->is_replied = FALSE;
}

/* The target is free for what has waited behind the last request. */
static void
start_next(KdLinkLayer *layer, gint64 now_us)
{
    KdOwner owner = layer->next_owner;

    layer->owner = KD_OWNER_NOBODY;
    layer->next_owner = KD_OWNER_NOBODY;
    if (owner != KD_OWNER_NOBODY) {
        KdPacket packet = kd_stored_packet_get(&layer->next);

        packet.id = layer->next_request.id;
        packet.checksum = layer->next_request.checksum;
        start(layer, &packet, owner, now_us);
    }
}

/* Whether the target is to get the packet already; it is the client's then, in any case. */
static gboolean
is_under_way(KdLinkLayer *layer, const KdPacket *packet)
{
    if (layer->next_owner == KD_OWNER_CLIENT && kd_stored_packet_is(&layer->next, packet)) {
        layer->next_request = without_payload(packet);
        return TRUE;
    }
    if (layer->next_owner != KD_OWNER_CLIENT && layer->owner != KD_OWNER_LAYER &&
        kd_target_side_is_request(layer->target, packet)) {
        layer->owner = KD_OWNER_CLIENT;
        layer->request = without_payload(packet);
        layer->n_asked_again = 0;
        return TRUE;
    }
    return FALSE;
}

/**
 * kd_link_requests_hear:
 * @packet: of data, from the client
 *
 * Takes up a request. It is acknowledged when the target has it. A client that sends another one
 * before has given that up: the target gets it all the same, because it may have it already, but
 * nobody gets the reply.
 */
void
kd_link_requests_hear(KdLinkLayer *layer, const KdPacket *packet, gint64 now_us)
{
    gboolean is_waiting = layer->owner == KD_OWNER_CLIENT || layer->next_owner == KD_OWNER_CLIENT;
    KdPacket current;

    if (kd_client_side_is_duplicate(layer->client, packet)) {
        layer->n_duplicates++;
        kd_client_side_ack(layer->client, packet, now_us);
        return;
    }
    if (is_under_way(layer, packet)) {
        layer->n_duplicates++;
        return;
    }
    /* Who counts wrong is heard all the same, but not while its last request is under way. */
    if (is_waiting && !kd_client_side_is_next(layer->client, packet)) {
        return;
    }
    kd_link_requests_abandon(layer);
    layer->n_asked_again = 0;
    kd_target_side_set_ending(layer->target, now_us);
    if (!kd_target_side_get_request(layer->target, &current)) {
        start(layer, packet, KD_OWNER_CLIENT, now_us);
    } else if (layer->next_owner == KD_OWNER_NOBODY) {
        layer->next_owner = KD_OWNER_CLIENT;
        layer->next_request = without_payload(packet);
        kd_stored_packet_set(&layer->next, packet);
    }
}

/**
 * kd_link_requests_abandon:
 *
 * The client has gone, or has gone on: nobody waits for its requests any more.
 */
void
kd_link_requests_abandon(KdLinkLayer *layer)
{
    if (layer->owner == KD_OWNER_CLIENT) {
        layer->owner = KD_OWNER_NOBODY;
        if (!kd_target_side_may_have(layer->target) && kd_client_side_is_attached(layer->client)) {
            kd_target_side_drop_request(layer->target);
        }
    }
    if (layer->next_owner == KD_OWNER_CLIENT) {
        layer->next_owner = KD_OWNER_NOBODY;
    }
    layer->reply_us = -1;
    kd_reply_list_set_stale(&layer->replies);
    kd_client_side_forget_ack(layer->client);
}

/* The target has the client's request: it is told, unless it was before. */
static void
tell_client(KdLinkLayer *layer, gint64 due_us)
{
    if (layer->n_asked_again == 0) {
        kd_client_side_accept(layer->client, &layer->request);
        kd_client_side_ack(layer->client, &layer->request, due_us);
    }
}

static void
await_reply(KdLinkLayer *layer, const KdPacket *packet, gint64 now_us)
{
    layer->awaited = layer->request;
    /* from a mailbox nothing gets lost */
    layer->reply_us =
        layer->dialect != KD_DIALECT_1394 && kd_payload_is_quick(packet) ? now_us + REPLY_US : -1;
}

/**
 * kd_link_requests_answer:
 *
 * Answers the target's question, if there is one and no answer is under way. The target waits for
 * it, so it is repeated without end.
 */
void
kd_link_requests_answer(KdLinkLayer *layer, gint64 now_us)
{
    uint8_t bytes[KD_UNATTENDED_ANSWER_MAX_BYTES];
    KdPacket current;
    gboolean is_busy = kd_target_side_get_request(layer->target, &current);

    if (layer->question.type == 0 || layer->owner == KD_OWNER_LAYER ||
        layer->next_owner == KD_OWNER_LAYER ||
        (is_busy && kd_unattended_is_answer(&layer->question, &current))) {
        return;
    }
    KdPacket packet = kd_unattended_build_answer(&layer->question, bytes);
    if (!is_busy) {
        start(layer, &packet, KD_OWNER_LAYER, now_us);
    } else {
        layer->next_owner = KD_OWNER_LAYER;
        layer->next_request = without_payload(&packet);
        kd_stored_packet_set(&layer->next, &packet);
    }
}

/**
 * kd_link_requests_are_resuming:
 *
 * Returns: whether something is under way that lets the target run
 */
gboolean
kd_link_requests_are_resuming(const KdLinkLayer *layer)
{
    KdPacket packet;

    if (kd_target_side_get_request(layer->target, &packet) && kd_payload_is_resuming(&packet)) {
        return TRUE;
    }
    packet = kd_stored_packet_get(&layer->next);
    return layer->next_owner != KD_OWNER_NOBODY && kd_payload_is_resuming(&packet);
}

/**
 * kd_link_requests_satisfy:
 *
 * The reply to a request has come that the target may have twice: the client has all it wants, but
 * the target is to acknowledge it yet.
 *
 * Returns: whether the client waited for it
 */
gboolean
kd_link_requests_satisfy(KdLinkLayer *layer, gint64 now_us)
{
    if (layer->is_replied) {
        /* another one: both have been carried out */
        kd_target_side_take_request(layer->target);
        kd_link_requests_taken(layer, now_us);
        return FALSE;
    }
    layer->is_replied = TRUE;
    layer->reply_us = -1;
    if (layer->owner != KD_OWNER_CLIENT) {
        return FALSE;
    }
    tell_client(layer, now_us);
    layer->owner = KD_OWNER_NOBODY;
    return TRUE;
}

/**
 * kd_link_requests_taken:
 *
 * The target has the request: the client is told, and the next may go.
 */
void
kd_link_requests_taken(KdLinkLayer *layer, gint64 now_us)
{
    KdPacket packet = kd_target_side_get_last_request(layer->target);
    gboolean has_reply = kd_payload_has_reply(&packet);
    gboolean is_doubled = kd_target_side_has_doubled(layer->target);

    layer->is_desynced = FALSE;
    if (kd_unattended_is_answer(&layer->question, &packet)) {
        kd_unattended_clear(&layer->question);
    }
    if (kd_payload_is_resuming(&packet)) {
        layer->state = KD_TARGET_STATE_RUNNING;
        kd_stored_packet_clear(&layer->state_change);
    }
    if (is_doubled) {
        kd_reply_list_expect_double(&layer->replies, now_us);
    }
    if (has_reply && !(is_doubled && layer->owner != KD_OWNER_CLIENT)) {
        kd_reply_list_add(&layer->replies, kd_payload_get_reply_key(&packet),
                          layer->owner != KD_OWNER_CLIENT, now_us);
    }
    if (layer->owner == KD_OWNER_CLIENT) {
        tell_client(layer, has_reply ? now_us + ACK_WAIT_US : now_us);
        await_reply(layer, &packet, now_us);
    }
    start_next(layer, now_us);
}

/**
 * kd_link_requests_dropped:
 *
 * The target has not taken the request: the client is not told, and begins anew by itself.
 */
void
kd_link_requests_dropped(KdLinkLayer *layer, gint64 now_us)
{
    gboolean was_ours = layer->owner == KD_OWNER_LAYER;

    layer->is_desynced = TRUE;
    start_next(layer, now_us);
    if (kd_client_side_is_listening(layer->client)) {
        /* It waits for an answer all the same: the client has to give it. */
        if (was_ours) {
            kd_link_layer_show_state(layer);
        }
    } else if (!kd_unattended_is_for_people(&layer->question)) {
        kd_link_requests_answer(layer, now_us);
    }
}

/* Whether a reply is waited for that nothing under way will bring. */
static gboolean
misses_reply(const KdLinkLayer *layer)
{
    return layer->reply_us >= 0 && layer->owner == KD_OWNER_NOBODY &&
           layer->next_owner == KD_OWNER_NOBODY && layer->n_asked_again < ASK_AGAIN_MAX &&
           kd_target_side_is_there(layer->target) && !kd_target_side_may_have(layer->target);
}

/**
 * kd_link_requests_ask_again:
 *
 * Asks for a reply once more that should have come: a target gives it up when it hears something
 * else than its ACK, and that may be lost as well. Only for what does no harm twice.
 */
void
kd_link_requests_ask_again(KdLinkLayer *layer, gint64 now_us)
{
    KdPacket packet = kd_target_side_get_last_request(layer->target);
    KdPacket awaited = layer->awaited;

    if (!misses_reply(layer) || now_us < layer->reply_us) {
        return;
    }
    kd_stored_packet_set(&layer->next, &packet);
    packet = kd_stored_packet_get(&layer->next);
    layer->n_asked_again++;
    layer->replies.n = 0;
    start(layer, &packet, KD_OWNER_CLIENT, now_us);
    kd_target_side_set_doubled(layer->target);
    layer->request = awaited;
}

/**
 * kd_link_requests_get_deadline_us:
 *
 * Returns: when kd_link_requests_ask_again() has something to do; -1: not before something happens
 */
gint64
kd_link_requests_get_deadline_us(const KdLinkLayer *layer)
{
    return misses_reply(layer) ? layer->reply_us : -1;
}
