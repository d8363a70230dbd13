/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A pseudo terminal for a debugger that wants a serial line. */
#pragma once

#include <kdsrv/kd-plugin.h>

typedef struct KdPty KdPty;

KdPty *kd_pty_new(const char *symlink_path, KdEndpoint *endpoint,
                  GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_pty_free(KdPty *pty);
const char *kd_pty_get_name(const KdPty *pty);
gboolean kd_pty_is_read(const KdPty *pty);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdPty, kd_pty_free)
