/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The server: entrances, the sessions they bring, limits, and an orderly end. */
#include "kd-server.h"

#include "kd-clicon.h"
#include "kd-ready-line.h"
#include "kd-reception.h"
#include "kd-secret.h"
#include "kd-server-private.h"

/* For sessions to end after SIGTERM. */
#define MAX_STOP_S 10u

static void start_next(GTask *task);
static gboolean on_check_stopped(gpointer user_data);

/**
 * kd_server_new:
 * @registry: loaded; lives longer than the server
 * @source: (nullable): copied: what strings of clients leave out
 *
 * Returns: (transfer full): a server without entrances
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
    server->entrances = g_ptr_array_new_with_free_func((GDestroyNotify)kd_entrance_free);
    server->sessions = g_hash_table_new(NULL, NULL);
    server->strangers = kd_strangers_new();
    server->penalties = kd_penalties_new();
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
    g_ptr_array_unref(server->entrances);
    g_hash_table_unref(server->sessions);
    kd_strangers_free(server->strangers);
    kd_penalties_free(server->penalties);
    kd_heap_clear(&server->heap);
    kd_password_unref(server->password);
    kd_inventory_free(server->scope.inventory);
    kd_link_table_free(server->scope.links);
    g_free(server);
}

/* ---- the end ---- */

/**
 * kd_server_wake:
 * @server: a server
 *
 * Lets a server that is to stop look, a little later, whether it can.
 */
void
kd_server_wake(KdServer *server)
{
    if (server->check_id == 0) {
        server->check_id = g_idle_add(on_check_stopped, server);
    }
}

static guint
count_callers(const KdServer *server)
{
    guint n = 0;

    for (guint i = 0; i < server->entrances->len; i++) {
        const KdEntrance *entrance = g_ptr_array_index(server->entrances, i);

        n += entrance->caller != NULL ? 1 : 0;
    }
    return n;
}

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
         count_callers(server) > 0 || kd_link_table_get_n_links(server->scope.links) > 0)) {
        return;
    }
    kd_tick_remove(&server->stopping);
    g_steal_pointer (&server->on_stopped)(server, server->user);
}

/**
 * kd_server_begin_session:
 * @server: a server
 * @peer: who it is, for people
 * @door: (nullable): what guards the transport
 * @endpoint: (transfer full): nothing was said on it; untouched on error
 * @funcs: its ended function calls kd_server_forget_session()
 * @user: for @funcs
 * @error: where to put an error
 *
 * Begins a session that the server waits for when it stops.
 *
 * Returns: (transfer none) (nullable): the session
 */
KdSession *
kd_server_begin_session(KdServer *server, const char *peer, KdDoor *door, KdEndpoint *endpoint,
                        const KdSessionFuncs *funcs, void *user, GError **error)
{
    KdSession *session =
        kd_session_new(&server->scope, ++server->last_id, peer, door, endpoint, funcs, user, error);

    if (session != NULL) {
        g_hash_table_add(server->sessions, session);
        kd_heap_note(&server->heap, g_hash_table_size(server->sessions));
    }
    return session;
}

/**
 * kd_server_forget_session:
 * @server: a server
 * @session: has ended
 */
void
kd_server_forget_session(KdServer *server, KdSession *session)
{
    kd_strangers_remove(server->strangers, session);
    g_hash_table_remove(server->sessions, session);
    kd_heap_note(&server->heap, g_hash_table_size(server->sessions));
    check_stopped(server);
}

/* ---- starting ---- */

/**
 * kd_server_add_transport:
 * @server: not started yet
 * @text: of `-t`
 * @error: KD_ERROR_PARAM_*: the text is wrong; KD_ERROR_NOT_SUPPORTED: this version can't
 *
 * Adds a transport to listen on, or to dial by; nothing is opened yet.
 *
 * Returns: whether it was added
 */
gboolean
kd_server_add_transport(KdServer *server, const char *text, GError **error)
{
    KdEntrance *entrance = kd_entrance_new(server->registry, text, server, error);

    if (entrance == NULL) {
        return FALSE;
    }
    g_ptr_array_add(server->entrances, entrance);
    return TRUE;
}

/**
 * kd_server_set_password:
 * @server: a server
 * @password: (nullable): what clients must know where the string of `-t` names none
 *
 * Counts from the next start or reload on.
 */
void
kd_server_set_password(KdServer *server, KdPassword *password)
{
    kd_password_unref(server->password);
    server->password = password != NULL ? kd_password_ref(password) : NULL;
}

/**
 * kd_server_set_done_func:
 * @server: not started yet
 * @on_done: called when it has no entrance any more, which happens only with clicon=
 * @user: for @on_done
 */
void
kd_server_set_done_func(KdServer *server, KdServerDoneFunc on_done, void *user)
{
    server->on_done = on_done;
    server->done_user = user;
}

/* A key or a password, as far as that is known before they are read */
static gboolean
has_secret(const KdServer *server)
{
    for (guint i = 0; i < server->entrances->len; i++) {
        if (kd_entrance_has_secret(g_ptr_array_index(server->entrances, i))) {
            return TRUE;
        }
    }
    return server->password != NULL;
}

/**
 * kd_server_reload:
 * @server: a server
 * @error: %KD_ERROR_TLS, or of a file: everything stays as it was; KD_ERROR_PARAM_*: a string is
 * wrong
 *
 * Reads certificates, keys and password files anew, all of them or none. They count for those who
 * come from now on; sessions keep what they came in by.
 *
 * Returns: whether all could be read
 */
