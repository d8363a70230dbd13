/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the main context watches, as one descriptor of the loop's set. */
#include "kd-main-set.h"

#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define FDS_USUAL 32u

static void
close_ep(KdMainSet *set, int loop_ep)
{
    if (set->ep < 0) {
        return;
    }
    /* A child before its exec may hold the nested set open. */
    (void)epoll_ctl(loop_ep, EPOLL_CTL_DEL, set->ep, NULL);
    (void)close(set->ep);
    set->ep = -1;
}

/* The same number may by now be another file, of which epoll knows nothing: MOD finds out. */
static gboolean
is_current(const KdMainSet *set, const GPollFD *fds, guint n_fds)
{
    if (set->ep < 0 || n_fds != set->n) {
        return FALSE;
    }
    for (guint i = 0; i < n_fds; i++) {
        struct epoll_event event = {.events = fds[i].events};

        if (fds[i].fd != set->fds[i].fd || fds[i].events != set->fds[i].events ||
            epoll_ctl(set->ep, EPOLL_CTL_MOD, fds[i].fd, &event) != 0) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean
fill(const KdMainSet *set, int loop_ep)
{
    struct epoll_event nested = {.events = EPOLLIN, .data.ptr = NULL};

    for (guint i = 0; i < set->n; i++) {
        struct epoll_event event = {.events = set->fds[i].events};

        if (epoll_ctl(set->ep, EPOLL_CTL_ADD, set->fds[i].fd, &event) != 0) {
            return FALSE;
        }
    }
    return epoll_ctl(loop_ep, EPOLL_CTL_ADD, set->ep, &nested) == 0;
}

/**
 * kd_main_set_update:
 * @loop_ep: the loop's set
 * @fds: (array length=n_fds): what the main context asks for now
 *
 * Has the loop's set ready whenever one of @fds is, if the kernel lets us.
 */
void
kd_main_set_update(KdMainSet *set, int loop_ep, const GPollFD *fds, guint n_fds)
{
    if (is_current(set, fds, n_fds)) {
        return;
    }
    close_ep(set, loop_ep);
    set->fds = g_renew(GPollFD, set->fds, n_fds + 1);
    if (n_fds > 0) {
        memcpy(set->fds, fds, n_fds * sizeof *fds);
    }
    set->fds[n_fds] = (GPollFD){.fd = loop_ep, .events = G_IO_IN};
    set->n = n_fds;
    set->ep = epoll_create1(EPOLL_CLOEXEC);
    if (set->ep >= 0 && !fill(set, loop_ep)) {
        close_ep(set, loop_ep);
    }
    if (n_fds > FDS_USUAL && !set->has_logged) {
        set->has_logged = TRUE;
        g_info("the main context watches %u descriptors: session data should not be among them",
               n_fds);
    }
}

/**
 * kd_main_set_poll:
 * @timeout_ms: as g_poll() has it
 *
 * Waits for one of the main context's and for the loop's set. Plain files (which poll calls always
 * ready), closed descriptors and a lack of kernel memory or descriptors for the nested set all end
 * here: slower, and with poll's own answers.
 *
 * Returns: whether it is one of the main context's
 */
gboolean
kd_main_set_poll(KdMainSet *set, gint timeout_ms)
{
    if (g_poll(set->fds, set->n + 1, timeout_ms) <= 0) {
        return FALSE;
    }
    for (guint i = 0; i < set->n; i++) {
        if (set->fds[i].revents != 0) {
            return TRUE;
        }
    }
    return FALSE;
}

/**
 * kd_main_set_clear:
 * @loop_ep: the loop's set
 *
 * Empties it.
 */
void
kd_main_set_clear(KdMainSet *set, int loop_ep)
{
    close_ep(set, loop_ep);
    g_free(set->fds);
    *set = (KdMainSet)KD_MAIN_SET_NONE;
}
