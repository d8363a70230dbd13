/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* FireWire: the target is a program that is a node's memory, on the cable of tests/guest/dummyfw.
 */
#include "guest-kd.h"
#include "kd-e2e-socket.h"
#include "kd-guest-cable.h"

#include <string.h>
#include <unistd.h>

#define PART_BYTES 16384u

static KdE2eTarget *
start_target(KdGuest *guest, const char *channel)
{
    g_autofree char *node = kd_guest_cable_await_node(KD_GUEST_CABLE_TARGET);
    g_autofree char *link = g_strconcat("fw:", node, NULL);
    g_autofree char *trans = g_strconcat("1394:channel=", channel, NULL);

    return kd_e2e_target_new(&guest->stage, "node", link, trans, "--channel", channel, NULL);
}

static void
test_script(KdGuest *guest)
{
    g_autoptr(KdE2eTarget) target = NULL;
    g_autoptr(KdE2eDebug) debug = NULL;

    if (kd_guest_cable_is_missing()) {
        return;
    }
    target = start_target(guest, "7");
    kd_e2e_stage_start(&guest->stage, NULL);
    debug = kd_e2e_debug_new(&guest->stage, "node", target->trans);
    kd_e2e_debug_expect_script(debug, GUEST_KD_SCRIPT_BYTES);
}

/* From either side; a reset comes when firewire-core lets it, so there is reading until then. */
static void
test_reset(KdGuest *guest)
{
    g_autoptr(KdE2eTarget) target = NULL;
    g_autoptr(KdE2eDebug) debug = NULL;
    g_autoptr(KdDebugger) debugger = NULL;
    KdDebuggerStop stop;

    if (kd_guest_cable_is_missing()) {
        return;
    }
    target = start_target(guest, "7");
    kd_e2e_stage_start(&guest->stage, NULL);
    debug = kd_e2e_debug_new(&guest->stage, "node", target->trans);
    debugger = kd_e2e_debug_attach(debug, KD_DEBUGGER_ATTACH_ASKS, &stop);
    for (guint by = KD_GUEST_CABLE_DEBUGGER; by <= KD_GUEST_CABLE_TARGET; by++) {
        int reset = kd_guest_cable_reset(by);

        while (!kd_e2e_is_readable(reset, 0)) {
            guest_kd_expect_memory(debugger, PART_BYTES);
        }
        close(reset);
    }
    guest_kd_expect_memory(debugger, PART_BYTES);
    g_assert_cmpuint(kd_e2e_target_count(target, "boots"), ==, 1);
}

static void
test_plug(KdGuest *guest)
{
    g_autoptr(KdE2eTarget) target = NULL;
    g_autoptr(KdE2eDebug) debug = NULL;
    g_autoptr(KdDebugger) debugger = NULL;
    KdDebuggerStop stop;

    if (kd_guest_cable_is_missing()) {
        return;
    }
    target = start_target(guest, "0");
    kd_e2e_stage_start(&guest->stage, NULL);
    debug = kd_e2e_debug_new(&guest->stage, "node", target->trans);
    debugger = kd_e2e_debug_attach(debug, KD_DEBUGGER_ATTACH_ASKS, &stop);
    guest_kd_expect_memory(debugger, PART_BYTES);
    kd_guest_cable_plug(FALSE);
    g_free(kd_e2e_program_await(debug->kd, KD_E2E_STDERR, "target lost"));
    kd_guest_cable_plug(TRUE);
    g_free(kd_e2e_program_await(debug->kd, KD_E2E_STDERR, "target back"));
    guest_kd_expect_memory(debugger, PART_BYTES);
}

static void
test_list(KdGuest *guest)
{
    g_autoptr(KdE2eTarget) target = NULL;
    g_autofree char *there = NULL;

    if (kd_guest_cable_is_missing()) {
        return;
    }
    target = start_target(guest, "5");
    kd_guest_cable_await_entries();
    kd_e2e_stage_start(&guest->stage, NULL);
    there = guest_kd_list(guest);
    g_test_message("%s", there);
    g_assert_nonnull(strstr(there, "1394:channel=5 "));
}

static void
test_channel(KdGuest *guest)
{
    g_autoptr(KdE2eTarget) target = NULL;
    g_autoptr(KdE2eProgram) kd = NULL;

    if (kd_guest_cable_is_missing()) {
        return;
    }
    target = start_target(guest, "62");
    kd_e2e_stage_start(&guest->stage, NULL);
    kd = kd_e2e_stage_start_kd(&guest->stage, "1394:channel=61", "--stdio", NULL);
    g_free(kd_e2e_program_await(kd, KD_E2E_STDERR, "waiting for"));
}

/**
 * guest_kd_add_1394:
 *
 * Adds the cases of this file.
 */
void
guest_kd_add_1394(void)
{
    kd_guest_add_for("/guest/1394/script-goes-as-over-all-links", "1394", test_script);
    kd_guest_add_for("/guest/1394/session-lives-through-bus-resets", "1394", test_reset);
    kd_guest_add_for("/guest/1394/session-lives-without-the-cable-for-a-while", "1394", test_plug);
    kd_guest_add_for("/guest/1394/list-has-the-target-by-its-channel", "1394", test_list);
    kd_guest_add_for("/guest/1394/target-on-another-channel-is-left-alone", "1394", test_channel);
}
