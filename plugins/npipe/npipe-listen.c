/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Listening on a pipe: one name, one server. */
#include "npipe-listen.h"

#include "npipe-folder.h"
#include "npipe-lock.h"
#include "npipe-name.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 1024

/* Of the GObject that the host keeps for us */
#define PIPE_KEY "npipe"

/**
 * Pipe:
 * @folder: where it is
 * @name: of the socket in it
 * @lock_fd: held as long as this lives
 * @inode: of the socket
 *
 * A name that this server has.
 */
typedef struct {
    NpipeFolder *folder;
    char *name;
    int lock_fd;
    ino_t inode;
} Pipe;

/* Also removes what it has made in the folder. */
static void
pipe_free(gpointer user_data)
{
    Pipe *self = user_data;
    struct stat status;
    if (self->inode != 0 &&
        fstatat(self->folder->fd, self->name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        status.st_ino == self->inode) {
        (void)unlinkat(self->folder->fd, self->name, 0);
    }
    if (self->lock_fd >= 0) {
        npipe_lock_release(self->folder, self->name, self->lock_fd);
    }
    npipe_folder_free(self->folder);
    g_free(self->name);
    g_free(self);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Pipe, pipe_free)

static void
set_errno(GError **error, const Pipe *self, int code)
{
    g_set_error(error, G_IO_ERROR, (gint)g_io_error_from_errno(code),
                NPIPE_SCHEME ": cannot listen on %s/%s: %s", self->folder->path, self->name,
                g_strerror(code));
}

static gboolean
build_address(const Pipe *self, struct sockaddr_un *address, GError **error)
{
    g_autofree char *path = g_build_filename(self->folder->path, self->name, NULL);
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) < sizeof(address->sun_path)) {
        memcpy(address->sun_path, path, strlen(path));
        return TRUE;
    }
    g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                NPIPE_SCHEME ": pipe=: the name is too long: %s has %" G_GSIZE_FORMAT
                             " bytes, and a socket's path at most %" G_GSIZE_FORMAT,
                path, strlen(path), sizeof(address->sun_path) - 1);
    return FALSE;
}

/* Whether somebody serves the name without having locked it. */
static gboolean
is_served(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    gboolean is_alive =
        fd >= 0 &&
        (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN);
    if (fd >= 0) {
        close(fd);
    }
    return is_alive;
}

/* Makes room for our socket: what a server has left that ended without notice goes. */
static gboolean
remove_stale(const Pipe *self, const struct sockaddr_un *address, GError **error)
{
    struct stat status;
    if (fstatat(self->folder->fd, self->name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) {
            return TRUE;
        }
        set_errno(error, self, errno);
        return FALSE;
    }
    if (!S_ISSOCK(status.st_mode)) {
        g_set_error(error, KD_ERROR, KD_ERROR_BUSY,
                    NPIPE_SCHEME ": %s/%s is there and no pipe: remove it", self->folder->path,
                    self->name);
        return FALSE;
    }
    if (is_served(address)) {
        g_set_error(error, KD_ERROR, KD_ERROR_BUSY, NPIPE_SCHEME ": the pipe name %s is in use",
                    self->name);
        return FALSE;
    }
    if (unlinkat(self->folder->fd, self->name, 0) != 0 && errno != ENOENT) {
        set_errno(error, self, errno);
        return FALSE;
    }
    return TRUE;
}

/* The socket is made for its owner alone, and nobody can connect before listen(): there is no
 * moment in which too many could. */
