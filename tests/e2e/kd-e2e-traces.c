/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a session leaves behind in its server: nothing. */
#include "kd-e2e-traces.h"

#include "kd-e2e-socket.h"
#include "kd-e2e-stage.h"

#include <poll.h>
#include <string.h>

#define LINES_A_SECOND 10
#define LOOK_EVERY_MS  5
/* The window, the ring and some room of the allocator's */
#define MEMORY_KIB (2u * 1024)
#define IDLE_MS    500u
#define IDLE_US    (KD_E2E_IS_SANITIZED ? 50000u : 10000u)

static guint
count_files(KdE2eProgram *server)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/fd", (int)kd_e2e_program_get_pid(server));
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) folder = g_dir_open(path, 0, &error);
    guint n = 0;

    g_assert_no_error(error);
    while (g_dir_read_name(folder) != NULL) {
        n++;
    }
    return n;
}

static guint
count_lines(KdE2eProgram *server)
{
    const char *at = kd_e2e_program_get_text(server, KD_E2E_STDERR);
    guint n = 0;

    while ((at = strchr(at, '\n')) != NULL) {
        at++;
        n++;
    }
    return n;
}

/**
 * kd_e2e_traces_take:
 * @traces: (out caller-allocates): how the server is now
 *
 * Looks at a server, to compare with later.
 */
void
kd_e2e_traces_take(KdE2eTraces *traces, KdE2eProgram *server)
{
    traces->n_files = count_files(server);
    traces->n_lines = count_lines(server);
    traces->memory_kib = kd_e2e_program_get_memory_kib(server);
    traces->since_us = g_get_monotonic_time();
}

/**
 * kd_e2e_traces_await_files:
 *
 * Waits until the server has no more descriptors than it had. Nothing tells of that.
 */
void
kd_e2e_traces_await_files(const KdE2eTraces *traces, KdE2eProgram *server)
{
    gint64 deadline_us = g_get_monotonic_time() + KD_E2E_DEADLINE_S * G_USEC_PER_SEC;

    while (count_files(server) > traces->n_files) {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline_us);
        (void)poll(NULL, 0, LOOK_EVERY_MS);
    }
}

/**
 * kd_e2e_traces_expect_few_lines:
 *
 * Says that the log has grown by ten lines a second at the most.
 */
void
kd_e2e_traces_expect_few_lines(const KdE2eTraces *traces, KdE2eProgram *server)
{
    guint n = count_lines(server) - traces->n_lines;
    gint64 took_us = g_get_monotonic_time() - traces->since_us;

    g_test_message("%u lines in %.1f s", n, (double)took_us / G_USEC_PER_SEC);
    g_assert_cmpuint(n, <=, (guint)(took_us * LINES_A_SECOND / G_USEC_PER_SEC));
}

/**
 * kd_e2e_traces_expect_memory:
 *
 * Says that the server occupies hardly more than it did: no more than one session may hold. Of one
 * with a sanitizer, which keeps what was freed, nothing is said.
 */
void
kd_e2e_traces_expect_memory(const KdE2eTraces *traces, KdE2eProgram *server)
{
    guint64 now_kib = kd_e2e_program_get_memory_kib(server);

    g_test_message("%" G_GUINT64_FORMAT " KiB before, %" G_GUINT64_FORMAT " KiB now",
                   traces->memory_kib, now_kib);
    if (!KD_E2E_IS_SANITIZED) {
        g_assert_cmpuint(now_kib, <=, traces->memory_kib + MEMORY_KIB);
    }
}

/**
 * kd_e2e_traces_expect_idle:
 * @fd: on which nothing is to be read for half a second; or -1
 *
 * Says that the server has nothing to do.
 */
void
kd_e2e_traces_expect_idle(KdE2eProgram *server, int fd)
{
    guint64 before_us = kd_e2e_program_get_cpu_us(server);
    struct pollfd quiet = {.fd = fd, .events = POLLIN};

    g_assert_cmpint(poll(&quiet, 1, IDLE_MS), ==, 0);
    g_assert_cmpuint(kd_e2e_program_get_cpu_us(server) - before_us, <=, IDLE_US);
}
