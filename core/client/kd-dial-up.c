/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a transport string to a connection with the server. */
#include "kd-dial-up.h"

#include "kd-end.h"
#include "kd-host-keys.h"
#include "kd-params.h"

static const char *
get_variable(const char *variable, void *user)
{
    (void)user;
    return g_getenv(variable);
}

static const KdTransport *
parse_server(const KdRegistry *registry, const char *server, GVariant **params, GError **error)
{
    KdParamsSource source = {.environment = get_variable, .machine = g_get_host_name()};
    g_autofree char *scheme = NULL;
    g_autofree char *items = NULL;
    g_autoptr(GVariant) parsed = NULL;
    const KdTransport *transport;

    if (!kd_params_split(server, &scheme, &items, error)) {
        return NULL;
    }
    transport = kd_registry_find_transport(registry, scheme, error);
    if (transport == NULL) {
        return NULL;
    }
    parsed = kd_params_parse(scheme, transport->params, KD_FORM_CLIENT, items, &source, error);
    if (parsed == NULL || !kd_host_keys_check_stripped(transport, parsed, error)) {
        return NULL;
    }
    if (kd_params_get_form(transport->params, KD_FORM_CLIENT, parsed) == KD_FORM_CLIENT_CLICON) {
        g_set_error(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED,
                    "%s: clicon: this kd can't wait for a server that dials, use server=HOST",
                    scheme);
        return NULL;
    }
    if (!(transport->caps & KD_TRANSPORT_CONNECT) || (transport->caps & KD_TRANSPORT_TLS)) {
        g_set_error(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED, "%s: this kd can't dial with it",
                    scheme);
        return NULL;
    }
    *params = g_steal_pointer(&parsed);
    return transport;
}

static void
free_endpoint(gpointer data)
{
    KdEndpoint *endpoint = data;

    kd_endpoint_clear(endpoint);
    g_free(endpoint);
}

static void
on_connected(GObject *source, GAsyncResult *result, gpointer data)
{
    g_autoptr(GTask) task = data;
    const KdTransport *transport = g_task_get_task_data(task);
    KdEndpoint *endpoint = g_new(KdEndpoint, 1);
    GError *error = NULL;

    (void)source;
    kd_endpoint_init(endpoint);
    if (transport->connect_finish(result, endpoint, &error)) {
        g_task_return_pointer(task, endpoint, free_endpoint);
        return;
    }
    g_free(endpoint);
    g_task_return_error(task, error);
}

/**
 * kd_dial_up_check:
 * @registry: loaded plugins
 * @server: a transport string in its client form
 * @error: return location
 *
 * Returns: whether the string can be dialled; else one of the KD_ERROR_PARAM_ codes, or
 * %KD_ERROR_NOT_SUPPORTED
 */
gboolean
kd_dial_up_check(const KdRegistry *registry, const char *server, GError **error)
{
    g_autoptr(GVariant) params = NULL;

    return parse_server(registry, server, &params, error) != NULL;
}

/**
 * kd_dial_up_build_name:
 * @registry: loaded plugins
 * @server: a transport string
 *
 * Returns: (transfer full): the string as typed, without its secrets
 */
char *
kd_dial_up_build_name(const KdRegistry *registry, const char *server)
{
    g_autofree char *scheme = NULL;
    g_autofree char *items = NULL;
    const KdTransport *transport = NULL;

    if (!kd_params_split(server, &scheme, &items, NULL)) {
        return kd_params_build_masked(NULL, NULL, server);
    }
    transport = kd_registry_find_transport(registry, scheme, NULL);
    return kd_params_build_masked(scheme, transport != NULL ? transport->params : NULL, items);
}

/**
 * kd_dial_up_async:
 * @registry: loaded plugins
 * @server: a transport string in its client form
 * @cancellable: (nullable): a cancellable
 * @callback: called when there is a connection, or none
 * @user_data: for @callback
 *
 * Parses a transport string by the table of its plugin, and dials.
 */
void
kd_dial_up_async(const KdRegistry *registry, const char *server, GCancellable *cancellable,
                 GAsyncReadyCallback callback, gpointer user_data)
{
    GTask *task = g_task_new(NULL, cancellable, callback, user_data);
    g_autoptr(GVariant) params = NULL;
    g_autoptr(GVariant) stripped = NULL;
    GError *error = NULL;
    const KdTransport *transport = parse_server(registry, server, &params, &error);

    g_task_set_source_tag(task, kd_dial_up_async);
    if (transport == NULL) {
        g_task_return_error(task, error);
        g_object_unref(task);
        return;
    }
    g_task_set_task_data(task, (gpointer)transport, NULL);
    stripped = kd_host_keys_strip(params);
    transport->connect_async(kd_registry_get_host(registry), stripped, cancellable, on_connected,
                             task);
}

/**
 * kd_dial_up_finish:
 * @result: what the callback was given
 * @endpoint: (out caller-allocates): the connection, on which no bytes were exchanged
 * @error: return location
 *
 * Returns: %FALSE with an error of the string (KD_ERROR_PARAM_ codes), or of the transport
 */
gboolean
kd_dial_up_finish(GAsyncResult *result, KdEndpoint *endpoint, GError **error)
{
    KdEndpoint *dialled = g_task_propagate_pointer(G_TASK(result), error);

    if (dialled == NULL) {
        return FALSE;
    }
    *endpoint = *dialled;
    g_free(dialled);
    return TRUE;
}
