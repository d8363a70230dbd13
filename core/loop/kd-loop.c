/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One epoll set, one queue of ready watches and the poll function that runs them. */
#include "kd-loop.h"
#include "kd-alarm.h"
#include "kd-loop-private.h"
#include "kd-main-set.h"
#include "kd-ready-queue.h"

#include <errno.h>
#include <stdalign.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS_MAX         64
#define EVENTS_IN          (EPOLLIN | EPOLLRDHUP | EPOLLET)
#define ROUND_US           500
#define RUNS_PER_CLOCK     4u
#define FEW_RUNS           2u
#define BUFFER_ALIGN_BYTES 4096u

/* The peer end of a plain file is always "hung up": its readers go on to the end. */
#define READY_ALWAYS (KD_READY_IN | KD_READY_OUT | KD_READY_HUP)

typedef struct {
    int ep;           /* every watch, and the next two; -1: not started */
    KdAlarm alarm;    /* of the main context's next timeout */
    KdMainSet others; /* what the main context watches by itself */
    struct epoll_event events[EVENTS_MAX];

    KdReadyQueue queue;
    guint n_round; /* how many were queued when the current round started; 0 between rounds */
    guint64 round;

    KdLoopWatch *dead;
    guint n_dead_queued;
    guint n_added;

    gboolean is_turn_due;
    gboolean is_inside; /* a function of a watch is on the stack */
} KdLoop;

static KdLoop loop = {.ep = -1, .alarm = KD_ALARM_NONE, .others = KD_MAIN_SET_NONE};

static alignas(BUFFER_ALIGN_BYTES) uint8_t buffer[KD_LOOP_HEADROOM_BYTES + KD_LOOP_BUFFER_BYTES];
G_STATIC_ASSERT(KD_LOOP_HEADROOM_BYTES % BUFFER_ALIGN_BYTES == 0);

/* ---- the ready queue ------------------------------------------------------------------------ */

static void
dead_push(KdLoopWatch *watch)
{
    watch->next = loop.dead;
    loop.dead = watch;
}

/* Removed watches stay in the queue until the round is over, so that a round can count on it. Once
 * all the way round, for the order of the others. */
static void
queue_sweep(void)
{
    for (guint left = loop.queue.n; left > 0; left--) {
        KdLoopWatch *watch = kd_ready_queue_pop(&loop.queue);

        if (watch->is_dead) {
            loop.n_dead_queued--;
            dead_push(watch);
        } else {
            kd_ready_queue_push(&loop.queue, watch);
        }
    }
}

static KdLoopWatch *
dead_pop(void)
{
    KdLoopWatch *watch;

    if (loop.n_dead_queued > 0) {
        queue_sweep();
    }
    watch = loop.dead;
    if (watch != NULL) {
        loop.dead = watch->next;
        watch->next = NULL;
        watch->is_dead = FALSE;
    }
    return watch;
}

/* Tells the owners of removed watches; one of them may remove others while it is told. */
static void
bury_dead(void)
{
    KdLoopWatch *watch;

    loop.is_inside = TRUE;
    while ((watch = dead_pop()) != NULL) {
        loop.is_turn_due = TRUE;
        if (watch->funcs->gone != NULL) {
            watch->funcs->gone(watch);
        }
    }
    loop.is_inside = FALSE;
}

static void
run_watch(KdLoopWatch *watch)
{
    gboolean has_more;

    /* Before the call: what it attaches to the main context must be seen, whatever it returns. */
    if (!watch->funcs->is_pure) {
        loop.is_turn_due = TRUE;
    }
    has_more = watch->funcs->run(watch);
    if (watch->is_always_ready) {
        watch->ready |= READY_ALWAYS;
    }
    if (has_more) {
        kd_loop_ready(watch, 0);
    }
}

