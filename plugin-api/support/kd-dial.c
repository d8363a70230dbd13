/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Dialling sockets without blocking: one address after the other, each with a time limit. */
#include <kdsrv-support/kd-dial.h>
#include <kdsrv-support/kd-source.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ADDRESS_LIMIT_MS 5000
#define TOTAL_LIMIT_MS   15000
#define RETRY_FIRST_MS   10
#define RETRY_LAST_MS    500

/* One dial; belongs to its task and is cleared before the task returns. */
typedef struct {
    GTask *task; /* strong until the end: keeps this struct, too */
    const KdHost *host;
    char *name; /* as the user gave it */
    uint16_t low;
    uint16_t high;
    uint16_t port;
    KdFamily family;
    gboolean is_checked;
    GCancellable *lookup; /* of the name */
    GPtrArray *addresses; /* GInetSocketAddress; their port is not used */
    guint next_address;
    char *path; /* of a UNIX socket; no host and no addresses then */
    guint retry_ms;
    int fd;
    KdWatch *watch;
    GSource *timer;
    GSource *cancel;
    gint64 deadline_us;
    GError *error; /* why the last address did not work */
} Dial;

static void dial_try_next(Dial *dial);

/* Only a host can have given a watch. */
static void
dial_unwatch(Dial *dial)
{
    if (dial->watch != NULL && dial->host != NULL) {
        dial->host->watch_remove(g_steal_pointer(&dial->watch));
    }
}

static void
dial_drop_socket(Dial *dial)
{
    dial_unwatch(dial);
    if (dial->fd >= 0) {
        close(dial->fd);
    }
    dial->fd = -1;
    kd_source_clear(&dial->timer);
}

static void
dial_clear(Dial *dial)
{
    dial_drop_socket(dial);
    kd_source_clear(&dial->cancel);
    if (dial->lookup != NULL) {
        g_cancellable_cancel(dial->lookup);
    }
    g_clear_object(&dial->lookup);
}

static void
dial_free(gpointer data)
{
    Dial *dial = data;
    dial_clear(dial);
    g_clear_pointer(&dial->addresses, g_ptr_array_unref);
    g_clear_error(&dial->error);
    g_free(dial->name);
    g_free(dial->path);
    g_free(dial);
}

/* A descriptor as a task's result: one more than it is, so that 0 does not look like no result. */
static void
close_result(gpointer result)
{
    close(GPOINTER_TO_INT(result) - 1);
}

static void
dial_return_fd(Dial *dial)
{
    int fd = dial->fd;
    dial->fd = -1;
    g_autoptr(GTask) task = g_steal_pointer(&dial->task);
    dial_unwatch(dial);
    dial_clear(dial);
    g_task_return_pointer(task, GINT_TO_POINTER(fd + 1), close_result);
}

static void
dial_return_error(Dial *dial, GError *error)
{
    g_autoptr(GTask) task = g_steal_pointer(&dial->task);
    dial_clear(dial);
    g_task_return_error(task, error);
}

static char *
dial_build_name(const Dial *dial)
{
    if (dial->path != NULL) {
        return g_strdup(dial->name);
    }
    gboolean is_bracketed = strchr(dial->name, ':') != NULL && dial->name[0] != '[';
    const char *open = is_bracketed ? "[" : "";
    const char *shut = is_bracketed ? "]" : "";
    if (dial->low != dial->high) {
        return g_strdup_printf("%s%s%s, ports %u to %u", open, dial->name, shut, dial->low,
                               dial->high);
    }
    return g_strdup_printf("%s%s%s:%u", open, dial->name, shut, dial->low);
}

static void
dial_note_errno(Dial *dial, int code)
{
    g_autofree char *name = dial_build_name(dial);
    g_clear_error(&dial->error);
    dial->error = g_error_new(G_IO_ERROR, (int)g_io_error_from_errno(code),
                              "cannot connect to %s: %s", name, g_strerror(code));
}

static gboolean
on_cancelled(GCancellable *cancellable, gpointer user_data)
{
    Dial *dial = user_data;
    (void)cancellable;
    dial_return_error(dial,
                      g_error_new_literal(G_IO_ERROR, G_IO_ERROR_CANCELLED, "dialling cancelled"));
    return G_SOURCE_REMOVE;
}

