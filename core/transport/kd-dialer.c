/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Dials by a transport: the counterpart of KdListener, for clients, and for servers with clicon=.
 */
#include "kd-dialer.h"

#include "kd-endpoint.h"
#include "kd-host-keys.h"

/* One connection under way */
typedef struct {
    const KdTransport *transport;
    GVariant *stripped; /* what the transport was given: it may look at it until it is done */
} KdDialing;

static void
free_dialing(gpointer pointer)
{
    KdDialing *dialing = pointer;

    g_variant_unref(dialing->stripped);
    g_free(dialing);
}

static void
free_endpoint(gpointer pointer)
{
    KdEndpoint *endpoint = pointer;

    kd_endpoint_clear(endpoint);
    g_free(endpoint);
}

static void
on_connected(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GTask) task = user_data;
    const KdDialing *dialing = g_task_get_task_data(task);
    KdEndpoint *endpoint = g_new(KdEndpoint, 1);
    GError *error = NULL;

    (void)source;
    kd_endpoint_init(endpoint);
    if (dialing->transport->connect_finish(result, endpoint, &error)) {
        g_task_return_pointer(task, endpoint, free_endpoint);
        return;
    }
    free_endpoint(endpoint);
    g_task_return_error(task, error);
}

/**
 * kd_dialer_connect_async:
 * @host: given to the transport
 * @transport: of the string
 * @params: a{sv}, parsed, with the host's keys, which the transport does not see
 * @cancellable: (nullable): ends it
 * @callback: called when there is a connection, or none
 * @user_data: for @callback
 *
 * Dials. What comes of it is the base: nothing was said on it, TLS and all else come after.
 */
void
kd_dialer_connect_async(const KdHost *host, const KdTransport *transport, GVariant *params,
                        GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
    GTask *task = g_task_new(NULL, cancellable, callback, user_data);
    KdDialing *dialing = g_new0(KdDialing, 1);

    g_task_set_source_tag(task, kd_dialer_connect_async);
    dialing->transport = transport;
    dialing->stripped = kd_host_keys_strip(params);
    g_task_set_task_data(task, dialing, free_dialing);
    if ((transport->caps & KD_TRANSPORT_CONNECT) == 0) {
        g_task_return_new_error(task, KD_ERROR, KD_ERROR_NOT_SUPPORTED, "%s: can't dial",
                                transport->scheme);
        g_object_unref(task);
        return;
    }
    transport->connect_async(host, dialing->stripped, cancellable, on_connected, task);
}

/**
 * kd_dialer_connect_finish:
 * @result: given to the callback
 * @endpoint: (out caller-allocates): the connection; empty on error
 * @error: of the transport; %KD_ERROR_NOT_SUPPORTED: it can't dial
 *
 * Returns: whether there is a connection
 */
gboolean
kd_dialer_connect_finish(GAsyncResult *result, KdEndpoint *endpoint, GError **error)
{
    KdEndpoint *dialled = g_task_propagate_pointer(G_TASK(result), error);

    kd_endpoint_init(endpoint);
    if (dialled == NULL) {
        return FALSE;
    }
    *endpoint = *dialled;
    g_free(dialled);
    return TRUE;
}