/* The clock is asked only once several have run: an echo of one session needs none. */
static void
run_round(void)
{
    gint64 limit_us = 0;

    loop.n_round = loop.queue.n;
    loop.round++;
    loop.is_inside = TRUE;
    for (guint i = 1; i <= loop.n_round; i++) {
        KdLoopWatch *watch = kd_ready_queue_pop(&loop.queue);

        if (watch->is_dead) {
            loop.n_dead_queued--;
            dead_push(watch);
        } else {
            run_watch(watch);
        }
        if (i % RUNS_PER_CLOCK == 0 && i < loop.n_round) {
            gint64 now_us = g_get_monotonic_time();

            if (limit_us == 0) {
                limit_us = now_us + ROUND_US;
            } else if (now_us > limit_us) {
                break;
            }
        }
    }
    loop.is_inside = FALSE;
    loop.n_round = 0;
}

/* ---- the poll function ---------------------------------------------------------------------- */

static uint32_t
build_ready(uint32_t events)
{
    uint32_t ready = 0;

    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        ready |= KD_READY_IN;
    }
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) {
        ready |= KD_READY_OUT;
    }
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        ready |= KD_READY_HUP;
    }
    return ready;
}

static gboolean
modify(KdLoopWatch *watch, gboolean is_out_watched)
{
    struct epoll_event event = {.events = EVENTS_IN | (is_out_watched ? EPOLLOUT : 0u),
                                .data.ptr = watch};

    watch->is_out_watched = is_out_watched;
    return epoll_ctl(loop.ep, EPOLL_CTL_MOD, watch->fd, &event) == 0;
}

/* Terminals and UNIX sockets tell of room whenever their other side reads, though there has been
 * room all the time: each exchange would wake us once for nothing. */
static void
take_event(KdLoopWatch *watch, uint32_t events)
{
    if (events == EPOLLOUT && watch->is_out_watched && (watch->ready & KD_READY_OUT) != 0) {
        (void)modify(watch, FALSE);
    }
    kd_loop_ready(watch, build_ready(events));
}

/* Waits and turns events into bits and queue entries; an edge kept anywhere else could get lost.
 * Returns: whether a descriptor of the main context is ready */
static gboolean
collect_events(gint timeout_ms)
{
    gboolean is_other_due = FALSE;
    int n_events;

    if (loop.others.ep < 0) {
        is_other_due = kd_main_set_poll(&loop.others, timeout_ms);
        timeout_ms = 0;
    }
    n_events = epoll_wait(loop.ep, loop.events, EVENTS_MAX, timeout_ms);
    for (int i = 0; i < n_events; i++) {
        KdLoopWatch *watch = loop.events[i].data.ptr;

        if (watch == NULL) {
            is_other_due = TRUE;
        } else if (loop.events[i].data.ptr == &loop.alarm) {
            kd_alarm_take(&loop.alarm);
            loop.is_turn_due = TRUE;
        } else {
            take_event(watch, loop.events[i].events);
        }
    }
    return is_other_due;
}

static gint
on_poll(GPollFD *fds, guint n_fds, gint timeout_ms)
{
    gboolean has_few = TRUE;

    if (loop.is_inside) {
        g_error("main context turned from a data callback");
    }
    if (timeout_ms > 0) {
        kd_alarm_set(&loop.alarm,
                     g_get_monotonic_time() + (gint64)timeout_ms * G_TIME_SPAN_MILLISECOND);
    }
    /* The main context has just looked at all its sources, so older reasons to turn are settled. */
    loop.is_turn_due = FALSE;
    bury_dead();
    kd_main_set_update(&loop.others, loop.ep, fds, n_fds);
    for (;;) {
        gboolean is_busy = loop.queue.head != NULL || loop.is_turn_due || timeout_ms == 0;
        gboolean is_other_due = FALSE;

        /* What one or two have made ready, as a plugin's datagram a session, goes on at once. */
        has_few = !has_few && loop.queue.head != NULL && loop.queue.n <= FEW_RUNS;
        if (!has_few) {
            is_other_due = collect_events(is_busy ? 0 : -1);
        }
        run_round();
        bury_dead();
        if (is_other_due) {
            return g_poll(fds, n_fds, 0);
        }
        if (loop.is_turn_due || timeout_ms == 0) {
            return 0;
        }
    }
}

/* ---- the interface -------------------------------------------------------------------------- */

