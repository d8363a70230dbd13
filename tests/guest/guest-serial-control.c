/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* BREAK, modem lines, latency and counters: what the chip was told. */
#include "guest-serial.h"

#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* As long as a BREAK is at least; the two clocks that it is measured by are not the same. */
#define BREAK_LEAST_US (240 * 1000)
#define BREAK_MOST_US  (10 * G_USEC_PER_SEC)

/* FTDI's requests, as QEMU shows them: of a vendor, to the device (0x40), and the number */
#define FTDI_MODEM_CTRL 0x4001u
#define FTDI_SET_DATA   0x4004u
#define FTDI_BREAK      0x4000u
#define FTDI_DTR        0x0001u
#define FTDI_WITH_DTR   0x0100u
#define FTDI_RTS        0x0002u
#define FTDI_WITH_RTS   0x0200u

/* Registers of a 16550 */
#define UART_THR       0u
#define UART_LCR       3u
#define UART_MCR       4u
#define UART_LCR_BREAK 0x40u
#define UART_MCR_DTR   0x01u
#define UART_MCR_RTS   0x02u

#define TIMER_PATH "/sys/bus/usb-serial/devices/ttyUSB0/latency_timer"

/**
 * Write:
 * @at_us: when
 * @where: request or register
 * @value: what
 *
 * Something that a chip was told.
 */
typedef struct {
    gint64 at_us;
    guint where;
    guint value;
} Write;

static gboolean
scan_write(const char *line, Write *write)
{
    g_autoptr(GRegex) regex = g_regex_new(
        "@(\\d+)\\.(\\d{6}):.*(?:control|addr) 0x([0-9a-f]+),? val(?:ue)? 0x([0-9a-f]+)", 0, 0,
        NULL);
    g_autoptr(GMatchInfo) match = NULL;

    if (!g_regex_match(regex, line, 0, &match)) {
        return FALSE;
    }
    g_autofree char *seconds = g_match_info_fetch(match, 1);
    g_autofree char *micros = g_match_info_fetch(match, 2);
    g_autofree char *where = g_match_info_fetch(match, 3);
    g_autofree char *value = g_match_info_fetch(match, 4);

    write->at_us =
        g_ascii_strtoll(seconds, NULL, 10) * G_USEC_PER_SEC + g_ascii_strtoll(micros, NULL, 10);
    write->where = (guint)g_ascii_strtoull(where, NULL, 16);
    write->value = (guint)g_ascii_strtoull(value, NULL, 16);
    return TRUE;
}

/* All that was told there, in order */
static GArray *
read_writes(const KdGuest *guest, const char *event, guint where)
{
    g_autofree char *trace = kd_guest_read_trace(guest, event);
    g_auto(GStrv) lines = g_strsplit(trace, "\n", -1);
    GArray *writes = g_array_new(FALSE, FALSE, sizeof(Write));

    for (guint i = 0; lines[i] != NULL; i++) {
        Write write;

        if (scan_write(lines[i], &write) && write.where == where) {
            g_array_append_val(writes, write);
        }
    }
    return writes;
}

/* ---- BREAK ---- */

/* How long the chip held the line, the last time */
static gint64
get_break_us(const KdGuest *guest, const char *event, guint where, guint bit)
{
    g_autoptr(GArray) writes = read_writes(guest, event, where);
    gint64 start_us = 0;
    gint64 len_us = 0;

    for (guint i = 0; i < writes->len; i++) {
        const Write *write = &g_array_index(writes, Write, i);

        if ((write->value & bit) != 0) {
            start_us = write->at_us;
        } else if (start_us != 0) {
            len_us = write->at_us - start_us;
            start_us = 0;
        }
    }
    g_assert_cmpint(start_us, ==, 0);
    return len_us;
}

/* Returns: (transfer full): what a 16550 was given to send, and its BREAKs */
static char *
build_told(const KdGuest *guest)
{
    g_autofree char *trace = kd_guest_read_trace(guest, "serial_write");
    g_auto(GStrv) lines = g_strsplit(trace, "\n", -1);
    GString *told = g_string_new(NULL);
    gboolean is_held = FALSE;

    for (guint i = 0; lines[i] != NULL; i++) {
        Write write;

        if (!scan_write(lines[i], &write)) {
            continue;
        }
        if (write.where == UART_THR) {
            g_string_append_c(told, (char)write.value);
        } else if (write.where == UART_LCR && is_held != ((write.value & UART_LCR_BREAK) != 0)) {
            is_held = !is_held;
            g_string_append(told, is_held ? "<break" : ">");
        }
    }
    return g_string_free(told, FALSE);
}

