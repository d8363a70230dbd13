/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One BREAK on a line: the spacing state for a while, between bytes. */
#pragma once

#include "serial-line.h"

typedef struct SerialBreak SerialBreak;

/**
 * SerialBreakFunc:
 * @dropped_bytes: what an urgent one has dropped
 * @error: (transfer full) (nullable): there was none, or it was cut short
 *
 * Called once; it may free the SerialBreak.
 */
typedef void (*SerialBreakFunc)(uint64_t dropped_bytes, GError *error, gpointer user_data);

SerialBreak *serial_break_new(SerialLine *line, gboolean is_urgent, SerialBreakFunc fn,
                              gpointer user_data);
void serial_break_free(SerialBreak *self);