static gboolean
on_timer(gpointer user_data)
{
    Dial *dial = user_data;
    /* Waiting for a backlog is no failure; all other waits end here. */
    gboolean is_retry = dial->path != NULL && g_get_monotonic_time() < dial->deadline_us;
    dial_drop_socket(dial);
    if (!is_retry) {
        dial_note_errno(dial, ETIMEDOUT);
    }
    dial_try_next(dial);
    return G_SOURCE_REMOVE;
}

static void
dial_start_timer(Dial *dial, guint ms)
{
    kd_source_clear(&dial->timer);
    gint64 left_ms = (dial->deadline_us - g_get_monotonic_time()) / 1000 + 1;
    dial->timer = g_timeout_source_new((guint)CLAMP(left_ms, 0, (gint64)ms));
    g_source_set_callback(dial->timer, on_timer, dial, NULL);
    g_source_attach(dial->timer, g_task_get_context(dial->task));
}

/* A connection from a port to itself: the kernel took the very port that was dialled for our own
 * end. Nobody listens there. */
static gboolean
is_self_connected(int fd)
{
    struct sockaddr_storage ours = {0};
    struct sockaddr_storage theirs = {0};
    socklen_t ours_len = sizeof(ours);
    socklen_t theirs_len = sizeof(theirs);
    return getsockname(fd, (struct sockaddr *)&ours, &ours_len) == 0 &&
           getpeername(fd, (struct sockaddr *)&theirs, &theirs_len) == 0 &&
           ours_len == theirs_len && memcmp(&ours, &theirs, ours_len) == 0;
}

static void
dial_take_outcome(Dial *dial, int code)
{
    if (code == 0 && is_self_connected(dial->fd)) {
        code = ECONNREFUSED;
    }
    if (code == 0) {
        dial_return_fd(dial);
        return;
    }
    dial_note_errno(dial, code);
    dial_drop_socket(dial);
    dial_try_next(dial);
}

static void
on_connected(void *user, uint32_t ready)
{
    Dial *dial = user;
    int code = 0;
    socklen_t len = sizeof(code);
    (void)ready;
    if (getsockopt(dial->fd, SOL_SOCKET, SO_ERROR, &code, &len) != 0) {
        code = errno;
    }
    struct sockaddr_storage peer;
    socklen_t peer_len = sizeof(peer);
    /* A wake-up too many must not pass for a connection. */
    if (code == 0 && getpeername(dial->fd, (struct sockaddr *)&peer, &peer_len) != 0) {
        if (errno == ENOTCONN) {
            return;
        }
        code = errno;
    }
    dial_take_outcome(dial, code);
}

static gboolean
dial_may_connect(Dial *dial, GSocketAddress *address)
{
    GError *refusal = NULL;
    if (!dial->is_checked) {
        return TRUE;
    }
    if (dial->host->may_dial == NULL) {
        refusal = g_error_new(KD_ERROR, KD_ERROR_POLICY, "%s may not be dialled", dial->name);
    } else if (dial->host->may_dial(dial->host, dial->name, address, &refusal)) {
        return TRUE;
    }
    /* What an address that may be dialled said is of more use. */
    if (dial->error == NULL) {
        dial->error = refusal;
    } else {
        g_error_free(refusal);
    }
    return FALSE;
}

