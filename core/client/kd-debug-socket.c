/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a local debugger connects: a UNIX socket or a TCP port. */
#include "kd-debug-socket.h"

#include <errno.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG     8
#define UNIX_SCHEME "unix:"
#define TCP_SCHEME  "tcp:"
#define SOCKET_NAME "debugger.sock"
#define MOST_PORT   65535u

/**
 * KdDebugSocket:
 * @address: as a debugger is told: a path, or `HOST:PORT`
 * @path: (nullable): socket to remove
 * @inode: of @path, to know it by
 * @folder: (nullable): private folder to remove
 * @accept_id: accepts, 0 = does not
 */
struct KdDebugSocket {
    int fd;
    gboolean is_tcp;
    gboolean is_exposed;
    char *address;
    char *path;
    ino_t inode;
    char *folder;
    guint accept_id;
    KdDebugSocketFunc fn;
    void *user;
};

static gboolean
set_errno_error(GError **error, const char *what, int code)
{
    g_set_error(error, G_IO_ERROR, (gint)g_io_error_from_errno(code), "%s: %s", what,
                g_strerror(code));
    return FALSE;
}

static int
open_socket(int family, GError **error)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        (void)set_errno_error(error, "can't make a socket", errno);
    }
    return fd;
}

/* ---- UNIX sockets ---- */

/* Whether a socket that nobody listens on stands in the way. A full backlog is a live owner. */
static gboolean
is_stale(const char *path, const struct sockaddr_un *address)
{
    struct stat info;
    gboolean is_refused;
    int fd;

    if (lstat(path, &info) != 0 || !S_ISSOCK(info.st_mode)) {
        return FALSE;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    is_refused = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 &&
                 errno == ECONNREFUSED;
    if (fd >= 0) {
        (void)close(fd);
    }
    return is_refused;
}

/* Whoever connects drives the target, so nobody else may. */
static int
bind_private(int fd, const struct sockaddr_un *address)
{
    mode_t mask = umask(0077);
    int code = bind(fd, (const struct sockaddr *)address, sizeof *address) != 0 ? errno : 0;

    (void)umask(mask);
    return code;
}

/* Returns: 0 when there is no such file */
static ino_t
get_inode(const char *path)
{
    struct stat info;

    return lstat(path, &info) == 0 ? info.st_ino : 0;
}

static gboolean
listen_unix(KdDebugSocket *debug_socket, const char *path, GError **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int code;

    if (*path == '\0' || strlen(path) >= sizeof address.sun_path) {
        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                    "%s: the path of a socket must have 1 to %zu bytes",
                    *path != '\0' ? path : "unix", sizeof address.sun_path - 1);
        return FALSE;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    debug_socket->fd = open_socket(AF_UNIX, error);
    if (debug_socket->fd < 0) {
        return FALSE;
    }
    code = bind_private(debug_socket->fd, &address);
    if (code == EADDRINUSE && is_stale(path, &address) && unlink(path) == 0) {
        code = bind_private(debug_socket->fd, &address);
    }
    if (code != 0) {
        return set_errno_error(error, path, code);
    }
    debug_socket->path = g_strdup(path);
    debug_socket->inode = get_inode(path);
    debug_socket->address = g_strdup(path);
    if (listen(debug_socket->fd, BACKLOG) != 0) {
        return set_errno_error(error, path, errno);
    }
    return TRUE;
}

/* ---- TCP ---- */

static gboolean
set_usage_error(GError **error, const char *why)
{
    g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID, "tcp: %s", why);
    return FALSE;
}

/* No look-up: a name could block, and could lead anywhere. */
static GSocketAddress *
parse_tcp(const char *text, GError **error)
{
    const char *colon = strrchr(text, ':');
    g_autofree char *host = NULL;
    g_autoptr(GSocketAddress) address = NULL;
    guint64 port = 0;

    if (colon == NULL || !g_ascii_string_to_unsigned(colon + 1, 10, 0, MOST_PORT, &port, NULL)) {
        (void)set_usage_error(error, "expected HOST:PORT with a port from 0 to 65535");
        return NULL;
    }
    host = g_strndup(text, (gsize)(colon - text));
    if (g_str_has_prefix(host, "[") && g_str_has_suffix(host, "]")) {
        host[strlen(host) - 1] = '\0';
        memmove(host, host + 1, strlen(host));
    }
    address = g_inet_socket_address_new_from_string(
        g_ascii_strcasecmp(host, "localhost") == 0 ? "127.0.0.1" : host, (guint)port);
    if (address == NULL) {
        (void)set_usage_error(error, "the host must be a numeric address or localhost");
        return NULL;
    }
    return g_steal_pointer(&address);
}

