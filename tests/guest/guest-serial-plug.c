/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* USB adapters that are pulled out and plugged in again in mid-session. */
#include "guest-serial.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#define TRANS "com:port=/dev/ttyUSB0,baud=250000"

static KdEvent *
parse_event(GBytes *payload)
{
    g_autoptr(GError) error = NULL;
    gsize len = 0;
    const uint8_t *bytes = g_bytes_get_data(payload, &len);
    KdEvent *event = kd_event_parse(bytes, len, &error);

    g_assert_no_error(error);
    g_test_message("event %u: %s", event->kind, event->text);
    return event;
}

/* Waits for an event, of a note for one with this text in it. Notes may come in between, for
 * people; what else is not expected is wrong. */
static void
expect_event(KdE2eClient *client, uint16_t kind, const char *text)
{
    for (;;) {
        g_autoptr(GBytes) payload = kd_e2e_client_await(client, KD_FRAME_EVENT);
        g_autoptr(KdEvent) event = parse_event(payload);

        if (event->kind == kind && (text == NULL || strstr(event->text, text) != NULL)) {
            return;
        }
        g_assert_cmpuint(event->kind, ==, KD_EVENT_NOTE);
    }
}

static void
check_bytes(KdE2eClient *client, int far)
{
    kd_e2e_client_send_data(client, "there", 5);
    kd_e2e_expect(far, "there");
    kd_e2e_write(far, "back", 4);
    kd_e2e_client_await_data(client, "back");
}

static KdE2eClient *
open_link(KdGuest *guest, const char *trans)
{
    kd_e2e_stage_start(&guest->stage, NULL);
    return kd_e2e_client_new_open(guest->stage.port, trans);
}

static void
expect_busy(KdGuest *guest)
{
    g_autoptr(KdE2eClient) second = kd_e2e_client_new(kd_e2e_dial(NULL, guest->stage.port));
    g_autoptr(KdClose) said = NULL;

    kd_e2e_client_ask(second, TRANS, "LAB\\other");
    said = kd_e2e_client_await_close(second);
    g_test_message("%s", said->text);
    g_assert_cmpuint(said->code, ==, KD_CLOSE_BUSY);
    g_assert_nonnull(strstr(said->text, "in use by"));
}

static void
check_kd_bytes(KdE2eProgram *kd, int far)
{
    kd_e2e_program_say(kd, "there\n");
    kd_e2e_expect(far, "there\n");
    kd_e2e_write(far, "back\n", 5);
    g_free(kd_e2e_program_await(kd, KD_E2E_STDOUT, "back"));
}

/* The user's view: kd says what happens, and lives through it. */
static void
test_kd(KdGuest *guest)
{
    int far = kd_guest_open_wire("usb1");
    g_autoptr(KdE2eProgram) kd = NULL;

    kd_guest_plug(guest, "usb1", "KD1");
    kd_e2e_stage_start(&guest->stage, NULL);
    kd = kd_e2e_stage_start_kd(&guest->stage, TRANS, "--stdio", NULL);
    check_kd_bytes(kd, far);
    for (guint i = 0; i < 2; i++) {
        kd_guest_unplug(guest, "usb1");
        g_free(kd_e2e_program_await(kd, KD_E2E_STDERR, "kd: target lost"));
        expect_busy(guest);
        kd_guest_plug(guest, "usb1", "KD1");
        g_free(kd_e2e_program_await(kd, KD_E2E_STDERR, "kd: target back"));
        check_kd_bytes(kd, far);
    }
    close(far);
}

static void
test_direct(KdGuest *guest)
{
    int far = kd_guest_open_wire("usb1");
    g_autoptr(KdE2eProgram) kd = NULL;

    kd_guest_plug(guest, "usb1", "KD1");
    kd = kd_e2e_stage_run("kd", NULL, "-k", TRANS, "--stdio", NULL);
    check_kd_bytes(kd, far);
    kd_guest_unplug(guest, "usb1");
    g_free(kd_e2e_program_await(kd, KD_E2E_STDERR, "kd: target lost"));
    kd_guest_plug(guest, "usb1", "KD1");
    g_free(kd_e2e_program_await(kd, KD_E2E_STDERR, "kd: target back"));
    check_kd_bytes(kd, far);
    close(far);
}

