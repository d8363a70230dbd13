/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* USB debug cables: what is plugged in is a simulated target on FunctionFS and dummy_hcd. */
#include "guest-kd.h"
#include "kd-guest-gadget.h"
#include "kd-sim-facts.h"

#include <string.h>
#include <unistd.h>

#define PART_BYTES 16384u
#define N_TOGETHER 5u
#define MARK_BYTES 16u

/* At the end of a cable that is not plugged in yet */
static KdE2eTarget *
start_target(KdGuest *guest, const KdGuestGadget *gadget, const char *name)
{
    g_autofree char *link = kd_guest_gadget_build_link(gadget);
    g_autofree char *trans = g_strconcat("usb:targetname=", name, NULL);

    return kd_e2e_target_new(&guest->stage, name, link, trans, NULL);
}

static void
test_script(KdGuest *guest)
{
    g_autoptr(KdGuestGadget) gadget = kd_guest_gadget_new(0, "1");
    g_autoptr(KdE2eTarget) target = start_target(guest, gadget, "BOARD");
    g_autoptr(KdE2eDebug) debug = NULL;

    kd_guest_gadget_plug(gadget);
    kd_e2e_stage_start(&guest->stage, NULL);
    debug = kd_e2e_debug_new(&guest->stage, "board", target->trans);
    kd_e2e_debug_expect_script(debug, GUEST_KD_SCRIPT_BYTES);
}

/* Twice, so that it is not the first connection alone that is mended. */
static void
test_plug(KdGuest *guest)
{
    g_autoptr(KdGuestGadget) gadget = kd_guest_gadget_new(0, "1");
    g_autoptr(KdE2eTarget) target = start_target(guest, gadget, "BOARD");
    g_autoptr(KdE2eDebug) debug = NULL;
    g_autoptr(KdDebugger) debugger = NULL;
    KdDebuggerStop stop;

    kd_guest_gadget_plug(gadget);
    kd_e2e_stage_start(&guest->stage, NULL);
    debug = kd_e2e_debug_new(&guest->stage, "board", target->trans);
    debugger = kd_e2e_debug_attach(debug, KD_DEBUGGER_ATTACH_ASKS, &stop);
    for (guint i = 0; i < 2; i++) {
        guest_kd_expect_memory(debugger, PART_BYTES);
        kd_guest_gadget_unplug(gadget);
        g_free(kd_e2e_program_await(debug->kd, KD_E2E_STDERR, "target lost"));
        kd_guest_gadget_plug(gadget);
        g_free(kd_e2e_program_await(debug->kd, KD_E2E_STDERR, "target back"));
    }
    guest_kd_expect_memory(debugger, PART_BYTES);
    g_assert_cmpuint(kd_e2e_target_count(target, "boots"), ==, 1);
}

static gpointer
replug(gpointer gadget)
{
    kd_guest_gadget_unplug(gadget);
    kd_guest_gadget_plug(gadget);
    return NULL;
}

/* Nobody waits for anything: the cable is out and in again while requests are under way. */
static void
test_replug(KdGuest *guest)
{
    g_autoptr(KdGuestGadget) gadget = kd_guest_gadget_new(0, "1");
    g_autoptr(KdE2eTarget) target = start_target(guest, gadget, "BOARD");
    g_autoptr(KdE2eDebug) debug = NULL;
    g_autoptr(KdDebugger) debugger = NULL;
    GThread *thread;
    KdDebuggerStop stop;

    kd_guest_gadget_plug(gadget);
    kd_e2e_stage_start(&guest->stage, NULL);
    debug = kd_e2e_debug_new(&guest->stage, "board", target->trans);
    debugger = kd_e2e_debug_attach(debug, KD_DEBUGGER_ATTACH_ASKS, &stop);
    thread = g_thread_new("replug", replug, gadget);
    guest_kd_expect_memory(debugger, 10 * PART_BYTES);
    g_thread_join(thread);
    g_free(kd_e2e_program_await(debug->kd, KD_E2E_STDERR, "target back"));
    guest_kd_expect_memory(debugger, PART_BYTES);
}

static void
test_late(KdGuest *guest)
{
    g_autoptr(KdGuestGadget) gadget = kd_guest_gadget_new(0, "1");
    g_autoptr(KdE2eTarget) target = start_target(guest, gadget, "BOARD");
    g_autoptr(KdE2eDebug) debug = NULL;
    g_autoptr(KdDebugger) debugger = NULL;
    KdDebuggerStop stop;

    kd_e2e_stage_start(&guest->stage, NULL);
    debug = kd_e2e_debug_new(&guest->stage, "board", target->trans);
    debugger = kd_e2e_debug_open(debug, NULL);
    g_free(kd_e2e_program_await(debug->kd, KD_E2E_STDERR, "waiting for"));
    kd_guest_gadget_plug(gadget);
    g_assert_true(kd_debugger_attach(debugger, KD_DEBUGGER_ATTACH_ASKS, &stop, NULL));
    g_assert_cmphex(stop.pc, ==, KD_SIM_BREAK_ADDRESS);
}

/* The first answers may be those to a debugger that has asked more than once. */
static void
mark(KdDebugger *debugger, const char *name)
{
    g_autoptr(GError) error = NULL;
    char text[MARK_BYTES] = "";

    g_strlcpy(text, name, sizeof text);
    guest_kd_expect_memory(debugger, PART_BYTES);
    (void)kd_debugger_write(debugger, KD_SIM_SCRATCH_ADDRESS, text, sizeof text, &error);
    g_assert_no_error(error);
}

