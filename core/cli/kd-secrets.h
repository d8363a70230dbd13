/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keeps secrets of the command line out of the process list. */
#pragma once

#include <glib.h>

gboolean kd_secrets_hide(int argc, char **argv);
gboolean kd_secrets_parse(GOptionContext *context, char **words, const char *program,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;
