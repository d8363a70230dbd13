/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command `kd --tell`: asks a running kd to do something. */
#pragma once

#include <glib.h>

int kd_tell_run(const char *request, int pid);
