/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Closing a terminal without waiting for it: the last close() sleeps until the driver has sent all,
 * for as long as half a minute, and the drivers of USB adapters drop nothing when told to. Even
 * with nothing to send some sleep a tenth of a second and more (tty_port_drain_delay). */
#include "serial-linger.h"

#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* By then the host has closed its endpoint, so that ours is the last. */
#define FIRST_MS 2u
#define TICK_MS  50u
/* Longer than 4 KiB, what a driver holds, take at 1,200 baud; then close() may have its half
 * minute: the line is stuck. */
#define N_TICKS_MAX 700u
/* A line that is stuck keeps one for half a minute. */
#define N_THREADS 2

typedef struct {
    int fd;
    guint n_ticks;
} Linger;

static void
close_in_thread(gpointer linger, gpointer unused)
{
    (void)unused;
    close(((Linger *)linger)->fd);
    g_free(linger);
}

/* Threads of our own, which stay: the loop shares no lock with GLib's. */
static GThreadPool *
get_closers(void)
{
    static GThreadPool *closers;
    if (closers == NULL) {
        closers = g_thread_pool_new(close_in_thread, NULL, N_THREADS, TRUE, NULL);
    }
    return closers;
}

/* Returns: whether the terminal can be asked */
static gboolean
count_unsent(int fd, int *n_bytes)
{
    return ioctl(fd, TIOCOUTQ, n_bytes) == 0;
}

static void start_timer(Linger *linger, uint32_t wait_ms);

static gboolean
on_tick(gpointer user_data)
{
    Linger *linger = user_data;
    int n_bytes = 0;
    if (count_unsent(linger->fd, &n_bytes) && n_bytes > 0 && ++linger->n_ticks < N_TICKS_MAX) {
        start_timer(linger, TICK_MS);
    } else {
        g_thread_pool_push(get_closers(), linger, NULL);
    }
    return G_SOURCE_REMOVE;
}

static void
start_timer(Linger *linger, uint32_t wait_ms)
{
    g_autoptr(GSource) timer = g_timeout_source_new(wait_ms);
    g_source_set_callback(timer, on_tick, linger, NULL);
    g_source_attach(timer, g_main_context_get_thread_default());
}

/**
 * serial_linger_close:
 * @fd: (transfer full): of a terminal that is no pty; nothing more is written to it
 *
 * Closes it in a thread, once all is sent; at once when it has hung up, for that never waits and
 * the device's number is wanted again.
 */
void
serial_linger_close(int fd)
{
    int n_bytes = 0;
    if (!count_unsent(fd, &n_bytes)) {
        close(fd);
        return;
    }
    Linger *linger = g_new0(Linger, 1);
    linger->fd = fd;
    start_timer(linger, FIRST_MS);
}
