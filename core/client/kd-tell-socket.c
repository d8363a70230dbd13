/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The socket on which a running kd is told what to do, by its own user. */
#include "kd-tell-socket.h"

#include "kd-outcome.h"
#include "kd-tell-folder.h"
#include "kd-tell-request.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MOST_CLIENTS   8u
#define MOST_OWED      64u /* answers to those who have gone as well */
#define BACKLOG        8
#define MOST_SILENCE_S 5u
#define PAUSE_S        1u
#define SOCKET_MASK    0177

/**
 * KdTellSocket:
 * @folder: private, open
 * @name: of the socket in it: our process number
 * @inode: of the socket, to know it by
 * @accept_id: accepts, 0 = does not
 * @pause_id: accepts again later, 0 = nothing is waited for
 * @clients: (element-type KdTellClient)
 */
struct KdTellSocket {
    int folder;
    int fd;
    char *name;
    ino_t inode;
    guint accept_id;
    guint pause_id;
    GPtrArray *clients;
    KdTellFunc fn;
    void *user;
};

/**
 * KdTellClient:
 * @socket: (nullable): %NULL once that has gone
 * @fd: -1 once the client has gone
 * @in_id: reads, or notices that it has gone, 0 = neither
 * @silence_id: it is not waited for any longer, 0 = it has asked
 * @has_asked: an answer is owed, so this lives on
 */
struct KdTellClient {
    KdTellSocket *socket;
    int fd;
    guint in_id;
    guint silence_id;
    gboolean has_asked;
    gsize len;
    char line[KD_TELL_MAX_REQUEST_BYTES + 1];
};

static void start_accepting(KdTellSocket *tell_socket);

/* ---- clients ---- */

static void
hang_up(KdTellClient *client)
{
    g_clear_handle_id(&client->in_id, g_source_remove);
    g_clear_handle_id(&client->silence_id, g_source_remove);
    if (client->fd >= 0) {
        (void)close(client->fd);
        client->fd = -1;
    }
}

static void
client_free(KdTellClient *client)
{
    hang_up(client);
    if (client->socket != NULL) {
        (void)g_ptr_array_remove_fast(client->socket->clients, client);
    }
    g_free(client);
}

/* What is left of one that has gone is freed with its answer. */
static void
lose(KdTellClient *client)
{
    if (client->has_asked) {
        hang_up(client);
    } else {
        client_free(client);
    }
}

/**
 * kd_tell_client_answer:
 * @client: (transfer full): who has asked; may have gone meanwhile
 * @status: 0 done, 1 failed, 2 wrong request
 * @text: lines
 *
 * Answers a request.
 */
void
kd_tell_client_answer(KdTellClient *client, int status, const char *text)
{
    char answer[KD_TELL_MAX_ANSWER_BYTES];
    int len = g_snprintf(answer, sizeof answer, "%d %s\n", status, text);

    if (client->fd >= 0) {
        /* It fits into any socket's buffer; who does not take it gets none. */
        (void)send(client->fd, answer, (size_t)MIN(len, (int)sizeof answer - 1),
                   MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    client_free(client);
}

static gboolean
on_silence(gpointer data)
{
    KdTellClient *client = data;

    client->silence_id = 0;
    client_free(client);
    return G_SOURCE_REMOVE;
}

static gboolean
on_gone(gint fd, GIOCondition condition, gpointer data)
{
    KdTellClient *client = data;

    (void)fd;
    (void)condition;
    client->in_id = 0;
    lose(client);
    return G_SOURCE_REMOVE;
}

static void
take_line(KdTellClient *client, gsize len)
{
    client->line[len] = '\0';
    client->has_asked = TRUE;
    g_clear_handle_id(&client->silence_id, g_source_remove);
    client->in_id = g_unix_fd_add(client->fd, G_IO_HUP | G_IO_ERR, on_gone, client);
    client->socket->fn(client, client->line, client->socket->user);
}

static gboolean
on_in(gint fd, GIOCondition condition, gpointer data)
{
    KdTellClient *client = data;
    char *end;
    gssize n;

    (void)condition;
    n = recv(fd, client->line + client->len, KD_TELL_MAX_REQUEST_BYTES + 1 - client->len, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return G_SOURCE_CONTINUE;
    }
    client->len += n > 0 ? (gsize)n : 0;
    end = memchr(client->line, '\n', client->len);
    if (n > 0 && end == NULL && client->len <= KD_TELL_MAX_REQUEST_BYTES) {
        return G_SOURCE_CONTINUE;
    }
    client->in_id = 0;
    if (end != NULL) {
        take_line(client, (gsize)(end - client->line));
    } else if (n > 0) {
        client->has_asked = TRUE;
        kd_tell_client_answer(client, KD_EXIT_USAGE, "the request is too long");
    } else {
        client_free(client);
    }
    return G_SOURCE_REMOVE;
}

/* ---- accepting ---- */

/* The folder keeps others out already, unless somebody has handed its descriptor on. */
static gboolean
is_allowed(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof peer;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0);
}

static gboolean
is_full(const KdTellSocket *tell_socket)
{
    guint n_there = 0;

    for (guint i = 0; i < tell_socket->clients->len; i++) {
        n_there += ((const KdTellClient *)tell_socket->clients->pdata[i])->fd >= 0 ? 1 : 0;
    }
    return n_there >= MOST_CLIENTS || tell_socket->clients->len >= MOST_OWED;
}

static gboolean
on_pause_over(gpointer data)
{
    KdTellSocket *tell_socket = data;

    tell_socket->pause_id = 0;
    start_accepting(tell_socket);
    return G_SOURCE_REMOVE;
}

static gboolean
on_connected(gint fd, GIOCondition condition, gpointer data)
{
    KdTellSocket *tell_socket = data;
    int peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    KdTellClient *client;

    (void)condition;
    if (peer < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
        tell_socket->accept_id = 0;
        tell_socket->pause_id = g_timeout_add_seconds(PAUSE_S, on_pause_over, tell_socket);
        return G_SOURCE_REMOVE;
    }
    if (peer < 0) {
        return G_SOURCE_CONTINUE;
    }
    if (!is_allowed(peer) || is_full(tell_socket)) {
        (void)close(peer);
        return G_SOURCE_CONTINUE;
    }
    client = g_new0(KdTellClient, 1);
    client->socket = tell_socket;
    client->fd = peer;
    client->in_id = g_unix_fd_add(peer, G_IO_IN, on_in, client);
    client->silence_id = g_timeout_add_seconds(MOST_SILENCE_S, on_silence, client);
    g_ptr_array_add(tell_socket->clients, client);
    return G_SOURCE_CONTINUE;
}

static void
start_accepting(KdTellSocket *tell_socket)
{
    tell_socket->accept_id = g_unix_fd_add(tell_socket->fd, G_IO_IN, on_connected, tell_socket);
}

/* ---- the socket ---- */

/* The socket gets its name when it listens: one that refuses is then a dead one's, for certain. */
static gboolean
listen_in(KdTellSocket *tell_socket)
{
    g_autofree char *draft = g_strconcat(".", tell_socket->name, NULL);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat info;
    gboolean is_bound;
    mode_t mask;

    tell_socket->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (tell_socket->fd < 0) {
        return FALSE;
    }
    (void)g_snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s",
                     tell_socket->folder, draft);
    (void)unlinkat(tell_socket->folder, draft, 0);
    mask = umask(SOCKET_MASK);
    is_bound = bind(tell_socket->fd, (const struct sockaddr *)&address, sizeof address) == 0;
    (void)umask(mask);
    if (!is_bound) {
        return FALSE;
    }
    if (listen(tell_socket->fd, BACKLOG) != 0 ||
        fstatat(tell_socket->folder, draft, &info, AT_SYMLINK_NOFOLLOW) != 0 ||
        renameat2(tell_socket->folder, draft, tell_socket->folder, tell_socket->name,
                  RENAME_NOREPLACE) != 0) {
        (void)unlinkat(tell_socket->folder, draft, 0);
        return FALSE;
    }
    tell_socket->inode = info.st_ino;
    return TRUE;
}

