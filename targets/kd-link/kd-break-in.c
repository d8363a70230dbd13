/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When a target is asked to halt: not too often, and not when it has halted already. */
#include "kd-break-in.h"

/* A break-in that is still there when the target has halted halts it once more later on. */
#define BETWEEN_US (1 * G_TIME_SPAN_SECOND)
/* A target that has just come says within this time that it has halted, if it has. */
#define SETTLE_US (500 * G_TIME_SPAN_MILLISECOND)
/* After the first */
#define REPEATS_MAX 5

/**
 * kd_break_in_ask:
 *
 * The target is to halt.
 */
void
kd_break_in_ask(KdBreakIn *break_in)
{
    break_in->is_wanted = TRUE;
    break_in->n_left = 1 + REPEATS_MAX;
}

/**
 * kd_break_in_end:
 *
 * The target has halted, or nobody wants it to any more.
 */
void
kd_break_in_end(KdBreakIn *break_in)
{
    break_in->is_wanted = FALSE;
}

/**
 * kd_break_in_hold:
 *
 * The target has just come: if it has halted already it says so first, and a break-in would halt it
 * once more later on.
 */
void
kd_break_in_hold(KdBreakIn *break_in, gint64 now_us)
{
    break_in->held_until_us = now_us + SETTLE_US;
}

/**
 * kd_break_in_get_due_us:
 *
 * Returns: when a target that runs is to be asked; 0: now; -1: not at all
 */
gint64
kd_break_in_get_due_us(const KdBreakIn *break_in)
{
    if (!break_in->is_wanted) {
        return -1;
    }
    return MAX(break_in->sent_us >= 0 ? break_in->sent_us + BETWEEN_US : 0,
               break_in->held_until_us);
}

/**
 * kd_break_in_sent:
 *
 * The target has been asked.
 */
void
kd_break_in_sent(KdBreakIn *break_in, gint64 now_us)
{
    break_in->sent_us = now_us;
    if (break_in->n_left > 0) {
        break_in->n_left--;
    }
    break_in->is_wanted = break_in->n_left > 0;
}
