/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Readiness for the service manager (sd_notify(3)), without its library. */
#pragma once

#include <glib.h>

void kd_notify(const char *state);