static void
remove_own_name(const KdTellSocket *tell_socket)
{
    struct stat info;

    if (fstatat(tell_socket->folder, tell_socket->name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
        info.st_ino == tell_socket->inode) {
        (void)unlinkat(tell_socket->folder, tell_socket->name, 0);
    }
}

/* The first folder that can be made. */
static int
open_folder(void)
{
    g_autoptr(GPtrArray) paths = kd_tell_folder_list(geteuid());
    int folder = -1;

    for (guint i = 0; i < paths->len && folder < 0; i++) {
        g_autoptr(GError) error = NULL;

        folder = kd_tell_folder_open(paths->pdata[i], geteuid(), TRUE, &error);
    }
    return folder;
}

/**
 * kd_tell_socket_new:
 * @fn: takes the requests
 * @user: for @fn
 *
 * Listens in a private folder, and removes what dead kds have left behind there.
 *
 * Returns: (transfer full) (nullable): the socket; %NULL where none can be made, which is no
 *    reason not to run
 */
KdTellSocket *
kd_tell_socket_new(KdTellFunc fn, void *user)
{
    KdTellSocket *tell_socket = g_new0(KdTellSocket, 1);

    tell_socket->fd = -1;
    tell_socket->fn = fn;
    tell_socket->user = user;
    tell_socket->name = g_strdup_printf("%d", (int)getpid());
    tell_socket->clients = g_ptr_array_new();
    tell_socket->folder = open_folder();
    if (tell_socket->folder < 0) {
        kd_tell_socket_free(tell_socket);
        return NULL;
    }
    g_array_unref(kd_tell_folder_find_pids(tell_socket->folder));
    if (!listen_in(tell_socket)) {
        kd_tell_socket_free(tell_socket);
        return NULL;
    }
    start_accepting(tell_socket);
    return tell_socket;
}

/**
 * kd_tell_socket_free:
 * @tell_socket: (nullable): a socket
 *
 * Listens no more. Clients that were not answered see the end of their connection; what is still to
 * be answered may be, into the void.
 */
void
kd_tell_socket_free(KdTellSocket *tell_socket)
{
    if (tell_socket == NULL) {
        return;
    }
    g_clear_handle_id(&tell_socket->accept_id, g_source_remove);
    g_clear_handle_id(&tell_socket->pause_id, g_source_remove);
    while (tell_socket->clients->len > 0) {
        KdTellClient *client = tell_socket->clients->pdata[0];

        (void)g_ptr_array_remove_index_fast(tell_socket->clients, 0);
        client->socket = NULL;
        lose(client);
    }
    g_ptr_array_unref(tell_socket->clients);
    if (tell_socket->folder >= 0) {
        remove_own_name(tell_socket);
        (void)close(tell_socket->folder);
    }
    if (tell_socket->fd >= 0) {
        (void)close(tell_socket->fd);
    }
    g_free(tell_socket->name);
    g_free(tell_socket);
}
