/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The KD link layer: ends a target's dialect and speaks KDCOM to the client. No I/O; time is given.
 */
#include "kd-link-layer.h"

#include "kd-le.h"
#include "kd-link-state.h"
#include "kd-payload.h"

/* KDNET begins a session with a check of the connection: eight bytes of zero, and an address. */
#define NET_CHECK_BYTES 12u

/**
 * kd_link_layer_new:
 * @dialect: of the target; the client's is always KDCOM
 * @funcs: copied
 * @user: for @funcs
 *
 * Returns: (transfer full): a layer without a client, whose target is not there yet
 */
KdLinkLayer *
kd_link_layer_new(KdDialect dialect, const KdLinkLayerFuncs *funcs, void *user)
{
    KdLinkLayer *layer = g_new0(KdLinkLayer, 1);
    KdClientSideFuncs client_funcs = {funcs->to_client, funcs->client_has_taken};

    layer->dialect = dialect;
    layer->funcs = *funcs;
    layer->user = user;
    layer->target = kd_target_side_new(dialect, funcs->to_target, user);
    layer->client = kd_client_side_new(&client_funcs, user);
    layer->reader = kd_packet_reader_new(KD_DIALECT_SERIAL);
    layer->break_in.sent_us = -1;
    layer->reply_us = -1;
    return layer;
}

/**
 * kd_link_layer_free:
 * @layer: (transfer full) (nullable):
 *
 * Frees a layer.
 */
void
kd_link_layer_free(KdLinkLayer *layer)
{
    if (layer != NULL) {
        kd_packet_reader_free(layer->reader);
        kd_client_side_free(layer->client);
        kd_target_side_free(layer->target);
        g_free(layer);
    }
}

/* ---- what is to be said ---- */

/* Nobody listens any more: what was the client's is dropped, and what waits for it is answered. An
 * event that a debugger has seen is for people: it stays. */
static void
leave_alone(KdLinkLayer *layer, gint64 now_us)
{
    KdPacketQueue *queue = kd_client_side_get_queue(layer->client);
    KdPacket first;

    kd_link_requests_abandon(layer);
    kd_break_in_end(&layer->break_in);
    kd_target_side_break_in(layer->target, FALSE);
    if (kd_packet_queue_peek(queue, &first) &&
        (kd_payload_is_reply(&first) || kd_unattended_is_question(&first))) {
        kd_client_side_show_again(layer->client);
    }
    kd_packet_queue_drop(queue, kd_payload_is_reply, FALSE);
    kd_link_arrivals_trim(layer);
    if (!kd_unattended_is_for_people(&layer->question)) {
        kd_packet_queue_drop(queue, kd_unattended_is_question, FALSE);
        kd_link_requests_answer(layer, now_us);
    }
}

static KdRequestState
send_to_target(KdLinkLayer *layer, gint64 now_us)
{
    gint64 due_us = kd_break_in_get_due_us(&layer->break_in);
    gboolean owes_break_in = kd_target_side_owes_break_in(layer->target);

    if (due_us >= 0 && due_us <= now_us && !owes_break_in &&
        layer->state != KD_TARGET_STATE_HALTED && kd_target_side_is_there(layer->target)) {
        kd_target_side_break_in(layer->target, TRUE);
        owes_break_in = TRUE;
    }
    KdRequestState said = kd_target_side_flush(layer->target, now_us);
    if (owes_break_in && !kd_target_side_owes_break_in(layer->target)) {
        kd_break_in_sent(&layer->break_in, now_us);
    }
    return said;
}

/* Says to both sides whatever can be said now. */
static void
flush(KdLinkLayer *layer, gint64 now_us)
{
    gboolean is_done = FALSE;

    kd_link_requests_ask_again(layer, now_us);
    while (!is_done) {
        switch (send_to_target(layer, now_us)) {
        case KD_REQUEST_TAKEN:
            kd_link_requests_taken(layer, now_us);
            break;
        case KD_REQUEST_DROPPED:
            kd_link_requests_dropped(layer, now_us);
            break;
        case KD_REQUEST_PENDING:
        default:
            is_done = !kd_client_side_flush(layer->client, now_us);
            if (!is_done) {
                leave_alone(layer, now_us);
            }
        }
    }
}

/**
 * kd_link_layer_show_state:
 *
 * Has the client shown why the target has halted, if it has.
 */
