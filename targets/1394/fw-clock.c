/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One timer that is set again and again. */
#include "fw-clock.h"

static gboolean
on_dispatch(GSource *source, GSourceFunc fn, gpointer user_data)
{
    g_source_set_ready_time(source, -1);
    (void)fn(user_data);
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs clock_funcs = {.dispatch = on_dispatch};

/**
 * fw_clock_new:
 * @fn: what it returns is not looked at
 *
 * Makes a timer on the thread's default main context that is not set; g_source_set_ready_time()
 * does that, for once.
 *
 * Returns: (transfer full): attached
 */
GSource *
fw_clock_new(GSourceFunc fn, gpointer user_data)
{
    GSource *source = g_source_new(&clock_funcs, sizeof(GSource));
    g_source_set_callback(source, fn, user_data, NULL);
    g_source_attach(source, g_main_context_get_thread_default());
    return source;
}
