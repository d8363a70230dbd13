/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The watches that are ready, each once, in the order in which they became so. */
#pragma once

#include "kd-loop.h"

/**
 * KdReadyQueue:
 * @head: (nullable): the next to run
 * @tail: (nullable): the last
 * @n: how many there are
 *
 * Linked through the watches themselves; zeroed it is empty.
 */
typedef struct {
    KdLoopWatch *head;
    KdLoopWatch *tail;
    guint n;
} KdReadyQueue;

void kd_ready_queue_push(KdReadyQueue *queue, KdLoopWatch *watch);
KdLoopWatch *kd_ready_queue_pop(KdReadyQueue *queue);