static char *
build_tcp_address(int fd)
{
    struct sockaddr_storage storage = {0};
    socklen_t len = sizeof storage;
    g_autoptr(GSocketAddress) address = NULL;

    if (getsockname(fd, (struct sockaddr *)&storage, &len) != 0) {
        return g_strdup("");
    }
    address = g_socket_address_new_from_native(&storage, len);
    return g_socket_connectable_to_string(G_SOCKET_CONNECTABLE(address));
}

static gboolean
listen_tcp(KdDebugSocket *debug_socket, const char *text, GError **error)
{
    struct sockaddr_storage native = {0};
    g_autoptr(GSocketAddress) address = parse_tcp(text, error);
    int on = 1;

    if (address == NULL || !g_socket_address_to_native(address, &native, sizeof native, error)) {
        return FALSE;
    }
    debug_socket->is_tcp = TRUE;
    debug_socket->is_exposed = !g_inet_address_get_is_loopback(
        g_inet_socket_address_get_address(G_INET_SOCKET_ADDRESS(address)));
    debug_socket->fd = open_socket(native.ss_family, error);
    if (debug_socket->fd < 0) {
        return FALSE;
    }
    (void)setsockopt(debug_socket->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(debug_socket->fd, (struct sockaddr *)&native,
             (socklen_t)g_socket_address_get_native_size(address)) != 0 ||
        listen(debug_socket->fd, BACKLOG) != 0) {
        int code = errno;
        g_autofree char *name = g_strconcat(TCP_SCHEME, text, NULL);

        return set_errno_error(error, name, code);
    }
    debug_socket->address = build_tcp_address(debug_socket->fd);
    return TRUE;
}

/* ---- for the owner ---- */

static KdDebugSocket *
new_empty(void)
{
    KdDebugSocket *debug_socket = g_new0(KdDebugSocket, 1);

    debug_socket->fd = -1;
    return debug_socket;
}

/**
 * kd_debug_socket_new:
 * @address: `unix:PATH` or `tcp:HOST:PORT`, as --listen has it
 * @error: return location
 *
 * Listens. A socket that a dead process has left behind is replaced.
 *
 * Returns: (transfer full): the listening socket, or %NULL; %KD_ERROR_PARAM_INVALID for a wrong
 * address, %G_IO_ERROR_ADDRESS_IN_USE
 */
KdDebugSocket *
kd_debug_socket_new(const char *address, GError **error)
{
    g_autoptr(KdDebugSocket) debug_socket = new_empty();
    gboolean is_open;

    if (g_str_has_prefix(address, UNIX_SCHEME)) {
        is_open = listen_unix(debug_socket, address + strlen(UNIX_SCHEME), error);
    } else if (g_str_has_prefix(address, TCP_SCHEME)) {
        is_open = listen_tcp(debug_socket, address + strlen(TCP_SCHEME), error);
    } else {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                            "expected unix:PATH or tcp:HOST:PORT");
        is_open = FALSE;
    }
    if (!is_open) {
        g_prefix_error(error, "--listen: ");
        return NULL;
    }
    return g_steal_pointer(&debug_socket);
}

/**
 * kd_debug_socket_new_private:
 * @is_tcp: a free port of the loopback; else a socket in a folder that only we may enter
 * @error: return location
 *
 * Listens for a debugger that is started by us.
 *
 * Returns: (transfer full): the listening socket, or %NULL
 */
