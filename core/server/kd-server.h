/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The server: listeners, the sessions they bring, limits, and an orderly end. */
#pragma once

#include "kd-params.h"
#include "kd-password.h"
#include "kd-registry.h"

typedef struct KdServer KdServer;

/**
 * KdServerFunc:
 *
 * Told once that a server has stopped.
 */
typedef void (*KdServerFunc)(KdServer *server, void *user);

/**
 * KdServerDoneFunc:
 * @error: (nullable): why; %NULL: all ended in good order
 *
 * Told that there is nothing left to serve. Only a server whose entrances all dial comes to that.
 */
typedef void (*KdServerDoneFunc)(KdServer *server, const GError *error, void *user);

KdServer *kd_server_new(const KdRegistry *registry, const KdParamsSource *source);
void kd_server_free(KdServer *server);
gboolean kd_server_add_transport(KdServer *server, const char *text,
                                 GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_server_set_password(KdServer *server, KdPassword *password);
void kd_server_set_done_func(KdServer *server, KdServerDoneFunc on_done, void *user);
void kd_server_start_async(KdServer *server, GCancellable *cancellable,
                           GAsyncReadyCallback callback, gpointer user_data);
gboolean kd_server_start_finish(KdServer *server, GAsyncResult *result,
                                GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_server_reload(KdServer *server, GError **error) G_GNUC_WARN_UNUSED_RESULT;
char *kd_server_build_ready_line(const KdServer *server);
guint kd_server_get_n_sessions(const KdServer *server);
void kd_server_stop(KdServer *server, const char *text, KdServerFunc on_stopped, void *user);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdServer, kd_server_free)
