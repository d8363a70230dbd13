/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One transport that listens: the core accepts on its sockets, whatever the transport. */
#include "kd-listener.h"

#include "kd-end.h"
#include "kd-host-keys.h"
#include "kd-source-name.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

/* New clients in one turn, so that those who are there already are served between. */
#define MAX_ACCEPT_AT_ONCE 4
/* Pause after the process or the machine has run out of something. */
#define MIN_PAUSE_MS 100u
#define MAX_PAUSE_MS 2000u

typedef struct {
    KdLoopWatch watch;
    KdListener *listener; /* NULL: closed */
} KdListenFd;

struct KdListener {
    const KdHost *host;
    const KdTransport *transport;
    GVariant *params;
    GVariant *bound;
    GObject *object;
    KdListenerFunc on_client;
    void *user;
    KdListenFd *fds[KD_LISTEN_FDS];
    guint n_fds;
    GCancellable *accepting; /* of accept_async */
    KdListener **self;       /* what accept_async is given: NULL after the listener has gone */
    int reserve_fd;
    guint pause_ms;
    guint pause_id;
};

static void accept_next(KdListener *listener);

/**
 * kd_listener_new:
 * @host: given to the transport
 * @transport: can listen
 * @params: a{sv} for it, with the host's keys, which it does not see
 * @on_client: told of each client
 * @user: for @on_client
 *
 * Returns: (transfer full): a listener that does not listen yet
 */
KdListener *
kd_listener_new(const KdHost *host, const KdTransport *transport, GVariant *params,
                KdListenerFunc on_client, void *user)
{
    KdListener *listener = g_new0(KdListener, 1);

    listener->host = host;
    listener->transport = transport;
    listener->params = g_variant_ref_sink(params);
    listener->on_client = on_client;
    listener->user = user;
    listener->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    listener->pause_ms = MIN_PAUSE_MS;
    return listener;
}

/**
 * kd_listener_free:
 * @listener: (nullable): not while kd_listener_listen_async() is under way
 *
 * Stops listening; clients that were accepted stay.
 */
void
kd_listener_free(KdListener *listener)
{
    if (listener == NULL) {
        return;
    }
    g_clear_handle_id(&listener->pause_id, g_source_remove);
    for (guint i = 0; i < listener->n_fds; i++) {
        KdListenFd *fd = listener->fds[i];

        fd->listener = NULL;
        kd_loop_remove(&fd->watch);
        close(fd->watch.fd);
    }
    if (listener->accepting != NULL) {
        *listener->self = NULL; /* on_accepted() frees it, maybe before cancel returns */
        g_cancellable_cancel(listener->accepting);
        g_object_unref(listener->accepting);
    }
    if (listener->object != NULL && listener->transport->unlisten != NULL) {
        listener->transport->unlisten(listener->object);
    }
    if (listener->reserve_fd >= 0) {
        close(listener->reserve_fd);
    }
    g_clear_object(&listener->object);
    g_clear_pointer(&listener->bound, g_variant_unref);
    g_variant_unref(listener->params);
    g_free(listener);
}

/**
 * kd_listener_build_name:
 * @listener: a listener
 *
 * Returns: (transfer full): the transport as listed: `tcp:Port=51002:51010`
 */
char *
kd_listener_build_name(const KdListener *listener)
{
    return kd_params_build_listing(listener->transport->scheme, listener->transport->params,
                                   listener->params, listener->bound);
}

