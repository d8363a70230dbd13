/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Level-triggered watches of plugins, made of one watch of the loop each. */
#include "kd-watch.h"

#include "kd-loop-private.h"

#include <errno.h>

struct KdWatch {
    KdLoopWatch watch; /* its descriptor is -1 while nothing is waited for */
    int fd;
    uint32_t wanted;
    KdReadyFunc fn;
    void *user;
};

/* The level is asked for anew before each round, so what was reported once is not kept. */
static gboolean
on_ready(KdLoopWatch *loop_watch)
{
    KdWatch *watch = (KdWatch *)loop_watch;
    uint32_t ready = loop_watch->ready & watch->wanted;

    loop_watch->ready = 0;
    if (ready != 0) {
        watch->fn(watch->user, ready);
    }
    return FALSE;
}

static void
on_gone(KdLoopWatch *loop_watch)
{
    g_free((KdWatch *)loop_watch);
}

static const KdLoopWatchFuncs watch_funcs = {.run = on_ready, .gone = on_gone};
static const KdLoopWatchFuncs quiet_funcs = {.run = on_ready, .gone = on_gone, .is_pure = TRUE};

/**
 * kd_watch_add:
 * @host: (nullable): not looked at
 * @fd: stays the caller's
 * @ready: KD_READY_IN, KD_READY_OUT or both; 0: nothing until kd_watch_set(). With
 *    KD_READY_QUIET the main context does not turn because of @fn
 * @fn: called at most once a round, again and again while one of @ready holds. Where the
 *    descriptor has failed or hung up, both hold
 * @user: for @fn
 *
 * Watches a descriptor of a plugin's own, level-triggered.
 *
 * Returns: (transfer none) (nullable): the watch, until kd_watch_remove(); %NULL with errno set
 * when the kernel refuses: EPERM for a plain file, EEXIST for a descriptor watched already
 */
KdWatch *
kd_watch_add(const KdHost *host, int fd, uint32_t ready, KdReadyFunc fn, void *user)
{
    g_autofree KdWatch *watch = g_new0(KdWatch, 1);

    (void)host;
    g_return_val_if_fail(fn != NULL, NULL);
    *watch = (KdWatch){.watch = {.fd = -1}, .fd = fd, .fn = fn};
    watch->watch.funcs = (ready & KD_READY_QUIET) != 0 ? &quiet_funcs : &watch_funcs;
    watch->user = user;
    watch->wanted = ready & (KD_READY_IN | KD_READY_OUT);
    if (!kd_loop_add(&watch->watch, NULL)) {
        errno = EBADF;
        return NULL;
    }
    /* One that starts without a wish is put in for a moment all the same: kd_watch_set() could not
     * say that the kernel refuses. */
    if (!kd_loop_set_level(&watch->watch, fd, watch->wanted != 0 ? watch->wanted : KD_READY_IN) ||
        (watch->wanted == 0 && !kd_loop_set_level(&watch->watch, fd, 0))) {
        int code = errno;

        kd_loop_remove(&watch->watch);
        (void)g_steal_pointer(&watch);
        errno = code;
        return NULL;
    }
    return g_steal_pointer(&watch);
}

/**
 * kd_watch_set:
 * @watch: not yet removed
 * @ready: KD_READY_IN, KD_READY_OUT or both; 0 takes the descriptor out of the set
 *
 * Changes what is waited for.
 */
void
kd_watch_set(KdWatch *watch, uint32_t ready)
{
    uint32_t wanted = ready & (KD_READY_IN | KD_READY_OUT);

    if (wanted == watch->wanted) {
        return;
    }
    watch->wanted = wanted;
    if (!kd_loop_set_level(&watch->watch, watch->fd, wanted)) {
        g_warning("can't watch descriptor %d: %s", watch->fd, g_strerror(errno));
    }
}

/**
 * kd_watch_remove:
 * @watch: (transfer full): with its descriptor still open
 *
 * Ends a watch; its function is not called any more, not even when this is called from it.
 */
void
kd_watch_remove(KdWatch *watch)
{
    kd_loop_remove(&watch->watch);
}
