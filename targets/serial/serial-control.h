/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One control operation on an open terminal. */
#pragma once

#include "serial-line.h"
#include "serial-plan.h"

typedef struct SerialControl SerialControl;

uint32_t serial_control_get_offered(const SerialLine *line, const SerialPlan *plan);
void serial_control_start(SerialControl **slot, SerialLine *line, SerialPlan *plan, uint32_t op,
                          GVariant *arg, GTask *task);
void serial_control_abort(SerialControl *control, GError *error);
