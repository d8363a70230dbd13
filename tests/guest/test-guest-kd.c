/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Debug links on the kernel's own USB and FireWire stacks, with a simulated target at the other end
 * of the cable, which is there in software only. */
#include "guest-kd.h"
#include "kd-sim-facts.h"

/**
 * guest_kd_expect_memory:
 * @debugger: of a target that stands
 * @len_bytes: how much of its pattern is read
 *
 * Reads memory, which must be right. A target that was away may have begun anew, as far as its link
 * can know; then a debugger asks again.
 */
void
guest_kd_expect_memory(KdDebugger *debugger, gsize len_bytes)
{
    g_autofree uint8_t *bytes = g_malloc0(len_bytes);
    gboolean is_read = FALSE;

    while (!is_read) {
        g_autoptr(GError) error = NULL;

        is_read = kd_debugger_read(debugger, KD_SIM_PATTERN_ADDRESS, bytes, len_bytes, &error);
        if (!g_error_matches(error, KD_DEBUGGER_ERROR, KD_DEBUGGER_ERROR_RESTART)) {
            g_assert_no_error(error);
        }
    }
    g_assert_cmpuint(kd_sim_facts_check(KD_SIM_PATTERN_ADDRESS, bytes, len_bytes), ==, len_bytes);
}

/**
 * guest_kd_list:
 *
 * Returns: (transfer full): the links that the test's server has to offer
 */
char *
guest_kd_list(const KdGuest *guest)
{
    g_autofree char *server = g_strdup_printf("tcp:server=127.0.0.1,port=%u", guest->stage.port);
    g_autoptr(KdE2eProgram) kd =
        kd_e2e_stage_run("kd", NULL, "--list", "links", "--server", server, NULL);

    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 0);
    return g_strdup(kd_e2e_program_get_text(kd, KD_E2E_STDOUT));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    guest_kd_add_usb();
    guest_kd_add_1394();
    return g_test_run();
}
