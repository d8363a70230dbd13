/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keeps secrets of the command line out of the process list. */
#pragma once

#include <glib.h>

gboolean kd_secrets_hide(int argc, char **argv);
