/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which sequence numbers were seen: each is taken once, in nearly any order. */
#include "kdnet-window.h"

/* So far ahead of the highest, no sender is that lost only datagrams: a number beyond comes from
 * another key, and need not be looked at closely. */
#define LEAP_SEQS (UINT64_C(1) << 32)

/**
 * kdnet_window_may_take:
 * @seq: of a datagram, authentic or not
 *
 * Returns: whether an authentic one with this number would be new
 */
gboolean
kdnet_window_may_take(const KdnetWindow *window, uint64_t seq)
{
    if (seq == 0) {
        return FALSE; /* both sides start at 1 */
    }
    if (seq > window->highest) {
        return seq - window->highest <= LEAP_SEQS;
    }
    uint64_t behind = window->highest - seq;
    return behind < KDNET_WINDOW_SEQS && (window->seen & UINT64_C(1) << behind) == 0;
}

/**
 * kdnet_window_take:
 * @seq: of an authentic datagram, for which kdnet_window_may_take() is %TRUE
 *
 * Takes the number; it is not taken again.
 */
void
kdnet_window_take(KdnetWindow *window, uint64_t seq)
{
    if (seq <= window->highest) {
        window->seen |= UINT64_C(1) << (window->highest - seq);
        return;
    }
    uint64_t ahead = seq - window->highest;
    window->seen = ahead < KDNET_WINDOW_SEQS ? window->seen << ahead | 1 : 1;
    window->highest = seq;
}