void
kd_link_layer_show_state(KdLinkLayer *layer)
{
    KdPacketQueue *queue = kd_client_side_get_queue(layer->client);

    if (layer->state == KD_TARGET_STATE_HALTED && layer->state_change.type != 0 &&
        !kd_link_requests_are_resuming(layer) &&
        !kd_packet_queue_has(queue, kd_payload_is_state_change)) {
        KdPacket packet = kd_stored_packet_get(&layer->state_change);

        kd_packet_queue_push(queue, &packet);
    }
}

/* ---- the client ---- */

static void
tell_of_unseen(KdLinkLayer *layer)
{
    uint64_t n = layer->n_unseen_prints - layer->n_unseen_told;

    layer->n_unseen_told = layer->n_unseen_prints;
    if (n > 0 && layer->funcs.note != NULL) {
        g_autofree char *text =
            g_strdup_printf("%" G_GUINT64_FORMAT " debug strings were dropped while no debugger "
                            "listened",
                            n);

        layer->funcs.note(text, layer->user);
    }
}

/**
 * kd_link_layer_set_client:
 *
 * Begins with a new client, or ends with the old one. A new one is shown why the target has halted,
 * or the last texts of one that runs; while there is none, the target is answered so that it runs
 * on, until an exception.
 */
void
kd_link_layer_set_client(KdLinkLayer *layer, gboolean is_attached, gint64 now_us)
{
    if (kd_client_side_is_attached(layer->client)) {
        kd_client_side_set_attached(layer->client, FALSE);
        leave_alone(layer, now_us);
    }
    kd_packet_reader_reset(layer->reader);
    if (is_attached) {
        kd_client_side_set_attached(layer->client, TRUE);
        kd_target_side_set_ending(layer->target, now_us);
        kd_link_layer_show_state(layer);
        tell_of_unseen(layer);
    }
    flush(layer, now_us);
}

/* The client has got what was shown to it, at least if it is gone from the queue after @packet. */
static void
hear_answer(KdLinkLayer *layer, const KdPacket *packet)
{
    KdPacket shown;
    gboolean is_question = kd_client_side_is_shown(layer->client) &&
                           kd_packet_queue_peek(kd_client_side_get_queue(layer->client), &shown) &&
                           kd_unattended_is_question(&shown);

    if (packet->is_control) {
        kd_client_side_hear_ack(layer->client, packet);
    } else {
        kd_client_side_hear_request(layer->client);
    }
    if (is_question && !kd_client_side_is_shown(layer->client)) {
        layer->question.is_seen = TRUE;
    }
}

static void
hear_reset(KdLinkLayer *layer, gint64 now_us)
{
    if (!kd_client_side_hear_reset(layer->client, now_us)) {
        return;
    }
    kd_link_requests_abandon(layer);
    kd_client_side_reset(layer->client, TRUE, now_us);
    kd_packet_queue_drop(kd_client_side_get_queue(layer->client), kd_payload_is_reply, FALSE);
    kd_link_layer_show_state(layer);
    if (layer->state == KD_TARGET_STATE_UNKNOWN || layer->is_desynced) {
        kd_target_side_reset(layer->target);
    }
}

static void
ask_to_halt(KdLinkLayer *layer)
{
    if (layer->state != KD_TARGET_STATE_HALTED || kd_link_requests_are_resuming(layer)) {
        kd_break_in_ask(&layer->break_in);
    } else if (kd_client_side_is_shown(layer->client)) {
        kd_client_side_show_again(layer->client);
    }
}

static void
hear_packet(KdLinkLayer *layer, const KdPacket *packet, gint64 now_us)
{
    if (!packet->is_control) {
        hear_answer(layer, packet);
        kd_link_requests_hear(layer, packet, now_us);
    } else if (packet->type == KD_PACKET_ACK) {
        hear_answer(layer, packet);
    } else if (packet->type == KD_PACKET_RESET) {
        hear_reset(layer, now_us);
    } else {
        kd_client_side_hear(layer->client);
        kd_client_side_show_again(layer->client);
    }
}

