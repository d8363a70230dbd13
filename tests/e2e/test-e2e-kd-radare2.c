/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* radare2, where it is installed, debugs the simulated kernel with its winkd plugin. */
#include "kd-e2e-target.h"

#include "kd-sim-facts.h"

/* One that radare2 knows the structures of */
#define BUILD "18362"

/* Where the kernel stands after its boot, what lies where, and a breakpoint where it comes by */
static void
expect_debugged(KdE2eStage *stage, const char *link, const char *profile)
{
    g_autofree char *commands = g_strdup_printf(
        "dr rip; p8 8 @ 0x%" G_GINT64_MODIFIER "x; db 0x%" G_GINT64_MODIFIER "x; dc; dr rip",
        KD_SIM_PATTERN_ADDRESS + 0x1000, KD_SIM_TICK_ADDRESS);
    g_autofree char *home = g_strconcat("HOME=", stage->folder, NULL);
    g_autofree char *config = g_strconcat("XDG_CONFIG_HOME=", stage->folder, NULL);
    const char *const environment[] = {home, config, NULL};
    const KdE2eSetup setup = {.environment = environment, .stdin_path = "/dev/null"};
    g_autoptr(GString) expected = g_string_new(NULL);
    g_autoptr(KdE2eProgram) kd =
        kd_e2e_stage_run("kd", &setup, "-k", link, "--profile", profile, "--", "r2", "-N", "-q",
                         "-e", "scr.color=0", "-c", commands, NULL);

    g_string_printf(expected, "0x%" G_GINT64_MODIFIER "x\n", KD_SIM_BREAK_ADDRESS);
    for (guint i = 0; i < 8; i++) {
        g_string_append_printf(expected, "%02x",
                               kd_sim_facts_get_byte(KD_SIM_PATTERN_ADDRESS + 0x1000 + i));
    }
    g_string_append_printf(expected, "\n0x%" G_GINT64_MODIFIER "x\n", KD_SIM_TICK_ADDRESS);
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 0);
    g_test_message("%s", kd_e2e_program_get_text(kd, KD_E2E_STDERR));
    g_assert_cmpstr(kd_e2e_program_get_text(kd, KD_E2E_STDOUT), ==, expected->str);
}

static void
test_kernel(KdE2eStage *stage, gconstpointer unused)
{
    static const char *const options[] = {"--build", BUILD, NULL};
    g_autoptr(KdE2eTarget) target = NULL;
    g_autofree char *link = NULL;

    (void)unused;
    if (kd_e2e_is_missing("r2")) {
        return;
    }
    kd_e2e_stage_start(stage, NULL);
    target = kd_e2e_target_new_net_with(stage, "box", KD_E2E_NET_KEY, options);
    link = kd_e2e_stage_build_link(stage, target->trans);
    expect_debugged(stage, link, "radare2");
}

static void
test_kernel_on_a_line(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "line");
    g_autofree char *link = g_strconcat("unix:", path, NULL);
    g_autofree char *trans = g_strconcat("com:pipe,port=", path, NULL);
    g_autoptr(KdE2eTarget) target = NULL;

    (void)unused;
    if (kd_e2e_is_missing("r2")) {
        return;
    }
    target = kd_e2e_target_new(stage, "box", link, trans, "--build", BUILD, NULL);
    expect_debugged(stage, target->trans, "radare2-kd");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_e2e_add("/e2e/kd-radare2/reads-and-breaks-on-a-kd-link", test_kernel);
    kd_e2e_add("/e2e/kd-radare2/reads-and-breaks-on-a-line", test_kernel_on_a_line);
    return g_test_run();
}
