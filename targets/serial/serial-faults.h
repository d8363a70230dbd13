/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Telling when received bytes were damaged or lost, as far as the driver counts that. */
#pragma once

#include "serial-line.h"

#include <kdsrv/kd-plugin.h>

typedef struct SerialFaults SerialFaults;

SerialFaults *serial_faults_new(const SerialLine *line, const KdSink *sink);
void serial_faults_free(SerialFaults *faults);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(SerialFaults, serial_faults_free)