static void
read_client(KdLinkLayer *layer, const uint8_t *bytes, size_t len_bytes, gint64 now_us)
{
    KdPacket packet;
    KdRead found;

    while ((found = kd_packet_reader_next(layer->reader, &bytes, &len_bytes, now_us, &packet)) !=
           KD_READ_MORE) {
        if (found == KD_READ_PACKET) {
            hear_packet(layer, &packet, now_us);
        } else if (found == KD_READ_BREAK_IN) {
            kd_client_side_hear(layer->client);
            ask_to_halt(layer);
        } else {
            layer->n_damaged++;
            kd_client_side_ask_again(layer->client);
        }
    }
}

/**
 * kd_link_layer_from_client:
 * @bytes: (nullable): of KDCOM, cut anywhere
 * @len_bytes: their number
 *
 * Hears the client.
 */
void
kd_link_layer_from_client(KdLinkLayer *layer, const uint8_t *bytes, size_t len_bytes, gint64 now_us)
{
    if (kd_client_side_is_attached(layer->client)) {
        read_client(layer, bytes, len_bytes, now_us);
        flush(layer, now_us);
    }
}

/**
 * kd_link_layer_client_ready:
 *
 * There is room again for what the client is to get.
 */
void
kd_link_layer_client_ready(KdLinkLayer *layer, gint64 now_us)
{
    kd_client_side_set_ready(layer->client);
    flush(layer, now_us);
}

/* ---- the target ---- */

/**
 * kd_link_layer_set_target:
 *
 * Says whether there is a target to send to. It may be another one than before only after
 * kd_link_layer_target_restarted().
 */
void
kd_link_layer_set_target(KdLinkLayer *layer, gboolean is_there, gint64 now_us)
{
    gboolean was_there = kd_target_side_is_there(layer->target);

    kd_target_side_set_there(layer->target, is_there);
    if (is_there && !was_there && layer->break_in.is_wanted &&
        layer->state == KD_TARGET_STATE_UNKNOWN) {
        kd_break_in_hold(&layer->break_in, now_us);
        kd_target_side_reset(layer->target);
    }
    flush(layer, now_us);
}

static gboolean
is_net_check(const KdLinkLayer *layer, const uint8_t *bytes, size_t len_bytes)
{
    return layer->dialect == KD_DIALECT_NET && len_bytes == NET_CHECK_BYTES &&
           kd_le_load32(bytes) == 0 && kd_le_load32(bytes + 4) == 0;
}

static gboolean
hear_target(KdLinkLayer *layer, const uint8_t *bytes, size_t len_bytes, gint64 now_us)
{
    KdPacket packet;

    if (len_bytes == 0 || is_net_check(layer, bytes, len_bytes)) {
        return TRUE;
    }
    if (!kd_packet_parse(layer->dialect, bytes, len_bytes, &packet, NULL)) {
        layer->n_damaged++;
        return kd_target_side_hear_damage(layer->target, now_us);
    }
    layer->n_packets_from_target++;
    if (!packet.is_control) {
        return kd_link_arrivals_take(layer, &packet, now_us);
    }
    layer->is_heard = TRUE;
    if (kd_target_side_hear_control(layer->target, &packet, now_us) == KD_TARGET_SAID_ACK) {
        kd_link_requests_taken(layer, now_us);
    }
    return TRUE;
}

/**
 * kd_link_layer_from_target:
 * @bytes: (nullable): one packet in the dialect's form: a datagram's, a transfer's, a mailbox's
 * @len_bytes: its length; 0 is no packet
 *
 * Hears the target.
 *
 * Returns: whether the packet has been dealt with. %FALSE: there is no room for it, or it came
 *    damaged where there is no way to ask for it again: from a mailbox it is to be read again
 *    later; where there are ACKs, the target says it again by itself
 */
gboolean
kd_link_layer_from_target(KdLinkLayer *layer, const uint8_t *bytes, size_t len_bytes, gint64 now_us)
{
    gboolean is_taken = hear_target(layer, bytes, len_bytes, now_us);

    flush(layer, now_us);
    return is_taken;
}

/**
 * kd_link_layer_target_ready:
 *
 * The carrier takes packets again.
 */
void
kd_link_layer_target_ready(KdLinkLayer *layer, gint64 now_us)
{
    kd_target_side_set_ready(layer->target);
    flush(layer, now_us);
}

static gboolean
is_no_text(const KdPacket *packet)
{
    return !kd_payload_is_text(packet);
}

