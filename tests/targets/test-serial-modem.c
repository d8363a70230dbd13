/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Modem lines, the carrier, and the counters of a driver, which is a fake: pseudo-terminals have
 * none of these. */
#include "kd-serial-driver.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#define CARRIER    (TIOCM_DTR | TIOCM_RTS | TIOCM_CAR)
#define NO_CARRIER (TIOCM_DTR | TIOCM_RTS)

static void
prepare(KdSerialDriven *line)
{
    kd_serial_driven_prepare(line);
    kd_serial_driver.has_modem = TRUE;
    kd_serial_driver.modem = NO_CARRIER;
}

typedef struct {
    const KdSerialDriven *line;
    const char *text;
} Expected;

static gboolean
has_told(gpointer user_data)
{
    const Expected *expected = user_data;
    return g_str_has_suffix(kd_serial_get_events(&expected->line->session), expected->text);
}

static void
wait_for_events(const KdSerialDriven *line, const char *text)
{
    Expected expected = {line, text};
    kd_test_wait_until(has_told, &expected);
    g_assert_cmpstr(kd_serial_get_events(&line->session), ==, text);
}

static gboolean
on_time(gpointer is_over)
{
    *(gboolean *)is_over = TRUE;
    return G_SOURCE_REMOVE;
}

/* For what must not happen, as long as it would take twice over */
static void
turn_for(guint time_ms)
{
    gboolean is_over = FALSE;
    g_timeout_add(time_ms, on_time, &is_over);
    while (!is_over)
        g_main_context_iteration(NULL, TRUE);
}

static void
test_carrier(void)
{
    KdSerialDriven line;
    prepare(&line);
    kd_serial_driver.modem = CARRIER;
    kd_serial_driven_open(&line, ", 'modem': <true>");
    turn_for(250);
    g_assert_cmpstr(kd_serial_get_events(&line.session), ==, "");
    kd_serial_driver.modem = NO_CARRIER;
    wait_for_events(&line, "lines 0x6 lost ");
    kd_serial_driver.modem = CARRIER;
    wait_for_events(&line, "lines 0x6 lost lines 0x46 back ");
    kd_serial_check_bytes(line.master, line.session.endpoint.fd); /* it is the same endpoint */
    kd_serial_driven_close(&line);
}

/* Bytes pass all the same: with them the modem is told whom to call. */
static void
test_no_carrier_yet(void)
{
    KdSerialDriven line;
    prepare(&line);
    kd_serial_driven_open(&line, ", 'modem': <true>");
    g_autofree char *expected = g_strdup_printf("waiting for the carrier of %s", line.path);
    wait_for_events(&line, "note ");
    g_assert_cmpstr(line.session.note, ==, expected);
    kd_serial_check_bytes(line.session.endpoint.fd, line.master);
    kd_serial_driver.modem = CARRIER;
    wait_for_events(&line, "note lines 0x46 ");
    kd_serial_driver.modem = NO_CARRIER;
    wait_for_events(&line, "note lines 0x46 lines 0x6 lost ");
    kd_serial_driven_close(&line);
}

static void
test_without_modem(void)
{
    KdSerialDriven line;
    prepare(&line);
    kd_serial_driver.modem = CARRIER;
    kd_serial_driven_open(&line, "");
    kd_serial_driver.modem = NO_CARRIER;
    turn_for(250);
    g_assert_cmpstr(kd_serial_get_events(&line.session), ==, "");
    kd_serial_driven_close(&line);
}

/* Whoever reads the descriptor learns that the device has gone; the carrier has no say in that. */
static void
test_gone(void)
{
    KdSerialDriven line;
    prepare(&line);
    kd_serial_driver.modem = CARRIER;
    kd_serial_driver.has_counts = TRUE;
    kd_serial_driven_open(&line, ", 'modem': <true>");
    kd_serial_driver.error = EIO;
    turn_for(1200);
    g_assert_cmpstr(kd_serial_get_events(&line.session), ==, "");
    kd_serial_driven_close(&line);
}