static gboolean
is_local_fd(int fd)
{
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    const struct sockaddr_in *in = (const struct sockaddr_in *)&address;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&address;
    socklen_t len = sizeof address;

    if (getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        return FALSE;
    }
    if (address.ss_family == AF_INET) {
        return ntohl(in->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    return address.ss_family == AF_UNIX ||
           (address.ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr));
}

/**
 * kd_listener_is_local:
 * @listener: listens
 *
 * Returns: whether only this machine can reach it: by loopback addresses, a UNIX socket, or what
 * the transport says
 */
gboolean
kd_listener_is_local(const KdListener *listener)
{
    gboolean is_local = listener->n_fds > 0;

    for (guint i = 0; i < listener->n_fds; i++) {
        is_local = is_local && is_local_fd(listener->fds[i]->watch.fd);
    }
    return is_local || (listener->transport->caps & KD_TRANSPORT_LOCAL) != 0;
}

/* ---- accepting ---- */

static gboolean
on_pause_over(gpointer user_data)
{
    KdListener *listener = user_data;

    listener->pause_id = 0;
    if (listener->reserve_fd < 0) {
        listener->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    for (guint i = 0; i < listener->n_fds; i++) {
        kd_loop_ready(&listener->fds[i]->watch, KD_READY_IN);
    }
    return G_SOURCE_REMOVE;
}

/* Mostly out of descriptors or memory: those who wait are told by closing one, and then there is a
 * pause; going on at once would only spin. */
static void
pause_accepting(KdListener *listener, int fd, int error)
{
    if (error == EMFILE && listener->reserve_fd >= 0) {
        int client;

        close(listener->reserve_fd);
        client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client >= 0) {
            close(client);
        }
        listener->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    if (listener->pause_ms == MIN_PAUSE_MS) {
        g_message("no new clients for a while: %s", g_strerror(error));
    }
    listener->pause_id = g_timeout_add(listener->pause_ms, on_pause_over, listener);
    listener->pause_ms = MIN(listener->pause_ms * 2, MAX_PAUSE_MS);
}

static void
take_client(KdListener *listener, int fd, const struct sockaddr_storage *address)
{
    g_autofree char *peer = kd_source_name_build_peer(fd, address);
    g_autofree char *source = kd_source_name_build_source(fd, address);
    KdEndpoint endpoint;
    int on = 1;

    if (address->ss_family == AF_INET || address->ss_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    kd_endpoint_init(&endpoint);
    kd_endpoint_take_fd(&endpoint, fd, KD_ENDPOINT_HALF_CLOSE, NULL);
    listener->pause_ms = MIN_PAUSE_MS;
    listener->on_client(listener, &endpoint, peer, source, listener->user);
    kd_endpoint_clear(&endpoint);
}

/* The misfortune of one client that has gone already: accept(2) tells of its connection. All else
 * would be the same at the next try. */
static gboolean
is_of_client(int error)
{
    static const int of_client[] = {
        EINTR,        EPERM,  ECONNABORTED, EPROTO,   ENOPROTOOPT, EOPNOTSUPP,
        EHOSTUNREACH, ENONET, ENETUNREACH,  ENETDOWN, EHOSTDOWN,
    };

    for (gsize i = 0; i < G_N_ELEMENTS(of_client); i++) {
        if (error == of_client[i]) {
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean
on_listen_run(KdLoopWatch *watch)
{
    KdListenFd *self = (KdListenFd *)watch;

    for (int n = 0; n < MAX_ACCEPT_AT_ONCE; n++) {
        struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
        socklen_t len = sizeof address;
        KdListener *listener = self->listener;
        int fd;

        if (listener == NULL || listener->pause_id != 0) {
            return FALSE;
        }
        fd = accept4(watch->fd, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            take_client(listener, fd, &address);
        } else if (errno == EAGAIN) {
            watch->ready &= ~(uint32_t)KD_READY_IN;
            return FALSE;
        } else if (!is_of_client(errno)) {
            pause_accepting(listener, watch->fd, errno);
            return FALSE;
        }
    }
    return TRUE;
}

static void
on_listen_gone(KdLoopWatch *watch)
{
    g_free(watch);
}

static const KdLoopWatchFuncs listen_funcs = {
    .run = on_listen_run,
    .gone = on_listen_gone,
};

static gboolean
watch_fd(KdListener *listener, int fd, GError **error)
{
    KdListenFd *self = g_new0(KdListenFd, 1);

    self->watch.funcs = &listen_funcs;
    self->watch.fd = fd;
    self->listener = listener;
    if (!kd_loop_add(&self->watch, error)) {
        g_free(self);
        return FALSE;
    }
    listener->fds[listener->n_fds++] = self;
    return TRUE;
}

/* ---- transports that accept by themselves ---- */

static void
on_accepted(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *peer = NULL;
    KdListener **self = user_data;
    KdListener *listener = *self;
    const KdTransport *transport;
    KdEndpoint endpoint;

    (void)source;
    if (listener == NULL) {
        g_free(self);
        return;
    }
    transport = listener->transport;
    kd_endpoint_init(&endpoint);
    if (!transport->accept_finish(listener->object, result, &endpoint, &error)) {
        if (!g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
            g_message("%s: takes no more clients: %s", transport->scheme, error->message);
        }
        g_clear_object(&listener->accepting);
        g_clear_pointer(&listener->self, g_free);
        return;
    }
    peer = kd_source_name_build_told(&endpoint, transport->scheme);
    listener->on_client(listener, &endpoint, peer, peer, listener->user);
    kd_endpoint_clear(&endpoint);
    accept_next(listener);
}

static void
accept_next(KdListener *listener)
{
    listener->transport->accept_async(listener->object, listener->accepting, on_accepted,
                                      listener->self);
}

/* ---- listening ---- */

static void
on_listening(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GTask) task = user_data;
    KdListener *listener = g_task_get_task_data(task);
    KdListening listening = {.struct_size = sizeof listening};
    g_autoptr(GError) error = NULL;

    (void)source;
    if (!listener->transport->listen_finish(result, &listening, &error)) {
        g_task_return_error(task, g_steal_pointer(&error));
        return;
    }
    listener->bound = listening.bound;
    listener->object = listening.listener;
    for (guint i = 0; i < listening.n_fds; i++) {
        if (error != NULL || !watch_fd(listener, listening.fds[i], &error)) {
            close(listening.fds[i]);
        }
    }
    if (error != NULL) {
        g_task_return_error(task, g_steal_pointer(&error));
        return;
    }
    if (listening.n_fds == 0) {
        listener->accepting = g_cancellable_new();
        listener->self = g_new(KdListener *, 1);
        *listener->self = listener;
        accept_next(listener);
    }
    g_task_return_boolean(task, TRUE);
}

/**
 * kd_listener_listen_async:
 * @listener: a new listener
 * @cancellable: (nullable): ends it
 * @callback: called when it listens
 * @user_data: for @callback
 *
 * Opens the transport's sockets; clients come from then on.
 */
void
kd_listener_listen_async(KdListener *listener, GCancellable *cancellable,
                         GAsyncReadyCallback callback, gpointer user_data)
{
    GTask *task = g_task_new(NULL, cancellable, callback, user_data);
    g_autoptr(GVariant) stripped = kd_host_keys_strip(listener->params);

    g_task_set_task_data(task, listener, NULL);
    g_task_set_check_cancellable(task, FALSE);
    listener->transport->listen_async(listener->host, stripped, cancellable, on_listening, task);
}

/**
 * kd_listener_listen_finish:
 * @listener: the listener
 * @result: given to the callback
 * @error: where to put an error
 *
 * Returns: whether it listens
 */
gboolean
kd_listener_listen_finish(KdListener *listener, GAsyncResult *result, GError **error)
{
    (void)listener;
    return g_task_propagate_boolean(G_TASK(result), error);
}
