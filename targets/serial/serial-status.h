/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The state of an open terminal, for people. */
#pragma once

#include "serial-line.h"

GVariant *serial_status_build(const SerialLine *line);