static void
test_policy(void)
{
    static const struct {
        const char *keys;
        unsigned lines;
    } cases[] = {
        {"", TIOCM_DTR | TIOCM_RTS},
        {", 'dtr': <'off'>", TIOCM_RTS},
        {", 'rts': <'off'>", TIOCM_DTR},
        {", 'dtr': <'off'>, 'rts': <'off'>", 0},
        {", 'dtr': <'on'>, 'rts': <'off'>", TIOCM_DTR},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        KdSerialDriven line;
        prepare(&line);
        kd_serial_driven_open(&line, cases[i].keys);
        g_assert_cmphex(kd_serial_driver.modem, ==, cases[i].lines);
        /* Opening anew raises them, as the first time. */
        kd_serial_driver.modem = NO_CARRIER;
        g_assert_true(kd_serial_reopen(&line.session, NULL, NULL));
        g_assert_cmphex(kd_serial_driver.modem, ==, cases[i].lines);
        kd_serial_driven_close(&line);
        g_assert_cmphex(kd_serial_driver.modem, ==, NO_CARRIER);
    }
}

static void
test_counters(void)
{
    KdSerialDriven line;
    kd_serial_driven_prepare(&line);
    kd_serial_driver.has_counts = TRUE;
    kd_serial_driver.counts.frame = -1; /* all counters wrap */
    kd_serial_driver.counts.overrun = 4;
    kd_serial_driven_open(&line, "");
    kd_serial_driver.counts.rx = 1000;
    kd_serial_driver.counts.frame = 11;
    kd_serial_driver.counts.overrun = 5;
    g_autofree char *damaged =
        g_strdup_printf("%s: 12 framing errors, 1 overrun: bytes came in damaged, is the speed "
                        "right?",
                        line.path);
    wait_for_events(&line, "note ");
    g_assert_cmpstr(line.session.note, ==, damaged);
    turn_for(1200);
    g_assert_cmpuint(line.session.n_notes, ==, 1); /* silence is not told */
    kd_serial_driver.counts.buf_overrun = 2;
    g_autofree char *lost =
        g_strdup_printf("%s: 2 buffer overruns: bytes that came in were lost", line.path);
    wait_for_events(&line, "note note ");
    g_assert_cmpstr(line.session.note, ==, lost);
    kd_serial_driven_close(&line);
}

static gboolean
on_fault(gpointer unused)
{
    (void)unused;
    kd_serial_driver.counts.parity++;
    return G_SOURCE_CONTINUE;
}

static void
test_counters_rate(void)
{
    KdSerialDriven line;
    kd_serial_driven_prepare(&line);
    kd_serial_driver.has_counts = TRUE;
    kd_serial_driven_open(&line, "");
    guint faults = g_timeout_add(1, on_fault, NULL);
    gint64 began_us = g_get_monotonic_time();
    turn_for(2500);
    g_source_remove(faults);
    g_assert_cmpint(line.session.n_notes, >=, 1);
    g_assert_cmpint(line.session.n_notes, <=, (g_get_monotonic_time() - began_us) / 1000000);
    kd_serial_driven_close(&line);
}

static void
close_when_told(void *user, uint32_t event, GVariant *arg)
{
    KdSerialSession *session = user;
    (void)arg;
    if (event != KD_EVENT_LOST && session->n_notes++ == 0)
        kd_serial_com->close_async(session->link, kd_test_on_done, &session->done);
}

/* A note of faults, and the change of the carrier, which is two events */
static void
test_close_when_told(void)
{
    for (int is_carrier = 0; is_carrier < 2; is_carrier++) {
        KdSerialDriven line;
        KdSerialSession *session = &line.session;
        prepare(&line);
        kd_serial_driver.has_counts = TRUE;
        kd_serial_driver.modem = CARRIER;
        kd_serial_driven_open(&line, is_carrier != 0 ? ", 'modem': <true>" : "");
        turn_for(is_carrier != 0 ? 250 : 1);
        session->sink.event = close_when_told;
        kd_serial_driver.modem = NO_CARRIER;
        kd_serial_driver.counts.frame++;
        g_autoptr(GAsyncResult) result = kd_test_wait(&session->done);
        kd_serial_com->close_finish(session->link, result);
        g_clear_object(&session->link);
        kd_serial_driven_close(&line);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_serial_load();
#define ADD(name, fn) g_test_add_func("/serial/modem/" name, fn)
    ADD("carrier-that-goes-and-comes-is-told", test_carrier);
    ADD("no-carrier-at-the-start-is-a-note", test_no_carrier_yet);
    ADD("carrier-is-not-watched-unasked", test_without_modem);
    ADD("device-that-goes-is-no-lost-carrier", test_gone);
    ADD("dtr-and-rts-are-as-asked-and-put-back", test_policy);
    ADD("faults-are-told-in-numbers", test_counters);
    ADD("faults-are-told-once-a-second", test_counters_rate);
    ADD("link-may-be-closed-from-an-event", test_close_when_told);
    return g_test_run();
}
