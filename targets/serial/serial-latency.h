/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How long a driver may keep received bytes back, lowered while a line is open. */
#pragma once

#include <glib.h>

#include <sys/types.h>

/**
 * SerialLatency:
 * @has_set_flag: the driver's flag was set
 * @timer_path: (nullable): the adapter's timer was changed
 * @timer_text: (nullable): what it was before
 */
typedef struct {
    gboolean has_set_flag;
    char *timer_path;
    char *timer_text;
} SerialLatency;

void serial_latency_lower(SerialLatency *latency, int fd, dev_t device);
void serial_latency_restore(SerialLatency *latency, int fd);