static int
bind_socket(Pipe *self, const struct sockaddr_un *address)
{
    struct stat status;
    int folder_fd = self->folder->fd;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    int code = 0;
    if (fchmod(fd, 0600) != 0 ||
        bind(fd, (const struct sockaddr *)address, sizeof(*address)) != 0) {
        code = -errno;
    } else if (fstatat(folder_fd, self->name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
        code = -errno;
    } else {
        self->inode = status.st_ino;
        gboolean is_shared = self->folder->group != (gid_t)-1 &&
                             fchownat(folder_fd, self->name, (uid_t)-1, self->folder->group,
                                      AT_SYMLINK_NOFOLLOW) == 0;
        if (fchmodat(folder_fd, self->name, is_shared ? 0660 : 0600, 0) != 0 ||
            listen(fd, BACKLOG) != 0) {
            code = -errno;
        }
    }
    if (code != 0) {
        close(fd);
        return code;
    }
    return fd;
}

static Pipe *
pipe_new(const char *text, GError **error)
{
    g_autofree char *name = npipe_name_expand(text, (guint64)getpid(), (guint64)gettid(), error);
    if (name == NULL) {
        return NULL;
    }
    NpipeFolder *folder = npipe_folder_open(error);
    if (folder == NULL) {
        return NULL;
    }
    Pipe *self = g_new0(Pipe, 1);
    self->folder = folder;
    self->name = g_steal_pointer(&name);
    self->lock_fd = -1;
    return self;
}

static gboolean
open_pipe(const char *text, KdListening *listening, GError **error)
{
    struct sockaddr_un address;
    g_autoptr(Pipe) self = pipe_new(text, error);
    if (self == NULL || !build_address(self, &address, error)) {
        return FALSE;
    }
    self->lock_fd = npipe_lock_take(self->folder, self->name, error);
    if (self->lock_fd < 0 || !remove_stale(self, &address, error)) {
        return FALSE;
    }
    int fd = bind_socket(self, &address);
    if (fd < 0) {
        set_errno(error, self, -fd);
        return FALSE;
    }
    GVariantDict bound;
    g_variant_dict_init(&bound, NULL);
    g_variant_dict_insert(&bound, "pipe", "s", self->name);
    listening->bound = g_variant_ref_sink(g_variant_dict_end(&bound));
    listening->fds[listening->n_fds++] = fd;
    listening->listener = g_object_new(G_TYPE_OBJECT, NULL);
    g_object_set_data_full(listening->listener, PIPE_KEY, g_steal_pointer(&self), pipe_free);
    return TRUE;
}

static void
listening_free(gpointer user_data)
{
    KdListening *listening = user_data;
    for (uint32_t i = 0; i < listening->n_fds; i++) {
        close(listening->fds[i]);
    }
    g_clear_pointer(&listening->bound, g_variant_unref);
    g_clear_object(&listening->listener);
    g_free(listening);
}

/**
 * npipe_listen_async:
 *
 * A transport's listen_async: takes the pipe's name, and makes its socket. What a server has left
 * under the name that did not end in order is replaced.
 */
void
npipe_listen_async(const KdHost *host, GVariant *params, GCancellable *cancellable,
                   GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, user_data);
    const char *text = "";
    GError *error = NULL;
    (void)host;
    g_task_set_source_tag(task, npipe_listen_async);
    if (g_task_return_error_if_cancelled(task)) {
        return;
    }
    /* An empty name is refused like other wrong ones. */
    g_variant_lookup(params, "pipe", "&s", &text);
    KdListening *listening = g_new0(KdListening, 1);
    if (!open_pipe(text, listening, &error)) {
        listening_free(listening);
        g_task_return_error(task, error);
        return;
    }
    g_task_return_pointer(task, listening, listening_free);
}

/**
 * npipe_listen_finish:
 *
 * A transport's listen_finish; the bound key `pipe` is the name with its codes replaced. Errors
 * that a caller branches on: %KD_ERROR_BUSY: the name is in use.
 */
gboolean
npipe_listen_finish(GAsyncResult *result, KdListening *listening, GError **error)
{
    g_autofree KdListening *made = g_task_propagate_pointer(G_TASK(result), error);
    if (made == NULL) {
        return FALSE;
    }
    listening->fds[0] = made->fds[0];
    listening->n_fds = made->n_fds;
    listening->bound = made->bound;
    listening->listener = made->listener;
    return TRUE;
}

/**
 * npipe_unlisten:
 *
 * A transport's unlisten: removes the socket and gives the name up.
 */
void
npipe_unlisten(GObject *listener)
{
    g_object_set_data(listener, PIPE_KEY, NULL);
}
