/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which serial ports there are. */
#include "serial-ports.h"

static void
on_unref(gpointer ports)
{
    g_variant_unref(ports);
}

/**
 * serial_ports_list_async:
 * @host: its rules decide what is listed
 * @filter: a{sv}; nothing is known in it yet
 *
 * Looks for what a com string could name.
 */
void
serial_ports_list_async(const KdHost *host, GVariant *filter, GCancellable *cancellable,
                        GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, user_data);
    (void)host, (void)filter;
    g_task_set_source_tag(task, serial_ports_list_async);
    g_task_return_pointer(
        task, g_variant_ref_sink(g_variant_new_array(G_VARIANT_TYPE_VARDICT, NULL, 0)), on_unref);
}

/**
 * serial_ports_list_finish:
 *
 * Returns: (transfer full) (nullable): aa{sv}, as in #KdTarget; %NULL only after a cancellation
 */
GVariant *
serial_ports_list_finish(GAsyncResult *result, GError **error)
{
    return g_task_propagate_pointer(G_TASK(result), error);
}
