/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A UDP socket in the host's set: many datagrams a system call, and little work a turn. */
#pragma once

#include "kdnet-address.h"

#include <kdsrv-support/kd-dial.h>

/**
 * KdnetSocketFuncs:
 * @receive: takes a datagram; @bytes are valid during the call
 * @ready: kdnet_socket_send() has said %FALSE and may now do better
 *
 * The owner's side. They must not free the socket.
 */
typedef struct {
    void (*receive)(const uint8_t *bytes, size_t len_bytes, const KdnetAddress *from, void *user);
    void (*ready)(void *user);
} KdnetSocketFuncs;

typedef struct KdnetSocket KdnetSocket;

KdnetSocket *kdnet_socket_new(const KdHost *host, uint16_t port, KdFamily family,
                              const KdnetSocketFuncs *funcs, void *user, GError **error);
void kdnet_socket_free(KdnetSocket *socket);
gboolean kdnet_socket_send(KdnetSocket *socket, const uint8_t *bytes, size_t len_bytes,
                           const KdnetAddress *to);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdnetSocket, kdnet_socket_free)
