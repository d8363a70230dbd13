/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When a target is asked to halt: not too often, and not when it has halted already. */
#pragma once

#include <glib.h>

/**
 * KdBreakIn:
 *
 * All zero but @sent_us, which is -1: none is wanted.
 */
typedef struct {
    gboolean is_wanted;
    unsigned n_left; /* how often it will be sent yet */
    gint64 sent_us;  /* the last; -1: never */
    gint64 held_until_us;
} KdBreakIn;

void kd_break_in_ask(KdBreakIn *break_in);
void kd_break_in_end(KdBreakIn *break_in);
void kd_break_in_hold(KdBreakIn *break_in, gint64 now_us);
gint64 kd_break_in_get_due_us(const KdBreakIn *break_in);
void kd_break_in_sent(KdBreakIn *break_in, gint64 now_us);