/* Starts on one address. Returns: whether the dial has ended or waits; else the next one is due. */
static gboolean
dial_try_address(Dial *dial, GSocketAddress *address)
{
    if (!dial_may_connect(dial, address)) {
        return FALSE;
    }
    struct sockaddr_storage native = {0};
    gssize size = g_socket_address_get_native_size(address);
    if (!g_socket_address_to_native(address, &native, sizeof(native), NULL)) {
        size = -1;
    }
    int family = g_socket_address_get_family(address) == G_SOCKET_FAMILY_IPV6 ? AF_INET6 : AF_INET;
    dial->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (dial->fd < 0 || size < 0) {
        dial_note_errno(dial, size < 0 ? EAFNOSUPPORT : errno);
        dial_drop_socket(dial);
        return FALSE;
    }
    int on = 1;
    (void)setsockopt(dial->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    int code = connect(dial->fd, (struct sockaddr *)&native, (socklen_t)size) == 0 ? 0 : errno;
    if (code == 0 && !is_self_connected(dial->fd)) {
        dial_return_fd(dial);
        return TRUE;
    }
    if (code == EINPROGRESS || code == EINTR) {
        dial->watch = dial->host->watch_add(dial->host, dial->fd, KD_READY_OUT, on_connected, dial);
        code = dial->watch != NULL ? 0 : errno;
        if (code == 0) {
            dial_start_timer(dial, ADDRESS_LIMIT_MS);
            return TRUE;
        }
    }
    dial_note_errno(dial, code != 0 ? code : ECONNREFUSED);
    dial_drop_socket(dial);
    return FALSE;
}

static void
dial_try_path(Dial *dial)
{
    struct sockaddr_un native = {.sun_family = AF_UNIX};
    /* dial_new_path() has seen to the length. */
    memcpy(native.sun_path, dial->path, strlen(dial->path));
    dial->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int code = dial->fd < 0 ? errno : 0;
    if (code == 0 && connect(dial->fd, (struct sockaddr *)&native, sizeof(native)) != 0) {
        code = errno;
    }
    if (code == 0) {
        dial_return_fd(dial);
        return;
    }
    dial_note_errno(dial, code);
    dial_drop_socket(dial);
    if (code == EAGAIN && g_get_monotonic_time() < dial->deadline_us) {
        /* The listener's queue is full; there is no readiness for that to wait on. */
        dial_start_timer(dial, dial->retry_ms);
        dial->retry_ms = MIN(dial->retry_ms * 2, RETRY_LAST_MS);
        return;
    }
    dial_return_error(dial, g_steal_pointer(&dial->error));
}

static GSocketAddress *
build_address(GInetSocketAddress *base, uint16_t port)
{
    GInetAddress *address = g_inet_socket_address_get_address(base);
    if (g_inet_address_get_family(address) != G_SOCKET_FAMILY_IPV6) {
        return g_inet_socket_address_new(address, port);
    }
    return g_object_new(G_TYPE_INET_SOCKET_ADDRESS, "address", address, "port", (guint)port,
                        "scope-id", g_inet_socket_address_get_scope_id(base), NULL);
}

static void
dial_try_next(Dial *dial)
{
    if (dial->path != NULL) {
        dial_try_path(dial);
        return;
    }
    while (g_get_monotonic_time() < dial->deadline_us) {
        if (dial->next_address == dial->addresses->len) {
            if (dial->port == dial->high) {
                break;
            }
            dial->port++;
            dial->next_address = 0;
        }
        GInetSocketAddress *base = g_ptr_array_index(dial->addresses, dial->next_address++);
        g_autoptr(GSocketAddress) address = build_address(base, dial->port);
        if (dial_try_address(dial, address)) {
            return;
        }
    }
    if (dial->error == NULL) {
        dial_note_errno(dial, ETIMEDOUT);
    }
    dial_return_error(dial, g_steal_pointer(&dial->error));
}

static gboolean
has_family(GInetAddress *address, KdFamily family)
{
    GSocketFamily has = g_inet_address_get_family(address);
    return family == KD_FAMILY_ANY || (family == KD_FAMILY_IPV6 && has == G_SOCKET_FAMILY_IPV6) ||
           (family == KD_FAMILY_IPV4 && has == G_SOCKET_FAMILY_IPV4);
}

static void
on_looked_up(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GTask) task = user_data;
    Dial *dial = g_task_get_task_data(task);
    g_autoptr(GError) error = NULL;
    GList *found = g_resolver_lookup_by_name_with_flags_finish(G_RESOLVER(source), result, &error);
    if (dial->task == NULL) {
        /* Cancelled or out of time in the meantime. */
        g_resolver_free_addresses(found);
        return;
    }
    g_clear_object(&dial->lookup);
    for (GList *item = found; item != NULL; item = item->next) {
        if (has_family(item->data, dial->family)) {
            g_ptr_array_add(dial->addresses, g_inet_socket_address_new(item->data, 0));
        }
    }
    g_resolver_free_addresses(found);
    if (dial->addresses->len > 0) {
        kd_source_clear(&dial->timer);
        dial_try_next(dial);
        return;
    }
    dial_return_error(dial, g_error_new(G_IO_ERROR, G_IO_ERROR_HOST_NOT_FOUND,
                                        "cannot find the host %s: %s", dial->name,
                                        error != NULL ? error->message : "it has no address"));
}

