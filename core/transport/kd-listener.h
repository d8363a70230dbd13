/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One transport that listens: the core accepts on its sockets, whatever the transport. */
#pragma once

#include "kd-loop.h"
#include "kd-params.h"

typedef struct KdListener KdListener;

/**
 * KdListenerFunc:
 * @endpoint: (transfer full): the client's connection, nothing said on it; taken by leaving it
 * empty
 * @peer: who it is, for people: `127.0.0.1:40312`
 * @source: who it is, for limits: an IPv4 address, an IPv6 /64, a user of this machine
 *
 * Takes a new client.
 */
typedef void (*KdListenerFunc)(KdListener *listener, KdEndpoint *endpoint, const char *peer,
                               const char *source, void *user);

KdListener *kd_listener_new(const KdHost *host, const KdTransport *transport, GVariant *params,
                            KdListenerFunc on_client, void *user);
void kd_listener_free(KdListener *listener);
void kd_listener_listen_async(KdListener *listener, GCancellable *cancellable,
                              GAsyncReadyCallback callback, gpointer user_data);
gboolean kd_listener_listen_finish(KdListener *listener, GAsyncResult *result,
                                   GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_listener_is_local(const KdListener *listener);
char *kd_listener_build_name(const KdListener *listener);
