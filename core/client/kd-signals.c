/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The signals by which a person asks for a BREAK. */
#include "kd-signals.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* GLib has no source for SIGQUIT, so the handler is ours. It reaches nothing but these. */
static volatile sig_atomic_t is_asked;
static volatile sig_atomic_t is_asked_urgently;
static int wake_fd = -1;

static KdSignalsFunc asked;
static void *asked_user;
static guint wake_id;

static const int NUMBERS[] = {SIGUSR1, SIGUSR2, SIGQUIT};

static void
on_signal(int number)
{
    const uint64_t one = 1;
    int code = errno;

    if (number == SIGUSR2) {
        is_asked_urgently = 1;
    } else {
        is_asked = 1;
    }
    if (write(wake_fd, &one, sizeof one) < 0) {
        /* full: it is awake already */
    }
    errno = code;
}

static gboolean
on_wake(gint fd, GIOCondition condition, gpointer data)
{
    uint64_t count;
    gboolean is_urgent;
    gboolean is_in_order;

    (void)condition;
    (void)data;
    if (read(fd, &count, sizeof count) < 0) {
        return G_SOURCE_CONTINUE;
    }
    is_urgent = is_asked_urgently != 0;
    is_asked_urgently = 0;
    is_in_order = is_asked != 0;
    is_asked = 0;
    if (is_urgent) {
        asked(TRUE, asked_user);
    }
    if (is_in_order) {
        asked(FALSE, asked_user);
    }
    return G_SOURCE_CONTINUE;
}

static void
set_action(void (*fn)(int number))
{
    struct sigaction action = {.sa_handler = fn, .sa_flags = SA_RESTART};

    (void)sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < G_N_ELEMENTS(NUMBERS); i++) {
        (void)sigaction(NUMBERS[i], &action, NULL);
    }
}

/**
 * kd_signals_ignore:
 *
 * Lets the signals pass unheard until kd_signals_start(): by default each would end the program.
 */
void
kd_signals_ignore(void)
{
    set_action(SIG_IGN);
}

/**
 * kd_signals_start:
 * @fn: called for each request
 * @user: for @fn
 * @error: return location
 *
 * Takes SIGUSR1 and SIGQUIT for a BREAK in order, SIGUSR2 for an urgent one. SIGQUIT is what a
 * terminal sends for CTRL+\, which GDB does not use.
 *
 * Returns: %FALSE with an error of %G_IO_ERROR
 */
gboolean
kd_signals_start(KdSignalsFunc fn, void *user, GError **error)
{
    asked = fn;
    asked_user = user;
    wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (wake_fd < 0) {
        int code = errno;

        g_set_error(error, G_IO_ERROR, (gint)g_io_error_from_errno(code),
                    "can't wait for signals: %s", g_strerror(code));
        return FALSE;
    }
    wake_id = g_unix_fd_add(wake_fd, G_IO_IN, on_wake, NULL);
    set_action(on_signal);
    return TRUE;
}

/**
 * kd_signals_stop:
 *
 * Takes no more requests. The signals stay ignored, so that a late one does not end the program
 * before it has cleared things away.
 */
void
kd_signals_stop(void)
{
    if (wake_fd < 0) {
        return;
    }
    kd_signals_ignore();
    g_clear_handle_id(&wake_id, g_source_remove);
    (void)close(wake_fd);
    wake_fd = -1;
}
