/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the target has said and the client has not acknowledged. */
#include "kd-packet-queue.h"

#include <string.h>

typedef struct {
    uint16_t type;
    size_t payload_bytes;
    uint8_t payload[];
} Queued;

/* A packet without a payload costs as well. */
#define ENTRY_BYTES (sizeof(Queued) + sizeof(GList) + 16)

struct KdPacketQueue {
    GQueue packets; /* (element-type Queued) */
    size_t bytes;
    size_t limit_bytes;
};

static size_t
get_cost(size_t payload_bytes)
{
    return payload_bytes + ENTRY_BYTES;
}

static KdPacket
get_packet(const Queued *queued)
{
    return (KdPacket){
        .type = queued->type,
        .payload = queued->payload_bytes > 0 ? queued->payload : NULL,
        .payload_bytes = queued->payload_bytes,
    };
}

/**
 * kd_packet_queue_new:
 * @limit_bytes: of memory
 *
 * Returns: (transfer full): an empty queue
 */
KdPacketQueue *
kd_packet_queue_new(size_t limit_bytes)
{
    KdPacketQueue *queue = g_new0(KdPacketQueue, 1);

    g_queue_init(&queue->packets);
    queue->limit_bytes = limit_bytes;
    return queue;
}

/**
 * kd_packet_queue_free:
 * @queue: (transfer full) (nullable):
 *
 * Frees a queue and what is in it.
 */
void
kd_packet_queue_free(KdPacketQueue *queue)
{
    if (queue != NULL) {
        g_queue_clear_full(&queue->packets, g_free);
        g_free(queue);
    }
}

/**
 * kd_packet_queue_push:
 * @packet: copied, but for its id
 *
 * Puts a packet behind all others.
 *
 * Returns: whether there was room
 */
gboolean
kd_packet_queue_push(KdPacketQueue *queue, const KdPacket *packet)
{
    size_t cost = get_cost(packet->payload_bytes);

    if (cost > queue->limit_bytes || queue->bytes > queue->limit_bytes - cost) {
        return FALSE;
    }
    Queued *queued = g_malloc(sizeof *queued + packet->payload_bytes);
    queued->type = packet->type;
    queued->payload_bytes = packet->payload_bytes;
    if (packet->payload_bytes > 0) {
        memcpy(queued->payload, packet->payload, packet->payload_bytes);
    }
    g_queue_push_tail(&queue->packets, queued);
    queue->bytes += cost;
    return TRUE;
}

/**
 * kd_packet_queue_peek:
 * @packet: (out caller-allocates): the first, without an id; its payload is borrowed until the
 *    queue changes
 *
 * Returns: whether there is one
 */
gboolean
kd_packet_queue_peek(const KdPacketQueue *queue, KdPacket *packet)
{
    if (queue->packets.head == NULL) {
        return FALSE;
    }
    *packet = get_packet(queue->packets.head->data);
    return TRUE;
}

static void
drop(KdPacketQueue *queue, GList *link)
{
    Queued *queued = link->data;

    queue->bytes -= get_cost(queued->payload_bytes);
    g_queue_delete_link(&queue->packets, link);
    g_free(queued);
}

/**
 * kd_packet_queue_pop:
 *
 * Drops the first packet, if there is one.
 */
void
kd_packet_queue_pop(KdPacketQueue *queue)
{
    if (queue->packets.head != NULL) {
        drop(queue, queue->packets.head);
    }
}

static gboolean
is_match(const GList *link, KdPacketMatch match)
{
    KdPacket packet = get_packet(link->data);

    return match(&packet);
}

/**
 * kd_packet_queue_has:
 *
 * Returns: whether one of the packets is meant
 */
gboolean
kd_packet_queue_has(const KdPacketQueue *queue, KdPacketMatch match)
{
    for (const GList *link = queue->packets.head; link != NULL; link = link->next) {
        if (is_match(link, match)) {
            return TRUE;
        }
    }
    return FALSE;
}

static unsigned
drop_oldest(KdPacketQueue *queue, KdPacketMatch match, size_t *left_bytes, size_t limit_bytes,
            gboolean keeps_first)
{
    unsigned n = 0;
    GList *link = queue->packets.head;

    if (keeps_first && link != NULL) {
        link = link->next;
    }
    while (link != NULL && *left_bytes > limit_bytes) {
        GList *next = link->next;

        if (is_match(link, match)) {
            *left_bytes -= get_cost(((Queued *)link->data)->payload_bytes);
            drop(queue, link);
            n++;
        }
        link = next;
    }
    return n;
}

/**
 * kd_packet_queue_drop:
 * @match: which
 * @keeps_first: whether the first stays, whatever it is
 *
 * Drops all packets that are meant.
 *
 * Returns: how many
 */
unsigned
kd_packet_queue_drop(KdPacketQueue *queue, KdPacketMatch match, gboolean keeps_first)
{
    size_t endless = G_MAXSIZE;

    return drop_oldest(queue, match, &endless, 0, keeps_first);
}

/**
 * kd_packet_queue_trim:
 * @match: which
 * @limit_bytes: how much of the queue may be theirs
 * @keeps_first: whether the first stays, whatever it is
 *
 * Drops the oldest of the packets that are meant until the others keep to a limit.
 *
 * Returns: how many
 */
unsigned
kd_packet_queue_trim(KdPacketQueue *queue, KdPacketMatch match, size_t limit_bytes,
                     gboolean keeps_first)
{
    size_t bytes = 0;

    if (queue->bytes <= limit_bytes) {
        return 0;
    }
    for (const GList *link = queue->packets.head; link != NULL; link = link->next) {
        if (is_match(link, match)) {
            bytes += get_cost(((const Queued *)link->data)->payload_bytes);
        }
    }
    return drop_oldest(queue, match, &bytes, limit_bytes, keeps_first);
}

/**
 * kd_packet_queue_get_bytes:
 *
 * Returns: how much memory the packets take
 */
size_t
kd_packet_queue_get_bytes(const KdPacketQueue *queue)
{
    return queue->bytes;
}
