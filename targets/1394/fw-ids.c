/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ids of a target's packets, from which its restart can be told. */
#include "fw-ids.h"

/* The first id of a target's life on other links, with its sync bit: never used again there */
#define FIRST_ID 0x80800800u

/* So many steps make a target one that counts. */
#define MIN_STEPS 2u

/**
 * fw_ids_take:
 * @id: of a data packet that was received
 *
 * Takes note of an id. On 1394 a target counts its packets (the public Singularity sources), but
 * nobody checks that, so only one that was seen to count is said to have begun anew when its ids
 * fall back.
 *
 * Returns: whether the target has begun anew
 */
gboolean
fw_ids_take(FwIds *ids, uint32_t id)
{
    FwIds before = *ids;
    *ids = (FwIds){.last = id, .has_any = TRUE};
    if (!before.has_any) {
        return FALSE;
    }
    gboolean is_next = id == before.last + 1;
    gboolean is_first = id == FIRST_ID && id != before.last;
    gboolean is_counting = before.n_steps >= MIN_STEPS && !before.is_odd;
    if (!is_next && (is_first || (is_counting && id < before.last))) {
        return TRUE;
    }
    ids->n_steps = before.n_steps;
    ids->is_odd = before.is_odd;
    if (is_next) {
        ids->n_steps = MIN(before.n_steps, MIN_STEPS) + 1;
    } else if (id != before.last) {
        ids->is_odd = TRUE;
    }
    return FALSE;
}