gboolean
kd_server_reload(KdServer *server, GError **error)
{
    gboolean is_good = TRUE;

    if (has_secret(server)) {
        kd_secret_guard_process();
    }
    for (guint i = 0; is_good && i < server->entrances->len; i++) {
        is_good =
            kd_entrance_make_door(g_ptr_array_index(server->entrances, i), server->password, error);
    }
    for (guint i = 0; i < server->entrances->len; i++) {
        kd_entrance_take_door(g_ptr_array_index(server->entrances, i), is_good);
    }
    return is_good;
}

static void
close_listeners(KdServer *server)
{
    for (guint i = 0; i < server->entrances->len; i++) {
        KdEntrance *entrance = g_ptr_array_index(server->entrances, i);

        g_clear_pointer(&entrance->listener, kd_listener_free);
    }
}

static void
on_started(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GTask) task = user_data;
    KdServer *server = g_task_get_task_data(task);
    KdEntrance *entrance = g_ptr_array_index(server->entrances, server->n_started);
    g_autoptr(GError) error = NULL;

    (void)source;
    if (kd_listener_listen_finish(entrance->listener, result, &error) && !server->is_stopping) {
        kd_entrance_warn(entrance);
        server->n_started++;
        start_next(g_steal_pointer(&task));
        return;
    }
    g_clear_object(&server->starting);
    if (!server->is_stopping) {
        g_task_return_error(task, g_steal_pointer(&error));
        return;
    }
    close_listeners(server);
    kd_server_wake(server);
    g_task_return_new_error(task, G_IO_ERROR, G_IO_ERROR_CANCELLED, "the server is ending");
}

/* Only when everything else is open: what could fail has not. */
static void
start_callers(KdServer *server)
{
    for (guint i = 0; i < server->entrances->len; i++) {
        KdEntrance *entrance = g_ptr_array_index(server->entrances, i);

        if (entrance->is_clicon) {
            kd_entrance_warn(entrance);
            entrance->caller = kd_caller_new(entrance->host, entrance->transport, entrance->params,
                                             kd_clicon_take, entrance);
            kd_caller_start(entrance->caller, KD_CALLER_PATIENCE_MS);
        }
    }
}

/* One after the other, so that a port range takes the ports in the order of the command line. */
static void
start_next(GTask *task)
{
    KdServer *server = g_task_get_task_data(task);
    KdEntrance *entrance = NULL;

    for (; entrance == NULL && server->n_started < server->entrances->len; server->n_started++) {
        entrance = g_ptr_array_index(server->entrances, server->n_started);
        if (!entrance->is_clicon) {
            break;
        }
        entrance = NULL;
    }
    if (entrance == NULL) {
        start_callers(server);
        g_clear_object(&server->starting);
        g_task_return_boolean(task, TRUE);
        g_object_unref(task);
        return;
    }
    entrance->listener = kd_listener_new(entrance->host, entrance->transport, entrance->params,
                                         kd_reception_take, entrance);
    kd_listener_listen_async(entrance->listener, server->starting, on_started, task);
}

/**
 * kd_server_start_async:
 * @server: with transports
 * @cancellable: (nullable): ends it; kd_server_stop() cancels it, too
 * @callback: called when all of them listen
 * @user_data: for @callback
 *
 * Reads certificates, keys and passwords, then opens all listeners, then dials.
 */
void
kd_server_start_async(KdServer *server, GCancellable *cancellable, GAsyncReadyCallback callback,
                      gpointer user_data)
{
    GTask *task = g_task_new(NULL, cancellable, callback, user_data);
    GError *error = NULL;

    g_task_set_task_data(task, server, NULL);
    if (!kd_server_reload(server, &error)) {
        g_task_return_error(task, error);
        g_object_unref(task);
        return;
    }
    server->starting = cancellable != NULL ? g_object_ref(cancellable) : g_cancellable_new();
    start_next(task);
}

/**
 * kd_server_start_finish:
 * @server: the server
 * @result: given to the callback
 * @error: where to put an error: of a listener, or as kd_server_reload() gives it
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
 * kd_server_build_ready_line:
 * @server: started
 *
 * Returns: (transfer full): the transports as listed, and which of them let everybody in
 */
char *
kd_server_build_ready_line(const KdServer *server)
{
    return kd_ready_line_build(server->entrances);
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

/* Where the client has answered, its session ends like all others. */
static void
stop_callers(KdServer *server)
{
    for (guint i = 0; i < server->entrances->len; i++) {
        KdEntrance *entrance = g_ptr_array_index(server->entrances, i);

        if (entrance->caller != NULL) {
            kd_caller_stop(entrance->caller);
        }
    }
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
        close_listeners(server);
    }
    stop_callers(server);
    kd_tick_add(&server->stopping, on_stopping_tick);
    for (GList *l = sessions; l != NULL; l = l->next) {
        kd_session_close(l->data, KD_CLOSE_GOING_AWAY, text);
    }
    kd_link_table_close_idle(server->scope.links);
    kd_server_wake(server);
    if (server->starting != NULL) {
        /* The listener that is being opened is closed when its transport has answered. */
        g_autoptr(GCancellable) starting = g_object_ref(server->starting);

        g_cancellable_cancel(starting);
    }
}
