/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a local debugger connects: a UNIX socket or a TCP port. */
#pragma once

#include <kdsrv/kd-plugin.h>

typedef struct KdDebugSocket KdDebugSocket;

/**
 * KdDebugSocketFunc:
 * @fd: (transfer full): non-blocking and close-on-exec
 *
 * Takes the next debugger. The socket has stopped accepting before.
 */
typedef void (*KdDebugSocketFunc)(int fd, void *user);

KdDebugSocket *kd_debug_socket_new(const char *address, GError **error) G_GNUC_WARN_UNUSED_RESULT;
KdDebugSocket *kd_debug_socket_new_private(gboolean is_tcp,
                                           GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_debug_socket_free(KdDebugSocket *debug_socket);
const char *kd_debug_socket_get_address(const KdDebugSocket *debug_socket);
char *kd_debug_socket_build_name(const KdDebugSocket *debug_socket);
gboolean kd_debug_socket_is_tcp(const KdDebugSocket *debug_socket);
gboolean kd_debug_socket_is_exposed(const KdDebugSocket *debug_socket);
void kd_debug_socket_accept(KdDebugSocket *debug_socket, KdDebugSocketFunc fn, void *user);
void kd_debug_socket_pause(KdDebugSocket *debug_socket);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdDebugSocket, kd_debug_socket_free)
