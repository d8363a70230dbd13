/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether somebody who said his last byte is still there to listen. */
#include "kd-hangup.h"

#include <glib-unix.h>
#include <poll.h>

typedef struct {
    GSourceFunc fn;
    gpointer user;
} Hangup;

static gboolean
on_hangup(gint fd, GIOCondition condition, gpointer data)
{
    Hangup *hangup = data;

    (void)fd;
    (void)condition;
    return hangup->fn(hangup->user);
}

/**
 * kd_hangup_is_gone:
 * @fd: a socket, a pipe or a tty
 *
 * Asks whether both directions are gone: a UNIX socket that the other side has closed says so, and
 * a TCP socket once it was reset; one that was shut down by half does not.
 *
 * Returns: whether nothing can be given to the other side any more
 */
gboolean
kd_hangup_is_gone(int fd)
{
    struct pollfd poll_fd = {.fd = fd};

    return poll(&poll_fd, 1, 0) > 0 && (poll_fd.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

/**
 * kd_hangup_watch:
 * @fd: stays open until the source is removed
 * @fn: called once when kd_hangup_is_gone() becomes true; returns %G_SOURCE_REMOVE
 * @user: for @fn
 *
 * Returns: id of a source of the default main context
 */
guint
kd_hangup_watch(int fd, GSourceFunc fn, gpointer user)
{
    Hangup *hangup = g_new(Hangup, 1);

    *hangup = (Hangup){.fn = fn, .user = user};
    return g_unix_fd_add_full(G_PRIORITY_DEFAULT, fd, G_IO_HUP | G_IO_ERR, on_hangup, hangup,
                              g_free);
}