static gboolean
on_lookup_late(gpointer user_data)
{
    Dial *dial = user_data;
    dial_return_error(dial, g_error_new(G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                                        "cannot find the host %s: the look-up took too long",
                                        dial->name));
    return G_SOURCE_REMOVE;
}

static void
dial_look_up(Dial *dial)
{
    GResolverNameLookupFlags flags = G_RESOLVER_NAME_LOOKUP_FLAGS_DEFAULT;
    if (dial->family == KD_FAMILY_IPV6) {
        flags = G_RESOLVER_NAME_LOOKUP_FLAGS_IPV6_ONLY;
    } else if (dial->family == KD_FAMILY_IPV4) {
        flags = G_RESOLVER_NAME_LOOKUP_FLAGS_IPV4_ONLY;
    }
    dial->lookup = g_cancellable_new();
    dial->timer = g_timeout_source_new(TOTAL_LIMIT_MS);
    g_source_set_callback(dial->timer, on_lookup_late, dial, NULL);
    g_source_attach(dial->timer, g_task_get_context(dial->task));
    g_autoptr(GResolver) resolver = g_resolver_get_default();
    g_resolver_lookup_by_name_with_flags_async(resolver, dial->name, flags, dial->lookup,
                                               on_looked_up, g_object_ref(dial->task));
}

/* What an address in brackets, with or without a scope, says; NULL for a name. */
static GInetSocketAddress *
parse_literal(const char *name)
{
    g_autofree char *bare = NULL;
    size_t len = strlen(name);
    if (len > 2 && name[0] == '[' && name[len - 1] == ']') {
        bare = g_strndup(name + 1, len - 2);
    } else {
        bare = g_strdup(name);
    }
    GSocketAddress *address = g_inet_socket_address_new_from_string(bare, 0);
    return address != NULL ? G_INET_SOCKET_ADDRESS(address) : NULL;
}

static Dial *
dial_new(const KdHost *host, GCancellable *cancellable, GAsyncReadyCallback callback,
         gpointer user_data)
{
    Dial *dial = g_new0(Dial, 1);
    dial->task = g_task_new(NULL, cancellable, callback, user_data);
    g_task_set_source_tag(dial->task, kd_dial_finish);
    g_task_set_task_data(dial->task, dial, dial_free);
    dial->host = host;
    dial->fd = -1;
    dial->retry_ms = RETRY_FIRST_MS;
    dial->deadline_us = g_get_monotonic_time() + TOTAL_LIMIT_MS * G_GINT64_CONSTANT(1000);
    if (cancellable != NULL) {
        dial->cancel = g_cancellable_source_new(cancellable);
        g_source_set_callback(dial->cancel, G_SOURCE_FUNC(on_cancelled), dial, NULL);
        g_source_attach(dial->cancel, g_task_get_context(dial->task));
    }
    return dial;
}

static void
dial_start_tcp(Dial *dial)
{
    if (g_cancellable_is_cancelled(g_task_get_cancellable(dial->task))) {
        on_cancelled(NULL, dial);
        return;
    }
    dial->addresses = g_ptr_array_new_with_free_func(g_object_unref);
    g_autoptr(GInetSocketAddress) literal = parse_literal(dial->name);
    if (literal == NULL) {
        if (dial_may_connect(dial, NULL)) {
            dial_look_up(dial);
        } else {
            dial_return_error(dial, g_steal_pointer(&dial->error));
        }
        return;
    }
    if (!has_family(g_inet_socket_address_get_address(literal), dial->family)) {
        dial_return_error(dial,
                          g_error_new(G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                                      "%s is not an IPv%d address", dial->name, (int)dial->family));
        return;
    }
    g_ptr_array_add(dial->addresses, g_steal_pointer(&literal));
    dial_try_next(dial);
}

