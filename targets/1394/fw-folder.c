/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tells when nodes come to /dev, go, or get other rights. */
#include "fw-folder.h"

#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

typedef struct {
    FwFolderFunc fn;
    void *user;
} Listener;

/* One for the process, and never closed: closing waits for the kernel, for 10 ms and more. */
static struct {
    int fd; /* -1: there is no inotify */
    GArray *listeners;
    /* while there are listeners */
    const KdHost *host;
    KdWatch *watch; /* (nullable) */
    int number;     /* of the folder; -1: it is not watched */
} folder = {.fd = -1, .number = -1};

/**
 * fw_folder_is_node:
 *
 * Returns: whether a file of this name is a node: `fw` and a number
 */
gboolean
fw_folder_is_node(const char *name)
{
    return g_str_has_prefix(name, "fw") && name[2] != '\0' &&
           strspn(name + 2, "0123456789") == strlen(name + 2);
}

static void
on_ready(void *user, uint32_t ready)
{
    gboolean is_ours = FALSE;
    union {
        struct inotify_event event;
        char bytes[4096];
    } events;
    (void)user;
    (void)ready;
    ssize_t len = read(folder.fd, &events, sizeof events);
    for (ssize_t at = 0; at + (ssize_t)sizeof events.event <= len;) {
        const struct inotify_event *event = (const void *)(events.bytes + at);
        is_ours = is_ours || (event->mask & IN_Q_OVERFLOW) != 0 ||
                  (event->len > 0 && fw_folder_is_node(event->name));
        at += (ssize_t)(sizeof *event + event->len);
    }
    for (guint i = 0; is_ours && i < folder.listeners->len; i++) {
        const Listener *listener = &g_array_index(folder.listeners, Listener, i);
        listener->fn(listener->user);
    }
}

static void
start(const KdHost *host)
{
    if (folder.listeners == NULL) {
        folder.listeners = g_array_new(FALSE, FALSE, sizeof(Listener));
        folder.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    }
    if (folder.fd < 0) {
        return;
    }
    folder.host = host;
    folder.number =
        inotify_add_watch(folder.fd, FW_FOLDER, IN_CREATE | IN_MOVED_TO | IN_ATTRIB | IN_DELETE);
    folder.watch = host->watch_add(host, folder.fd, KD_READY_IN, on_ready, NULL);
}

static void
stop(void)
{
    if (folder.watch != NULL) {
        folder.host->watch_remove(g_steal_pointer(&folder.watch));
    }
    if (folder.number >= 0) {
        (void)inotify_rm_watch(folder.fd, folder.number);
        folder.number = -1;
    }
}

/**
 * fw_folder_add:
 * @fn: called when something about a node's file has changed; without inotify never
 * @user: unique among the listeners
 *
 * Starts to listen.
 */
void
fw_folder_add(const KdHost *host, FwFolderFunc fn, void *user)
{
    Listener listener = {.fn = fn, .user = user};
    if (folder.listeners == NULL || folder.listeners->len == 0) {
        start(host);
    }
    g_array_append_val(folder.listeners, listener);
}

/**
 * fw_folder_remove:
 * @user: of fw_folder_add()
 *
 * Ends listening.
 */
void
fw_folder_remove(void *user)
{
    for (guint i = 0; i < folder.listeners->len; i++) {
        if (g_array_index(folder.listeners, Listener, i).user == user) {
            g_array_remove_index_fast(folder.listeners, i);
            break;
        }
    }
    if (folder.listeners->len == 0) {
        stop();
    }
}
