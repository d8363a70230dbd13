/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The server: listeners, the sessions they bring, limits, and an orderly end. */
#include "kd-server.h"

#include "kd-framing.h"
#include "kd-host-keys.h"
#include "kd-listener.h"
#include "kd-session.h"
#include "kd-strangers.h"
#include "kd-tick.h"

#include <errno.h>
#include <sys/socket.h>

/* For sessions to end after SIGTERM. */
#define MAX_STOP_S 10u

struct KdServer {
    const KdRegistry *registry;
    KdSessionScope scope;
    GPtrArray *listeners; /* (element-type KdListener) */
    guint n_started;
    GCancellable *starting; /* NULL: kd_server_start_async() is not under way */
    GHashTable *sessions;   /* (element-type KdSession) */
    KdStrangers *strangers;
    uint64_t last_id;
    KdTick stopping;
    guint n_stopping_ticks;
    gboolean is_stopping;
    guint check_id;
    KdServerFunc on_stopped;
    void *user;
};

static void start_next(GTask *task);
static gboolean on_check_stopped(gpointer user_data);

/**
 * kd_server_new:
 * @registry: loaded; lives longer than the server
 * @source: (nullable): copied: what strings of clients leave out
 *
 * Returns: (transfer full): a server without listeners
 */
KdServer *
kd_server_new(const KdRegistry *registry, const KdParamsSource *source)
{
    KdServer *server = g_new0(KdServer, 1);

    server->registry = registry;
    server->scope.registry = registry;
    server->scope.links = kd_link_table_new(kd_registry_get_host(registry));
    server->scope.inventory = kd_inventory_new(registry);
    if (source != NULL) {
        server->scope.source = *source;
    }
    server->listeners = g_ptr_array_new_with_free_func((GDestroyNotify)kd_listener_free);
    server->sessions = g_hash_table_new(NULL, NULL);
    server->strangers = kd_strangers_new();
    return server;
}

/**
 * kd_server_free:
 * @server: (nullable): stopped, or never started
 *
 * Frees a server.
 */
void
kd_server_free(KdServer *server)
{
    if (server == NULL) {
        return;
    }
    g_clear_handle_id(&server->check_id, g_source_remove);
    kd_tick_remove(&server->stopping);
    g_clear_object(&server->starting);
    g_ptr_array_unref(server->listeners);
    g_hash_table_unref(server->sessions);
    kd_strangers_free(server->strangers);
    kd_inventory_free(server->scope.inventory);
    kd_link_table_free(server->scope.links);
    g_free(server);
}

/* ---- clients ---- */

static void
check_stopped(KdServer *server)
{
    if (!server->is_stopping || server->on_stopped == NULL) {
        return;
    }
    /* Also those that a session let go of only now. */
    kd_link_table_close_idle(server->scope.links);
    if (server->n_stopping_ticks < MAX_STOP_S &&
        (server->starting != NULL || g_hash_table_size(server->sessions) > 0 ||
         kd_link_table_get_n_links(server->scope.links) > 0)) {
        return;
    }
    kd_tick_remove(&server->stopping);
    g_steal_pointer (&server->on_stopped)(server, server->user);
}

static void
on_authenticated(KdSession *session, void *user)
{
    KdServer *server = user;

    kd_strangers_remove(server->strangers, session);
}

static void
on_ended(KdSession *session, void *user)
{
    KdServer *server = user;

    kd_strangers_remove(server->strangers, session);
    g_hash_table_remove(server->sessions, session);
    check_stopped(server);
}

/* Says why in one go and hangs up; whoever is refused costs nothing afterwards. */
static void
refuse(KdEndpoint *endpoint, KdCloseCode code, const char *text)
{
    KdFraming *framing = kd_framing_new(KD_ROLE_SERVER);
    KdClose close = {.code = code, .retry_after_s = 1, .text = (char *)text};
    g_autoptr(GBytes) payload = kd_close_build(&close);
    uint8_t unread[1024];

    kd_framing_queue_preamble(framing);
    kd_framing_queue(framing, KD_FRAME_CLOSE, g_bytes_get_data(payload, NULL),
                     g_bytes_get_size(payload));
    if (endpoint->fd >= 0) {
        (void)send(endpoint->fd, framing->out->data, framing->out->len,
                   MSG_DONTWAIT | MSG_NOSIGNAL);
        (void)shutdown(endpoint->fd, SHUT_WR);
        /* What the client has said already must be read, or closing would reset the connection
         * before the client has read why. */
        (void)recv(endpoint->fd, unread, sizeof unread, MSG_DONTWAIT);
    } else {
        (void)endpoint->ops->write(endpoint->stream, framing->out->data, framing->out->len);
    }
    kd_framing_free(framing);
    kd_endpoint_clear(endpoint);
}

