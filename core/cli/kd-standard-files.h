/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stdin, stdout and stderr of a command: that they are there, and that all was written. */
#pragma once

#include <glib.h>

gboolean kd_standard_files_reserve(void);
int kd_standard_files_finish(int status);
