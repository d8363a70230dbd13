/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stdin and stdout as one stream: readiness. */
#include "kd-stdio.h"

#include "kd-end.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define N_OTHERS 9 /* more than run before the loop looks at the clock a second time */
#define SPIN_US  200

static uint32_t reported;

static void
on_ready(void *user, uint32_t ready)
{
    (void)user;
    reported |= ready;
}

static gboolean
on_run(KdLoopWatch *watch)
{
    gint64 end_us = g_get_monotonic_time() + SPIN_US;

    (void)watch;
    while (g_get_monotonic_time() < end_us) {
    }
    return FALSE;
}

static const KdLoopWatchFuncs other_funcs = {.run = on_run, .is_pure = TRUE};

static void
settle(void)
{
    for (int i = 0; i < 5; i++) {
        g_main_context_iteration(NULL, FALSE);
    }
}

/* Makes room in a full pipe, which its writer is told once. */
static void
fill_and_read(const KdEndpoint *endpoint, int reader)
{
    static char bytes[4096];

    while (endpoint->ops->write(endpoint->stream, bytes, sizeof bytes) > 0) {
    }
    while (read(reader, bytes, sizeof bytes) > 0) {
    }
}

/* The loop ceases to ask for room of whoever did not miss it. */
static void
check_room_is_told(const KdEndpoint *endpoint, int reader)
{
    KdLoopWatch others[N_OTHERS];

    settle();
    for (int i = 0; i < N_OTHERS; i++) {
        others[i] = (KdLoopWatch){.funcs = &other_funcs, .fd = -1};
        g_assert_true(kd_loop_add(&others[i], NULL));
        kd_loop_ready(&others[i], 0);
    }
    fill_and_read(endpoint, reader);
    g_main_context_iteration(NULL, FALSE); /* for others; this one's turn does not come */
    fill_and_read(endpoint, reader);
    settle();
    reported = 0;
    fill_and_read(endpoint, reader);
    settle();
    g_assert_cmpuint(reported & KD_READY_OUT, !=, 0);
    for (int i = 0; i < N_OTHERS; i++) {
        kd_loop_remove(&others[i]);
    }
    settle();
}

static void
test_room(void)
{
    int old_in = dup(STDIN_FILENO);
    int old_out = dup(STDOUT_FILENO);
    KdEndpoint endpoint;
    int in[2];
    int out[2];

    g_assert_true(kd_loop_start(NULL));
    g_assert_cmpint(pipe2(in, O_CLOEXEC | O_NONBLOCK), ==, 0);
    g_assert_cmpint(pipe2(out, O_CLOEXEC | O_NONBLOCK), ==, 0);
    g_assert_cmpint(dup2(in[0], STDIN_FILENO), ==, STDIN_FILENO);
    g_assert_cmpint(dup2(out[1], STDOUT_FILENO), ==, STDOUT_FILENO);
    kd_endpoint_init(&endpoint);
    g_assert_true(kd_stdio_open(&endpoint, NULL, NULL, NULL));
    endpoint.ops->set_ready(endpoint.stream, on_ready, NULL);
    check_room_is_told(&endpoint, out[0]);
    kd_endpoint_clear(&endpoint);
    settle();
    kd_loop_stop();
    (void)dup2(old_in, STDIN_FILENO);
    (void)dup2(old_out, STDOUT_FILENO);
    for (int i = 0; i < 2; i++) {
        close(in[i]);
        close(out[i]);
    }
    close(old_in);
    close(old_out);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/client/stdio/room-is-told-whenever-it-was-missed", test_room);
    return g_test_run();
}
