/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* BREAK on a line. Pseudo-terminals take the order and do nothing, so the driver is a fake. */
#include "kd-serial-driver.h"

#include <errno.h>
#include <unistd.h>

static void
line_open(KdSerialDriven *line, guint baud)
{
    g_autofree char *keys = g_strdup_printf(", 'baud': <uint64 %u>", baud);
    kd_serial_driven_prepare(line);
    kd_serial_driver.has_break = TRUE;
    kd_serial_driver.has_flush = TRUE;
    kd_serial_driven_open(line, keys);
}

static void
start_break(KdSerialDriven *line, gboolean is_urgent, GCancellable *cancellable)
{
    kd_serial_start_control(&line->session, KD_CONTROL_BREAK,
                            g_variant_new_uint32(is_urgent ? 1 : 0), cancellable);
}

static guint64
finish_break(KdSerialDriven *line)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) out = kd_serial_finish_control(&line->session, &error);
    g_assert_no_error(error);
    g_assert_true(g_variant_is_of_type(out, G_VARIANT_TYPE_UINT64));
    return g_variant_get_uint64(out);
}

static gboolean
is_breaking(gpointer unused)
{
    (void)unused;
    return kd_serial_driver.is_breaking;
}

/* The driver asserts that nothing is unsent when the BREAK begins. */
static void
test_in_order(void)
{
    KdSerialDriven line;
    line_open(&line, 115200);
    kd_serial_driver.has_uart_status = TRUE;
    kd_serial_driver.unsent = 300;
    kd_serial_driver.is_uart_busy = TRUE;
    start_break(&line, FALSE, NULL);
    kd_serial_driven_wait_for_looks(3);
    kd_serial_driver.unsent = 1;
    kd_serial_driven_wait_for_looks(3);
    kd_serial_driver.unsent = 0;
    kd_serial_driven_wait_for_looks(3); /* the driver has none, the UART some */
    g_assert_cmpuint(kd_serial_driver.n_breaks, ==, 0);
    kd_serial_driver.is_uart_busy = FALSE;
    g_assert_cmpuint(finish_break(&line), ==, 0);
    g_assert_cmpuint(kd_serial_driver.n_breaks, ==, 1);
    g_assert_false(kd_serial_driver.is_breaking);
    kd_serial_driven_close(&line);
}

/* All that a host wrote before is at the far side when the BREAK begins. */
static void
test_after_bytes(void)
{
    KdSerialDriven line;
    char sent[3000] = {0};
    size_t n_there = 0;
    line_open(&line, 3000000);
    g_assert_cmpint(write(line.session.endpoint.fd, sent, sizeof sent), ==, sizeof sent);
    start_break(&line, FALSE, NULL);
    kd_test_wait_until(is_breaking, NULL);
    while (n_there < sizeof sent) {
        kd_test_wait_readable(line.master);
        ssize_t n = read(line.master, sent, sizeof sent);
        g_assert_cmpint(n, >, 0);
        n_there += (size_t)n;
    }
    g_assert_true(kd_serial_driver.is_breaking); /* the loop has not turned meanwhile */
    finish_break(&line);
    kd_serial_driven_close(&line);
}

/* An adapter that does not say what it has still gets the time of a USB packet. */
static void
test_settling(void)
{
    KdSerialDriven line;
    line_open(&line, 9600);
    gint64 before_us = g_get_monotonic_time();
    start_break(&line, FALSE, NULL);
    finish_break(&line);
    g_assert_cmpint(kd_serial_driver.break_began_us - before_us, >=, 64 * 10 * 1000000 / 9600);
    kd_serial_driven_close(&line);
}

static void
test_length(void)
{
    KdSerialDriven line;
    line_open(&line, 115200);
    kd_serial_driver.has_uart_status = TRUE;
    start_break(&line, FALSE, NULL);
    finish_break(&line);
    gint64 after_us = g_get_monotonic_time();
    /* timers count milliseconds */
    g_assert_cmpint(kd_serial_driver.break_ended_us - kd_serial_driver.break_began_us, >=, 249000);
    g_assert_cmpint(after_us - kd_serial_driver.break_ended_us, >=, 9000);
    kd_serial_driven_close(&line);
}

