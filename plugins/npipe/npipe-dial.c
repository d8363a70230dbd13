/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Connecting to a pipe, of this machine or of another. */
#include "npipe-dial.h"

#include "npipe-folder.h"
#include "npipe-local.h"
#include "npipe-name.h"
#include "npipe-ssh.h"

#include <kdsrv-support/kd-dial.h>

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/**
 * Dial:
 * @name: of the pipe
 * @remote: (nullable): the machine, %NULL = this one
 * @folders: where to look
 * @next: of them
 * @error: (nullable): what spoke against the last folder in which there was something
 *
 * Data of a task.
 */
typedef struct {
    char *name;
    char *remote;
    char **folders;
    guint next;
    GError *error;
} Dial;

static void try_next(GTask *task);

static void
dial_free(gpointer user_data)
{
    Dial *dial = user_data;
    g_free(dial->name);
    g_free(dial->remote);
    g_strfreev(dial->folders);
    g_clear_error(&dial->error);
    g_free(dial);
}

/* A descriptor as a task's result: one more than it is, so that 0 does not look like no result. */
static void
close_result(gpointer result)
{
    close(GPOINTER_TO_INT(result) - 1);
}

static void
return_fd(GTask *task, int fd)
{
    g_task_return_pointer(task, GINT_TO_POINTER(fd + 1), close_result);
}

/**
 * npipe_check:
 *
 * A transport's check: whether the name can be one of a pipe, and, of a client, whether the host
 * can be one.
 */
gboolean
npipe_check(GVariant *params, GError **error)
{
    const char *text = NULL;
    const char *server = NULL;
    g_autofree char *name = NULL;
    gboolean is_client = g_variant_lookup(params, "server", "&s", &server);
    if (is_client && !npipe_ssh_check_host(server, error)) {
        return FALSE;
    }
    if (!g_variant_lookup(params, "pipe", "&s", &text)) {
        return TRUE; /* the table has said what is missing */
    }
    name = is_client ? npipe_name_build(text, error)
                     : npipe_name_expand(text, (guint64)getpid(), (guint64)gettid(), error);
    return name != NULL;
}

/* ---- this machine ---- */

static void
return_not_found(GTask *task)
{
    Dial *dial = g_task_get_task_data(task);
    if (dial->error != NULL) {
        g_task_return_error(task, g_steal_pointer(&dial->error));
        return;
    }
    g_autofree char *places = g_strjoinv(" or ", dial->folders);
    g_task_return_new_error(task, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                            NPIPE_SCHEME ": there is no pipe %s in %s: is its server running",
                            dial->name, places);
}

static void
on_dialled(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GTask) task = user_data;
    Dial *dial = g_task_get_task_data(task);
    g_autoptr(GError) error = NULL;
    int fd = kd_dial_finish(result, &error);
    (void)source;
    if (fd >= 0) {
        return_fd(task, fd);
        return;
    }
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        g_task_return_error(task, g_steal_pointer(&error));
        return;
    }
    if (!g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND) && dial->error == NULL) {
        gboolean is_dead = g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);
        g_prefix_error(&error, NPIPE_SCHEME ": ");
        if (is_dead) {
            g_autofree char *said = g_strdup(error->message);
            g_clear_error(&error);
            error = g_error_new(G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED,
                                "%s: its server has ended", said);
        }
        dial->error = g_steal_pointer(&error);
    }
    try_next(g_steal_pointer(&task));
}

/* Folders that are not there, or that anybody could have put a pipe into, are passed over. */
static void
try_next(GTask *task)
{
    Dial *dial = g_task_get_task_data(task);
    while (dial->folders[dial->next] != NULL) {
        const char *folder = dial->folders[dial->next++];
        g_autoptr(GError) error = NULL;
        if (npipe_folder_check(folder, &error)) {
            g_autofree char *path = g_build_filename(folder, dial->name, NULL);
            kd_dial_path_async(path, g_task_get_cancellable(task), on_dialled, task);
            return;
        }
        if (!g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND) && dial->error == NULL) {
            dial->error = g_steal_pointer(&error);
        }
    }
    return_not_found(task);
    g_object_unref(task);
}

