/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finding a file beneath a folder without following a symbolic link. */
#pragma once

#include <gio/gio.h>

int kd_open_beneath(const char *folder, const char *rest, GError **error) G_GNUC_WARN_UNUSED_RESULT;
