/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a link tells its host. */
#pragma once

#include <kdsrv/kd-plugin.h>

void serial_events_tell(const KdSink *sink, uint32_t event, GVariant *arg);
void serial_events_note(const KdSink *sink, const char *format, ...) G_GNUC_PRINTF(2, 3);
