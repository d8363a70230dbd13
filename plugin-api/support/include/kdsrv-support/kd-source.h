/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Timers of a plugin that outlive no owner. */
#pragma once

#include <glib.h>

#include <stdint.h>

void kd_source_start_timer(GSource **source, uint32_t wait_ms, GSourceFunc fn, gpointer user_data);
void kd_source_clear(GSource **source);
