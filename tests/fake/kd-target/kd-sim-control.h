/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Orders to a simulated target as lines of text, by function call or over a UNIX socket. */
#pragma once

#include "kd-sim-target.h"

typedef struct KdSimControl KdSimControl;

char *kd_sim_control_order(KdSimTarget *target, const char *line, gint64 now_us);

KdSimControl *kd_sim_control_new(KdSimTarget *target, const char *path, GMainLoop *loop,
                                 GError **error);
void kd_sim_control_free(KdSimControl *control);
void kd_sim_control_settle(KdSimControl *control);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdSimControl, kd_sim_control_free)
