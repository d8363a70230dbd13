/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How the commands of kdsrv write what they have to say: one line, program first, on stderr. */
#pragma once

#include <glib.h>

void kd_log_start(const char *program, gboolean is_verbose);
void kd_log_error(const GError *error);
