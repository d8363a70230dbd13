/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ids of a target's packets, from which its restart can be told. */
#pragma once

#include <glib.h>

#include <stdint.h>

/**
 * FwIds:
 *
 * What has been seen of a target's ids; all zero at the start.
 */
typedef struct {
    uint32_t last;
    guint n_steps;    /* how often the next id was one more                                      */
    gboolean has_any; /* @last is one                                                            */
    gboolean is_odd;  /* there was something else than one more, so they say little              */
} FwIds;

gboolean fw_ids_take(FwIds *ids, uint32_t id);
