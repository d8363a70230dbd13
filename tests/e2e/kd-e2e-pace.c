/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A beat, for what a test does so often in a second. */
#include "kd-e2e-pace.h"

#include <sys/timerfd.h>
#include <unistd.h>

/**
 * kd_e2e_pace_new:
 *
 * Returns: (transfer full): a descriptor, to be closed
 */
int
kd_e2e_pace_new(guint interval_ms)
{
    struct timespec interval = {.tv_sec = interval_ms / 1000,
                                .tv_nsec = (long)(interval_ms % 1000) * 1000 * 1000};
    struct itimerspec setting = {.it_interval = interval, .it_value = interval};
    int pace = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

    g_assert_cmpint(pace, >=, 0);
    g_assert_cmpint(timerfd_settime(pace, 0, &setting, NULL), ==, 0);
    return pace;
}

/**
 * kd_e2e_pace_await:
 *
 * Waits for the next beat.
 *
 * Returns: how many there have been since the last call
 */
guint64
kd_e2e_pace_await(int pace)
{
    guint64 n = 0;

    g_assert_cmpint(read(pace, &n, sizeof n), ==, sizeof n);
    return n;
}
