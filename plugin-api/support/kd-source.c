/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Timers of a plugin that outlive no owner. */
#include <kdsrv-support/kd-source.h>

/**
 * kd_source_start_timer:
 * @source: (inout): cleared first, then the owner's reference to the timer
 * @wait_ms: until @fn is called, and between calls
 *
 * Starts a timer on the thread's default main context.
 */
void
kd_source_start_timer(GSource **source, uint32_t wait_ms, GSourceFunc fn, gpointer user_data)
{
    kd_source_clear(source);
    *source = g_timeout_source_new(wait_ms);
    g_source_set_callback(*source, fn, user_data, NULL);
    g_source_attach(*source, g_main_context_get_thread_default());
}

/**
 * kd_source_clear:
 * @source: (inout): %NULL afterwards; may be already
 *
 * Stops a source, also from within its own function.
 */
void
kd_source_clear(GSource **source)
{
    if (*source != NULL) {
        g_source_destroy(*source);
    }
    g_clear_pointer(source, g_source_unref);
}
