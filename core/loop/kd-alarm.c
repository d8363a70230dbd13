/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A descriptor that becomes ready when it is time. */
#include "kd-alarm.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* What GLib rounds its timeouts up to, so that the same one comes back a little different */
#define LATE_US G_TIME_SPAN_MILLISECOND

/**
 * kd_alarm_open:
 * @alarm: %KD_ALARM_NONE
 * @ep: an epoll set, which gets it for reading with data.ptr @alarm
 * @error: return location
 *
 * Makes the descriptor; it is not set.
 *
 * Returns: %FALSE with an error of %G_IO_ERROR when the kernel gives none
 */
gboolean
kd_alarm_open(KdAlarm *alarm, int ep, GError **error)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = alarm};
    int code;

    alarm->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (alarm->fd >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, alarm->fd, &event) == 0) {
        return TRUE;
    }
    code = errno;
    kd_alarm_close(alarm);
    g_set_error(error, G_IO_ERROR, g_io_error_from_errno(code), "can't make a timer: %s",
                g_strerror(code));
    return FALSE;
}

/**
 * kd_alarm_close:
 * @alarm: opened or not
 *
 * Closes it.
 */
void
kd_alarm_close(KdAlarm *alarm)
{
    if (alarm->fd >= 0) {
        (void)close(alarm->fd);
    }
    *alarm = (KdAlarm)KD_ALARM_NONE;
}

/**
 * kd_alarm_set:
 * @alarm: open
 * @due_us: of the monotonic clock; more than 0
 *
 * Sees to it that the alarm goes off at @due_us or before, or a millisecond later.
 */
void
kd_alarm_set(KdAlarm *alarm, gint64 due_us)
{
    struct itimerspec when = {
        .it_value = {.tv_sec = (time_t)(due_us / G_USEC_PER_SEC),
                     .tv_nsec = (long)(due_us % G_USEC_PER_SEC * 1000)},
    };

    if (alarm->set_us - LATE_US <= due_us) {
        return;
    }
    if (timerfd_settime(alarm->fd, TFD_TIMER_ABSTIME, &when, NULL) == 0) {
        alarm->set_us = due_us;
    } else {
        g_warning("can't set a timer: %s", g_strerror(errno));
    }
}

/**
 * kd_alarm_take:
 * @alarm: that has gone off
 *
 * Makes it ready to be set again.
 */
void
kd_alarm_take(KdAlarm *alarm)
{
    uint64_t n_times;

    alarm->set_us = G_MAXINT64;
    (void)!read(alarm->fd, &n_times, sizeof n_times);
}