static void
check_break(KdGuest *guest, const char *trans, const char *wire, gboolean is_urgent)
{
    KdControl control = {.id = 1, .op = KD_CONTROL_BREAK, .is_urgent = is_urgent};
    g_autoptr(KdE2eClient) client = NULL;
    g_autoptr(KdResult) result = NULL;
    gint64 start_us;
    int far = kd_guest_open_wire(wire);

    kd_e2e_stage_start(&guest->stage, NULL);
    client = kd_e2e_client_new_open(guest->stage.port, trans);
    g_assert_cmpuint(client->opened->controls & (1u << KD_CONTROL_BREAK), !=, 0);
    start_us = g_get_monotonic_time();
    kd_e2e_client_control(client, &control);
    result = kd_e2e_client_await_result(client);
    g_assert_cmpuint(result->code, ==, 0);
    g_assert_cmpint(g_get_monotonic_time() - start_us, >=, BREAK_LEAST_US);
    kd_e2e_client_send_data(client, "g", 1);
    kd_e2e_expect(far, "g");
    close(far);
}

static void
check_usb_break(KdGuest *guest, gboolean is_urgent)
{
    gint64 len_us;

    kd_guest_plug(guest, "usb1", "KD1");
    kd_guest_trace(guest, "usb_serial_handle_control", TRUE);
    check_break(guest, "com:port=/dev/ttyUSB0,baud=115200", "usb1", is_urgent);
    kd_guest_trace(guest, "usb_serial_handle_control", FALSE);
    len_us = get_break_us(guest, "usb_serial_handle_control", FTDI_SET_DATA, FTDI_BREAK);
    g_assert_cmpint(len_us, >=, BREAK_LEAST_US);
    g_assert_cmpint(len_us, <=, BREAK_MOST_US);
}

static void
test_usb_break(KdGuest *guest)
{
    check_usb_break(guest, FALSE);
}

static void
test_usb_urgent_break(KdGuest *guest)
{
    check_usb_break(guest, TRUE);
}

static void
test_uart_break(KdGuest *guest)
{
    gint64 len_us;

    kd_guest_trace(guest, "serial_write", TRUE);
    check_break(guest, "com:port=/dev/ttyS1,baud=115200", "uart", FALSE);
    kd_guest_trace(guest, "serial_write", FALSE);
    len_us = get_break_us(guest, "serial_write", UART_LCR, UART_LCR_BREAK);
    g_assert_cmpint(len_us, >=, BREAK_LEAST_US);
    g_assert_cmpint(len_us, <=, BREAK_MOST_US);
}

/* What is behind a BREAK was said at once, so it could come too early. */
static void
test_uart_order(KdGuest *guest)
{
    static const char before[] = "what was said before the break, longer than the FIFO of a 16550";
    static const char behind[] = "and behind it";
    KdControl control = {.id = 1, .op = KD_CONTROL_BREAK};
    g_autofree char *told = NULL;
    g_autoptr(KdE2eClient) client = NULL;
    g_autoptr(KdResult) result = NULL;
    int far = kd_guest_open_wire("uart");

    kd_e2e_stage_start(&guest->stage, NULL);
    client = kd_e2e_client_new_open(guest->stage.port, "com:port=/dev/ttyS1,baud=115200");
    kd_guest_trace(guest, "serial_write", TRUE);
    kd_e2e_client_send_data(client, before, strlen(before));
    kd_e2e_client_control(client, &control);
    kd_e2e_client_send_data(client, behind, strlen(behind));
    result = kd_e2e_client_await_result(client);
    g_assert_cmpuint(result->code, ==, 0);
    kd_e2e_expect(far, before);
    kd_e2e_expect(far, behind);
    kd_guest_trace(guest, "serial_write", FALSE);
    told = build_told(guest);
    g_assert_cmpstr(told, ==,
                    "what was said before the break, longer than the FIFO of a 16550"
                    "<break>and behind it");
    close(far);
}

