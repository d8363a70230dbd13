/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Dialling and listening on sockets without blocking, for transports and links. */
#pragma once

#include <kdsrv/kd-plugin.h>

/* Address families that a dial or a listener may use */
typedef enum {
    KD_FAMILY_ANY = 0,
    KD_FAMILY_IPV4 = 4,
    KD_FAMILY_IPV6 = 6,
} KdFamily;

void kd_dial_host_async(const KdHost *host, const char *name, uint16_t port, KdFamily family,
                        gboolean is_checked, GCancellable *cancellable,
                        GAsyncReadyCallback callback, gpointer user_data);
void kd_dial_ports_async(const KdHost *host, const char *name, uint16_t low, uint16_t high,
                         KdFamily family, GCancellable *cancellable, GAsyncReadyCallback callback,
                         gpointer user_data);
void kd_dial_path_async(const char *path, GCancellable *cancellable, GAsyncReadyCallback callback,
                        gpointer user_data);
void kd_dial_path_as_async(const char *path, const char *name, GCancellable *cancellable,
                           GAsyncReadyCallback callback, gpointer user_data);
int kd_dial_finish(GAsyncResult *result, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_listen_check_address(const char *address, KdFamily family,
                                 GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_listen_ports(const char *address, uint16_t low, uint16_t high, KdFamily family,
                         KdListening *listening, uint16_t *port,
                         GError **error) G_GNUC_WARN_UNUSED_RESULT;
char *kd_dial_build_peer_name(int fd);
