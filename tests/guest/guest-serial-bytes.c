/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bytes and speeds on real drivers. */
#include "guest-serial.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define N_BYTES 4096u

/* ---- bytes ---- */

static void
fill(uint8_t *bytes, guint seed)
{
    for (guint i = 0; i < N_BYTES; i++) {
        bytes[i] = (uint8_t)(i * 7 + i / 256 + seed);
    }
}

static void
check_bytes(KdE2eClient *client, int far)
{
    g_autofree uint8_t *sent = g_malloc(N_BYTES);
    g_autofree uint8_t *got = g_malloc(N_BYTES);

    fill(sent, 1);
    kd_e2e_client_send_data(client, sent, N_BYTES);
    kd_e2e_read(far, got, N_BYTES);
    g_assert_cmpmem(sent, N_BYTES, got, N_BYTES);
    fill(sent, 2);
    kd_e2e_write(far, sent, N_BYTES);
    while (client->heard->len < N_BYTES) {
        g_bytes_unref(kd_e2e_client_await(client, KD_FRAME_DATA));
    }
    g_assert_cmpmem(sent, N_BYTES, client->heard->data, client->heard->len);
}

static void
check_line(KdGuest *guest, const char *trans, const char *wire)
{
    int far = kd_guest_open_wire(wire);
    g_autoptr(KdE2eClient) client = NULL;

    kd_e2e_stage_start(&guest->stage, NULL);
    client = kd_e2e_client_new_open(guest->stage.port, trans);
    check_bytes(client, far);
    close(far);
}

static void
test_usb_bytes(KdGuest *guest)
{
    kd_guest_plug(guest, "usb1", "KD1");
    check_line(guest, "com:port=/dev/ttyUSB0,baud=115200", "usb1");
}

static void
test_usb_by_id(KdGuest *guest)
{
    g_autofree char *link = kd_guest_build_by_id("KD1");
    g_autofree char *trans = g_strdup_printf("com:port=%s,baud=115200", link);

    kd_guest_plug(guest, "usb1", "KD1");
    check_line(guest, trans, "usb1");
}

static void
test_uart_bytes(KdGuest *guest)
{
    check_line(guest, "com:port=com2,baud=115200", "uart");
}

/* ---- speeds ---- */

/**
 * guest_serial_get_baud:
 *
 * Returns: the last speed that an adapter was told while usb_serial_set_baud was traced
 */
guint
guest_serial_get_baud(const KdGuest *guest)
{
    g_autofree char *trace = kd_guest_read_trace(guest, "usb_serial_set_baud");
    const char *last = g_strrstr(trace, "baud rate ");

    g_assert_nonnull(last);
    return (guint)g_ascii_strtoull(last + strlen("baud rate "), NULL, 10);
}

static void
test_usb_baud(KdGuest *guest)
{
    static const guint bauds[] = {9600, 250000, 1000000, 3000000};

    kd_guest_plug(guest, "usb1", "KD1");
    kd_guest_trace(guest, "usb_serial_set_baud", TRUE);
    kd_e2e_stage_start(&guest->stage, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(bauds); i++) {
        g_autofree char *trans = g_strdup_printf("com:port=/dev/ttyUSB0,baud=%u", bauds[i]);
        KdE2eClient *client = kd_e2e_client_new_open(guest->stage.port, trans);

        g_assert_cmpuint(guest_serial_get_baud(guest), ==, bauds[i]);
        kd_e2e_client_free(client);
    }
    kd_guest_trace(guest, "usb_serial_set_baud", FALSE);
}

static void
test_usb_baud_change(KdGuest *guest)
{
    KdControl control = {.id = 1, .op = KD_CONTROL_BAUD, .arg = 3000000};
    g_autoptr(KdE2eClient) client = NULL;
    g_autoptr(KdResult) result = NULL;

    kd_guest_plug(guest, "usb1", "KD1");
    kd_guest_trace(guest, "usb_serial_set_baud", TRUE);
    kd_e2e_stage_start(&guest->stage, NULL);
    client = kd_e2e_client_new_open(guest->stage.port, "com:port=/dev/ttyUSB0,baud=250000");
    g_assert_cmpuint(guest_serial_get_baud(guest), ==, 250000);
    kd_e2e_client_control(client, &control);
    result = kd_e2e_client_await_result(client);
    g_assert_cmpuint(result->code, ==, 0);
    g_assert_cmpuint(result->value, ==, 3000000);
    g_assert_cmpuint(guest_serial_get_baud(guest), ==, 3000000);
    kd_guest_trace(guest, "usb_serial_set_baud", FALSE);
}

static void
test_uart_baud(KdGuest *guest)
{
    g_autoptr(KdE2eClient) client = NULL;
    g_autoptr(KdE2eClient) next = NULL;
    g_autoptr(KdClose) said = NULL;

    kd_e2e_stage_start(&guest->stage, NULL);
    client = kd_e2e_client_new(kd_e2e_dial(NULL, guest->stage.port));
    kd_e2e_client_ask(client, "com:port=/dev/ttyS1,baud=250000", "LAB\\tester");
    said = kd_e2e_client_await_close(client);
    g_test_message("%s", said->text);
    g_assert_nonnull(strstr(said->text, "/dev/ttyS1 cannot do 250000 baud"));
    next = kd_e2e_client_new_open(guest->stage.port, "com:port=/dev/ttyS1,baud=9600");
    g_assert_nonnull(next->opened);
}

/**
 * guest_serial_add_bytes:
 *
 * Adds the cases of this file.
 */
void
guest_serial_add_bytes(void)
{
    kd_guest_add("/guest/usb/carries-all-bytes-both-ways", test_usb_bytes);
    kd_guest_add("/guest/usb/is-opened-by-its-by-id-link", test_usb_by_id);
    kd_guest_add("/guest/usb/adapter-is-told-exactly-the-baud", test_usb_baud);
    kd_guest_add("/guest/usb/baud-change-reaches-the-adapter", test_usb_baud_change);
    kd_guest_add("/guest/uart/carries-all-bytes-both-ways", test_uart_bytes);
    kd_guest_add("/guest/uart/refuses-a-baud-that-it-cannot-do", test_uart_baud);
}