static void
test_first_plug(KdGuest *guest)
{
    int far = kd_guest_open_wire("usb1");
    g_autoptr(KdE2eProgram) kd = NULL;

    kd_e2e_stage_start(&guest->stage, NULL);
    kd = kd_e2e_stage_start_kd(&guest->stage, TRANS, "--stdio", NULL);
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 1);
    g_assert_nonnull(strstr(kd_e2e_program_get_text(kd, KD_E2E_STDERR), "/dev/ttyUSB0: No such"));
    g_clear_pointer(&kd, kd_e2e_program_free);
    kd = kd_e2e_stage_start_kd(&guest->stage, TRANS ",reconnect", "--stdio", NULL);
    g_free(kd_e2e_program_await(kd, KD_E2E_STDERR, "waiting for /dev/ttyUSB0"));
    kd_guest_plug(guest, "usb1", "KD1");
    check_kd_bytes(kd, far);
    close(far);
}

static void
test_baud(KdGuest *guest)
{
    KdControl control = {.id = 1, .op = KD_CONTROL_BAUD, .arg = 3000000};
    int far = kd_guest_open_wire("usb1");
    g_autoptr(KdE2eClient) client = NULL;
    g_autoptr(KdResult) result = NULL;

    kd_guest_plug(guest, "usb1", "KD1");
    client = open_link(guest, TRANS);
    kd_e2e_client_control(client, &control);
    result = kd_e2e_client_await_result(client);
    g_assert_cmpuint(result->code, ==, 0);
    kd_guest_unplug(guest, "usb1");
    expect_event(client, KD_EVENT_LOST, NULL);
    kd_guest_trace(guest, "usb_serial_set_baud", TRUE);
    kd_guest_plug(guest, "usb1", "KD1");
    expect_event(client, KD_EVENT_BACK, NULL);
    g_assert_cmpuint(guest_serial_get_baud(guest), ==, 3000000);
    kd_guest_trace(guest, "usb_serial_set_baud", FALSE);
    check_bytes(client, far);
    close(far);
}

static void
test_other(KdGuest *guest)
{
    int far = kd_guest_open_wire("usb1");
    int other = kd_guest_open_wire("usb2");
    g_autoptr(KdE2eClient) client = NULL;

    kd_guest_plug(guest, "usb1", "KD1");
    client = open_link(guest, TRANS);
    kd_guest_unplug(guest, "usb1");
    expect_event(client, KD_EVENT_LOST, NULL);
    kd_guest_plug(guest, "usb2", "KD2");
    expect_event(client, KD_EVENT_NOTE,
                 "/dev/ttyUSB0 is another device now (0403:6001 KD2 instead of 0403:6001 KD1)");
    kd_guest_unplug(guest, "usb2");
    kd_guest_await_path("/dev/ttyUSB0", FALSE);
    kd_guest_plug(guest, "usb1", "KD1");
    expect_event(client, KD_EVENT_BACK, NULL);
    check_bytes(client, far);
    g_assert_false(kd_e2e_is_readable(other, 0));
    close(far);
    close(other);
}

/* Its link leads to it, whatever number it has become. */
static void
test_other_number(KdGuest *guest)
{
    g_autofree char *link = kd_guest_build_by_id("KD1");
    g_autofree char *trans = g_strdup_printf("com:port=%s", link);
    int far = kd_guest_open_wire("usb1");
    g_autoptr(KdE2eClient) client = NULL;

    kd_guest_plug(guest, "usb1", "KD1");
    client = open_link(guest, trans);
    check_bytes(client, far);
    kd_guest_unplug(guest, "usb1");
    expect_event(client, KD_EVENT_LOST, NULL);
    kd_guest_plug(guest, "usb2", "KD2");
    kd_guest_plug(guest, "usb1", "KD1");
    g_assert_true(g_file_test("/dev/ttyUSB1", G_FILE_TEST_EXISTS));
    expect_event(client, KD_EVENT_BACK, NULL);
    check_bytes(client, far);
    close(far);
}

static void
await_break(const KdGuest *guest)
{
    gint64 deadline_us = g_get_monotonic_time() + KD_E2E_DEADLINE_S * G_USEC_PER_SEC;
    gboolean is_held = FALSE;

    while (!is_held) {
        g_autofree char *trace = kd_guest_read_trace(guest, "control 0x4004, value 0x4008");

        is_held = trace[0] != '\0';
        g_assert_cmpint(g_get_monotonic_time(), <, deadline_us);
    }
}

