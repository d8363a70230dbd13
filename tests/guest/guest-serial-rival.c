/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who else has an adapter, and what a list of links says of it. */
#include "guest-serial.h"

#include <string.h>
#include <unistd.h>

/* cat itself: it has said something that has come through the adapter */
static KdE2eProgram *
start_cat(int far)
{
    static const char *const argv[] = {"sh", "-c", "exec </dev/ttyUSB0; echo open; exec cat", NULL};
    KdE2eProgram *cat = kd_e2e_program_new(argv, NULL);

    g_free(kd_e2e_program_await(cat, KD_E2E_STDOUT, "open"));
    kd_e2e_write(far, "purr\n", 5);
    g_free(kd_e2e_program_await(cat, KD_E2E_STDOUT, "purr"));
    return cat;
}

static void
test_rival(KdGuest *guest)
{
    int far = kd_guest_open_wire("usb1");
    g_autoptr(KdE2eProgram) cat = NULL;
    g_autoptr(KdE2eProgram) kd = NULL;
    g_autofree char *name = NULL;

    kd_guest_plug(guest, "usb1", "KD1");
    cat = start_cat(far);
    name = g_strdup_printf("/dev/ttyUSB0 is in use by cat (pid %d)", kd_e2e_program_get_pid(cat));
    kd_e2e_stage_start(&guest->stage, NULL);
    kd = kd_e2e_stage_start_kd(&guest->stage, "com:port=/dev/ttyUSB0", "--stdio", NULL);
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 1);
    g_test_message("%s", kd_e2e_program_get_text(kd, KD_E2E_STDERR));
    g_assert_nonnull(strstr(kd_e2e_program_get_text(kd, KD_E2E_STDERR), name));
    close(far);
}

/* ---- kd --list links ---- */

/* Returns: (transfer full) (nullable): the line of the table that has @text in it */
static char *
list(KdGuest *guest, const char *text)
{
    g_autofree char *server = g_strdup_printf("tcp:server=127.0.0.1,port=%u", guest->stage.port);
    g_autoptr(KdE2eProgram) kd = NULL;
    g_auto(GStrv) lines = NULL;

    if (guest->stage.server != NULL) {
        kd = kd_e2e_stage_run("kd", NULL, "--list", "links", "--server", server, NULL);
    } else {
        kd = kd_e2e_stage_run("kd", NULL, "--list", "links", NULL);
    }
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 0);
    lines = g_strsplit(kd_e2e_program_get_text(kd, KD_E2E_STDOUT), "\n", -1);
    for (guint i = 0; lines[i] != NULL; i++) {
        g_test_message("%s", lines[i]);
        if (strstr(lines[i], text) != NULL) {
            return g_strdup(lines[i]);
        }
    }
    return NULL;
}

static void
expect_row(KdGuest *guest, const char *text, const char *state, const char *holder)
{
    g_autofree char *row = list(guest, text);

    g_assert_nonnull(row);
    g_assert_nonnull(strstr(row, state));
    g_assert_nonnull(strstr(row, "QEMU USB SERIAL"));
    g_assert_true(holder == NULL || strstr(row, holder) != NULL);
}

/* What stands in its first column */
static char *
list_trans(KdGuest *guest, const char *text)
{
    g_autofree char *row = list(guest, text);

    g_assert_nonnull(row);
    return g_strndup(row, strcspn(row, " "));
}

static void
test_list(KdGuest *guest)
{
    g_autofree char *trans = NULL;
    g_autofree char *gone = NULL;
    g_autoptr(KdE2eClient) client = NULL;

    kd_guest_plug(guest, "usb1", "KD1");
    kd_e2e_stage_start(&guest->stage, NULL);
    expect_row(guest, "KD1", " free ", NULL);
    trans = list_trans(guest, "KD1");
    client = kd_e2e_client_new_open(guest->stage.port, trans);
    expect_row(guest, "KD1", " busy ", "LAB\\tester");
    g_clear_pointer(&client, kd_e2e_client_free);
    kd_guest_unplug(guest, "usb1");
    kd_guest_await_path("/dev/ttyUSB0", FALSE);
    gone = list(guest, "KD1");
    g_assert_null(gone);
}

static void
test_list_here(KdGuest *guest)
{
    int far = kd_guest_open_wire("usb1");
    g_autofree char *holder = NULL;
    g_autoptr(KdE2eProgram) cat = NULL;

    kd_guest_plug(guest, "usb1", "KD1");
    expect_row(guest, "KD1", " free ", NULL);
    cat = start_cat(far);
    holder = g_strdup_printf("cat (pid %d)", kd_e2e_program_get_pid(cat));
    expect_row(guest, "KD1", " busy ", holder);
    close(far);
}

/* The driver has four of them, but only two have a chip. */
static void
test_list_uarts(KdGuest *guest)
{
    g_autofree char *second = list(guest, "com2");
    g_autofree char *third = list(guest, "com3");

    g_assert_true(g_file_test("/dev/ttyS2", G_FILE_TEST_EXISTS));
    g_assert_nonnull(second);
    g_assert_null(third);
}

/**
 * guest_serial_add_rival:
 *
 * Adds the cases of this file.
 */
void
guest_serial_add_rival(void)
{
    kd_guest_add("/guest/usb/terminal-of-another-program-is-refused-by-its-name", test_rival);
    kd_guest_add("/guest/list/adapter-is-free-then-busy-then-gone", test_list);
    kd_guest_add("/guest/list/adapter-of-another-program-is-busy-without-a-server", test_list_here);
    kd_guest_add("/guest/list/only-uarts-that-are-there", test_list_uarts);
}
