/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who else has a terminal device open. */
#pragma once

#include <gio/gio.h>

void serial_owner_find_async(int path_fd, GCancellable *cancellable, GAsyncReadyCallback callback,
                             gpointer user_data);
gboolean serial_owner_find_finish(GAsyncResult *result, char **owner, GError **error);
