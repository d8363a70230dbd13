/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The main context above the loop: nothing attached to it from a run function, or behind the loop's
 * back, is forgotten. */
#include "kd-probe.h"

#include <glib-unix.h>
#include <sys/mman.h>

static guint n_fired;

static gboolean
on_fired(gpointer user_data)
{
    (void)user_data;
    n_fired++;
    return G_SOURCE_REMOVE;
}

static gboolean
on_fd_fired(gint fd, GIOCondition condition, gpointer user_data)
{
    (void)fd;
    (void)condition;
    return on_fired(user_data);
}

/* ---- wake-ups from a run function ----------------------------------------------------------- */

static gboolean
add_idle(Probe *probe)
{
    (void)probe;
    g_idle_add(on_fired, NULL);
    return FALSE;
}

static gboolean
add_timeout(Probe *probe)
{
    (void)probe;
    g_timeout_add(5, on_fired, NULL);
    return FALSE;
}

static void
on_task(GObject *object, GAsyncResult *result, gpointer user_data)
{
    (void)object;
    g_assert_true(g_task_propagate_boolean(G_TASK(result), NULL));
    on_fired(user_data);
}

static gboolean
end_task(Probe *probe)
{
    g_autoptr(GTask) task = g_task_new(NULL, NULL, on_task, NULL);

    (void)probe;
    g_task_return_boolean(task, TRUE);
    return FALSE;
}

static gboolean
add_descriptor(Probe *probe)
{
    int *fd = probe->user;

    g_unix_fd_add(*fd, G_IO_IN, on_fd_fired, NULL);
    return FALSE;
}

static gboolean
turn_by_hand(Probe *probe)
{
    kd_loop_turn();
    return add_idle(probe);
}

static void
check_wake(gboolean is_pure, gboolean (*fn)(Probe *probe))
{
    int readable = probe_eventfd();
    int fd = probe_eventfd();
    Probe probe = {.user = &readable};
    guint n_before;

    probe_start();
    probe_poke(readable);
    probe_add(&probe, fd, is_pure, NULL);
    probe_turn();
    probe.fn = fn;
    n_before = n_fired;
    probe_poke(fd);
    probe_wait(&n_fired, n_before + 1);
    kd_loop_remove(&probe.watch);
    (void)close(fd);
    (void)close(readable);
    kd_loop_stop();
}

static void
test_wake_idle(void)
{
    check_wake(FALSE, add_idle);
}

static void
test_wake_timeout(void)
{
    check_wake(FALSE, add_timeout);
}

static void
test_wake_task(void)
{
    check_wake(FALSE, end_task);
}

static void
test_wake_descriptor(void)
{
    check_wake(FALSE, add_descriptor);
}

static void
test_wake_by_hand(void)
{
    check_wake(TRUE, turn_by_hand);
}

static void
on_gone_add_idle(KdLoopWatch *watch)
{
    (void)watch;
    g_idle_add(on_fired, NULL);
}

static gboolean
remove_itself(KdLoopWatch *watch)
{
    kd_loop_remove(watch);
    return FALSE;
}

static void
test_wake_gone(void)
{
    static const KdLoopWatchFuncs funcs = {remove_itself, on_gone_add_idle, TRUE};
    KdLoopWatch watch = {.funcs = &funcs, .fd = -1};
    guint n_before = n_fired;

    probe_start();
    g_assert_true(kd_loop_add(&watch, NULL));
    kd_loop_ready(&watch, KD_READY_IN);
    probe_wait(&n_fired, n_before + 1);
    kd_loop_stop();
}

/* ---- the set of the main context's descriptors ---------------------------------------------- */

typedef struct {
    int fds[2];
    guint n_fired;
} Reused;

static gboolean
on_second_pipe(gint fd, GIOCondition condition, gpointer user_data)
{
    Reused *reused = user_data;

    (void)fd;
    (void)condition;
    reused->n_fired++;
    return G_SOURCE_REMOVE;
}

