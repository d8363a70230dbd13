/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The private folders in which running kds have a socket, each named after its process. */
#pragma once

#include <gio/gio.h>

#include <sys/types.h>

GPtrArray *kd_tell_folder_list(uid_t owner);
int kd_tell_folder_open(const char *path, uid_t owner, gboolean is_made,
                        GError **error) G_GNUC_WARN_UNUSED_RESULT;
int kd_tell_folder_dial(int folder, const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;
GArray *kd_tell_folder_find_pids(int folder);