static void
test_urgent(void)
{
    KdSerialDriven line;
    line_open(&line, 9600);
    kd_serial_driver.has_uart_status = TRUE;
    kd_serial_driver.unsent = 3000;
    start_break(&line, TRUE, NULL);
    g_assert_cmpuint(finish_break(&line), ==, 3000);
    g_assert_cmpuint(kd_serial_driver.n_breaks, ==, 1);
    kd_serial_driven_close(&line);
}

/* Told to drop what is unsent, the drivers of USB adapters do not; a BREAK before that has left
 * would make us sleep in the kernel. */
static void
test_urgent_on_adapter(void)
{
    KdSerialDriven line;
    line_open(&line, 115200);
    kd_serial_driver.has_flush = FALSE;
    kd_serial_driver.unsent = 3000;
    start_break(&line, TRUE, NULL);
    kd_serial_driven_wait_for_looks(3);
    g_assert_cmpuint(kd_serial_driver.n_breaks, ==, 0);
    kd_serial_driver.unsent = 0;
    g_assert_cmpuint(finish_break(&line), ==, 0);
    kd_serial_driven_close(&line);
}

static void
test_stuck(void)
{
    KdSerialDriven line;
    g_autoptr(GError) error = NULL;
    line_open(&line, 9600);
    kd_serial_driver.unsent = 480;
    gint64 before_us = g_get_monotonic_time();
    start_break(&line, FALSE, NULL);
    g_assert_null(kd_serial_finish_control(&line.session, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
    /* 480 bytes take half a second. */
    g_assert_cmpint(g_get_monotonic_time() - before_us, >=, 2000000);
    g_autofree char *expected =
        g_strdup_printf("com: %s takes nothing: 480 bytes were still unsent after 2.1 s, so there "
                        "was no BREAK (an urgent one drops them)",
                        line.path);
    g_assert_cmpstr(error->message, ==, expected);
    g_assert_cmpuint(kd_serial_driver.n_breaks, ==, 0);
    kd_serial_driven_close(&line);
}

static void
check_cancelled(KdSerialDriven *line)
{
    g_autoptr(GError) error = NULL;
    g_assert_null(kd_serial_finish_control(&line->session, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    g_assert_false(kd_serial_driver.is_breaking);
}

static void
test_cancel(void)
{
    KdSerialDriven line;
    line_open(&line, 115200);
    /* While it waits, in its middle, and in the mark behind it */
    for (guint moment = 0; moment < 3; moment++) {
        g_autoptr(GCancellable) cancellable = g_cancellable_new();
        kd_serial_driver.unsent = moment == 0 ? 100 : 0;
        start_break(&line, FALSE, cancellable);
        if (moment == 0)
            kd_serial_driven_wait_for_looks(3);
        else
            kd_test_wait_until(is_breaking, NULL);
        while (moment == 2 && kd_serial_driver.is_breaking)
            g_main_context_iteration(NULL, TRUE);
        g_cancellable_cancel(cancellable);
        check_cancelled(&line);
        g_assert_cmpuint(kd_serial_driver.n_breaks, ==, moment);
    }
    /* as the core does it when an urgent one comes while another waits */
    kd_serial_driver.unsent = 100;
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    start_break(&line, FALSE, cancellable);
    kd_serial_driven_wait_for_looks(3);
    g_cancellable_cancel(cancellable);
    check_cancelled(&line);
    start_break(&line, TRUE, NULL);
    g_assert_cmpuint(finish_break(&line), ==, 100);
    g_assert_cmpuint(kd_serial_driver.n_breaks, ==, 3);
    kd_serial_driven_close(&line);
}

static void
test_close(void)
{
    KdSerialDriven line;
    line_open(&line, 115200);
    start_break(&line, FALSE, NULL);
    kd_test_wait_until(is_breaking, NULL);
    kd_serial_com->close_async(line.session.link, kd_test_on_done, &line.session.done);
    check_cancelled(&line);
    g_autoptr(GAsyncResult) result = kd_test_wait(&line.session.done);
    kd_serial_com->close_finish(line.session.link, result);
    g_clear_object(&line.session.link);
    kd_serial_driven_close(&line);
}

static void
test_reopen(void)
{
    KdSerialDriven line;
    g_autoptr(GError) error = NULL;
    line_open(&line, 115200);
    start_break(&line, FALSE, NULL);
    kd_test_wait_until(is_breaking, NULL);
    kd_serial_start_reopen(&line.session, NULL);
    g_assert_false(kd_serial_driver.is_breaking);
    g_assert_null(kd_serial_finish_control(&line.session, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_LINK_LOST);
    g_assert_true(kd_serial_finish_reopen(&line.session, NULL));
    start_break(&line, FALSE, NULL);
    finish_break(&line);
    kd_serial_driven_close(&line);
}

static void
test_one_at_a_time(void)
{
    KdSerialDriven line;
    KdTestDone second = {0};
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) arg = g_variant_ref_sink(g_variant_new_uint32(0));
    line_open(&line, 115200);
    start_break(&line, FALSE, NULL);
    kd_serial_com->control_async(line.session.link, KD_CONTROL_BREAK, arg, NULL, kd_test_on_done,
                                 &second);
    g_autoptr(GAsyncResult) result = kd_test_wait(&second);
    g_assert_false(kd_serial_com->control_finish(line.session.link, result, NULL, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_BUSY);
    finish_break(&line);
    g_assert_cmpuint(kd_serial_driver.n_breaks, ==, 1);
    kd_serial_driven_close(&line);
}

static void
test_none(void)
{
    KdSerialDriven line;
    g_autoptr(GError) error = NULL;
    line_open(&line, 115200);
    kd_serial_driver.has_break = FALSE;
    start_break(&line, FALSE, NULL);
    g_assert_null(kd_serial_finish_control(&line.session, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED);
    g_assert_true(g_str_has_suffix(error->message, " has no BREAK"));
    kd_serial_driven_close(&line);
}

static void
test_signal(void)
{
    KdSerialDriven line;
    line_open(&line, 115200);
    kd_serial_driver.n_interrupts = 2;
    start_break(&line, FALSE, NULL);
    finish_break(&line);
    g_assert_cmpuint(kd_serial_driver.n_interrupts, ==, 0);
    g_assert_cmpuint(kd_serial_driver.n_breaks, ==, 1);
    kd_serial_driven_close(&line);
}

static void
test_gone(void)
{
    KdSerialDriven line;
    line_open(&line, 115200);
    /* Before, and in its middle */
    for (guint moment = 0; moment < 2; moment++) {
        g_autoptr(GError) error = NULL;
        kd_serial_driver.error = moment == 0 ? ENODEV : 0;
        start_break(&line, FALSE, NULL);
        if (moment == 1) {
            kd_test_wait_until(is_breaking, NULL);
            kd_serial_driver.error = EIO;
        }
        g_assert_null(kd_serial_finish_control(&line.session, &error));
        g_assert_error(error, KD_ERROR, KD_ERROR_LINK_LOST);
    }
    kd_serial_driver.is_breaking = FALSE; /* with the device */
    kd_serial_driven_close(&line);
}

/* The real thing: taken, and nothing reaches the far side. */
static void
test_pty(void)
{
    KdSerialDriven line;
    char byte = 0;
    line_open(&line, 115200);
    kd_serial_driver.terminal = 0;
    start_break(&line, FALSE, NULL);
    g_assert_cmpuint(finish_break(&line), ==, 0);
    g_assert_cmpint(read(line.master, &byte, 1), ==, -1);
    g_assert_cmpint(errno, ==, EAGAIN);
    kd_serial_driven_close(&line);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_serial_load();
#define ADD(name, fn) g_test_add_func("/serial/break/" name, fn)
    ADD("in-order-waits-for-driver-and-uart", test_in_order);
    ADD("in-order-comes-after-all-bytes", test_after_bytes);
    ADD("silent-adapter-gets-the-time-of-a-packet", test_settling);
    ADD("lasts-a-quarter-of-a-second-and-a-mark", test_length);
    ADD("urgent-drops-and-counts", test_urgent);
    ADD("urgent-waits-for-what-can-not-be-dropped", test_urgent_on_adapter);
    ADD("stuck-line-has-a-limit", test_stuck);
    ADD("is-cleared-when-cancelled", test_cancel);
    ADD("is-cleared-when-closed", test_close);
    ADD("is-cleared-when-lost", test_reopen);
    ADD("second-one-is-refused-meanwhile", test_one_at_a_time);
    ADD("driver-without-it-is-told", test_none);
    ADD("signal-is-no-failure", test_signal);
    ADD("device-that-goes-ends-it", test_gone);
    ADD("pty-takes-it-silently", test_pty);
    return g_test_run();
}