static gboolean
on_late(gpointer user_data)
{
    Reused *reused = user_data;

    g_assert_cmpint(write(reused->fds[1], "y", 1), ==, 1);
    return G_SOURCE_REMOVE;
}

static gboolean
on_first_pipe(gint fd, GIOCondition condition, gpointer user_data)
{
    Reused *reused = user_data;

    (void)condition;
    (void)close(reused->fds[0]);
    (void)close(reused->fds[1]);
    g_assert_cmpint(pipe2(reused->fds, O_CLOEXEC), ==, 0);
    g_assert_cmpint(reused->fds[0], ==, fd);
    g_unix_fd_add(reused->fds[0], G_IO_IN, on_second_pipe, reused);
    g_timeout_add(5, on_late, reused);
    return G_SOURCE_REMOVE;
}

static void
test_reused_number(void)
{
    Reused reused = {0};

    probe_start();
    g_assert_cmpint(pipe2(reused.fds, O_CLOEXEC), ==, 0);
    g_assert_cmpint(write(reused.fds[1], "x", 1), ==, 1);
    g_unix_fd_add(reused.fds[0], G_IO_IN, on_first_pipe, &reused);
    probe_wait(&reused.n_fired, 1);
    (void)close(reused.fds[0]);
    (void)close(reused.fds[1]);
    kd_loop_stop();
}

static void
test_low_priority(void)
{
    int fd = probe_eventfd();
    guint n_before = n_fired;

    probe_start();
    probe_poke(fd);
    g_unix_fd_add_full(G_PRIORITY_LOW, fd, G_IO_IN, on_fd_fired, NULL, NULL);
    probe_wait(&n_fired, n_before + 1);
    (void)close(fd);
    kd_loop_stop();
}

/* Never dispatched, because that alone would wake the context up again. */
static gboolean
on_file_check(GSource *source)
{
    guint *n_checks = (guint *)(source + 1);

    (*n_checks)++;
    return FALSE;
}

/* epoll refuses plain files; the other descriptors are watched all the same. */
static void
test_plain_file(void)
{
    static GSourceFuncs funcs = {.check = on_file_check};
    GSource *source = g_source_new(&funcs, sizeof(GSource) + sizeof(guint));
    const guint *n_checks = (guint *)(source + 1);
    int file = memfd_create("kd", MFD_CLOEXEC);
    int fd = probe_eventfd();
    int data_fd = probe_eventfd();
    Probe probe = {0};
    guint n_before = n_fired;
    GPollFD polled = {.fd = file, .events = G_IO_IN};

    probe_start();
    g_source_add_poll(source, &polled);
    g_source_attach(source, NULL);
    probe_wait(n_checks, 10);
    g_unix_fd_add(fd, G_IO_IN, on_fd_fired, NULL);
    probe_poke(fd);
    probe_wait(&n_fired, n_before + 1);

    /* where nothing is waited for, it neither spins nor keeps data from waking */
    polled.events = 0;
    probe_add(&probe, data_fd, TRUE, NULL);
    probe_turn();
    probe.n_runs = 0;
    probe.fn = turn_by_hand;
    probe_poke(data_fd);
    probe_wait(&n_fired, n_before + 2);
    g_assert_cmpuint(probe.n_runs, ==, 1);
    kd_loop_remove(&probe.watch);
    g_source_destroy(source);
    g_source_unref(source);
    (void)close(file);
    (void)close(fd);
    (void)close(data_fd);
    kd_loop_stop();
}

#define N_MANY 40

