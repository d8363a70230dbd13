/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A serial line as virtual machines have them: a UNIX socket, a TCP port, or a terminal. As there,
 * what the target says while nobody is connected is lost. */
#include "kd-sim-carrier.h"
#include "kd-sim-watch.h"

#include <glib-unix.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pty.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

/* what a host that does not read can leave lying; behind it the line loses bytes */
#define OUT_MAX_BYTES (256u * 1024u)

typedef struct {
    KdSimTarget *target;
    char *path;    /* NULL: a port */
    int listen_fd; /* -1: a terminal */
    int keeper_fd; /* of a terminal: its other side, so that nobody's leaving is noticed; -1 */
    int fd;        /* -1: nobody is connected */
    guint listen_id;
    guint in_id;
    guint out_id;
    GByteArray *out;
} Stream;

static gboolean on_connected(gint fd, GIOCondition condition, gpointer user);

/* Whoever connects meanwhile waits until this one has gone. */
static void
hang_up(Stream *stream)
{
    g_clear_handle_id(&stream->in_id, g_source_remove);
    g_clear_handle_id(&stream->out_id, g_source_remove);
    g_byte_array_set_size(stream->out, 0);
    if (stream->fd >= 0)
        close(stream->fd);
    stream->fd = -1;
    if (stream->listen_fd >= 0 && stream->listen_id == 0)
        stream->listen_id = g_unix_fd_add(stream->listen_fd, G_IO_IN, on_connected, stream);
}

/* Returns: how many bytes were taken */
static size_t
write_some(Stream *stream, const uint8_t *bytes, size_t len_bytes)
{
    size_t done = 0;
    while (done < len_bytes) {
        ssize_t n = write(stream->fd, bytes + done, len_bytes - done);
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    return done;
}

static gboolean
on_writable(gint fd G_GNUC_UNUSED, GIOCondition condition G_GNUC_UNUSED, gpointer user)
{
    Stream *stream = user;
    size_t done = write_some(stream, stream->out->data, stream->out->len);
    g_byte_array_remove_range(stream->out, 0, (guint)done);
    if (stream->out->len > 0)
        return G_SOURCE_CONTINUE;
    stream->out_id = 0;
    return G_SOURCE_REMOVE;
}

static gboolean
on_send(const uint8_t *bytes, size_t len_bytes, const KdSimPeer *to G_GNUC_UNUSED, void *user)
{
    Stream *stream = user;
    if (stream->fd < 0)
        return TRUE;
    if (stream->out->len + len_bytes > OUT_MAX_BYTES)
        return FALSE;
    size_t done = stream->out->len == 0 ? write_some(stream, bytes, len_bytes) : 0;
    if (done == len_bytes)
        return TRUE;
    g_byte_array_append(stream->out, bytes + done, (guint)(len_bytes - done));
    if (stream->out_id == 0)
        stream->out_id = g_unix_fd_add(stream->fd, G_IO_OUT, on_writable, stream);
    return TRUE;
}

static gboolean
on_readable(gint fd, GIOCondition condition G_GNUC_UNUSED, gpointer user)
{
    Stream *stream = user;
    uint8_t bytes[8192];
    ssize_t n = read(fd, bytes, sizeof bytes);
    if (n > 0) {
        kd_sim_target_receive(stream->target, bytes, (size_t)n, NULL, g_get_monotonic_time());
        return G_SOURCE_CONTINUE;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return G_SOURCE_CONTINUE;
    stream->in_id = 0;
    hang_up(stream);
    return G_SOURCE_REMOVE;
}

static gboolean
on_connected(gint fd, GIOCondition condition G_GNUC_UNUSED, gpointer user)
{
    Stream *stream = user;
    int peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (peer < 0)
        return G_SOURCE_CONTINUE;
    if (stream->path == NULL) {
        const int one = 1;
        (void)setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    stream->fd = peer;
    stream->in_id = kd_sim_watch_add(peer, on_readable, stream);
    stream->listen_id = 0;
    return G_SOURCE_REMOVE;
}

static Stream *
stream_new(KdSimTarget *target, const char *path)
{
    Stream *stream = g_new0(Stream, 1);
    stream->target = target;
    stream->path = g_strdup(path);
    stream->listen_fd = -1;
    stream->keeper_fd = -1;
    stream->fd = -1;
    stream->out = g_byte_array_new();
    kd_sim_target_set_send(target, on_send, stream);
    return stream;
}

static void
close_stream(KdSimTarget *target, void *carrier)
{
    Stream *stream = carrier;
    kd_sim_target_set_send(target, NULL, NULL);
    hang_up(stream);
    g_clear_handle_id(&stream->listen_id, g_source_remove);
    if (stream->listen_fd >= 0)
        close(stream->listen_fd);
    if (stream->keeper_fd >= 0)
        close(stream->keeper_fd);
    if (stream->path != NULL)
        (void)unlink(stream->path);
    g_byte_array_unref(stream->out);
    g_free(stream->path);
    g_free(stream);
}

static void
set_error(GError **error, const char *path)
{
    int saved = errno;
    g_set_error(error, G_IO_ERROR, (gint)g_io_error_from_errno(saved), "%s: %s", path,
                g_strerror(saved));
}

static void *
open_unix(KdSimTarget *target, const char *path, GError **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat found;
    if (g_strlcpy(address.sun_path, path, sizeof address.sun_path) >= sizeof address.sun_path) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FILENAME_TOO_LONG, "%s: too long for a socket",
                    path);
        return NULL;
    }
    if (lstat(path, &found) == 0 && S_ISSOCK(found.st_mode))
        (void)unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(fd, 8) != 0) {
        set_error(error, path);
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    Stream *stream = stream_new(target, path);
    stream->listen_fd = fd;
    stream->listen_id = g_unix_fd_add(fd, G_IO_IN, on_connected, stream);
    return stream;
}

static void *
open_tcp(KdSimTarget *target, const char *where, GError **error)
{
    g_autoptr(GSocketConnectable) place = g_network_address_parse(where, 0, error);
    if (place == NULL)
        return NULL;
    GNetworkAddress *named = G_NETWORK_ADDRESS(place);
    g_autoptr(GSocketAddress) address = g_inet_socket_address_new_from_string(
        g_network_address_get_hostname(named), g_network_address_get_port(named));
    if (address == NULL) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                    "%s: expected the address and port to listen on", where);
        return NULL;
    }
    struct sockaddr_storage native;
    const gssize len_bytes = g_socket_address_get_native_size(address);
    if (!g_socket_address_to_native(address, &native, sizeof native, error))
        return NULL;
    int fd = socket(native.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&native, (socklen_t)len_bytes) != 0 ||
        listen(fd, 8) != 0) {
        set_error(error, where);
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    Stream *stream = stream_new(target, NULL);
    stream->listen_fd = fd;
    stream->listen_id = g_unix_fd_add(fd, G_IO_IN, on_connected, stream);
    return stream;
}

