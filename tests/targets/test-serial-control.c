/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The control operations of a line beside BREAK, on a fake driver where a pseudo-terminal has
 * nothing to say. */
#include "kd-serial-driver.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ALL_OPS                                                                      \
    ((1u << KD_CONTROL_BREAK) | (1u << KD_CONTROL_BAUD) | (1u << KD_CONTROL_PURGE) | \
     (1u << KD_CONTROL_STATUS) | (1u << KD_CONTROL_LINES) | (1u << KD_CONTROL_DRAIN))

static void
open_with_modem(KdSerialDriven *line, const char *keys)
{
    kd_serial_driven_prepare(line);
    kd_serial_driver.has_flush = TRUE;
    kd_serial_driver.has_modem = TRUE;
    kd_serial_driver.modem = TIOCM_DTR | TIOCM_RTS | TIOCM_CTS; /* as opening leaves them */
    kd_serial_driven_open(line, keys);
}

static uint32_t
get_offered(const KdSerialDriven *line)
{
    uint32_t controls = 0;
    g_assert_true(g_variant_lookup(line->session.endpoint.facts, "controls", "u", &controls));
    return controls;
}

static void
test_offered(void)
{
    KdSerialDriven line;
    open_with_modem(&line, "");
    g_assert_cmphex(get_offered(&line), ==, ALL_OPS);
    g_assert_cmphex(kd_serial_com->caps & 0xffff, ==, ALL_OPS);
    kd_serial_driven_close(&line);
    kd_serial_driven_prepare(&line);
    kd_serial_driven_open(&line, "");
    g_assert_cmphex(get_offered(&line), ==, ALL_OPS & ~(1u << KD_CONTROL_LINES));
    kd_serial_driven_close(&line);
    kd_serial_driven_prepare(&line);
    kd_serial_driven_open(&line, ", 'pipe': <true>");
    g_assert_cmphex(get_offered(&line), ==,
                    ALL_OPS & ~((1u << KD_CONTROL_LINES) | (1u << KD_CONTROL_BAUD)));
    kd_serial_driven_close(&line);
}