static void
test_many_descriptors(void)
{
    guint n_before = n_fired;
    guint ids[N_MANY];
    int fds[N_MANY];

    probe_start();
    for (guint i = 0; i < N_MANY; i++) {
        fds[i] = probe_eventfd();
        ids[i] = g_unix_fd_add(fds[i], G_IO_IN, on_fd_fired, NULL);
    }
    g_test_expect_message("kdsrv-loop", G_LOG_LEVEL_INFO,
                          "the main context watches * descriptors*");
    probe_turn();
    g_test_assert_expected_messages();
    g_source_remove(ids[0]);
    probe_poke(fds[N_MANY - 1]);
    /* a second message would not be expected */
    g_test_expect_message("kdsrv-test", G_LOG_LEVEL_MESSAGE, "end");
    probe_wait(&n_fired, n_before + 1);
    g_message("end");
    g_test_assert_expected_messages();
    for (guint i = 1; i < N_MANY - 1; i++) {
        g_source_remove(ids[i]);
    }
    for (guint i = 0; i < N_MANY; i++) {
        (void)close(fds[i]);
    }
    kd_loop_stop();
}

/* ---- nesting -------------------------------------------------------------------------------- */

static gboolean
turn_context(Probe *probe)
{
    (void)probe;
    probe_turn();
    return FALSE;
}

static void
test_nested_in_run(void)
{
    if (g_test_subprocess()) {
        static Probe probe;

        probe_start();
        probe_add(&probe, -1, FALSE, turn_context);
        kd_loop_ready(&probe.watch, KD_READY_IN);
        probe_turn();
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
    g_test_trap_assert_stderr("*main context turned from a data callback*");
}

static gboolean
on_nest(gpointer user_data)
{
    Probe *probe = user_data;

    probe_poke(probe->watch.fd);
    probe_wait(&probe->n_runs, probe->n_runs + 1);
    return on_fired(NULL);
}

static void
test_nested_in_source(void)
{
    Probe probe = {0};
    guint n_before = n_fired;
    int fd = probe_eventfd();

    probe_start();
    probe_add(&probe, fd, FALSE, NULL);
    probe_turn();
    g_idle_add(on_nest, &probe);
    probe_wait(&n_fired, n_before + 1);
    kd_loop_remove(&probe.watch);
    (void)close(fd);
    kd_loop_stop();
}

/* Asking is a turn without dispatch: it runs a round, and what that starts is kept for the next. */
static void
test_pending(void)
{
    Probe probe = {0};
    guint n_before = n_fired;
    int fd = probe_eventfd();

    probe_start();
    probe_add(&probe, fd, FALSE, NULL);
    probe_turn();
    probe.fn = add_idle;
    probe.n_runs = 0;
    probe_poke(fd);
    (void)g_main_context_pending(NULL);
    g_assert_cmpuint(probe.n_runs, ==, 1);
    g_assert_cmpuint(n_fired, ==, n_before);
    probe_wait(&n_fired, n_before + 1);
    g_assert_cmpuint(probe.n_runs, ==, 1);
    kd_loop_remove(&probe.watch);
    (void)close(fd);
    kd_loop_stop();
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/loop/wake/idle-from-a-run-comes-at-once", test_wake_idle);
    g_test_add_func("/loop/wake/timeout-from-a-run-comes-in-time", test_wake_timeout);
    g_test_add_func("/loop/wake/task-ended-in-a-run-completes-at-once", test_wake_task);
    g_test_add_func("/loop/wake/descriptor-from-a-run-is-watched", test_wake_descriptor);
    g_test_add_func("/loop/wake/pure-run-may-ask-for-a-turn", test_wake_by_hand);
    g_test_add_func("/loop/wake/idle-from-gone-comes-at-once", test_wake_gone);
    g_test_add_func("/loop/control/reused-number-is-the-new-file", test_reused_number);
    g_test_add_func("/loop/control/low-priority-descriptor-is-watched", test_low_priority);
    g_test_add_func("/loop/control/plain-file-is-always-ready", test_plain_file);
    g_test_add_func("/loop/control/too-many-are-logged-once", test_many_descriptors);
    g_test_add_func("/loop/nesting/in-a-run-function-is-fatal", test_nested_in_run);
    g_test_add_func("/loop/nesting/in-a-source-moves-bytes", test_nested_in_source);
    g_test_add_func("/loop/pending/runs-one-round-and-loses-nothing", test_pending);
    return g_test_run();
}
