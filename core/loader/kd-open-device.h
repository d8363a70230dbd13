/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finding a serial port beneath /dev, through links that only root can have made. */
#pragma once

#include <gio/gio.h>

int kd_open_device(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;