/* By a person, through kd */
static void
test_usb_signal(KdGuest *guest)
{
    int far = kd_guest_open_wire("usb1");
    g_autoptr(KdE2eProgram) kd = NULL;

    kd_guest_plug(guest, "usb1", "KD1");
    kd_e2e_stage_start(&guest->stage, NULL);
    kd = kd_e2e_stage_start_kd(&guest->stage, "com:port=/dev/ttyUSB0", "--stdio", NULL);
    kd_e2e_program_say(kd, "here\n");
    kd_e2e_expect(far, "here\n");
    kd_guest_trace(guest, "usb_serial_handle_control", TRUE);
    kd_e2e_program_signal(kd, SIGUSR1);
    g_free(kd_e2e_program_await(kd, KD_E2E_STDERR, "kd: break sent"));
    kd_guest_trace(guest, "usb_serial_handle_control", FALSE);
    g_assert_cmpint(get_break_us(guest, "usb_serial_handle_control", FTDI_SET_DATA, FTDI_BREAK), >=,
                    BREAK_LEAST_US);
    close(far);
}

/* ---- modem lines ---- */

static uint32_t
set_lines(KdE2eClient *client, uint32_t mask, uint32_t value)
{
    static uint32_t id;
    KdControl control = {.id = ++id, .op = KD_CONTROL_LINES, .arg = mask, .arg2 = value};
    g_autoptr(KdResult) result = NULL;

    kd_e2e_client_control(client, &control);
    result = kd_e2e_client_await_result(client);
    g_test_message("lines %#x: %s", (guint)result->value, result->text);
    g_assert_cmpuint(result->code, ==, 0);
    return (uint32_t)result->value;
}

static guint
get_last(const KdGuest *guest, const char *event, guint where)
{
    g_autoptr(GArray) writes = read_writes(guest, event, where);

    g_assert_cmpuint(writes->len, >, 0);
    return g_array_index(writes, Write, writes->len - 1).value;
}

static void
test_usb_lines(KdGuest *guest)
{
    static const char event[] = "usb_serial_handle_control";
    g_autoptr(KdE2eClient) client = NULL;

    kd_guest_plug(guest, "usb1", "KD1");
    kd_guest_trace(guest, event, TRUE);
    kd_e2e_stage_start(&guest->stage, NULL);
    client = kd_e2e_client_new_open(guest->stage.port, "com:port=/dev/ttyUSB0");
    g_assert_cmpuint(client->opened->controls & (1u << KD_CONTROL_LINES), !=, 0);
    g_assert_cmpuint(set_lines(client, TIOCM_DTR, 0) & (TIOCM_DTR | TIOCM_RTS), ==, TIOCM_RTS);
    g_assert_cmpuint(get_last(guest, event, FTDI_MODEM_CTRL) & (FTDI_WITH_DTR | FTDI_DTR), ==,
                     FTDI_WITH_DTR);
    g_assert_cmpuint(set_lines(client, TIOCM_DTR | TIOCM_RTS, TIOCM_DTR) & (TIOCM_DTR | TIOCM_RTS),
                     ==, TIOCM_DTR);
    g_assert_cmpuint(get_last(guest, event, FTDI_MODEM_CTRL) & (FTDI_WITH_RTS | FTDI_RTS), ==,
                     FTDI_WITH_RTS);
    kd_guest_trace(guest, event, FALSE);
}

/* What the adapter holds its lines at, after all that it was told */
static guint
get_adapter_lines(const KdGuest *guest)
{
    g_autoptr(GArray) writes = read_writes(guest, "usb_serial_handle_control", FTDI_MODEM_CTRL);
    guint lines = 0;

    for (guint i = 0; i < writes->len; i++) {
        guint value = g_array_index(writes, Write, i).value;
        guint mask = value >> 8;

        lines = (lines & ~mask) | (value & mask);
    }
    return lines & (FTDI_DTR | FTDI_RTS);
}