KdDebugSocket *
kd_debug_socket_new_private(gboolean is_tcp, GError **error)
{
    g_autoptr(KdDebugSocket) debug_socket = new_empty();
    g_autofree char *path = NULL;

    if (is_tcp) {
        return kd_debug_socket_new(TCP_SCHEME "127.0.0.1:0", error);
    }
    debug_socket->folder = g_dir_make_tmp("kd-XXXXXX", error);
    if (debug_socket->folder == NULL) {
        return NULL;
    }
    path = g_build_filename(debug_socket->folder, SOCKET_NAME, NULL);
    return listen_unix(debug_socket, path, error) ? g_steal_pointer(&debug_socket) : NULL;
}

/**
 * kd_debug_socket_free:
 * @debug_socket: (nullable): a listening socket
 *
 * Stops listening and removes what it made in the file system.
 */
void
kd_debug_socket_free(KdDebugSocket *debug_socket)
{
    if (debug_socket == NULL) {
        return;
    }
    kd_debug_socket_pause(debug_socket);
    /* Another kd may have put its own socket there. */
    if (debug_socket->path != NULL && get_inode(debug_socket->path) == debug_socket->inode) {
        (void)unlink(debug_socket->path);
    }
    if (debug_socket->folder != NULL) {
        (void)g_rmdir(debug_socket->folder);
    }
    if (debug_socket->fd >= 0) {
        (void)close(debug_socket->fd);
    }
    g_free(debug_socket->address);
    g_free(debug_socket->path);
    g_free(debug_socket->folder);
    g_free(debug_socket);
}

/**
 * kd_debug_socket_get_address:
 * @debug_socket: a listening socket
 *
 * Returns: what a debugger is told: a path, or `HOST:PORT` with the real port
 */
const char *
kd_debug_socket_get_address(const KdDebugSocket *debug_socket)
{
    return debug_socket->address;
}

/**
 * kd_debug_socket_build_name:
 * @debug_socket: a listening socket
 *
 * Returns: (transfer full): the address as --listen would have it
 */
char *
kd_debug_socket_build_name(const KdDebugSocket *debug_socket)
{
    return g_strconcat(debug_socket->is_tcp ? TCP_SCHEME : UNIX_SCHEME, debug_socket->address,
                       NULL);
}

/**
 * kd_debug_socket_is_tcp:
 * @debug_socket: a listening socket
 *
 * Returns: whether it is a TCP port, else a UNIX socket
 */
gboolean
kd_debug_socket_is_tcp(const KdDebugSocket *debug_socket)
{
    return debug_socket->is_tcp;
}

/**
 * kd_debug_socket_is_exposed:
 * @debug_socket: a listening socket
 *
 * Returns: whether others than this machine may reach it
 */
gboolean
kd_debug_socket_is_exposed(const KdDebugSocket *debug_socket)
{
    return debug_socket->is_exposed;
}

static gboolean
on_connection(gint fd, GIOCondition condition, gpointer data)
{
    KdDebugSocket *debug_socket = data;
    int on = 1;
    int debugger = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)condition;
    if (debugger < 0) {
        return G_SOURCE_CONTINUE; /* it has gone again */
    }
    if (debug_socket->is_tcp) {
        /* Small requests and answers: waiting to fill a segment costs 40 ms each. */
        (void)setsockopt(debugger, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    debug_socket->accept_id = 0;
    debug_socket->fn(debugger, debug_socket->user);
    return G_SOURCE_REMOVE;
}

/**
 * kd_debug_socket_accept:
 * @debug_socket: a listening socket
 * @fn: called once, with the next debugger
 * @user: for @fn
 *
 * Takes the next debugger, the others wait in the backlog. Does nothing when it is accepting.
 */
void
kd_debug_socket_accept(KdDebugSocket *debug_socket, KdDebugSocketFunc fn, void *user)
{
    if (debug_socket->accept_id != 0) {
        return;
    }
    debug_socket->fn = fn;
    debug_socket->user = user;
    debug_socket->accept_id = g_unix_fd_add(debug_socket->fd, G_IO_IN, on_connection, debug_socket);
}

/**
 * kd_debug_socket_pause:
 * @debug_socket: a listening socket
 *
 * Accepts nobody for now.
 */
void
kd_debug_socket_pause(KdDebugSocket *debug_socket)
{
    g_clear_handle_id(&debug_socket->accept_id, g_source_remove);
}
