/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which sequence numbers were seen: each is taken once, in nearly any order. */
#pragma once

#include <glib.h>

#include <stdint.h>

#define KDNET_WINDOW_SEQS 64u /* so far behind the highest, a number may still come */

/**
 * KdnetWindow:
 * @highest: that was taken; 0: none
 * @seen: bit n: @highest - n was taken
 *
 * Zeros: nothing was taken yet.
 */
typedef struct {
    uint64_t highest;
    uint64_t seen;
} KdnetWindow;

gboolean kdnet_window_may_take(const KdnetWindow *window, uint64_t seq);
void kdnet_window_take(KdnetWindow *window, uint64_t seq);
