/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who else has a terminal device open. */
#include "serial-owner.h"

#include "serial-owner-search.h"

static void
on_free_devices(gpointer devices)
{
    g_ptr_array_unref(devices);
}

static void
on_free_searched(gpointer searched)
{
    serial_searched_free(searched);
}

/* In a thread of GLib's pool: the files of /proc have no asynchronous reading, are ready at all
 * times for poll(), and a machine may have a hundred thousand of them. */
static void
search_in_thread(GTask *task, gpointer source, gpointer devices, GCancellable *cancellable)
{
    GPtrArray *array = devices;
    (void)source;
    (void)serial_owner_search(array, cancellable);
    SerialSearched *searched = array->len > 0 ? array->pdata[0] : NULL;
    g_task_return_pointer(task, searched != NULL ? g_steal_pointer(&searched->owner) : NULL,
                          g_free);
}

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
    GPtrArray *devices = g_ptr_array_new_with_free_func(on_free_searched);
    SerialSearched *searched = serial_searched_new(path_fd);
    g_task_set_source_tag(task, serial_owner_find_async);
    if (searched != NULL) {
        g_ptr_array_add(devices, searched);
    }
    g_task_set_task_data(task, devices, on_free_devices);
    g_task_run_in_thread(task, search_in_thread);
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
