/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory that many clients have needed goes back to the system when they have gone. */
#include "kd-heap.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

/* So many are worth the milliseconds that it takes */
#define MANY     64u
#define FEW_PART 4u /* of those, one of so many may still be there */
#define WAIT_S   1u

/* The C library keeps what was freed beneath anything that is still in use. */
static gboolean
on_quiet(gpointer user_data)
{
    KdHeap *heap = user_data;

    heap->timer_id = 0;
    heap->most = 0;
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
    return G_SOURCE_REMOVE;
}

/**
 * kd_heap_note:
 * @heap: zeroed at first
 * @n_clients: that there are, whoever they are
 *
 * Called whenever one has come or gone. When most of many have gone, memory is given back a second
 * later, once for all of them.
 */
void
kd_heap_note(KdHeap *heap, guint n_clients)
{
    heap->most = MAX(heap->most, n_clients);
    if (heap->most >= MANY && n_clients <= heap->most / FEW_PART && heap->timer_id == 0) {
        heap->timer_id = g_timeout_add_seconds(WAIT_S, on_quiet, heap);
    }
}

/**
 * kd_heap_clear:
 * @heap: may be zeroed
 *
 * Stops waiting.
 */
void
kd_heap_clear(KdHeap *heap)
{
    g_clear_handle_id(&heap->timer_id, g_source_remove);
}
