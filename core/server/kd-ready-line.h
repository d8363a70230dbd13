/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the server's first line says of its entrances. */
#pragma once

#include "kd-entrance.h"

char *kd_ready_line_build(const GPtrArray *entrances);
