/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The list of ticks, and the one timeout that calls them. */
#include "kd-tick.h"

#define TICK_MS 1000

static KdTick *first;
static KdTick *upcoming; /* whose turn is next while the timeout calls them */
static guint source_id;
static guint32 now_ticks;

static gboolean
on_second(gpointer user_data)
{
    (void)user_data;
    now_ticks++;
    upcoming = first;
    while (upcoming != NULL) {
        KdTick *tick = upcoming;

        upcoming = tick->next;
        tick->fn(tick);
    }
    return G_SOURCE_CONTINUE;
}

/**
 * kd_tick_add:
 * @tick: stays the caller's, until it is removed
 * @fn: called once a second, for the first time within one second; a tick that is added from
 *    another's function waits for the next second
 *
 * Links a tick; one that is linked already gets the new function. All ticks share one timeout,
 * which exists only while there are any: not to be called from a pure run function.
 */
void
kd_tick_add(KdTick *tick, void (*fn)(KdTick *tick))
{
    g_return_if_fail(fn != NULL);
    tick->fn = fn;
    if (tick->is_linked) {
        return;
    }
    /* In front, where the calls of this second have passed already. */
    tick->is_linked = TRUE;
    tick->prev = NULL;
    tick->next = first;
    if (first != NULL) {
        first->prev = tick;
    }
    first = tick;
    if (source_id == 0) {
        source_id = g_timeout_add(TICK_MS, on_second, NULL);
        g_source_set_name_by_id(source_id, "kd-tick");
    }
}

/**
 * kd_tick_remove:
 * @tick: zeroed, linked or removed before
 *
 * Unlinks a tick; its function is not called any more.
 */
void
kd_tick_remove(KdTick *tick)
{
    if (!tick->is_linked) {
        return;
    }
    if (upcoming == tick) {
        upcoming = tick->next;
    }
    if (tick->next != NULL) {
        tick->next->prev = tick->prev;
    }
    if (tick->prev != NULL) {
        tick->prev->next = tick->next;
    } else {
        first = tick->next;
    }
    tick->prev = NULL;
    tick->next = NULL;
    tick->is_linked = FALSE;
    if (first == NULL) {
        g_source_remove(source_id);
        source_id = 0;
    }
}

/**
 * kd_tick_get_now:
 *
 * Returns: how many seconds ticks have counted so far: a clock that costs nothing to read. It
 * stands still while no tick is linked, and wraps: compare by difference
 */
guint32
kd_tick_get_now(void)
{
    return now_ticks;
}
