/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The watches that are ready, each once, in the order in which they became so. */
#include "kd-ready-queue.h"

/**
 * kd_ready_queue_push:
 * @watch: not in the queue
 *
 * Puts a watch behind all others.
 */
void
kd_ready_queue_push(KdReadyQueue *queue, KdLoopWatch *watch)
{
    watch->is_queued = TRUE;
    watch->next = NULL;
    if (queue->tail != NULL) {
        queue->tail->next = watch;
    } else {
        queue->head = watch;
    }
    queue->tail = watch;
    queue->n++;
}

/**
 * kd_ready_queue_pop:
 * @queue: not empty
 *
 * Returns: (transfer none): the first watch, which is out of the queue then
 */
KdLoopWatch *
kd_ready_queue_pop(KdReadyQueue *queue)
{
    KdLoopWatch *watch = queue->head;

    g_assert(watch != NULL);
    queue->head = watch->next;
    if (queue->head == NULL) {
        queue->tail = NULL;
    }
    queue->n--;
    watch->is_queued = FALSE;
    watch->next = NULL;
    return watch;
}