/**
 * kd_dial_host_async:
 * @name: an address, with or without brackets, or a name
 * @is_checked: whether @name comes from a client: the host's rules are asked for each address
 *
 * Connects to one TCP port. The addresses of a name are tried in the resolver's order, 5 s each and
 * 15 s in all. Errors of kd_dial_finish() that a caller branches on:
 * %G_IO_ERROR_CONNECTION_REFUSED, %G_IO_ERROR_HOST_NOT_FOUND, %G_IO_ERROR_TIMED_OUT,
 * %KD_ERROR_POLICY.
 */
void
kd_dial_host_async(const KdHost *host, const char *name, uint16_t port, KdFamily family,
                   gboolean is_checked, GCancellable *cancellable, GAsyncReadyCallback callback,
                   gpointer user_data)
{
    Dial *dial = dial_new(host, cancellable, callback, user_data);
    dial->name = g_strdup(name);
    dial->low = port;
    dial->high = port;
    dial->port = port;
    dial->family = family;
    dial->is_checked = is_checked;
    dial_start_tcp(dial);
}

/**
 * kd_dial_ports_async:
 * @low: first port
 * @high: last port, not below @low
 *
 * Connects to the first port of a range on which somebody answers. For names of the operator's:
 * the host's rules are not asked. Errors as with kd_dial_host_async().
 */
void
kd_dial_ports_async(const KdHost *host, const char *name, uint16_t low, uint16_t high,
                    KdFamily family, GCancellable *cancellable, GAsyncReadyCallback callback,
                    gpointer user_data)
{
    g_return_if_fail(low <= high);
    Dial *dial = dial_new(host, cancellable, callback, user_data);
    dial->name = g_strdup(name);
    dial->low = low;
    dial->high = high;
    dial->port = low;
    dial->family = family;
    dial_start_tcp(dial);
}

/**
 * kd_dial_path_as_async:
 * @path: what is connected to, such as `/proc/self/fd/5`
 * @name: what messages call it
 *
 * Connects to a UNIX stream socket. A full queue of the listener is waited for, 15 s at most.
 * Errors of kd_dial_finish() that a caller branches on: %G_IO_ERROR_NOT_FOUND,
 * %G_IO_ERROR_CONNECTION_REFUSED, %G_IO_ERROR_FILENAME_TOO_LONG.
 */
void
kd_dial_path_as_async(const char *path, const char *name, GCancellable *cancellable,
                      GAsyncReadyCallback callback, gpointer user_data)
{
    Dial *dial = dial_new(NULL, cancellable, callback, user_data);
    dial->path = g_strdup(path);
    dial->name = g_strdup(name);
    if (g_cancellable_is_cancelled(cancellable)) {
        on_cancelled(NULL, dial);
        return;
    }
    struct sockaddr_un native;
    if (strlen(path) >= sizeof(native.sun_path)) {
        dial_return_error(dial, g_error_new(G_IO_ERROR, G_IO_ERROR_FILENAME_TOO_LONG,
                                            "cannot connect to %s: a socket's path has at most "
                                            "%" G_GSIZE_FORMAT " bytes",
                                            name, sizeof(native.sun_path) - 1));
        return;
    }
    dial_try_path(dial);
}

/**
 * kd_dial_path_async:
 *
 * Does as kd_dial_path_as_async() with @path for its name.
 */
void
kd_dial_path_async(const char *path, GCancellable *cancellable, GAsyncReadyCallback callback,
                   gpointer user_data)
{
    kd_dial_path_as_async(path, path, cancellable, callback, user_data);
}

/**
 * kd_dial_finish:
 *
 * Ends every kind of dial.
 *
 * Returns: (transfer full): a connected socket, non-blocking and close-on-exec, or -1
 */
int
kd_dial_finish(GAsyncResult *result, GError **error)
{
    g_return_val_if_fail(g_async_result_is_tagged(result, kd_dial_finish), -1);
    gpointer value = g_task_propagate_pointer(G_TASK(result), error);
    return value != NULL ? GPOINTER_TO_INT(value) - 1 : -1;
}