static void *
open_pty(KdSimTarget *target, const char *path, GError **error)
{
    struct termios raw;
    char name[64];
    int fd = -1;
    int keeper = -1;
    if (openpty(&fd, &keeper, NULL, NULL, NULL) != 0) {
        set_error(error, "openpty");
        return NULL;
    }
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    (void)fcntl(keeper, F_SETFD, FD_CLOEXEC);
    (void)tcgetattr(keeper, &raw);
    cfmakeraw(&raw);
    (void)tcsetattr(keeper, TCSANOW, &raw);
    if (ttyname_r(keeper, name, sizeof name) != 0 || (unlink(path) != 0 && errno != ENOENT) ||
        symlink(name, path) != 0) {
        set_error(error, path);
        close(fd);
        close(keeper);
        return NULL;
    }
    (void)g_unix_set_fd_nonblocking(fd, TRUE, NULL);
    Stream *stream = stream_new(target, path);
    stream->keeper_fd = keeper;
    stream->fd = fd;
    stream->in_id = kd_sim_watch_add(fd, on_readable, stream);
    return stream;
}

const KdSimCarrier kd_sim_unix_carrier = {
    .kind = "unix",
    .dialect = KD_SIM_DIALECT_SERIAL,
    .open = open_unix,
    .close = close_stream,
};

const KdSimCarrier kd_sim_tcp_carrier = {
    .kind = "tcp",
    .dialect = KD_SIM_DIALECT_SERIAL,
    .open = open_tcp,
    .close = close_stream,
};

const KdSimCarrier kd_sim_pty_carrier = {
    .kind = "pty",
    .dialect = KD_SIM_DIALECT_SERIAL,
    .open = open_pty,
    .close = close_stream,
};
