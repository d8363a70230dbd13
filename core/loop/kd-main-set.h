/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the main context watches, as one descriptor of the loop's set. */
#pragma once

#include <gio/gio.h>

/**
 * KdMainSet:
 * @ep: nested in the loop's set with data.ptr %NULL; -1: epoll refused some, and poll() is asked
 * @fds: (array length=n): what the main context has asked for; behind these the loop's set
 *
 * Zeroed but for @ep, which is -1, it is empty.
 */
typedef struct {
    int ep;
    GPollFD *fds;
    guint n;
    gboolean has_logged;
} KdMainSet;

#define KD_MAIN_SET_NONE \
    {                    \
        .ep = -1         \
    }

void kd_main_set_update(KdMainSet *set, int loop_ep, const GPollFD *fds, guint n_fds);
gboolean kd_main_set_poll(KdMainSet *set, gint timeout_ms);
void kd_main_set_clear(KdMainSet *set, int loop_ep);
