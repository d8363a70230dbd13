/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Watching the carrier of a line behind a modem. */
#pragma once

#include "serial-line.h"

#include <kdsrv/kd-plugin.h>

typedef struct SerialCarrier SerialCarrier;

SerialCarrier *serial_carrier_new(const SerialLine *line, const KdSink *sink);
void serial_carrier_free(SerialCarrier *carrier);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(SerialCarrier, serial_carrier_free)
