/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pseudo-terminals as targets: the far side of a line, its bytes and its end. */
#pragma once

#include <glib.h>

int kd_e2e_pty_new(char **name);
gboolean kd_e2e_pty_hang_up(const char *name);
