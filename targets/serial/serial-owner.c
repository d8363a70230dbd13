/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who else has a terminal device open. */
#include "serial-owner.h"

#include "serial-owner-search.h"

#include <errno.h>
#include <glib-unix.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* One search; the thread has it until it has written to @done_fd, and never again. */
typedef struct {
    GTask *task;
    GPtrArray *devices; /* SerialSearched */
    GCancellable *cancellable;
    int done_fd;
} Search;

static void
search_free(gpointer data)
{
    Search *search = data;
    g_ptr_array_unref(search->devices);
    g_clear_object(&search->cancellable);
    g_object_unref(search->task);
    close(search->done_fd);
    g_free(search);
}

static void
on_free_searched(gpointer searched)
{
    serial_searched_free(searched);
}

static void
search_in_thread(gpointer data, gpointer unused)
{
    static const uint64_t one = 1;
    Search *search = data;
    (void)unused;
    (void)serial_owner_search(search->devices, search->cancellable);
    if (write(search->done_fd, &one, sizeof one) != sizeof one) {
        g_critical("eventfd: %s", g_strerror(errno)); /* it takes 2^64 of these */
    }
}

/* The files of /proc have no asynchronous reading, are ready at all times for poll(), and a machine
 * may have a hundred thousand of them: so they are read in a thread. It is our own, it stays, and
 * it shares no lock with the loop: on a busy machine the loop would sleep for a tenth of a second
 * until a new thread of GLib's pool, or one that returns its task, gets a processor. */
static GThreadPool *
get_searcher(void)
{
    static GThreadPool *searcher;
    if (searcher == NULL) {
        searcher = g_thread_pool_new(search_in_thread, NULL, 1, TRUE, NULL);
    }
    return searcher;
}

static gboolean
on_searched(int fd, GIOCondition condition, gpointer user_data)
{
    Search *search = user_data;
    SerialSearched *searched = search->devices->len > 0 ? search->devices->pdata[0] : NULL;
    (void)fd;
    (void)condition;
    g_task_return_pointer(search->task, searched != NULL ? g_steal_pointer(&searched->owner) : NULL,
                          g_free);
    return G_SOURCE_REMOVE;
}

static void
start_search(GTask *task, SerialSearched *searched, int done_fd)
{
    Search *search = g_new0(Search, 1);
    g_autoptr(GSource) source = g_unix_fd_source_new(done_fd, G_IO_IN);
    search->task = g_object_ref(task);
    search->devices = g_ptr_array_new_with_free_func(on_free_searched);
    search->done_fd = done_fd;
    g_set_object(&search->cancellable, g_task_get_cancellable(task));
    if (searched != NULL) {
        g_ptr_array_add(search->devices, searched);
    }
    g_source_set_callback(source, G_SOURCE_FUNC(on_searched), search, search_free);
    g_source_attach(source, g_task_get_context(task));
    g_thread_pool_push(get_searcher(), search, NULL);
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
    g_task_set_source_tag(task, serial_owner_find_async);
    int done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (done_fd < 0) {
        int code = errno;
        g_task_return_new_error(task, G_IO_ERROR, (int)g_io_error_from_errno(code),
                                "cannot look for other programs: %s", g_strerror(code));
        return;
    }
    start_search(task, serial_searched_new(path_fd), done_fd);
}

/**
 * serial_owner_find_finish:
 * @owner: (out) (transfer full) (nullable): `minicom (pid 4711)`; %NULL: nobody, as far as can be
 *    seen
 *
 * Returns: %FALSE after a cancellation, and when there are no descriptors left
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
