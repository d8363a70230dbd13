/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How often a target's mailboxes are looked at. */
#include "fw-pace.h"

#define MS G_GINT64_CONSTANT(1000)

/* While nothing happens for so long, the pauses are so long. A target stands still from the moment
 * it has something to say until that is taken, so the last pause is what its first words may cost
 * it; twenty looks a second cost the server next to nothing. */
static const struct {
    gint64 quiet_us;
    gint64 wait_us;
} steps[] = {
    {1000 * MS, 1 * MS},
    {10000 * MS, 5 * MS},
    {60000 * MS, 20 * MS},
};
#define LAST_WAIT_US (50 * MS)

/* Without any pause: after something has happened; longer if the target is about to answer */
#define BUSY_US    (2 * MS)
#define AWAITED_US (20 * MS)

/**
 * fw_pace_get_wait_us:
 * @quiet_us: since something was taken, sent or received
 * @is_awaited: the target has been sent something, and has not answered yet
 *
 * Returns: how many microseconds to wait before the next look; 0 to %LAST_WAIT_US
 */
gint64
fw_pace_get_wait_us(gint64 quiet_us, gboolean is_awaited)
{
    if (quiet_us < (is_awaited ? AWAITED_US : BUSY_US)) {
        return 0;
    }
    for (guint i = 0; i < G_N_ELEMENTS(steps); i++) {
        if (quiet_us < steps[i].quiet_us) {
            return steps[i].wait_us;
        }
    }
    return LAST_WAIT_US;
}
