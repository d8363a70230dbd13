/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What kd-watch.c needs of the loop beyond its interface. */
#pragma once

#include "kd-loop.h"

gboolean kd_loop_set_level(KdLoopWatch *watch, int fd, uint32_t ready);
