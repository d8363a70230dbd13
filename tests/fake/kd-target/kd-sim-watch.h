/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A descriptor that the target's main loop reads from. */
#pragma once

#include <glib-unix.h>

guint kd_sim_watch_add(int fd, GUnixFDSourceFunc fn, void *user);
