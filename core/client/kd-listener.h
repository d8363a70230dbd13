/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a local debugger connects: a UNIX socket or a TCP port. */
#pragma once

#include <kdsrv/kd-plugin.h>

typedef struct KdListener KdListener;

/**
 * KdListenerFunc:
 * @fd: (transfer full): non-blocking and close-on-exec
 *
 * Takes the next debugger. The listener has stopped accepting before.
 */
typedef void (*KdListenerFunc)(int fd, void *user);

KdListener *kd_listener_new(const char *address, GError **error) G_GNUC_WARN_UNUSED_RESULT;
KdListener *kd_listener_new_private(gboolean is_tcp, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_listener_free(KdListener *listener);
const char *kd_listener_get_address(const KdListener *listener);
char *kd_listener_build_name(const KdListener *listener);
gboolean kd_listener_is_exposed(const KdListener *listener);
void kd_listener_accept(KdListener *listener, KdListenerFunc fn, void *user);
void kd_listener_pause(KdListener *listener);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdListener, kd_listener_free)
