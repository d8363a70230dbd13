/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A descriptor that becomes ready when it is time. */
#pragma once

#include <gio/gio.h>

/**
 * KdAlarm:
 * @fd: -1: there is none
 * @set_us: when it goes off, by the monotonic clock; %G_MAXINT64: it does not
 *
 * A waiting that ends in time by itself has a timer made and taken back for each wake-up, and one
 * that is nearer than the kernel's next tick has the hardware's clock set as well. An alarm stays
 * set, and goes off too early rather than that.
 */
typedef struct {
    int fd;
    gint64 set_us;
} KdAlarm;

#define KD_ALARM_NONE                  \
    {                                  \
        .fd = -1, .set_us = G_MAXINT64 \
    }

gboolean kd_alarm_open(KdAlarm *alarm, int ep, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_alarm_close(KdAlarm *alarm);
void kd_alarm_set(KdAlarm *alarm, gint64 due_us);
void kd_alarm_take(KdAlarm *alarm);
