/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One tick a second for keepalives and deadlines, without a GSource or a clock read for each user.
 */
#pragma once

#include <glib.h>

typedef struct KdTick KdTick;

/**
 * KdTick:
 * @fn: called once a second from the main context (not from the data path); may add and remove
 *    ticks, its own and others
 *
 * One listener, embedded in its owner.
 */
struct KdTick {
    void (*fn)(KdTick *tick);
    /*< private >*/
    KdTick *prev;
    KdTick *next;
    gboolean is_linked;
};

void kd_tick_add(KdTick *tick, void (*fn)(KdTick *tick));
void kd_tick_remove(KdTick *tick);
guint32 kd_tick_get_now(void);
