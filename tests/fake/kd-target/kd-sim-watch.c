/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A descriptor that the target's main loop reads from. */
#include "kd-sim-watch.h"

/**
 * kd_sim_watch_add:
 * @fn: called whenever it can be read from; the loop is not run from within
 *
 * As g_unix_fd_add(), whose sources GLib takes out of its set for each call, and wakes itself up
 * twice because of that: five system calls, where the answer of a target takes about ten.
 *
 * Returns: an id for g_source_remove()
 */
guint
kd_sim_watch_add(int fd, GUnixFDSourceFunc fn, void *user)
{
    g_autoptr(GSource) source = g_unix_fd_source_new(fd, G_IO_IN);
    g_source_set_can_recurse(source, TRUE);
    g_source_set_callback(source, G_SOURCE_FUNC(fn), user, NULL);
    return g_source_attach(source, NULL);
}
