/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A simulated target's time, kept by the main loop. */
#pragma once

#include "kd-sim-target.h"

GSource *kd_sim_clock_new(KdSimTarget *target);
