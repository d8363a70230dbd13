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

/**
 * guest_serial_add_rival:
 *
 * Adds the cases of this file.
 */
void
guest_serial_add_rival(void)
{
    kd_guest_add("/guest/usb/terminal-of-another-program-is-refused-by-its-name", test_rival);
}
