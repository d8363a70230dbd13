/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A source that asks for the deadline each time the loop is about to wait: no timer is made or
 * moved for a packet. */
#include "kd-sim-clock.h"

typedef struct {
    GSource source;
    KdSimTarget *target;
} Clock;

static gboolean
is_due(const Clock *clock, int *wait_ms)
{
    gint64 deadline_us = kd_sim_target_get_deadline_us(clock->target);
    *wait_ms = -1;
    if (deadline_us < 0)
        return FALSE;
    gint64 left_us = deadline_us - g_get_monotonic_time();
    *wait_ms = (int)CLAMP((left_us + 999) / 1000, 0, 3600 * 1000);
    return left_us <= 0;
}

static gboolean
clock_prepare(GSource *source, gint *wait_ms)
{
    return is_due((const Clock *)source, wait_ms);
}

static gboolean
clock_check(GSource *source)
{
    int wait_ms = 0;
    return is_due((const Clock *)source, &wait_ms);
}

static gboolean
clock_dispatch(GSource *source, GSourceFunc callback G_GNUC_UNUSED, gpointer user G_GNUC_UNUSED)
{
    Clock *clock = (Clock *)source;
    kd_sim_target_tick(clock->target, g_get_monotonic_time());
    return G_SOURCE_CONTINUE;
}

/**
 * kd_sim_clock_new:
 * @target: borrowed, for as long as the source is attached
 *
 * Returns: (transfer full): a source that calls kd_sim_target_tick() in time
 */
GSource *
kd_sim_clock_new(KdSimTarget *target)
{
    static GSourceFuncs funcs = {
        .prepare = clock_prepare,
        .check = clock_check,
        .dispatch = clock_dispatch,
    };
    GSource *source = g_source_new(&funcs, sizeof(Clock));
    ((Clock *)source)->target = target;
    g_source_set_name(source, "clock of the target");
    return source;
}
