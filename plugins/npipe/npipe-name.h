/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of pipes: what may stand in one, and the codes that a server's may have. */
#pragma once

#include <glib.h>

char *npipe_name_build(const char *text, GError **error) G_GNUC_WARN_UNUSED_RESULT;
char *npipe_name_expand(const char *text, guint64 process, guint64 thread,
                        GError **error) G_GNUC_WARN_UNUSED_RESULT;
