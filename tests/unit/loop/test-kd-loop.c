/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Readiness, rounds, removal, the buffer: what a watch is promised. */
#include "kd-probe.h"

#include <errno.h>
#include <sys/mman.h>

static guint n_prepared;

static gboolean
on_prepare(GSource *source, gint *timeout_ms)
{
    (void)source;
    *timeout_ms = -1;
    n_prepared++;
    return FALSE;
}

/* ---- starting and stopping ------------------------------------------------------------------ */

static void
test_start_twice(void)
{
    GPollFunc before = g_main_context_get_poll_func(NULL);
    GPollFunc during;

    probe_start();
    during = g_main_context_get_poll_func(NULL);
    g_assert_true(during != before);
    probe_start();
    g_assert_true(g_main_context_get_poll_func(NULL) == during);
    kd_loop_stop();
    g_assert_true(g_main_context_get_poll_func(NULL) == before);
    kd_loop_stop();
}

static void
test_stop_refuses(void)
{
    if (g_test_subprocess()) {
        static Probe probe;

        probe_start();
        probe_add(&probe, -1, TRUE, NULL);
        kd_loop_stop();
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
    g_test_trap_assert_stderr("*n_added == 0*");
}

static void
test_add_refused(void)
{
    static const KdLoopWatchFuncs funcs = {.run = probe_run};
    KdLoopWatch first = {.funcs = &funcs, .fd = probe_eventfd()};
    KdLoopWatch second = {.funcs = &funcs, .fd = first.fd};
    g_autoptr(GError) error = NULL;

    g_assert_false(kd_loop_add(&first, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_INITIALIZED);
    g_clear_error(&error);
    probe_start();
    g_assert_true(kd_loop_add(&first, NULL));
    g_assert_false(kd_loop_add(&second, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS);
    kd_loop_remove(&second);
    kd_loop_remove(&first);
    (void)close(first.fd);
    kd_loop_stop();
}

/* ---- readiness ------------------------------------------------------------------------------ */

static void
test_ready_bits(void)
{
    int fds[2];
    Probe probe = {0};

    probe_start();
    probe_socketpair(fds);
    probe_add(&probe, fds[0], TRUE, NULL);
    probe_turn();
    g_assert_cmpuint(probe.seen, ==, KD_READY_OUT);
    probe_turn();
    g_assert_cmpuint(probe.n_runs, ==, 1);

    g_assert_cmpint(write(fds[1], "x", 1), ==, 1);
    probe_turn();
    g_assert_cmpuint(probe.seen, ==, KD_READY_OUT | KD_READY_IN);

    g_assert_cmpint(shutdown(fds[1], SHUT_WR), ==, 0);
    probe_turn();
    g_assert_cmpuint(probe.seen, ==, KD_READY_OUT | KD_READY_IN | KD_READY_HUP);

    kd_loop_remove(&probe.watch);
    (void)close(fds[0]);
    (void)close(fds[1]);
    kd_loop_stop();
}

static void
test_ready_after_failure(void)
{
    int fds[2];
    Probe reader = {0};
    Probe writer = {0};

    probe_start();
    g_assert_cmpint(pipe2(fds, O_NONBLOCK | O_CLOEXEC), ==, 0);
    while (write(fds[1], "0123456789abcdef", 16) > 0) {
    }
    g_assert_cmpint(errno, ==, EAGAIN);
    probe_add(&writer, fds[1], TRUE, NULL);
    probe_turn();
    g_assert_cmpuint(writer.n_runs, ==, 0);
    (void)close(fds[0]);
    probe_turn();
    g_assert_cmpuint(writer.seen, ==, KD_READY_OUT | KD_READY_IN | KD_READY_HUP);
    kd_loop_remove(&writer.watch);
    (void)close(fds[1]);

    g_assert_cmpint(pipe2(fds, O_NONBLOCK | O_CLOEXEC), ==, 0);
    probe_add(&reader, fds[0], TRUE, NULL);
    (void)close(fds[1]);
    probe_turn();
    g_assert_cmpuint(reader.seen, ==, KD_READY_OUT | KD_READY_IN | KD_READY_HUP);
    kd_loop_remove(&reader.watch);
    (void)close(fds[0]);
    kd_loop_stop();
}

/* A UNIX socket says so whenever its peer reads, as a terminal does. */
static void
test_room_is_no_news(void)
{
    int fds[2];
    char byte;
    Probe probe = {0};

    probe_start();
    probe_socketpair(fds);
    probe_add(&probe, fds[0], TRUE, NULL);
    probe_turn();
    for (int i = 0; i < 10; i++) {
        g_assert_cmpint(write(fds[0], "x", 1), ==, 1);
        g_assert_cmpint(read(fds[1], &byte, 1), ==, 1);
        probe_turn();
    }
    g_assert_cmpuint(probe.n_runs, <=, 2);
    g_assert_cmpuint(probe.watch.ready, ==, KD_READY_OUT);
    kd_loop_remove(&probe.watch);
    (void)close(fds[0]);
    (void)close(fds[1]);
    kd_loop_stop();
}

static void
fill(int fd)
{
    static const char chunk[4096];

    while (write(fd, chunk, sizeof chunk) > 0) {
    }
    g_assert_cmpint(errno, ==, EAGAIN);
}

static void
test_room_is_awaited(void)
{
    int fds[2];
    char chunk[4096];
    Probe probe = {0};

    probe_start();
    probe_socketpair(fds);
    probe_add(&probe, fds[0], TRUE, NULL);
    probe_turn();
    for (guint i = 0; i < 5; i++) {
        fill(fds[0]);
        if (i % 2 == 0) {
            /* the loop has learned meanwhile that there always is room */
            while (read(fds[1], chunk, sizeof chunk) > 0) {
            }
            probe_turn();
            fill(fds[0]);
        }
        kd_loop_await_out(&probe.watch);
        probe_turn();
        g_assert_cmpuint(probe.watch.ready, ==, 0);
        while (read(fds[1], chunk, sizeof chunk) > 0) {
        }
        probe_turn();
        g_assert_cmpuint(probe.watch.ready, ==, KD_READY_OUT);
    }
    /* the room comes between the refusal and the wish */
    fill(fds[0]);
    while (read(fds[1], chunk, sizeof chunk) > 0) {
    }
    kd_loop_await_out(&probe.watch);
    probe_turn();
    g_assert_cmpuint(probe.watch.ready, ==, KD_READY_OUT);
    kd_loop_remove(&probe.watch);
    (void)close(fds[0]);
    (void)close(fds[1]);
    kd_loop_stop();
}

static gboolean
ready_self_and_other(Probe *probe)
{
    kd_loop_ready(&probe->other->watch, KD_READY_IN);
    kd_loop_ready(&probe->other->watch, KD_READY_OUT);
    return FALSE;
}

static void
test_ready_without_descriptor(void)
{
    Probe first = {0};
    Probe second = {0};

    probe_start();
    first.other = &second;
    kd_loop_ready(&first.watch, KD_READY_IN);
    probe_add(&first, -1, TRUE, ready_self_and_other);
    probe_add(&second, -1, TRUE, NULL);
    probe_turn();
    g_assert_cmpuint(first.n_runs, ==, 0);

    kd_loop_ready(&first.watch, KD_READY_OUT);
    g_assert_cmpuint(first.n_runs, ==, 0);
    probe_turn();
    g_assert_cmpuint(first.n_runs, ==, 1);
    g_assert_cmpuint(first.seen, ==, KD_READY_OUT);
    g_assert_cmpuint(second.n_runs, ==, 0);
    probe_turn();
    g_assert_cmpuint(first.n_runs, ==, 1);
    g_assert_cmpuint(second.n_runs, ==, 1);
    g_assert_cmpuint(second.seen, ==, KD_READY_IN | KD_READY_OUT);

    kd_loop_remove(&first.watch);
    kd_loop_remove(&second.watch);
    kd_loop_stop();
}

/* ---- rounds --------------------------------------------------------------------------------- */

#define N_SLOW 64

static gboolean
run_slowly(Probe *probe)
{
    g_usleep(250);
    probe->watch.ready &= ~KD_READY_IN;
    return FALSE;
}

/* All events arrive with one wait, and the round is cut short long before the last has run. */
static void
test_round_is_bounded(void)
{
    Probe probes[N_SLOW] = {0};
    guint n_runs = 0;

    probe_start();
    for (guint i = 0; i < N_SLOW; i++) {
        int fd = probe_eventfd();

        probe_poke(fd);
        probe_add(&probes[i], fd, TRUE, run_slowly);
    }
    probe_turn();
    for (guint i = 0; i < N_SLOW; i++) {
        n_runs += probes[i].n_runs;
    }
    g_assert_cmpuint(n_runs, >, 0);
    g_assert_cmpuint(n_runs, <, N_SLOW);

    for (guint i = 0; i < N_SLOW; i++) {
        probe_turn();
    }
    for (guint i = 0; i < N_SLOW; i++) {
        g_assert_cmpuint(probes[i].n_runs, ==, 1);
        g_assert_cmpuint(probes[i].seen, ==, KD_READY_IN | KD_READY_OUT);
        g_assert_cmpuint(probes[i].watch.ready, ==, KD_READY_OUT);
        kd_loop_remove(&probes[i].watch);
        (void)close(probes[i].watch.fd);
    }
    kd_loop_stop();
}

static gboolean
run_on(Probe *probe)
{
    GString *order = probe->user;

    g_string_append_c(order, (char)('a' + (char)probe->seen));
    return TRUE;
}

static void
test_round_takes_turns(void)
{
    g_autoptr(GString) order = g_string_new(NULL);
    Probe probes[3] = {0};

    probe_start();
    for (guint i = 0; i < G_N_ELEMENTS(probes); i++) {
        probes[i].user = order;
        probe_add(&probes[i], -1, TRUE, run_on);
        kd_loop_ready(&probes[i].watch, i);
    }
    probe_turn();
    g_assert_cmpstr(order->str, ==, "abc");
    probe_turn();
    g_assert_cmpstr(order->str, ==, "abcabc");
    /* one that leaves from the middle does not change the order of the others */
    kd_loop_remove(&probes[1].watch);
    probe_turn();
    g_assert_cmpstr(order->str, ==, "abcabcac");
    kd_loop_remove(&probes[0].watch);
    kd_loop_remove(&probes[2].watch);
    kd_loop_stop();
}

static gboolean
note_quantum(Probe *probe)
{
    size_t *quantum = probe->user;

    *quantum = kd_loop_get_quantum_bytes();
    return FALSE;
}

static void
test_quantum(void)
{
    Probe probes[3] = {0};
    size_t quanta[3] = {0};
    guint full = KD_LOOP_BUFFER_BYTES;

    probe_start();
    for (guint i = 0; i < G_N_ELEMENTS(probes); i++) {
        probes[i].user = &quanta[i];
        probe_add(&probes[i], -1, TRUE, note_quantum);
    }
    for (guint n = 1; n <= G_N_ELEMENTS(probes); n++) {
        for (guint i = 0; i < n; i++) {
            kd_loop_ready(&probes[i].watch, KD_READY_IN);
        }
        probe_turn();
        for (guint i = 0; i < n; i++) {
            if (n <= 2) {
                g_assert_cmpuint(quanta[i], ==, full);
            } else {
                g_assert_cmpuint(quanta[i], >, 0);
                g_assert_cmpuint(quanta[i], <=, full / 2);
            }
        }
    }
    for (guint i = 0; i < G_N_ELEMENTS(probes); i++) {
        kd_loop_remove(&probes[i].watch);
    }
    kd_loop_stop();
}

static void
test_buffer(void)
{
    uint8_t *buffer = kd_loop_get_buffer();

    g_assert_cmpuint((uintptr_t)buffer % 4096, ==, 0);
    g_assert_true(kd_loop_get_buffer() == buffer);
    memset(buffer - KD_LOOP_HEADROOM_BYTES, 1, KD_LOOP_HEADROOM_BYTES + KD_LOOP_BUFFER_BYTES);
}

/* ---- removal -------------------------------------------------------------------------------- */

static gboolean
remove_both(Probe *probe)
{
    kd_loop_remove(&probe->other->watch);
    kd_loop_remove(&probe->watch);
    kd_loop_remove(&probe->watch);
    kd_loop_ready(&probe->watch, KD_READY_IN);
    g_assert_cmpuint(probe->n_gone, ==, 0);
    g_assert_cmpuint(probe->other->n_gone, ==, 0);
    return TRUE;
}

static void
test_remove_in_round(void)
{
    Probe first = {0};
    Probe second = {0};

    probe_start();
    first.other = &second;
    probe_add(&first, -1, TRUE, remove_both);
    probe_add(&second, -1, TRUE, NULL);
    kd_loop_ready(&first.watch, KD_READY_IN);
    kd_loop_ready(&second.watch, KD_READY_IN);
    probe_turn();
    g_assert_cmpuint(first.n_gone, ==, 1);
    g_assert_cmpuint(second.n_gone, ==, 1);
    probe_turn();
    g_assert_cmpuint(first.n_runs, ==, 1);
    g_assert_cmpuint(second.n_runs, ==, 0);
    g_assert_cmpuint(first.n_gone, ==, 1);
    g_assert_cmpuint(second.n_gone, ==, 1);
    kd_loop_stop();
}

/* The round ends before the removed one's place in the queue is reached. */
static void
test_remove_behind_the_bound(void)
{
    Probe slow[N_SLOW] = {0};
    Probe last = {0};

    probe_start();
    for (guint i = 0; i < N_SLOW; i++) {
        probe_add(&slow[i], -1, TRUE, run_slowly);
        kd_loop_ready(&slow[i].watch, KD_READY_IN);
    }
    probe_add(&last, -1, TRUE, NULL);
    kd_loop_ready(&last.watch, KD_READY_IN);
    kd_loop_remove(&last.watch);
    probe_turn();
    g_assert_cmpuint(slow[N_SLOW - 1].n_runs, ==, 0);
    g_assert_cmpuint(last.n_gone, ==, 1);
    g_assert_cmpuint(last.n_runs, ==, 0);
    for (guint i = 0; i < N_SLOW; i++) {
        kd_loop_remove(&slow[i].watch);
    }
    kd_loop_stop();
    g_assert_cmpuint(slow[N_SLOW - 1].n_gone, ==, 1);
}

static void
test_remove_outside(void)
{
    Probe probe = {0};
    int fd = probe_eventfd();

    probe_start();
    probe_add(&probe, fd, TRUE, NULL);
    probe_poke(fd);
    kd_loop_remove(&probe.watch);
    (void)close(fd);
    g_assert_cmpuint(probe.n_gone, ==, 0);
    /* nothing else is there to wake the context up, and its next timeout is far away */
    probe_wait(&probe.n_gone, 1);
    g_assert_cmpuint(probe.n_runs, ==, 0);
    g_assert_cmpuint(probe.n_gone, ==, 1);

    /* and from now on it is free to be added again */
    probe_add(&probe, -1, TRUE, NULL);
    kd_loop_ready(&probe.watch, KD_READY_IN);
    probe_turn();
    g_assert_cmpuint(probe.n_runs, ==, 1);
    kd_loop_remove(&probe.watch);
    kd_loop_stop();
    g_assert_cmpuint(probe.n_gone, ==, 2);
}

/* A duplicate keeps the open file alive, so only the kernel's DEL ends its events. */
static void
test_remove_before_close(void)
{
    static const KdLoopWatchFuncs funcs = {.run = probe_run};
    Probe *probe = g_new0(Probe, 1);
    Probe other = {0};
    int duplicate;
    int fds[2];

    probe_start();
    probe_socketpair(fds);
    probe->watch = (KdLoopWatch){.funcs = &funcs, .fd = fds[0]};
    g_assert_true(kd_loop_add(&probe->watch, NULL));
    probe_turn();
    g_assert_cmpuint(probe->n_runs, ==, 1);
    duplicate = dup(fds[0]);
    kd_loop_remove(&probe->watch);
    (void)close(fds[0]);
    probe_turn();
    g_free(probe);
    g_assert_cmpint(write(fds[1], "x", 1), ==, 1);
    probe_add(&other, fds[1], FALSE, NULL);
    probe_wait(&other.n_runs, 1);
    probe_turn();
    kd_loop_remove(&other.watch);
    (void)close(duplicate);
    (void)close(fds[1]);
    kd_loop_stop();
}

/* ---- plain files ---------------------------------------------------------------------------- */

#define FILE_BYTES 1000

typedef struct {
    size_t n_read;
    guint n_ends;
} Reader;

/* A reader as the router is: a short read ends it, unless the other side has hung up. */
static gboolean
read_file(Probe *probe)
{
    Reader *reader = probe->user;

    while (reader->n_ends == 0 && (probe->watch.ready & KD_READY_IN)) {
        char bytes[300];
        ssize_t len = read(probe->watch.fd, bytes, sizeof bytes);

        g_assert_cmpint(len, >=, 0);
        reader->n_read += (size_t)len;
        if (len == 0) {
            reader->n_ends++;
            probe->watch.ready = 0;
        }
        if ((size_t)len < sizeof bytes && !(probe->watch.ready & KD_READY_HUP)) {
            probe->watch.ready &= ~KD_READY_IN;
        }
        if (reader->n_read == 600) {
            return TRUE; /* as at the end of a quantum */
        }
    }
    return FALSE;
}

static void
test_file(void)
{
    Reader reader = {0};
    Probe probe = {.user = &reader};
    int fd = memfd_create("kd", MFD_CLOEXEC);
    guint n_runs;

    probe_start();
    g_assert_cmpint(ftruncate(fd, FILE_BYTES), ==, 0);
    probe_add(&probe, fd, FALSE, read_file);
    probe_wait(&reader.n_ends, 1);
    g_assert_cmpuint(reader.n_read, ==, FILE_BYTES);
    g_assert_cmpuint(probe.n_runs, ==, 2);

    n_runs = probe.n_runs;
    for (guint i = 0; i < 10; i++) {
        probe_turn();
    }
    g_assert_cmpuint(probe.n_runs, ==, n_runs);
    kd_loop_ready(&probe.watch, 0);
    probe_turn();
    g_assert_cmpuint(probe.n_runs, ==, n_runs + 1);
    g_assert_cmpuint(probe.seen, ==, KD_READY_IN | KD_READY_OUT | KD_READY_HUP);
    kd_loop_remove(&probe.watch);
    (void)close(fd);
    kd_loop_stop();
}

/* ---- what a pure run saves ------------------------------------------------------------------ */

#define N_ECHOES 200

/* Both ends in one function: every message it sends wakes it again. */
static gboolean
echo(Probe *probe)
{
    int *peer = probe->user;
    char byte;

    if ((probe->watch.ready & KD_READY_IN) && read(probe->watch.fd, &byte, 1) == 1) {
        probe->watch.ready &= ~KD_READY_IN;
    }
    if (probe->n_runs < N_ECHOES) {
        g_assert_cmpint(write(*peer, "x", 1), ==, 1);
    } else {
        kd_loop_turn();
    }
    return FALSE;
}

static void
check_turns(gboolean is_pure)
{
    static GSourceFuncs funcs = {.prepare = on_prepare};
    GSource *source = g_source_new(&funcs, sizeof(GSource));
    Probe probe = {0};
    int fds[2];

    probe_start();
    probe_socketpair(fds);
    probe.user = &fds[1];
    g_source_attach(source, NULL);
    probe_add(&probe, fds[0], is_pure, echo);
    kd_loop_turn(); /* asked for once, and not for ever */
    n_prepared = 0;
    probe_wait(&probe.n_runs, N_ECHOES);
    if (is_pure) {
        g_assert_cmpuint(n_prepared, <, 10);
    } else {
        g_assert_cmpuint(n_prepared, >=, N_ECHOES / 2);
    }
    kd_loop_remove(&probe.watch);
    (void)close(fds[0]);
    (void)close(fds[1]);
    g_source_destroy(source);
    g_source_unref(source);
    kd_loop_stop();
}

static void
test_pure_stays_inside(void)
{
    check_turns(TRUE);
}

static void
test_others_turn(void)
{
    check_turns(FALSE);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/loop/start/happens-once-and-is-taken-back", test_start_twice);
    g_test_add_func("/loop/stop/refuses-while-a-watch-is-added", test_stop_refuses);
    g_test_add_func("/loop/add/says-what-the-kernel-refuses", test_add_refused);
    g_test_add_func("/loop/ready/has-the-bits-of-the-descriptor", test_ready_bits);
    g_test_add_func("/loop/ready/failure-wakes-readers-and-writers", test_ready_after_failure);
    g_test_add_func("/loop/ready/room-that-was-never-missed-wakes-nobody", test_room_is_no_news);
    g_test_add_func("/loop/ready/room-that-was-missed-is-told", test_room_is_awaited);
    g_test_add_func("/loop/ready/works-without-descriptor", test_ready_without_descriptor);
    g_test_add_func("/loop/round/is-bounded-and-loses-no-edge", test_round_is_bounded);
    g_test_add_func("/loop/round/takes-turns", test_round_takes_turns);
    g_test_add_func("/loop/quantum/shrinks-when-three-are-runnable", test_quantum);
    g_test_add_func("/loop/buffer/is-aligned-and-has-headroom", test_buffer);
    g_test_add_func("/loop/remove/in-a-round-ends-runs-and-calls-gone-once", test_remove_in_round);
    g_test_add_func("/loop/remove/calls-gone-although-the-round-is-cut-short",
                    test_remove_behind_the_bound);
    g_test_add_func("/loop/remove/outside-a-round-is-noticed-at-once", test_remove_outside);
    g_test_add_func("/loop/remove/before-close-ends-events-of-a-duplicate",
                    test_remove_before_close);
    g_test_add_func("/loop/file/is-read-to-its-end-and-then-left-alone", test_file);
    g_test_add_func("/loop/pure/stays-inside-the-poll-function", test_pure_stays_inside);
    g_test_add_func("/loop/turn/follows-every-run-that-is-not-pure", test_others_turn);
    return g_test_run();
}
