/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A watch that counts what the loop does with it, and waiting that can't last for ever. */
#pragma once

#include "kd-loop.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROBE_DEADLINE_S 20

typedef struct Probe Probe;

struct Probe {
    KdLoopWatch watch; /* first: the loop hands it back */
    gboolean (*fn)(Probe *probe);
    Probe *other;
    gpointer user;
    uint32_t seen; /* the bits of the last run */
    guint n_runs;
    guint n_gone;
};

static inline gboolean
probe_run(KdLoopWatch *watch)
{
    Probe *probe = (Probe *)watch;

    probe->n_runs++;
    probe->seen = watch->ready;
    return probe->fn != NULL ? probe->fn(probe) : FALSE;
}

static inline void
probe_gone(KdLoopWatch *watch)
{
    ((Probe *)watch)->n_gone++;
}

/* Adds a probe; @is_pure as in #KdLoopWatchFuncs */
static inline void
probe_add(Probe *probe, int fd, gboolean is_pure, gboolean (*fn)(Probe *probe))
{
    static const KdLoopWatchFuncs copying = {probe_run, probe_gone, TRUE};
    static const KdLoopWatchFuncs turning = {probe_run, probe_gone, FALSE};
    g_autoptr(GError) error = NULL;
    gboolean is_added;

    probe->watch = (KdLoopWatch){.funcs = is_pure ? &copying : &turning, .fd = fd};
    probe->fn = fn;
    is_added = kd_loop_add(&probe->watch, &error);
    g_assert_no_error(error);
    g_assert_true(is_added);
}

static inline void
probe_start(void)
{
    g_autoptr(GError) error = NULL;
    gboolean is_started = kd_loop_start(&error);

    g_assert_no_error(error);
    g_assert_true(is_started);
}

/* One turn, and so one round, without waiting */
static inline void
probe_turn(void)
{
    g_main_context_iteration(NULL, FALSE);
}

static inline gboolean
probe_on_deadline(gpointer user_data)
{
    (void)user_data;
    g_printerr("nothing happened for %d s\n", PROBE_DEADLINE_S);
    g_assert_not_reached();
    return G_SOURCE_REMOVE;
}

/* Turns until *@count is @least, while the next timeout of the main context is far away. A pure
 * watch alone would not come back from it. */
static inline void
probe_wait(const guint *count, guint least)
{
    guint deadline = g_timeout_add_seconds(PROBE_DEADLINE_S, probe_on_deadline, NULL);

    while (*count < least) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_source_remove(deadline);
}

static inline int
probe_eventfd(void)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    return fd;
}

static inline void
probe_poke(int fd)
{
    uint64_t one = 1;

    g_assert_cmpint(write(fd, &one, sizeof one), ==, sizeof one);
}

static inline void
probe_socketpair(int fds[2])
{
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), ==, 0);
}