/**
 * kd_loop_start:
 * @error: return location
 *
 * Puts the loop under the default main context: from now on every turn of that context runs one
 * round of ready watches at least, also one made by g_main_context_pending(), which therefore is no
 * harmless question. Watches run on the thread that iterates the context, and may not iterate it
 * themselves. A source above %G_PRIORITY_DEFAULT that is always ready keeps GLib from calling the
 * loop at all. Does nothing when the loop was started before.
 *
 * Returns: %FALSE with an error of %G_IO_ERROR when the kernel gives no epoll set
 */
gboolean
kd_loop_start(GError **error)
{
    if (loop.ep >= 0) {
        return TRUE;
    }
    loop.ep = epoll_create1(EPOLL_CLOEXEC);
    if (loop.ep < 0) {
        int code = errno;

        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(code), "can't make an epoll set: %s",
                    g_strerror(code));
        return FALSE;
    }
    if (!kd_alarm_open(&loop.alarm, loop.ep, error)) {
        (void)close(loop.ep);
        loop.ep = -1;
        return FALSE;
    }
    g_main_context_set_poll_func(NULL, on_poll);
    return TRUE;
}

/**
 * kd_loop_stop:
 *
 * Takes the loop out of the default main context again, after the last @gone has been called.
 * Nothing may still be added.
 */
void
kd_loop_stop(void)
{
    g_assert(!loop.is_inside);
    if (loop.ep < 0) {
        return;
    }
    bury_dead();
    g_assert(loop.n_added == 0);
    g_main_context_set_poll_func(NULL, NULL);
    kd_main_set_clear(&loop.others, loop.ep);
    kd_alarm_close(&loop.alarm);
    (void)close(loop.ep);
    loop = (KdLoop){.ep = -1, .alarm = KD_ALARM_NONE, .others = KD_MAIN_SET_NONE};
}

/**
 * kd_loop_add:
 * @watch: stays the caller's until its @gone was called
 * @error: return location
 *
 * Adds a watch; its first run comes with the first readiness. The descriptor is watched for
 * everything, edge-triggered, and belongs to one watch at a time.
 *
 * A plain file is ready at all times, of which epoll wants to know nothing. Its watch has
 * %KD_READY_IN, %KD_READY_OUT and %KD_READY_HUP set at the start and again after each run, and is
 * queued at once; but after that only when its run function returns %TRUE or kd_loop_ready() is
 * called. So a file is read to its end (%KD_READY_HUP: a short read is not taken for "nothing more
 * just now"), and a reader that has had enough costs nothing.
 *
 * Returns: %FALSE with an error of %G_IO_ERROR when the kernel refuses, or before kd_loop_start()
 */
gboolean
kd_loop_add(KdLoopWatch *watch, GError **error)
{
    struct epoll_event event = {.events = EVENTS_IN | EPOLLOUT, .data.ptr = watch};

    g_return_val_if_fail(!watch->is_added && !watch->is_dead, FALSE);
    if (loop.ep < 0) {
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_NOT_INITIALIZED,
                            "the loop is not started");
        return FALSE;
    }
    watch->is_always_ready = FALSE;
    watch->is_out_watched = watch->fd >= 0;
    if (watch->fd >= 0 && epoll_ctl(loop.ep, EPOLL_CTL_ADD, watch->fd, &event) != 0) {
        int code = errno;

        if (code != EPERM) {
            g_set_error(error, G_IO_ERROR, g_io_error_from_errno(code),
                        "can't watch descriptor %d: %s", watch->fd, g_strerror(code));
            return FALSE;
        }
        watch->is_always_ready = TRUE;
        watch->is_out_watched = FALSE;
    }
    watch->is_added = TRUE;
    loop.n_added++;
    if (watch->is_always_ready) {
        kd_loop_ready(watch, READY_ALWAYS);
    }
    return TRUE;
}

/**
 * kd_loop_remove:
 * @watch: added, or removed before
 *
 * Takes a watch out of the loop, while its descriptor is still open: otherwise a duplicate
 * elsewhere would keep the events coming, and nothing could stop them any more. The descriptor is
 * not closed, the run function is not called again. @gone follows after the current round, or
 * before the next one when there is none; the main context turns for it. Any run may call it.
 */
