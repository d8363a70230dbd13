/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory that many clients have needed goes back to the system when they have gone. */
#pragma once

#include <glib.h>

/**
 * KdHeap:
 * @most: clients that there were since memory was given back last
 * @timer_id: it will be, soon
 */
typedef struct {
    guint most;
    guint timer_id;
} KdHeap;

void kd_heap_note(KdHeap *heap, guint n_clients);
void kd_heap_clear(KdHeap *heap);