static void
on_client(KdListener *listener, KdEndpoint *endpoint, const char *peer, const char *source,
          void *user)
{
    static const KdSessionFuncs funcs = {.authenticated = on_authenticated, .ended = on_ended};
    KdServer *server = user;
    g_autoptr(GError) error = NULL;
    KdSession *session;
    KdSession *surplus;

    (void)listener;
    if (server->is_stopping) {
        /* A listener that was there before stays until the start has ended. */
        refuse(endpoint, KD_CLOSE_GOING_AWAY, "the server is ending");
        return;
    }
    if (kd_strangers_get_of_source(server->strangers, source) >= KD_STRANGERS_MAX_PER_SOURCE) {
        refuse(endpoint, KD_CLOSE_LIMIT, "too many connections from there wait to log in");
        return;
    }
    session = kd_session_new(&server->scope, ++server->last_id, peer, NULL, endpoint, &funcs,
                             server, &error);
    if (session == NULL) {
        g_message("%s: %s", peer, error->message);
        return;
    }
    g_hash_table_add(server->sessions, session);
    kd_strangers_add(server->strangers, source, session);
    surplus = kd_strangers_get_surplus(server->strangers);
    if (surplus != NULL) {
        kd_strangers_remove(server->strangers, surplus);
        kd_session_drop(surplus, "too many connections wait to log in");
    }
}

/* ---- starting ---- */

static void
wake_check(KdServer *server)
{
    if (server->check_id == 0) {
        server->check_id = g_idle_add(on_check_stopped, server);
    }
}

static gboolean
check_offered(const KdTransport *transport, GVariant *params, GError **error)
{
    if ((transport->caps & KD_TRANSPORT_TLS) != 0) {
        g_set_error(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED, "%s: this version has no TLS yet",
                    transport->scheme);
        return FALSE;
    }
    if (kd_params_get_form(transport->params, KD_FORM_SERVER, params) == KD_FORM_SERVER_CLICON) {
        g_set_error(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED,
                    "%s: clicon= is not available in this version", transport->scheme);
        return FALSE;
    }
    for (const KdParamSpec *spec = transport->params; spec->key != NULL; spec++) {
        g_autoptr(GVariant) value = g_variant_lookup_value(params, spec->key, NULL);

        if (value != NULL && (spec->flags & KD_PARAM_SECRET) != 0) {
            /* Better no server than one that only looks guarded. */
            g_set_error(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED,
                        "%s: %s= is not available in this version: leave it out and guard the "
                        "port by other means",
                        transport->scheme, spec->key);
            return FALSE;
        }
        if (value != NULL && g_str_equal(spec->key, "IcfEnable") && g_variant_get_boolean(value)) {
            g_message("%s: IcfEnable: this version does not open the firewall: open the port by "
                      "hand",
                      transport->scheme);
        }
    }
    return TRUE;
}

/**
 * kd_server_add_transport:
 * @server: not started yet
 * @text: of `-t`
 * @error: KD_ERROR_PARAM_*: the text is wrong; KD_ERROR_NOT_SUPPORTED: this version can't
 *
 * Adds a transport to listen on; nothing is opened yet.
 *
 * Returns: whether it was added
 */
gboolean
kd_server_add_transport(KdServer *server, const char *text, GError **error)
{
    g_autofree char *scheme = NULL;
    g_autofree char *items = NULL;
    g_autoptr(GVariant) params = NULL;
    const KdTransport *transport;

    if (!kd_params_split(text, &scheme, &items, error)) {
        return FALSE;
    }
    transport = kd_registry_find_transport(server->registry, scheme, error);
    if (transport == NULL) {
        return FALSE;
    }
    if ((transport->caps & KD_TRANSPORT_LISTEN) == 0) {
        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID, "%s: can't listen", scheme);
        return FALSE;
    }
    params = kd_params_parse(scheme, transport->params, KD_FORM_SERVER, items, NULL, error);
    if (params == NULL || !kd_host_keys_check_stripped(transport, params, error) ||
        !check_offered(transport, params, error)) {
        return FALSE;
    }
    g_ptr_array_add(server->listeners, kd_listener_new(kd_registry_get_host(server->registry),
                                                       transport, params, on_client, server));
    return TRUE;
}

