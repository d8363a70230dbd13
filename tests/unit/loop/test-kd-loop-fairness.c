/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Streams that never block starve neither the main context nor a quiet session. What the loop alone
 * decides is counted in runs; where other threads and processes take part, there is a deadline. */
#include "kd-probe.h"

#include <glib-unix.h>
#include <signal.h>
#include <sys/wait.h>

#define N_STREAMS  4
#define DEADLINE_S 20
/* The rest of the round in which it happens, and the one after the wait that sees it. */
#define RUNS_TO_NOTICE (N_STREAMS + N_STREAMS)

static Probe streams[N_STREAMS];
static guint n_stream_runs;
static gint64 deadline_us;
static guint n_done;
static guint due_run; /* when what the case waits for was started */
static guint worst;

/* A starved main context has no timeouts either: the streams themselves must look at the clock. */
static gboolean
stream(Probe *probe)
{
    n_stream_runs++;
    if (n_stream_runs % 256 == 0) {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline_us);
    }
    if (probe == &streams[0] && probe->user != NULL) {
        void (*start)(void) = *(void (**)(void))probe->user;

        start();
    }
    return TRUE;
}

static void
start_streams(gpointer start)
{
    deadline_us = g_get_monotonic_time() + DEADLINE_S * G_TIME_SPAN_SECOND;
    n_stream_runs = 0;
    n_done = 0;
    worst = 0;
    due_run = 0;
    probe_start();
    for (guint i = 0; i < N_STREAMS; i++) {
        streams[i] = (Probe){.user = start};
        probe_add(&streams[i], -1, TRUE, stream);
        kd_loop_ready(&streams[i].watch, KD_READY_IN);
    }
}

static void
stop_streams(void)
{
    for (guint i = 0; i < N_STREAMS; i++) {
        kd_loop_remove(&streams[i].watch);
    }
    kd_loop_stop();
}

static void
note_done(void)
{
    n_done++;
    if (due_run != 0) {
        worst = MAX(worst, n_stream_runs - due_run);
        due_run = 0;
    }
}

static gboolean
on_done(gpointer user_data)
{
    (void)user_data;
    note_done();
    return G_SOURCE_REMOVE;
}

/* Blocks while it may: with streams that starve it, it never comes back. */
static void
wait_done(guint least)
{
    while (n_done < least) {
        g_main_context_iteration(NULL, TRUE);
    }
}

/* ---- the main context ----------------------------------------------------------------------- */

static void
test_idle(void)
{
    start_streams(NULL);
    g_idle_add(on_done, NULL);
    wait_done(1);
    g_assert_cmpuint(n_stream_runs, <=, RUNS_TO_NOTICE);
    stop_streams();
}

static void
test_timeout(void)
{
    start_streams(NULL);
    for (guint i = 1; i <= 5; i++) {
        g_timeout_add(3, on_done, NULL);
        wait_done(i);
    }
    stop_streams();
}

static int control_fd;

static void
poke_control(void)
{
    if (due_run == 0) {
        due_run = n_stream_runs;
        probe_poke(control_fd);
    }
}

static gboolean
on_control(gint fd, GIOCondition condition, gpointer user_data)
{
    uint64_t count;

    (void)condition;
    (void)user_data;
    g_assert_cmpint(read(fd, &count, sizeof count), ==, sizeof count);
    note_done();
    return G_SOURCE_CONTINUE;
}

static void
test_descriptor(void)
{
    void (*start)(void) = poke_control;
    guint id;

    control_fd = probe_eventfd();
    id = g_unix_fd_add(control_fd, G_IO_IN, on_control, NULL);
    start_streams(&start);
    wait_done(200);
    g_assert_cmpuint(worst, <=, RUNS_TO_NOTICE);
    g_source_remove(id);
    stop_streams();
    (void)close(control_fd);
}

static void
run_task(GTask *task, gpointer object, gpointer task_data, GCancellable *cancellable)
{
    (void)object;
    (void)task_data;
    (void)cancellable;
    g_task_return_boolean(task, TRUE);
}

static void
on_task(GObject *object, GAsyncResult *result, gpointer user_data)
{
    (void)object;
    (void)result;
    (void)user_data;
    note_done();
}

static void
test_task(void)
{
    start_streams(NULL);
    for (guint i = 1; i <= 5; i++) {
        g_autoptr(GTask) task = g_task_new(NULL, NULL, on_task, NULL);

        g_task_run_in_thread(task, run_task);
        wait_done(i);
    }
    stop_streams();
}

static void
test_signal(void)
{
    guint id = g_unix_signal_add(SIGUSR1, on_done, NULL);

    start_streams(NULL);
    g_assert_cmpint(kill(getpid(), SIGUSR1), ==, 0);
    wait_done(1);
    g_assert_null(g_main_context_find_source_by_id(NULL, id));
    stop_streams();
}

static void
on_child(GPid pid, gint status, gpointer user_data)
{
    (void)pid;
    (void)user_data;
    g_assert_cmpint(WEXITSTATUS(status), ==, 3);
    note_done();
}

