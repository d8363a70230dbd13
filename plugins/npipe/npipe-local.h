/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether a host name means this machine. */
#pragma once

#include <glib.h>

gboolean npipe_local_is_own_name(const char *host);