/* ---- other machines ---- */

static void
on_reached(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GTask) task = user_data;
    GError *error = NULL;
    int fd = npipe_ssh_dial_finish(result, &error);
    (void)source;
    if (fd < 0) {
        g_task_return_error(task, error);
        return;
    }
    return_fd(task, fd);
}

/* ---- both ---- */

/**
 * npipe_connect_async:
 *
 * A transport's connect_async. Errors of npipe_connect_finish() that a caller branches on:
 * %G_IO_ERROR_NOT_FOUND, %G_IO_ERROR_CONNECTION_REFUSED, %G_IO_ERROR_PERMISSION_DENIED of this
 * machine; %KD_ERROR_NOT_SUPPORTED: there is no ssh to reach another.
 */
void
npipe_connect_async(const KdHost *host, GVariant *params, GCancellable *cancellable,
                    GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, user_data);
    const char *text = "";
    const char *server = "";
    GError *error = NULL;
    g_task_set_source_tag(task, npipe_connect_async);
    if (g_task_return_error_if_cancelled(task)) {
        return;
    }
    /* A string without these does not pass the table; an empty name is refused like a wrong one. */
    g_variant_lookup(params, "pipe", "&s", &text);
    g_variant_lookup(params, "server", "&s", &server);
    Dial *dial = g_new0(Dial, 1);
    g_task_set_task_data(task, dial, dial_free);
    dial->name = npipe_name_build(text, &error);
    if (dial->name == NULL || !npipe_ssh_check_host(server, &error)) {
        g_task_return_error(task, error);
        return;
    }
    if (!npipe_local_is_own_name(server)) {
        dial->remote = g_strdup(server);
        npipe_ssh_dial_async(host, server, dial->name, cancellable, on_reached,
                             g_steal_pointer(&task));
        return;
    }
    dial->folders = npipe_folder_build_paths();
    try_next(g_steal_pointer(&task));
}

/* What the kernel says of who listens; the other end of ssh is not of this machine. */
static void
add_facts(GVariantDict *facts, int fd, const char *remote)
{
    struct ucred who = {0};
    socklen_t len = sizeof(who);
    g_autofree char *peer = NULL;
    if (remote != NULL) {
        peer = g_strdup_printf("%s by ssh", remote);
    } else if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0) {
        peer = g_strdup_printf("uid %u pid %d", (guint)who.uid, (int)who.pid);
        g_variant_dict_insert(facts, "peer-uid", "u", (guint32)who.uid);
        g_variant_dict_insert(facts, "peer-pid", "u", (guint32)who.pid);
    } else {
        peer = g_strdup("local");
    }
    g_variant_dict_insert(facts, "peer", "s", peer);
}

/**
 * npipe_connect_finish:
 *
 * A transport's connect_finish; the facts `peer-uid` and `peer-pid` are those of the server of a
 * pipe of this machine.
 */
gboolean
npipe_connect_finish(GAsyncResult *result, KdEndpoint *endpoint, GError **error)
{
    GTask *task = G_TASK(result);
    const Dial *dial = g_task_get_task_data(task);
    gpointer value = g_task_propagate_pointer(task, error);
    if (value == NULL) {
        return FALSE;
    }
    int fd = GPOINTER_TO_INT(value) - 1;
    GVariantDict facts;
    g_variant_dict_init(&facts, NULL);
    add_facts(&facts, fd, dial->remote);
    kd_endpoint_take_fd(endpoint, fd, KD_ENDPOINT_HALF_CLOSE | KD_ENDPOINT_ENCRYPTED,
                        g_variant_dict_end(&facts));
    return TRUE;
}
