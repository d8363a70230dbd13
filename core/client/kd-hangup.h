/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether somebody who said his last byte is still there to listen. */
#pragma once

#include <glib.h>

gboolean kd_hangup_is_gone(int fd);
guint kd_hangup_watch(int fd, GSourceFunc fn, gpointer user);
