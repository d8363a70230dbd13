/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Nodes that nobody needs any more, until their requests have ended. */
#include "fw-closing.h"

#include <kdsrv-support/kd-source.h>

#include <errno.h>
#include <linux/firewire-cdev.h>
#include <poll.h>
#include <unistd.h>

/* The kernel's own clock of a request has 2 s. */
#define LIMIT_MS 3000u

typedef struct {
    const KdHost *host;
    int fd;
    KdWatch *watch;
    GSource *timer;
    guint n_unanswered;
} FwClosing;

static void
stop(FwClosing *closing)
{
    closing->host->watch_remove(closing->watch);
    kd_source_clear(&closing->timer);
    g_free(closing);
}

static void
close_in_thread(GTask *task, gpointer source, gpointer fd, GCancellable *cancellable)
{
    (void)source;
    (void)cancellable;
    close(GPOINTER_TO_INT(fd));
    g_task_return_boolean(task, TRUE);
}

/* Closing waits for the requests, in the kernel and for as long as they take: not here, then. */
static void
close_elsewhere(int fd)
{
    g_autoptr(GTask) task = g_task_new(NULL, NULL, NULL, NULL);
    g_task_set_task_data(task, GINT_TO_POINTER(fd), NULL);
    g_task_run_in_thread(task, close_in_thread);
}

static gboolean
on_limit(gpointer user_data)
{
    FwClosing *closing = user_data;
    int fd = closing->fd;
    stop(closing);
    close_elsewhere(fd);
    return G_SOURCE_REMOVE;
}

static void
on_ready(void *user, uint32_t ready)
{
    FwClosing *closing = user;
    struct pollfd poll_fd = {.fd = closing->fd, .events = POLLIN};
    struct fw_cdev_event_response event = {0};
    (void)ready;
    if (poll(&poll_fd, 1, 0) != 1) {
        return;
    }
    gboolean is_gone = (poll_fd.revents & POLLIN) == 0;
    if (!is_gone) {
        /* What does not fit is dropped. */
        ssize_t len = read(closing->fd, &event, sizeof event);
        is_gone = len < 0 && errno == ENODEV;
        if (len > 0 && event.type == FW_CDEV_EVENT_RESPONSE) {
            closing->n_unanswered--;
        }
    }
    int fd = closing->fd;
    if (closing->n_unanswered == 0) {
        stop(closing);
        close(fd);
    } else if (is_gone) {
        stop(closing);
        close_elsewhere(fd);
    }
}

/**
 * fw_closing_start:
 * @fd: (transfer full): of a node
 * @n_unanswered: how many requests have not ended
 *
 * Closes a descriptor when its requests have ended. close() would wait for that.
 */
void
fw_closing_start(const KdHost *host, int fd, guint n_unanswered)
{
    KdWatch *watch;
    FwClosing *closing = g_new0(FwClosing, 1);
    closing->host = host;
    closing->fd = fd;
    closing->n_unanswered = n_unanswered;
    watch = host->watch_add(host, fd, KD_READY_IN, on_ready, closing);
    if (watch == NULL) {
        close_elsewhere(fd);
        g_free(closing);
        return;
    }
    closing->watch = watch;
    kd_source_start_timer(&closing->timer, LIMIT_MS, on_limit, closing);
}