/**
 * kd_link_layer_target_restarted:
 *
 * The target has restarted its side: what it was asked and what it has said is void, but for texts,
 * and the client is told with a RESET. A target that was not heard yet can't restart.
 *
 * Returns: whether there was something that is void now
 */
gboolean
kd_link_layer_target_restarted(KdLinkLayer *layer, gint64 now_us)
{
    gboolean was_heard = layer->is_heard;

    kd_target_side_start_over(layer->target);
    layer->owner = KD_OWNER_NOBODY;
    layer->next_owner = KD_OWNER_NOBODY;
    layer->replies.n = 0;
    layer->reply_us = -1;
    layer->state = KD_TARGET_STATE_UNKNOWN;
    layer->is_heard = FALSE;
    layer->is_desynced = FALSE;
    kd_stored_packet_clear(&layer->state_change);
    kd_unattended_clear(&layer->question);
    if (layer->break_in.is_wanted) {
        kd_break_in_ask(&layer->break_in);
        kd_break_in_hold(&layer->break_in, now_us);
    }
    if (was_heard) {
        kd_client_side_reset(layer->client, FALSE, now_us);
        kd_packet_queue_drop(kd_client_side_get_queue(layer->client), is_no_text, FALSE);
    }
    flush(layer, now_us);
    return was_heard;
}

/* ---- orders, time ---- */

/**
 * kd_link_layer_break_in:
 *
 * Halts the target, as the client's break-in does.
 */
void
kd_link_layer_break_in(KdLinkLayer *layer, gint64 now_us)
{
    ask_to_halt(layer);
    flush(layer, now_us);
}

/**
 * kd_link_layer_resync:
 *
 * Has both sides begin to count anew, whatever is known of them.
 */
void
kd_link_layer_resync(KdLinkLayer *layer, gint64 now_us)
{
    kd_target_side_reset(layer->target);
    kd_link_requests_abandon(layer);
    kd_client_side_reset(layer->client, FALSE, now_us);
    kd_packet_queue_drop(kd_client_side_get_queue(layer->client), kd_payload_is_reply, FALSE);
    kd_link_layer_show_state(layer);
    flush(layer, now_us);
}

static gint64
get_earlier(gint64 a_us, gint64 b_us)
{
    return a_us < 0 || (b_us >= 0 && b_us < a_us) ? b_us : a_us;
}

/**
 * kd_link_layer_get_deadline_us:
 *
 * Returns: when kd_link_layer_tick() is to be called; -1: not before something else is
 */
gint64
kd_link_layer_get_deadline_us(const KdLinkLayer *layer)
{
    gint64 deadline_us = get_earlier(kd_target_side_get_deadline_us(layer->target),
                                     kd_client_side_get_deadline_us(layer->client));

    deadline_us = get_earlier(deadline_us, kd_link_requests_get_deadline_us(layer));
    if (kd_client_side_is_attached(layer->client)) {
        deadline_us = get_earlier(deadline_us, kd_packet_reader_get_deadline_us(layer->reader));
    }
    if (layer->state != KD_TARGET_STATE_HALTED && kd_target_side_is_there(layer->target) &&
        !kd_target_side_owes_break_in(layer->target)) {
        deadline_us = get_earlier(deadline_us, kd_break_in_get_due_us(&layer->break_in));
    }
    return deadline_us;
}

/**
 * kd_link_layer_tick:
 *
 * Does what is due: repetitions, break-ins, ACKs. A call too many is harmless.
 */
void
kd_link_layer_tick(KdLinkLayer *layer, gint64 now_us)
{
    if (kd_client_side_is_attached(layer->client)) {
        read_client(layer, NULL, 0, now_us);
    }
    flush(layer, now_us);
}

/**
 * kd_link_layer_get_status:
 * @status: (out caller-allocates):
 *
 * Says what is known and what was counted.
 */
void
kd_link_layer_get_status(const KdLinkLayer *layer, KdLinkLayerStatus *status)
{
    *status = (KdLinkLayerStatus){
        .state = layer->state,
        .n_packets_from_target = layer->n_packets_from_target,
        .n_packets_to_target = kd_target_side_get_n_sent(layer->target),
        .n_retransmissions = kd_target_side_get_n_repeated(layer->target),
        .n_duplicates = layer->n_duplicates,
        .n_damaged = layer->n_damaged,
        .n_unseen_prints = layer->n_unseen_prints,
    };
}