static void
test_break(KdGuest *guest)
{
    KdControl control = {.id = 1, .op = KD_CONTROL_BREAK};
    int far = kd_guest_open_wire("usb1");
    g_autoptr(KdE2eClient) client = NULL;
    g_autoptr(KdResult) result = NULL;
    gboolean is_lost = FALSE;

    kd_guest_plug(guest, "usb1", "KD1");
    client = open_link(guest, TRANS);
    kd_guest_trace(guest, "usb_serial_handle_control", TRUE);
    kd_e2e_client_control(client, &control);
    await_break(guest);
    kd_guest_unplug(guest, "usb1");
    kd_guest_trace(guest, "usb_serial_handle_control", FALSE);
    while (!is_lost || result == NULL) {
        g_autoptr(GBytes) payload = NULL;
        gsize len;
        uint8_t type = kd_e2e_client_read(client, &payload);
        const uint8_t *bytes = g_bytes_get_data(payload, &len);

        g_assert_cmpuint(type, !=, KD_FRAME_CLOSE);
        if (type == KD_FRAME_EVENT) {
            g_autoptr(KdEvent) event = parse_event(payload);

            is_lost = is_lost || event->kind == KD_EVENT_LOST;
        } else if (type == KD_FRAME_RESULT) {
            g_assert_null(result);
            result = kd_result_parse(bytes, len, NULL);
        }
    }
    g_test_message("%u: %s", result->code, result->text);
    g_assert_cmpuint(result->code, !=, 0);
    kd_guest_plug(guest, "usb1", "KD1");
    expect_event(client, KD_EVENT_BACK, NULL);
    check_bytes(client, far);
    g_clear_pointer(&result, kd_result_free);
    control.id = 2;
    kd_e2e_client_control(client, &control);
    result = kd_e2e_client_await_result(client);
    g_assert_cmpuint(result->code, ==, 0);
    close(far);
}

/* Hung up on by one who has waited for nothing: the adapter is free for the next client. */
static void
test_end(KdGuest *guest)
{
    int far = kd_guest_open_wire("usb1");
    KdE2eClient *client;
    g_autoptr(KdE2eClient) next = NULL;

    kd_guest_plug(guest, "usb1", "KD1");
    client = open_link(guest, TRANS);
    kd_guest_unplug(guest, "usb1");
    expect_event(client, KD_EVENT_LOST, NULL);
    kd_e2e_client_free(client);
    kd_guest_plug(guest, "usb1", "KD1");
    next = kd_e2e_client_new_open(guest->stage.port, TRANS);
    check_bytes(next, far);
    close(far);
}

static void
test_server_end(KdGuest *guest)
{
    g_autoptr(KdE2eClient) client = NULL;
    g_autoptr(KdClose) said = NULL;

    kd_guest_plug(guest, "usb1", "KD1");
    client = open_link(guest, TRANS);
    kd_guest_unplug(guest, "usb1");
    expect_event(client, KD_EVENT_LOST, NULL);
    kd_e2e_program_signal(guest->stage.server, SIGTERM);
    said = kd_e2e_client_await_close(client);
    g_assert_cmpuint(said->code, ==, KD_CLOSE_GOING_AWAY);
    kd_e2e_stage_stop(&guest->stage);
}

/**
 * guest_serial_add_plug:
 *
 * Adds the cases of this file.
 */
void
guest_serial_add_plug(void)
{
    kd_guest_add("/guest/plug/session-lives-through-unplugging", test_kd);
    kd_guest_add("/guest/plug/also-without-a-server", test_direct);
    kd_guest_add("/guest/plug/reconnect-waits-for-the-first-time", test_first_plug);
    kd_guest_add("/guest/plug/server-ends-while-the-adapter-is-away", test_server_end);
    kd_guest_add("/guest/plug/baud-is-the-same-afterwards", test_baud);
    kd_guest_add("/guest/plug/other-adapter-under-the-name-is-not-taken", test_other);
    kd_guest_add("/guest/plug/by-id-link-is-followed-to-another-number", test_other_number);
    kd_guest_add("/guest/plug/break-that-is-cut-is-told-and-the-next-works", test_break);
    kd_guest_add("/guest/plug/client-that-leaves-meanwhile-frees-the-adapter", test_end);
}