static void
test_usb_open_lines(KdGuest *guest)
{
    g_autoptr(KdE2eClient) client = NULL;

    kd_guest_plug(guest, "usb1", "KD1");
    kd_guest_trace(guest, "usb_serial_handle_control", TRUE);
    kd_e2e_stage_start(&guest->stage, NULL);
    client = kd_e2e_client_new_open(guest->stage.port, "com:port=/dev/ttyUSB0,dtr=off");
    g_assert_cmpuint(get_adapter_lines(guest), ==, FTDI_RTS);
    kd_guest_trace(guest, "usb_serial_handle_control", FALSE);
}

/* A fall of DTR resets some boards. */
static void
test_usb_close_lines(KdGuest *guest)
{
    g_autoptr(KdE2eClient) client = NULL;

    kd_guest_plug(guest, "usb1", "KD1");
    kd_guest_trace(guest, "usb_serial_handle_control", TRUE);
    kd_e2e_stage_start(&guest->stage, NULL);
    client = kd_e2e_client_new_open(guest->stage.port, "com:port=/dev/ttyUSB0");
    g_assert_cmpuint(get_adapter_lines(guest), ==, FTDI_DTR | FTDI_RTS);
    kd_e2e_stage_stop(&guest->stage);
    g_assert_cmpuint(get_adapter_lines(guest), ==, FTDI_DTR | FTDI_RTS);
    kd_guest_trace(guest, "usb_serial_handle_control", FALSE);
}

static void
test_uart_lines(KdGuest *guest)
{
    static const char event[] = "serial_write";
    g_autoptr(KdE2eClient) client = NULL;

    kd_guest_trace(guest, event, TRUE);
    kd_e2e_stage_start(&guest->stage, NULL);
    client = kd_e2e_client_new_open(guest->stage.port, "com:port=/dev/ttyS1");
    g_assert_cmpuint(set_lines(client, TIOCM_DTR, 0) & (TIOCM_DTR | TIOCM_RTS), ==, TIOCM_RTS);
    g_assert_cmpuint(get_last(guest, event, UART_MCR) & (UART_MCR_DTR | UART_MCR_RTS), ==,
                     UART_MCR_RTS);
    g_assert_cmpuint(set_lines(client, TIOCM_DTR, TIOCM_DTR) & TIOCM_DTR, ==, TIOCM_DTR);
    g_assert_cmpuint(get_last(guest, event, UART_MCR) & (UART_MCR_DTR | UART_MCR_RTS), ==,
                     UART_MCR_DTR | UART_MCR_RTS);
    kd_guest_trace(guest, event, FALSE);
}

static char *
tell(const KdE2eProgram *kd, const char *request)
{
    g_autofree char *pid = g_strdup_printf("%d", kd_e2e_program_get_pid(kd));
    g_autoptr(KdE2eProgram) other =
        kd_e2e_stage_run("kd", NULL, "--tell", request, "--pid", pid, NULL);

    g_assert_cmpint(kd_e2e_program_wait(other), ==, 0);
    g_test_message("%s: %s", request, kd_e2e_program_get_text(other, KD_E2E_STDOUT));
    return g_strdup(kd_e2e_program_get_text(other, KD_E2E_STDOUT));
}

/* By a person, while a debugger has kd's stdin */
static void
test_usb_tell(KdGuest *guest)
{
    int far = kd_guest_open_wire("usb1");
    g_autoptr(KdE2eProgram) kd = NULL;
    g_autofree char *baud = NULL;
    g_autofree char *lines = NULL;
    g_autofree char *status = NULL;

    kd_guest_plug(guest, "usb1", "KD1");
    kd_e2e_stage_start(&guest->stage, NULL);
    kd = kd_e2e_stage_start_kd(&guest->stage, "com:port=/dev/ttyUSB0", "--stdio", NULL);
    kd_e2e_program_say(kd, "here\n");
    kd_e2e_expect(far, "here\n");
    kd_guest_trace(guest, "usb_serial_*", TRUE);
    baud = tell(kd, "baud 3000000");
    g_assert_cmpuint(guest_serial_get_baud(guest), ==, 3000000);
    lines = tell(kd, "lines dtr=0");
    g_assert_cmpuint(get_last(guest, "usb_serial_handle_control", FTDI_MODEM_CTRL) &
                         (FTDI_WITH_DTR | FTDI_DTR),
                     ==, FTDI_WITH_DTR);
    kd_guest_trace(guest, "usb_serial_*", FALSE);
    status = tell(kd, "status");
    g_assert_nonnull(strstr(status, "3000000"));
    g_assert_nonnull(strstr(status, "KD1"));
    close(far);
}