static void
on_started(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GTask) task = user_data;
    KdServer *server = g_task_get_task_data(task);
    g_autoptr(GError) error = NULL;

    (void)source;
    if (kd_listener_listen_finish(g_ptr_array_index(server->listeners, server->n_started), result,
                                  &error) &&
        !server->is_stopping) {
        server->n_started++;
        start_next(g_steal_pointer(&task));
        return;
    }
    g_clear_object(&server->starting);
    if (!server->is_stopping) {
        g_task_return_error(task, g_steal_pointer(&error));
        return;
    }
    g_ptr_array_set_size(server->listeners, 0);
    wake_check(server);
    g_task_return_new_error(task, G_IO_ERROR, G_IO_ERROR_CANCELLED, "the server is ending");
}

/* One after the other, so that a port range takes the ports in the order of the command line. */
static void
start_next(GTask *task)
{
    KdServer *server = g_task_get_task_data(task);

    if (server->n_started == server->listeners->len) {
        g_clear_object(&server->starting);
        g_task_return_boolean(task, TRUE);
        g_object_unref(task);
        return;
    }
    kd_listener_listen_async(g_ptr_array_index(server->listeners, server->n_started),
                             server->starting, on_started, task);
}

/**
 * kd_server_start_async:
 * @server: with transports
 * @cancellable: (nullable): ends it; kd_server_stop() cancels it, too
 * @callback: called when all of them listen
 * @user_data: for @callback
 *
 * Opens all listeners.
 */
void
kd_server_start_async(KdServer *server, GCancellable *cancellable, GAsyncReadyCallback callback,
                      gpointer user_data)
{
    GTask *task = g_task_new(NULL, cancellable, callback, user_data);

    g_task_set_task_data(task, server, NULL);
    server->starting = cancellable != NULL ? g_object_ref(cancellable) : g_cancellable_new();
    start_next(task);
}

/**
 * kd_server_start_finish:
 * @server: the server
 * @result: given to the callback
 * @error: where to put an error
 *
 * Returns: whether all of them listen
 */
gboolean
kd_server_start_finish(KdServer *server, GAsyncResult *result, GError **error)
{
    (void)server;
    return g_task_propagate_boolean(G_TASK(result), error);
}

/**
 * kd_server_build_names:
 * @server: started
 *
 * Returns: (transfer full): the transports as listed, separated by spaces
 */
char *
kd_server_build_names(const KdServer *server)
{
    g_autoptr(GString) names = g_string_new(NULL);

    for (guint i = 0; i < server->listeners->len; i++) {
        g_autofree char *name = kd_listener_build_name(g_ptr_array_index(server->listeners, i));

        g_string_append_printf(names, "%s%s", i > 0 ? " " : "", name);
    }
    return g_strdup(names->str);
}

/**
 * kd_server_get_n_sessions:
 * @server: a server
 *
 * Returns: how many clients there are, strangers included
 */
guint
kd_server_get_n_sessions(const KdServer *server)
{
    return g_hash_table_size(server->sessions);
}

/* ---- stopping ---- */

static void
on_stopping_tick(KdTick *tick)
{
    KdServer *server = (KdServer *)(void *)((char *)tick - offsetof(KdServer, stopping));

    server->n_stopping_ticks++;
    check_stopped(server);
}

static gboolean
on_check_stopped(gpointer user_data)
{
    KdServer *server = user_data;

    server->check_id = 0;
    check_stopped(server);
    return G_SOURCE_REMOVE;
}

/**
 * kd_server_stop:
 * @server: a server
 * @text: why, for the clients
 * @on_stopped: called when every session and link is closed, after 10 s at the latest
 * @user: for @on_stopped
 *
 * Takes no more clients, and ends every session in an orderly way.
 */
void
kd_server_stop(KdServer *server, const char *text, KdServerFunc on_stopped, void *user)
{
    g_autoptr(GList) sessions = g_hash_table_get_keys(server->sessions);

    if (server->is_stopping) {
        return;
    }
    server->is_stopping = TRUE;
    server->on_stopped = on_stopped;
    server->user = user;
    if (server->starting == NULL) {
        g_ptr_array_set_size(server->listeners, 0);
    }
    kd_tick_add(&server->stopping, on_stopping_tick);
    for (GList *l = sessions; l != NULL; l = l->next) {
        kd_session_close(l->data, KD_CLOSE_GOING_AWAY, text);
    }
    kd_link_table_close_idle(server->scope.links);
    wake_check(server);
    if (server->starting != NULL) {
        /* The listener that is being opened is closed when its transport has answered. */
        g_autoptr(GCancellable) starting = g_object_ref(server->starting);

        g_cancellable_cancel(starting);
    }
}
