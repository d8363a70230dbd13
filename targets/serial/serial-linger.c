/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Closing a terminal without waiting for it: the last close() sleeps until the driver has sent all,
 * for as long as half a minute, and the drivers of USB adapters drop nothing when told to. */
#include "serial-linger.h"

#include <sys/ioctl.h>
#include <unistd.h>

#define TICK_MS 50u
/* Longer than 4 KiB, what a driver holds, take at 1,200 baud; then close() may have its half
 * minute: the line is stuck. */
#define N_TICKS_MAX 700u

typedef struct {
    int fd;
    guint n_ticks;
} Linger;

static gboolean
is_empty(int fd)
{
    int left = 0;
    return ioctl(fd, TIOCOUTQ, &left) != 0 || left == 0;
}

static void
linger_free(gpointer data)
{
    Linger *linger = data;
    close(linger->fd);
    g_free(linger);
}

static gboolean
on_tick(gpointer user_data)
{
    Linger *linger = user_data;
    return !is_empty(linger->fd) && ++linger->n_ticks < N_TICKS_MAX ? G_SOURCE_CONTINUE
                                                                    : G_SOURCE_REMOVE;
}

/**
 * serial_linger_close:
 * @fd: (transfer full): of a terminal; nothing more is written to it
 *
 * Closes it once closing does not wait any more; at once where it would not.
 */
void
serial_linger_close(int fd)
{
    if (is_empty(fd)) {
        close(fd);
        return;
    }
    Linger *linger = g_new0(Linger, 1);
    g_autoptr(GSource) timer = g_timeout_source_new(TICK_MS);
    linger->fd = fd;
    g_source_set_callback(timer, on_tick, linger, linger_free);
    g_source_attach(timer, g_main_context_get_thread_default());
}