/* ---- what the drivers know ---- */

static void
check_counters(KdGuest *guest, const char *trans, const char *wire)
{
    KdControl control = {.id = 1, .op = KD_CONTROL_STATUS};
    int far = kd_guest_open_wire(wire);
    g_autoptr(KdE2eClient) client = NULL;
    g_autoptr(KdResult) result = NULL;

    kd_e2e_stage_start(&guest->stage, NULL);
    client = kd_e2e_client_new_open(guest->stage.port, trans);
    kd_e2e_client_send_data(client, "12345", 5);
    kd_e2e_expect(far, "12345");
    kd_e2e_write(far, "123", 3);
    kd_e2e_client_await_data(client, "123");
    kd_e2e_client_control(client, &control);
    result = kd_e2e_client_await_result(client);
    g_test_message("%s", result->text);
    g_assert_cmpuint(result->code, ==, 0);
    g_assert_nonnull(strstr(result->text, "tx"));
    g_assert_nonnull(strstr(result->text, "overrun"));
    close(far);
}

static void
test_usb_counters(KdGuest *guest)
{
    kd_guest_plug(guest, "usb1", "KD1");
    check_counters(guest, "com:port=/dev/ttyUSB0", "usb1");
}

static void
test_uart_counters(KdGuest *guest)
{
    check_counters(guest, "com:port=/dev/ttyS1", "uart");
}

static void
set_timer(const char *text)
{
    g_autoptr(GError) error = NULL;

    (void)g_file_set_contents_full(TIMER_PATH, text, -1, G_FILE_SET_CONTENTS_NONE, 0644, &error);
    g_assert_no_error(error);
}

static void
assert_timer(const char *text)
{
    g_autofree char *got = kd_guest_read_file(TIMER_PATH);

    g_assert_cmpstr(got, ==, text);
}

static void
test_latency(KdGuest *guest)
{
    g_autoptr(KdE2eClient) client = NULL;

    kd_guest_plug(guest, "usb1", "KD1");
    set_timer("16"); /* as such a chip starts, though not QEMU's */
    assert_timer("16");
    kd_e2e_stage_start(&guest->stage, NULL);
    client = kd_e2e_client_new_open(guest->stage.port, "com:port=/dev/ttyUSB0");
    assert_timer("1");
    kd_e2e_stage_stop(&guest->stage);
    assert_timer("16");
}

/**
 * guest_serial_add_control:
 *
 * Adds the cases of this file.
 */
void
guest_serial_add_control(void)
{
    kd_guest_add("/guest/usb/break-is-held-by-the-adapter-for-its-time", test_usb_break);
    kd_guest_add("/guest/usb/urgent-break-is-held-for-its-time", test_usb_urgent_break);
    kd_guest_add("/guest/usb/signal-to-kd-is-a-break-of-the-adapter", test_usb_signal);
    kd_guest_add("/guest/usb/tell-of-kd-reaches-the-adapter", test_usb_tell);
    kd_guest_add("/guest/usb/modem-lines-reach-the-adapter", test_usb_lines);
    kd_guest_add("/guest/usb/dtr-off-is-told-to-the-adapter", test_usb_open_lines);
    kd_guest_add("/guest/usb/closing-leaves-dtr-as-it-is", test_usb_close_lines);
    kd_guest_add("/guest/usb/status-has-the-counters", test_usb_counters);
    kd_guest_add("/guest/usb/latency-timer-is-lowered-while-open", test_latency);
    kd_guest_add("/guest/uart/break-is-held-by-the-chip-for-its-time", test_uart_break);
    kd_guest_add("/guest/uart/break-in-order-stands-between-the-bytes", test_uart_order);
    kd_guest_add("/guest/uart/modem-lines-reach-the-chip", test_uart_lines);
    kd_guest_add("/guest/uart/status-has-the-counters", test_uart_counters);
}