static void
test_child(void)
{
    pid_t child;

    start_streams(NULL);
    child = fork();
    g_assert_cmpint(child, >=, 0);
    if (child == 0) {
        _exit(3);
    }
    g_child_watch_add(child, on_child, NULL);
    wait_done(1);
    stop_streams();
}

static gpointer
invoke(gpointer user_data)
{
    g_main_context_invoke(NULL, on_done, user_data);
    return NULL;
}

static void
test_invoke(void)
{
    GThread *thread;

    start_streams(NULL);
    thread = g_thread_new("invoke", invoke, NULL);
    wait_done(1);
    g_thread_join(thread);
    stop_streams();
}

/* ---- a quiet session ------------------------------------------------------------------------ */

static int ping_fds[2];

static void
send_ping(void)
{
    if (due_run == 0) {
        due_run = n_stream_runs;
        g_assert_cmpint(write(ping_fds[1], "x", 1), ==, 1);
    }
}

static gboolean
answer_ping(Probe *probe)
{
    char byte;

    if (read(probe->watch.fd, &byte, 1) != 1) {
        return FALSE;
    }
    probe->watch.ready &= ~KD_READY_IN;
    note_done();
    if (n_done == 1000) {
        kd_loop_turn();
    }
    return FALSE;
}

static void
test_ping(void)
{
    void (*start)(void) = send_ping;
    Probe ping = {0};

    probe_socketpair(ping_fds);
    start_streams(&start);
    probe_add(&ping, ping_fds[0], TRUE, answer_ping);
    wait_done(1000);
    g_assert_cmpuint(worst, <=, RUNS_TO_NOTICE);
    kd_loop_remove(&ping.watch);
    stop_streams();
    (void)close(ping_fds[0]);
    (void)close(ping_fds[1]);
}

/* More events than one wait takes: the rest is not passed over for ever. */
#define N_CROWD 300

static gboolean
turn_busily(Probe *probe)
{
    probe_poke(probe->watch.fd);
    return FALSE;
}

static void
test_crowd(void)
{
    g_autofree Probe *crowd = g_new0(Probe, N_CROWD);

    control_fd = probe_eventfd();
    start_streams(NULL);
    for (guint i = 0; i < N_CROWD; i++) {
        probe_add(&crowd[i], probe_eventfd(), TRUE, turn_busily);
    }
    g_unix_fd_add(control_fd, G_IO_IN, on_control, NULL);
    for (guint i = 1; i <= 20; i++) {
        probe_poke(control_fd);
        wait_done(i);
    }
    for (guint i = 0; i < N_CROWD; i++) {
        g_assert_cmpuint(crowd[i].n_runs, >, 0);
        kd_loop_remove(&crowd[i].watch);
        (void)close(crowd[i].watch.fd);
    }
    g_source_remove_by_user_data(NULL);
    stop_streams();
    (void)close(control_fd);
}

/* ---- sources that never rest ---------------------------------------------------------------- */

static gboolean
on_always(gpointer user_data)
{
    guint *n_calls = user_data;

    (*n_calls)++;
    return G_SOURCE_CONTINUE;
}

static void
check_always_ready(gint priority)
{
    Probe probe = {0};
    int fd = probe_eventfd();
    guint n_calls = 0;
    guint id = g_idle_add_full(priority, on_always, &n_calls, NULL);

    probe_start();
    probe_add(&probe, fd, TRUE, NULL);
    for (guint i = 1; i <= 500; i++) {
        probe_poke(fd);
        probe_turn();
        g_assert_cmpuint(probe.n_runs, ==, i);
        g_assert_cmpuint(n_calls, ==, i);
    }
    g_source_remove(id);
    kd_loop_remove(&probe.watch);
    (void)close(fd);
    kd_loop_stop();
}

static void
test_source_default(void)
{
    check_always_ready(G_PRIORITY_DEFAULT);
}

static void
test_source_idle(void)
{
    check_always_ready(G_PRIORITY_DEFAULT_IDLE);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/loop/streams/let-an-idle-run", test_idle);
    g_test_add_func("/loop/streams/let-timeouts-run", test_timeout);
    g_test_add_func("/loop/streams/let-descriptors-be-dispatched-within-two-rounds",
                    test_descriptor);
    g_test_add_func("/loop/streams/let-a-task-thread-return", test_task);
    g_test_add_func("/loop/streams/let-a-signal-through", test_signal);
    g_test_add_func("/loop/streams/let-a-child-watch-run", test_child);
    g_test_add_func("/loop/streams/let-another-thread-invoke", test_invoke);
    g_test_add_func("/loop/streams/let-a-quiet-session-answer-within-two-rounds", test_ping);
    g_test_add_func("/loop/crowd/leaves-nobody-out", test_crowd);
    g_test_add_func("/loop/sources/at-default-priority-let-data-through", test_source_default);
    g_test_add_func("/loop/sources/at-idle-priority-let-data-through", test_source_idle);
    return g_test_run();
}