void
kd_loop_remove(KdLoopWatch *watch)
{
    if (!watch->is_added) {
        return;
    }
    if (watch->fd >= 0 && !watch->is_always_ready &&
        epoll_ctl(loop.ep, EPOLL_CTL_DEL, watch->fd, NULL) != 0) {
        g_warning("descriptor %d was closed before its watch was removed", watch->fd);
    }
    watch->is_added = FALSE;
    watch->is_dead = TRUE;
    loop.n_added--;
    loop.is_turn_due = TRUE;
    if (watch->is_queued) {
        loop.n_dead_queued++;
    } else {
        dead_push(watch);
    }
}

/**
 * kd_loop_ready:
 * @watch: anything else than an added one is left alone
 * @bits: KD_READY_*, may be 0
 *
 * Notes readiness and puts the watch at the end of the queue, if it is not there already. It only
 * takes note: nothing runs before the next round, so it may be called from anywhere on the loop's
 * thread.
 */
void
kd_loop_ready(KdLoopWatch *watch, uint32_t bits)
{
    if (!watch->is_added) {
        return;
    }
    watch->ready |= bits;
    if (!watch->is_queued) {
        kd_ready_queue_push(&loop.queue, watch);
    }
}

/**
 * kd_loop_await_out:
 * @watch: whose descriptor has just refused a byte with EAGAIN
 *
 * Clears %KD_READY_OUT, and sees to it that it is set again when there is room. This and not only
 * the bit: of a descriptor that always had room the loop has ceased to ask.
 */
void
kd_loop_await_out(KdLoopWatch *watch)
{
    watch->ready &= ~(uint32_t)KD_READY_OUT;
    if (watch->is_added && watch->fd >= 0 && !watch->is_always_ready && !watch->is_out_watched &&
        !modify(watch, TRUE)) {
        g_warning("can't watch descriptor %d: %s", watch->fd, g_strerror(errno));
    }
}

/**
 * kd_loop_turn:
 *
 * Makes the main context turn after the current round: for a pure function that made an exception.
 */
void
kd_loop_turn(void)
{
    loop.is_turn_due = TRUE;
}

/**
 * kd_loop_get_round:
 *
 * Returns: the number of the current round: what is dear is done in one run of each
 */
guint64
kd_loop_get_round(void)
{
    return loop.round;
}

/**
 * kd_loop_get_quantum_bytes:
 *
 * Returns: how many bytes a run function may move before it returns %TRUE: the whole copy buffer
 * while at most two watches are runnable, half of it when others wait
 */
size_t
kd_loop_get_quantum_bytes(void)
{
    guint n_runnable = MAX(loop.n_round, loop.queue.n);

    return n_runnable <= 2 ? KD_LOOP_BUFFER_BYTES : KD_LOOP_BUFFER_BYTES / 2;
}

/**
 * kd_loop_get_buffer:
 *
 * Returns: the copy buffer, %KD_LOOP_BUFFER_BYTES long and page-aligned, with
 * %KD_LOOP_HEADROOM_BYTES in front of it; everybody's, so its content ends with the run
 */
uint8_t *
kd_loop_get_buffer(void)
{
    return buffer + KD_LOOP_HEADROOM_BYTES;
}

/**
 * kd_loop_set_level:
 * @watch: added with the descriptor -1
 * @fd: what it watches from now on
 * @ready: KD_READY_IN, KD_READY_OUT or both; 0 takes it out of the set
 *
 * Watches a descriptor level-triggered: the watch is queued before every round while one of @ready
 * holds. Out of the set its number is forgotten, and may be reused.
 *
 * Returns: %FALSE with errno set when the kernel refuses; nothing is watched then
 */
gboolean
kd_loop_set_level(KdLoopWatch *watch, int fd, uint32_t ready)
{
    struct epoll_event event = {.data.ptr = watch};
    int op = watch->fd >= 0 ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

    if (ready == 0) {
        op = EPOLL_CTL_DEL;
        if (watch->fd < 0) {
            return TRUE;
        }
    }
    if (ready & KD_READY_IN) {
        event.events |= EPOLLIN;
    }
    if (ready & KD_READY_OUT) {
        event.events |= EPOLLOUT;
    }
    watch->fd = -1;
    if (epoll_ctl(loop.ep, op, fd, &event) != 0) {
        return FALSE;
    }
    watch->fd = ready != 0 ? fd : -1;
    return TRUE;
}