static void
test_purge(void)
{
    KdSerialDriven line;
    char byte = 0;
    int n_here = 1;
    g_autoptr(GError) error = NULL;
    open_with_modem(&line, "");
    kd_serial_driver.unsent = 700;
    g_assert_cmpint(write(line.master, "unread", 6), ==, 6);
    kd_test_wait_readable(line.session.endpoint.fd);
    g_autoptr(GVariant) out = kd_serial_control(&line.session, KD_CONTROL_PURGE, NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(g_variant_get_uint64(out), ==, 700);
    g_assert_cmpint(kd_serial_driver.unsent, ==, 0);
    g_assert_no_errno(ioctl(line.session.endpoint.fd, FIONREAD, &n_here));
    g_assert_cmpint(n_here, ==, 0);
    g_assert_cmpint(read(line.session.endpoint.fd, &byte, 1), ==, -1);
    g_assert_cmpint(errno, ==, EAGAIN);
    kd_serial_driven_close(&line);
}

static void
test_drain(void)
{
    KdSerialDriven line;
    g_autoptr(GError) error = NULL;
    open_with_modem(&line, "");
    kd_serial_driver.unsent = 50;
    kd_serial_start_control(&line.session, KD_CONTROL_DRAIN, NULL, NULL);
    kd_serial_driven_wait_for_looks(3);
    g_assert_null(line.session.controlled.result);
    kd_serial_driver.unsent = 0;
    g_autoptr(GVariant) out = kd_serial_finish_control(&line.session, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(g_variant_get_type_string(out), ==, "()");
    kd_serial_driven_close(&line);
}

/* A new speed would garble what is on its way. */
static void
test_baud_after_bytes(void)
{
    KdSerialDriven line;
    g_autoptr(GError) error = NULL;
    open_with_modem(&line, ", 'baud': <uint64 9600>");
    kd_serial_driver.has_uart_status = TRUE;
    kd_serial_driver.unsent = 50;
    kd_serial_start_control(&line.session, KD_CONTROL_BAUD, g_variant_new_uint32(19200), NULL);
    kd_serial_driven_wait_for_looks(3);
    kd_serial_driver.is_uart_busy = TRUE;
    kd_serial_driver.unsent = 0;
    kd_serial_driven_wait_for_looks(3);
    g_assert_cmpuint(kd_serial_get_termios(line.master).c_ospeed, ==, 9600);
    kd_serial_driver.is_uart_busy = FALSE;
    g_autoptr(GVariant) out = kd_serial_finish_control(&line.session, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(g_variant_get_uint32(out), ==, 19200);
    g_assert_cmpuint(kd_serial_get_termios(line.master).c_ospeed, ==, 19200);
    kd_serial_driven_close(&line);
}

static void
test_stuck(void)
{
    static const uint32_t ops[] = {KD_CONTROL_BAUD, KD_CONTROL_DRAIN};
    KdSerialDriven line;
    open_with_modem(&line, "");
    kd_serial_driver.unsent = 50;
    for (size_t i = 0; i < G_N_ELEMENTS(ops); i++) {
        g_autoptr(GError) error = NULL;
        GVariant *arg = ops[i] == KD_CONTROL_BAUD ? g_variant_new_uint32(9600) : NULL;
        g_assert_null(kd_serial_control(&line.session, ops[i], arg, &error));
        g_assert_error(error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
        g_assert_true(g_str_has_suffix(error->message, "(a purge drops them)"));
    }
    g_assert_cmpuint(kd_serial_get_termios(line.master).c_ospeed, ==, 115200);
    kd_serial_driven_close(&line);
}

static uint32_t
control_lines(KdSerialDriven *line, uint32_t mask, uint32_t value)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) out = kd_serial_control(&line->session, KD_CONTROL_LINES,
                                                g_variant_new("(uu)", mask, value), &error);
    g_assert_no_error(error);
    return g_variant_get_uint32(out);
}

static void
test_lines(void)
{
    KdSerialDriven line;
    open_with_modem(&line, "");
    g_assert_cmphex(control_lines(&line, 0, 0), ==, TIOCM_DTR | TIOCM_RTS | TIOCM_CTS);
    g_assert_cmphex(control_lines(&line, TIOCM_RTS, 0), ==, TIOCM_DTR | TIOCM_CTS);
    g_assert_cmphex(control_lines(&line, TIOCM_DTR | TIOCM_RTS, TIOCM_RTS), ==,
                    TIOCM_RTS | TIOCM_CTS);
    /* The adapter was pulled out and is back, as its driver opens it. */
    kd_serial_driver.modem = TIOCM_DTR | TIOCM_RTS;
    g_assert_true(kd_serial_reopen(&line.session, NULL, NULL));
    g_assert_cmphex(kd_serial_driver.modem, ==, TIOCM_RTS);
    kd_serial_driven_close(&line);
    g_assert_cmphex(kd_serial_driver.modem, ==, TIOCM_DTR | TIOCM_RTS);
}

static void
test_wrong(void)
{
    static const struct {
        uint32_t op;
        const char *arg;
        int code;
    } cases[] = {
        {KD_CONTROL_BREAK, NULL, KD_ERROR_PARAM_INVALID},
        {KD_CONTROL_BREAK, "'now'", KD_ERROR_PARAM_INVALID},
        {KD_CONTROL_BAUD, "(uint32 9600, uint32 0)", KD_ERROR_PARAM_INVALID},
        {KD_CONTROL_LINES, "uint32 2", KD_ERROR_PARAM_INVALID},
        {KD_CONTROL_LINES, "(uint32 0x40, uint32 0)", KD_ERROR_PARAM_INVALID}, /* the carrier */
        {KD_CONTROL_RESET, NULL, KD_ERROR_NOT_SUPPORTED},
        {30, NULL, KD_ERROR_NOT_SUPPORTED},
    };
    KdSerialDriven line;
    open_with_modem(&line, "");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        GVariant *arg = cases[i].arg != NULL ? g_variant_new_parsed(cases[i].arg) : NULL;
        g_assert_null(kd_serial_control(&line.session, cases[i].op, arg, &error));
        g_assert_error(error, KD_ERROR, cases[i].code);
        g_assert_true(g_str_has_prefix(error->message, "com: "));
    }
    g_assert_cmphex(kd_serial_driver.modem, ==, TIOCM_DTR | TIOCM_RTS | TIOCM_CTS);
    kd_serial_driven_close(&line);
}

static uint32_t
get_u(GVariant *status, const char *key)
{
    uint32_t value = 0;
    g_assert_true(g_variant_lookup(status, key, "u", &value));
    return value;
}

static const char *
get_s(GVariant *status, const char *key)
{
    const char *value = NULL;
    return g_variant_lookup(status, key, "&s", &value) ? value : NULL;
}

static void
test_status(void)
{
    KdSerialDriven line;
    open_with_modem(&line, ", 'baud': <uint64 9600>");
    kd_serial_driver.unsent = 12;
    kd_serial_driver.has_counts = TRUE;
    kd_serial_driver.counts = (struct serial_icounter_struct){
        .rx = 1, .tx = 2, .frame = 3, .overrun = 4, .parity = 5, .brk = 6, .buf_overrun = 7};
    kd_serial_driver.modem |= TIOCM_CAR;
    g_autoptr(GVariant) out = kd_serial_control(&line.session, KD_CONTROL_STATUS, NULL, NULL);
    g_assert_cmpstr(get_s(out, "device"), ==, line.path);
    g_assert_cmpstr(get_s(out, "lines"), ==, "DTR RTS CTS CD");
    g_assert_cmpuint(get_u(out, "baud"), ==, 9600);
    g_assert_cmpuint(get_u(out, "unsent"), ==, 12);
    static const char *const counters[] = {"rx",     "tx",  "frame",      "overrun",
                                           "parity", "brk", "buf_overrun"};
    for (size_t i = 0; i < G_N_ELEMENTS(counters); i++)
        g_assert_cmpuint(get_u(out, counters[i]), ==, i + 1);
    kd_serial_driver.unsent = 0;
    kd_serial_driven_close(&line);
}

/* Nothing is said of what a pseudo-terminal does not have. */
static void
test_status_of_pty(void)
{
    KdSerialDriven line;
    kd_serial_driven_prepare(&line);
    kd_serial_driver.terminal = 0;
    kd_serial_driven_open(&line, "");
    g_autoptr(GVariant) out = kd_serial_control(&line.session, KD_CONTROL_STATUS, NULL, NULL);
    g_assert_cmpuint(g_variant_n_children(out), ==, 3);
    g_assert_cmpstr(get_s(out, "device"), ==, line.path);
    g_assert_cmpuint(get_u(out, "baud"), ==, 115200);
    g_assert_cmpuint(get_u(out, "unsent"), ==, 0);
    kd_serial_driven_close(&line);
}

/* It has just gone, and nobody has read that from the descriptor yet. */
static void
test_baud_when_gone(void)
{
    KdSerialDriven line;
    g_autoptr(GError) error = NULL;
    open_with_modem(&line, "");
    kd_serial_driver.error = EIO;
    g_assert_null(
        kd_serial_control(&line.session, KD_CONTROL_BAUD, g_variant_new_uint32(9600), &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_LINK_LOST);
    kd_serial_driven_close(&line);
}

/* Also while the device is away: nothing is open then. */
static void
test_while_lost(void)
{
    KdSerialDriven line;
    g_autoptr(GError) error = NULL;
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    open_with_modem(&line, "");
    kd_serial_start_reopen(&line.session, cancellable);
    g_assert_null(kd_serial_control(&line.session, KD_CONTROL_STATUS, NULL, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_LINK_LOST);
    g_cancellable_cancel(cancellable);
    g_assert_false(kd_serial_finish_reopen(&line.session, NULL));
    kd_serial_driven_close(&line);
}

static gboolean
has_fewer_fds(gpointer n_fds)
{
    return kd_test_count_fds() < *(const guint *)n_fds;
}

static gboolean
on_tick(gpointer unused)
{
    (void)unused;
    return G_SOURCE_CONTINUE;
}

/* What a thread closes wakes no loop. */
static void
wait_for_fewer_fds(guint n_fds)
{
    guint tick = g_timeout_add(5, on_tick, NULL);
    kd_test_wait_until(has_fewer_fds, &n_fds);
    g_source_remove(tick);
}

/* The last close() of a line sleeps until all is sent, and that of an adapter drops nothing. */
static void
test_close_does_not_sleep(void)
{
    KdSerialDriven line;
    kd_serial_driven_prepare(&line);
    kd_serial_driven_open(&line, "");
    kd_serial_driver.unsent = 100;
    guint n_fds = kd_test_count_fds();
    kd_serial_end(&line.session);
    g_assert_cmpuint(kd_test_count_fds(), ==, n_fds - 1); /* that of the endpoint */
    kd_serial_driver.unsent = 0;
    n_fds--;
    kd_serial_driven_wait_for_looks(1);
    wait_for_fewer_fds(n_fds);
    kd_serial_driven_close(&line);
}

/* Drivers sleep in it even when all is sent: it happens in a thread, after the endpoint's. */
static void
test_last_close(void)
{
    KdSerialDriven line;
    kd_serial_driven_prepare(&line);
    kd_serial_driven_open(&line, "");
    guint n_fds = kd_test_count_fds() - 1;
    kd_serial_end(&line.session);
    wait_for_fewer_fds(n_fds);
    g_assert_cmpint(kd_serial_driver.closed_by, !=, gettid());
    kd_serial_driven_close(&line);
}

/* What a host does from within the end of an operation: its next one, or the link's end */
typedef struct {
    KdSerialDriven line;
    gboolean is_closing;
    gboolean is_over;
} Follower;

static void
on_first_done(GObject *source, GAsyncResult *result, gpointer user_data)
{
    Follower *follower = user_data;
    KdSerialSession *session = &follower->line.session;
    (void)kd_serial_com->control_finish(source, result, NULL, NULL);
    follower->is_over = TRUE;
    if (follower->is_closing)
        kd_serial_com->close_async(session->link, kd_test_on_done, &session->done);
    else
        kd_serial_start_control(session, KD_CONTROL_DRAIN, NULL, NULL);
}

static gboolean
is_first_over(gpointer follower)
{
    return ((Follower *)follower)->is_over;
}

static void
follow_drain(Follower *follower, GCancellable *cancellable)
{
    open_with_modem(&follower->line, "");
    kd_serial_driver.unsent = 50;
    kd_serial_com->control_async(follower->line.session.link, KD_CONTROL_DRAIN, NULL, cancellable,
                                 on_first_done, follower);
    kd_serial_driven_wait_for_looks(2);
    kd_serial_driver.unsent = 0;
    g_cancellable_cancel(cancellable);
    kd_test_wait_until(is_first_over, follower);
}

static void
test_next_at_once(void)
{
    Follower follower = {0};
    g_autoptr(GError) error = NULL;
    follow_drain(&follower, NULL);
    g_autoptr(GVariant) out = kd_serial_finish_control(&follower.line.session, &error);
    g_assert_no_error(error);
    g_assert_nonnull(out);
    kd_serial_driven_close(&follower.line);
}

static void
test_close_at_once(void)
{
    for (int is_cancelled = 0; is_cancelled < 2; is_cancelled++) {
        Follower follower = {.is_closing = TRUE};
        KdSerialSession *session = &follower.line.session;
        g_autoptr(GCancellable) cancellable = is_cancelled != 0 ? g_cancellable_new() : NULL;
        follow_drain(&follower, cancellable);
        g_autoptr(GAsyncResult) result = kd_test_wait(&session->done);
        kd_serial_com->close_finish(session->link, result);
        g_clear_object(&session->link);
        kd_serial_driven_close(&follower.line);
    }
}

typedef struct {
    KdSerialSession *session;
    GCancellable *cancellable;
} Loss;

static gboolean
on_lost(gpointer user_data)
{
    Loss *loss = user_data;
    kd_serial_start_reopen(loss->session, loss->cancellable);
    return G_SOURCE_REMOVE;
}

/* Its driver is asked nothing more, nor is the freed line. */
static void
test_next_while_lost(void)
{
    Follower follower = {0};
    KdSerialSession *session = &follower.line.session;
    g_autoptr(GError) error = NULL;
    g_autoptr(GCancellable) cancellable = g_cancellable_new();
    Loss loss = {.session = session, .cancellable = cancellable};
    open_with_modem(&follower.line, "");
    kd_serial_driver.has_flush = FALSE;
    kd_serial_driver.unsent = 50;
    kd_serial_com->control_async(session->link, KD_CONTROL_DRAIN, NULL, NULL, on_first_done,
                                 &follower);
    (void)g_idle_add(on_lost, &loss);
    kd_test_wait_until(is_first_over, &follower);
    g_assert_null(kd_serial_finish_control(session, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_LINK_LOST);
    g_cancellable_cancel(cancellable);
    g_assert_false(kd_serial_finish_reopen(session, NULL));
    kd_serial_driver.unsent = 0;
    kd_serial_driven_close(&follower.line);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_serial_load();
#define ADD(name, fn) g_test_add_func("/serial/control/" name, fn)
    ADD("link-offers-what-it-can", test_offered);
    ADD("purge-drops-both-ways-and-counts", test_purge);
    ADD("drain-waits-for-the-last-byte", test_drain);
    ADD("baud-waits-for-the-last-byte", test_baud_after_bytes);
    ADD("stuck-line-is-told", test_stuck);
    ADD("lines-are-set-again-and-put-back", test_lines);
    ADD("wrong-argument-is-refused", test_wrong);
    ADD("status-tells-all", test_status);
    ADD("status-of-a-pty-tells-what-there-is", test_status_of_pty);
    ADD("baud-of-a-device-that-is-gone-is-a-lost-link", test_baud_when_gone);
    ADD("lost-line-takes-none", test_while_lost);
    ADD("close-waits-elsewhere-for-what-is-stuck", test_close_does_not_sleep);
    ADD("last-close-is-not-the-loop-s", test_last_close);
    ADD("next-one-may-start-from-the-end-of-one", test_next_at_once);
    ADD("link-may-be-closed-from-the-end-of-one", test_close_at_once);
    ADD("next-one-finds-no-line-that-is-lost", test_next_while_lost);
    return g_test_run();
}
