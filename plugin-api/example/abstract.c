/* SPDX-License-Identifier: MIT */
/* Transport over Linux's abstract UNIX sockets: a name on this machine, without a file. */
#include <kdsrv/kd-plugin.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 128

/* The NUL that makes a socket abstract takes one byte of the address. */
#define NAME_MAX_BYTES (sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)

/* Parsing, help, completion and listing all come from this table. */
static const KdParamSpec abstract_params[] = {
    {
        .key = "name",
        .type = KD_PARAM_STRING,
        .flags = KD_PARAM_REQUIRED,
        .max_len = NAME_MAX_BYTES,
        .placeholder = "NAME",
        .help = "name of the socket, the same on both sides",
    },
    {.key = NULL},
};

static void
close_descriptor(gpointer boxed)
{
    close(GPOINTER_TO_INT(boxed));
}

/* A result that nobody collects, because a cancellation came first, closes itself. */
static void
return_descriptor(GTask *task, int fd)
{
    g_task_return_pointer(task, GINT_TO_POINTER(fd), close_descriptor);
}

static void
return_errno(GTask *task, const char *name, int code)
{
    g_task_return_new_error(task, G_IO_ERROR, (gint)g_io_error_from_errno(code),
                            "abstract:name=%s: %s", name, g_strerror(code));
}

static int
create_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* The name's length is checked by the host, from the table. */
static socklen_t
fill_address(struct sockaddr_un *address, const char *name)
{
    size_t len = MIN(strlen(name), NAME_MAX_BYTES);
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path + 1, name, len);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len);
}

static const char *
get_name(GVariant *params)
{
    const char *name = "";
    g_variant_lookup(params, "name", "&s", &name);
    return name;
}

/* Nothing here waits, so the work is done at once; GTask still calls back only after we returned.
 */
static void
abstract_listen_async(const KdHost *host, GVariant *params, GCancellable *cancellable,
                      GAsyncReadyCallback callback, gpointer user_data)
{
    (void)host;
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, user_data);
    g_task_set_source_tag(task, (gpointer)abstract_listen_async);
    struct sockaddr_un address;
    socklen_t len = fill_address(&address, get_name(params));
    int fd = create_socket();
    if (fd < 0) {
        return_errno(task, get_name(params), errno);
        return;
    }
    if (bind(fd, (struct sockaddr *)&address, len) < 0 || listen(fd, BACKLOG) < 0) {
        int code = errno;
        close(fd);
        return_errno(task, get_name(params), code);
        return;
    }
    return_descriptor(task, fd);
}

/* The host accepts, limits and closes. */
static gboolean
abstract_listen_finish(GAsyncResult *result, KdListening *listening, GError **error)
{
    g_autoptr(GError) reason = NULL;
    gpointer fd = g_task_propagate_pointer(G_TASK(result), &reason);
    if (reason != NULL) {
        g_propagate_error(error, g_steal_pointer(&reason));
        return FALSE;
    }
    listening->fds[0] = GPOINTER_TO_INT(fd);
    listening->n_fds = 1;
    return TRUE;
}

static void
abstract_connect_async(const KdHost *host, GVariant *params, GCancellable *cancellable,
                       GAsyncReadyCallback callback, gpointer user_data)
{
    (void)host;
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, user_data);
    g_task_set_source_tag(task, (gpointer)abstract_connect_async);
    g_task_set_task_data(task, g_strdup(get_name(params)), g_free);
    struct sockaddr_un address;
    socklen_t len = fill_address(&address, get_name(params));
    int fd = create_socket();
    if (fd < 0) {
        return_errno(task, get_name(params), errno);
        return;
    }
    /* On a UNIX socket this succeeds or fails at once: EAGAIN says that the backlog is full. */
    if (connect(fd, (struct sockaddr *)&address, len) < 0) {
        int code = errno;
        close(fd);
        return_errno(task, get_name(params), code);
        return;
    }
    return_descriptor(task, fd);
}

static gboolean
abstract_connect_finish(GAsyncResult *result, KdEndpoint *endpoint, GError **error)
{
    g_autoptr(GError) reason = NULL;
    gpointer fd = g_task_propagate_pointer(G_TASK(result), &reason);
    if (reason != NULL) {
        g_propagate_error(error, g_steal_pointer(&reason));
        return FALSE;
    }
    g_autofree char *peer = g_strdup_printf("@%s", (char *)g_task_get_task_data(G_TASK(result)));
    GVariantDict facts;
    g_variant_dict_init(&facts, NULL);
    g_variant_dict_insert(&facts, "peer", "s", peer);
    kd_endpoint_take_fd(endpoint, GPOINTER_TO_INT(fd), KD_ENDPOINT_HALF_CLOSE,
                        g_variant_dict_end(&facts));
    return TRUE;
}

static const KdTransport abstract_transport = {
    .struct_size = sizeof(KdTransport),
    .caps = KD_TRANSPORT_LISTEN | KD_TRANSPORT_CONNECT | KD_TRANSPORT_LOCAL,
    .scheme = "abstract",
    .summary = "abstract UNIX sockets of this machine",
    .params = abstract_params,
    .listen_async = abstract_listen_async,
    .listen_finish = abstract_listen_finish,
    .connect_async = abstract_connect_async,
    .connect_finish = abstract_connect_finish,
};

static const KdTransport *const abstract_transports[] = {&abstract_transport, NULL};

KD_PLUGIN_DEFINE(.name = "abstract", .version = "0.1.0", .license = "MIT",
                 .origin = "https://example.org/kdsrv-transport-abstract",
                 .transports = abstract_transports);