static void
expect_mark(KdDebugger *debugger, const char *name)
{
    g_autoptr(GError) error = NULL;
    char text[MARK_BYTES] = "";

    guest_kd_expect_memory(debugger, MARK_BYTES);
    (void)kd_debugger_read(debugger, KD_SIM_SCRATCH_ADDRESS, text, sizeof text, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(text, ==, name);
}

/* Whoever asks gets the target that was asked for: what is written to one is read from that one,
 * and all are open at the same time. */
static void
test_together(KdGuest *guest)
{
    g_autoptr(KdGuestGadget) gadget = kd_guest_gadget_new(0, "1");
    g_autoptr(KdGuestGadget) other = kd_guest_gadget_new(1, "2");
    KdE2eTarget *targets[N_TOGETHER] = {
        kd_e2e_target_new_pipe(&guest->stage, "vm"),
        kd_e2e_target_new_net(&guest->stage, "box", KD_E2E_NET_KEY),
        kd_e2e_target_new_net(&guest->stage, "cube", KD_E2E_NET_KEY),
        start_target(guest, gadget, "BOARD"),
        start_target(guest, other, "OTHER"),
    };
    KdE2eDebug *debugs[N_TOGETHER];
    KdDebugger *debuggers[N_TOGETHER];

    kd_guest_gadget_plug(gadget);
    kd_guest_gadget_plug(other);
    kd_e2e_stage_start(&guest->stage, "--allow-path", guest->stage.folder, NULL);
    for (guint i = 0; i < N_TOGETHER; i++) {
        KdDebuggerStop stop;

        debugs[i] = kd_e2e_debug_new(&guest->stage, targets[i]->name, targets[i]->trans);
        debuggers[i] = kd_e2e_debug_attach(debugs[i], KD_DEBUGGER_ATTACH_ASKS, &stop);
        mark(debuggers[i], targets[i]->name);
    }
    for (guint i = 0; i < N_TOGETHER; i++) {
        expect_mark(debuggers[i], targets[i]->name);
        g_assert_cmpuint(kd_e2e_target_count(targets[i], "boots"), ==, 1);
    }
    for (guint i = 0; i < N_TOGETHER; i++) {
        kd_debugger_free(debuggers[i]);
        kd_e2e_debug_free(debugs[i]);
        kd_e2e_target_free(targets[i]);
    }
}

static void
test_list(KdGuest *guest)
{
    g_autoptr(KdGuestGadget) gadget = kd_guest_gadget_new(0, "1");
    g_autoptr(KdE2eTarget) target = start_target(guest, gadget, "BOARD");
    g_autofree char *before = NULL;
    g_autofree char *there = NULL;

    kd_e2e_stage_start(&guest->stage, NULL);
    before = guest_kd_list(guest);
    g_assert_null(strstr(before, "usb:"));
    kd_guest_gadget_plug(gadget);
    kd_guest_gadget_await(gadget);
    g_assert_true(kd_e2e_program_is_running(target->program));
    there = guest_kd_list(guest);
    g_test_message("%s", there);
    g_assert_nonnull(strstr(there, "usb:targetname=BOARD"));
}

/* The debug device of a Linux target is a serial line: the error says so, and there it works. */
static void
test_tty(KdGuest *guest)
{
    g_autoptr(KdGuestGadget) gadget = kd_guest_gadget_new_tty(0);
    g_autoptr(KdE2eProgram) kd = NULL;
    g_autoptr(KdE2eClient) client = NULL;
    const char *said;
    int far;

    kd_guest_gadget_plug(gadget);
    kd_guest_await_path("/dev/ttyUSB0", TRUE);
    kd_e2e_stage_start(&guest->stage, NULL);
    kd = kd_e2e_stage_start_kd(&guest->stage, "usb:targetname=BOARD", "--stdio", NULL);
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 1);
    said = kd_e2e_program_get_text(kd, KD_E2E_STDERR);
    g_test_message("%s", said);
    g_assert_nonnull(strstr(said, "use com:port=/dev/ttyUSB0"));
    far = kd_guest_gadget_open_tty();
    client = kd_e2e_client_new_open(guest->stage.port, "com:port=/dev/ttyUSB0");
    kd_e2e_client_send_data(client, "there", 5);
    kd_e2e_expect(far, "there");
    kd_e2e_write(far, "back", 4);
    kd_e2e_client_await_data(client, "back");
    close(far);
}

/**
 * guest_kd_add_usb:
 *
 * Adds the cases of this file.
 */
void
guest_kd_add_usb(void)
{
    kd_guest_add_for("/guest/usb/script-goes-as-over-all-links", "usb", test_script);
    kd_guest_add_for("/guest/usb/session-lives-through-unplugging", "usb", test_plug);
    kd_guest_add_for("/guest/usb/cable-may-go-in-mid-request", "usb", test_replug);
    kd_guest_add_for("/guest/usb/target-that-comes-later-is-found", "usb", test_late);
    kd_guest_add_for("/guest/usb/two-cables-and-other-links-at-once", "usb", test_together);
    kd_guest_add_for("/guest/usb/list-has-the-target-by-its-name", "usb", test_list);
    kd_guest_add_for("/guest/usb/debug-device-of-linux-is-left-to-the-serial-link", "usb",
                     test_tty);
}
