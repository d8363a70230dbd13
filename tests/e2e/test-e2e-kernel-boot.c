/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A Linux kernel boots with kdsrv at its serial port as fast as with socat, whatever the client
 * does: it stands still while nobody takes what it writes to its console. */
#include "kd-e2e-kernel.h"
#include "kd-e2e-socket.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How much longer than with socat it may take */
#define MOST_RATIO 1.5
/* Boots of each kind; more when a busy machine has spoilt some */
#define LEAST_BOOTS 3u
#define MOST_BOOTS  9u
#define SLOW_BYTES  1024u

/* Boots a held kernel, and returns how long that took to user space */
typedef gint64 (*BootFunc)(KdE2eStage *stage, KdE2eKernel *kernel);

static gint64
measure_us(KdE2eKernel *kernel)
{
    gint64 start_us = g_get_monotonic_time();

    kd_e2e_kernel_go(kernel);
    kd_e2e_kernel_await_up(kernel);
    return g_get_monotonic_time() - start_us;
}

static void
await_client(KdE2eKernel *kernel)
{
    gint64 deadline_us = g_get_monotonic_time() + KD_E2E_DEADLINE_S * G_USEC_PER_SEC;

    while (!kd_e2e_kernel_has_client(kernel)) {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline_us);
    }
}

/* ---- who is at the other end ---- */

static gint64
boot_with_socat(KdE2eStage *stage, KdE2eKernel *kernel)
{
    g_autofree char *address = g_strconcat("UNIX-CONNECT:", kernel->link, NULL);
    g_autoptr(KdE2eProgram) socat =
        kd_e2e_program_new((const char *[]){"socat", "-u", address, "OPEN:/dev/null", NULL}, NULL);

    (void)stage, (void)socat; /* ended with this function */
    await_client(kernel);
    return measure_us(kernel);
}

static gint64
boot_with_nobody(KdE2eStage *stage, KdE2eKernel *kernel)
{
    (void)stage;
    return measure_us(kernel);
}

/* After a session, of a link that is kept and drained */
static gint64
boot_drained(KdE2eStage *stage, KdE2eKernel *kernel)
{
    g_autofree char *trans = g_strdup_printf("com:pipe,port=%s,drain", kernel->link);
    g_autoptr(KdE2eProgram) kd = kd_e2e_stage_start_kd(stage, trans, "--stdio", NULL);
    gint64 took_us;

    await_client(kernel);
    kd_e2e_program_signal(kd, SIGTERM);
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 0);
    took_us = measure_us(kernel);
    g_assert_true(kd_e2e_kernel_has_client(kernel));
    return took_us;
}

/**
 * SlowReader:
 * @fd: what it reads
 * @stop: is closed on the other side when it shall end
 * @all: what it has read
 *
 * A debugger that takes a KiB a second.
 */
typedef struct {
    int fd;
    int stop;
    GString *all;
} SlowReader;

static void
read_some(SlowReader *reader)
{
    char buf[SLOW_BYTES];
    gsize n = kd_e2e_read_some(reader->fd, buf, sizeof buf);

    g_assert_cmpuint(n, >, 0);
    g_string_append_len(reader->all, buf, (gssize)n);
}

static gpointer
read_slowly(gpointer user_data)
{
    SlowReader *reader = user_data;

    while (!kd_e2e_is_readable(reader->stop, 1000)) {
        if (kd_e2e_is_readable(reader->fd, 0)) {
            read_some(reader);
        }
    }
    return NULL;
}

static gint64
boot_with_slow_reader(KdE2eStage *stage, KdE2eKernel *kernel)
{
    g_autofree char *trans = g_strconcat("com:pipe,port=", kernel->link, NULL);
    g_autofree char *path = kd_e2e_stage_build_path(stage, "debugger");
    g_autofree char *address = g_strconcat("unix:", path, NULL);
    g_autoptr(KdE2eProgram) kd = kd_e2e_stage_start_kd(stage, trans, "--listen", address, NULL);
    SlowReader reader = {.fd = kd_e2e_dial_unix(path), .all = g_string_new(NULL)};
    int stop[2];
    GThread *thread;
    gint64 took_us;

    (void)kd; /* ended with this function */
    g_assert_cmpint(pipe2(stop, O_CLOEXEC), ==, 0);
    reader.stop = stop[0];
    await_client(kernel);
    thread = g_thread_new("slow reader", read_slowly, &reader);
    took_us = measure_us(kernel);
    close(stop[1]);
    g_thread_join(thread);
    /* nothing was lost */
    while (strstr(reader.all->str, "Linux version") == NULL ||
           strstr(reader.all->str, KD_E2E_KERNEL_UP) == NULL) {
        read_some(&reader);
    }
    close(stop[0]);
    close(reader.fd);
    g_string_free(reader.all, TRUE);
    return took_us;
}

/* ---- as fast as with socat ---- */

static gint64
boot_once(KdE2eStage *stage, BootFunc boot)
{
    g_autoptr(KdE2eKernel) kernel = kd_e2e_kernel_new(stage, KD_E2E_KERNEL_HELD);

    g_assert_nonnull(kernel);
    return boot(stage, kernel);
}

static gboolean
is_possible(KdE2eStage *stage)
{
    g_autoptr(KdE2eKernel) kernel = NULL;

    if (kd_e2e_is_missing("socat")) {
        return FALSE;
    }
    kernel = kd_e2e_kernel_new(stage, KD_E2E_KERNEL_HELD);
    return kernel != NULL;
}

static int
compare_times(const void *a, const void *b)
{
    gint64 x = *(const gint64 *)a;
    gint64 y = *(const gint64 *)b;

    return (x > y) - (x < y);
}

static gint64
get_median(gint64 *times, gsize n)
{
    qsort(times, n, sizeof times[0], compare_times);
    return times[n / 2];
}

/* Both in turn, so that other work on this machine meets both. */
static void
compare_boots(KdE2eStage *stage, BootFunc boot)
{
    gint64 with_socat[MOST_BOOTS];
    gint64 with_ours[MOST_BOOTS];
    double ratio = G_MAXDOUBLE;

    if (!is_possible(stage)) {
        return;
    }
    kd_e2e_stage_start(stage, "--allow-path", stage->folder, NULL);
    for (gsize n = 0; n < MOST_BOOTS && ratio > MOST_RATIO;) {
        for (gsize until = n + LEAST_BOOTS; n < until; n++) {
            with_socat[n] = boot_once(stage, boot_with_socat);
            with_ours[n] = boot_once(stage, boot);
        }
        ratio = (double)get_median(with_ours, n) / (double)get_median(with_socat, n);
        g_test_message("%" G_GSIZE_FORMAT " boots: %.2f times as long as with socat", n, ratio);
    }
    g_assert_cmpfloat(ratio, <=, MOST_RATIO);
}

static void
test_slow_reader(KdE2eStage *stage, gconstpointer unused)
{
    (void)unused;
    compare_boots(stage, boot_with_slow_reader);
}

static void
test_drained(KdE2eStage *stage, gconstpointer unused)
{
    (void)unused;
    compare_boots(stage, boot_drained);
}

static void
test_nobody(KdE2eStage *stage, gconstpointer unused)
{
    (void)unused;
    compare_boots(stage, boot_with_nobody);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_e2e_add("/e2e/kernel/boots-on-with-a-slow-reader", test_slow_reader);
    kd_e2e_add("/e2e/kernel/boots-on-after-its-session", test_drained);
    kd_e2e_add("/e2e/kernel/boots-on-before-any-session", test_nobody);
    return g_test_run();
}
