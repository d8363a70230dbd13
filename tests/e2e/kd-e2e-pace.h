/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A beat, for what a test does so often in a second. */
#pragma once

#include <glib.h>

int kd_e2e_pace_new(guint interval_ms);
guint64 kd_e2e_pace_await(int pace);
