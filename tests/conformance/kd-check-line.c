/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Peers that have a descriptor and echo what they read. */
#include "kd-check-line.h"

#include <glib-unix.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* One connection; it reads only when all it has read before is on its way back. */
typedef struct {
    KdCheckPeer *peer;
    int fd;
    guint source_id;
    uint8_t buf[16384];
    size_t head;
    size_t len;
} Line;

static void line_watch(Line *line);

static void
line_free(gpointer user)
{
    Line *line = user;
    g_clear_handle_id(&line->source_id, g_source_remove);
    close(line->fd);
    g_free(line);
}

static gboolean
on_line(gint fd, GIOCondition condition G_GNUC_UNUSED, gpointer user)
{
    Line *line = user;
    line->source_id = 0;
    if (line->len == 0) {
        ssize_t n = read(fd, line->buf, sizeof line->buf);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            g_ptr_array_remove(line->peer->lines, line);
            return G_SOURCE_REMOVE;
        }
        line->head = 0;
        line->len = n > 0 ? (size_t)n : 0;
    }
    if (line->len > 0) {
        ssize_t n = write(fd, line->buf + line->head, line->len);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            g_ptr_array_remove(line->peer->lines, line);
            return G_SOURCE_REMOVE;
        }
        line->head += n > 0 ? (size_t)n : 0;
        line->len -= n > 0 ? (size_t)n : 0;
    }
    line_watch(line);
    return G_SOURCE_REMOVE;
}

static void
line_watch(Line *line)
{
    g_clear_handle_id(&line->source_id, g_source_remove);
    if (!line->peer->is_deaf)
        line->source_id =
            g_unix_fd_add(line->fd, line->len > 0 ? G_IO_OUT : G_IO_IN, on_line, line);
}

/**
 * kd_check_lines_add:
 * @fd: (transfer full)
 *
 * Echoes on a descriptor.
 */
void
kd_check_lines_add(KdCheckPeer *peer, int fd)
{
    if (peer->lines == NULL)
        peer->lines = g_ptr_array_new_with_free_func(line_free);
    g_assert_true(g_unix_set_fd_nonblocking(fd, TRUE, NULL));
    Line *line = g_new0(Line, 1);
    line->peer = peer;
    line->fd = fd;
    g_ptr_array_add(peer->lines, line);
    line_watch(line);
}

static gboolean
on_connected(gint listen_fd, GIOCondition condition G_GNUC_UNUSED, gpointer user)
{
    int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        kd_check_lines_add(user, fd);
    return G_SOURCE_CONTINUE;
}

/**
 * kd_check_lines_listen:
 *
 * Echoes on everything that connects to a UNIX socket.
 */
void
kd_check_lines_listen(KdCheckPeer *peer, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_assert_cmpuint(g_strlcpy(address.sun_path, path, sizeof address.sun_path), <,
                     sizeof address.sun_path);
    peer->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    g_assert_cmpint(bind(peer->fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_cmpint(listen(peer->fd, 64), ==, 0);
    peer->source_id = g_unix_fd_add(peer->fd, G_IO_IN, on_connected, peer);
}

/**
 * kd_check_lines_deafen:
 *
 * Reads nothing any more, or again.
 */
void
kd_check_lines_deafen(KdCheckPeer *peer, gboolean is_deaf)
{
    peer->is_deaf = is_deaf;
    for (guint i = 0; peer->lines != NULL && i < peer->lines->len; i++)
        line_watch(g_ptr_array_index(peer->lines, i));
}

/**
 * kd_check_lines_close:
 *
 * Hangs up on all, and listens no more.
 */
void
kd_check_lines_close(KdCheckPeer *peer)
{
    g_clear_handle_id(&peer->source_id, g_source_remove);
    if (peer->fd >= 0)
        close(peer->fd);
    peer->fd = -1;
    g_clear_pointer(&peer->lines, g_ptr_array_unref);
}
