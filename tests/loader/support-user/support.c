/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A plugin that uses the installed support archive. */
#include <kdsrv-support/kd-dial.h>
#include <kdsrv-support/kd-ring-stream.h>

#include <glib/gstdio.h>

static const KdParamSpec support_params[] = {{.key = NULL}};

static void
support_connect_async(const KdHost *host, GVariant *params, GCancellable *cancellable,
                      GAsyncReadyCallback callback, gpointer user_data)
{
    (void)params;
    kd_dial_host_async(host, "localhost", 9, KD_FAMILY_ANY, TRUE, cancellable, callback, user_data);
}

static gboolean
support_connect_finish(GAsyncResult *result, KdEndpoint *endpoint, GError **error)
{
    static const KdRingStreamFuncs funcs = {0};
    int fd = kd_dial_finish(result, error);
    if (fd < 0) {
        return FALSE;
    }
    g_close(fd, NULL);
    kd_ring_stream_give(kd_ring_stream_new(16, 16, &funcs, NULL), endpoint, 0, NULL);
    return TRUE;
}

static const KdTransport support_transport = {
    .struct_size = sizeof(KdTransport),
    .caps = KD_TRANSPORT_CONNECT,
    .scheme = "support",
    .summary = "for tests of the package",
    .params = support_params,
    .connect_async = support_connect_async,
    .connect_finish = support_connect_finish,
};

static const KdTransport *const support_transports[] = {&support_transport, NULL};

KD_PLUGIN_DEFINE(.name = "support", .version = "0.1.0", .license = "LGPL-2.1-or-later",
                 .transports = support_transports);
