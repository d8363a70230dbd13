/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Debuggers that kd starts as the link's dialect wants it. The link claims the dialect, and a
 * script stands for radare2. */
#include "kd-e2e-stage.h"

#include <glib/gstdio.h>
#include <string.h>

/* A line for what it was told, and one for what it finds there */
#define SCRIPT                                                    \
    "#!/bin/sh\n"                                                 \
    "echo \"r2 $*\" | sed 's,://.*,://,'\n"                       \
    "for last; do :; done\n"                                      \
    "case $last in\n"                                             \
    "winkd:///*) test -S \"${last#winkd://}\" && echo socket;;\n" \
    "gdb://127.0.0.1:[1-9]*) echo port;;\n"                       \
    "esac\n"                                                      \
    "echo end\n"

#define KD_LINE  "r2 -a x86 -b 64 -e dbg.bpinmaps=false -D winkd -q winkd://\nsocket\nend\n"
#define GDB_LINE "r2 -q -d gdb://\nport\nend\n"

typedef struct {
    char *program;
    char *home;
} Radare;

static void
radare_set_up(Radare *radare, KdE2eStage *stage)
{
    radare->program = kd_e2e_stage_build_path(stage, "r2");
    radare->home = g_strconcat("XDG_CONFIG_HOME=", stage->folder, NULL);
    g_assert_true(g_file_set_contents(radare->program, SCRIPT, -1, NULL));
    g_assert_cmpint(g_chmod(radare->program, 0755), ==, 0);
}

static void
radare_tear_down(Radare *radare)
{
    g_free(radare->program);
    g_free(radare->home);
}

/* @profile: (nullable): that is asked for */
static void
expect_start(const Radare *radare, const char *link, const char *profile, const char *expected)
{
    const char *const environment[] = {radare->home, NULL};
    const KdE2eSetup setup = {.environment = environment};
    g_autofree char *option = g_strconcat("--profile=", profile, NULL);
    g_autoptr(KdE2eProgram) kd = NULL;

    if (profile != NULL) {
        kd = kd_e2e_stage_run("kd", &setup, "-k", link, option, "--", radare->program, "-q", NULL);
    } else {
        kd = kd_e2e_stage_run("kd", &setup, "-k", link, "--", radare->program, "-q", NULL);
    }
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 0);
    g_assert_cmpstr(kd_e2e_program_get_text(kd, KD_E2E_STDOUT), ==, expected);
}

static void
expect_over_server(const Radare *radare, const KdE2eStage *stage, const char *trans,
                   const char *profile, const char *expected)
{
    g_autofree char *link = kd_e2e_stage_build_link(stage, trans);

    expect_start(radare, link, profile, expected);
}

static void
test_dialect(KdE2eStage *stage, gconstpointer unused)
{
    Radare radare;

    (void)unused;
    radare_set_up(&radare, stage);
    kd_e2e_stage_start(stage, NULL);
    expect_over_server(&radare, stage, "fake:name=1,dialect=kdcom", NULL, KD_LINE);
    expect_over_server(&radare, stage, "fake:name=1,dialect=gdb-rsp", NULL, GDB_LINE);
    expect_over_server(&radare, stage, "fake:name=1,dialect=bytes", NULL, GDB_LINE);
    expect_start(&radare, "fake:name=1,dialect=kdcom", NULL, KD_LINE);
    expect_start(&radare, "fake:name=1", NULL, GDB_LINE);
    radare_tear_down(&radare);
}

static void
test_asked_for(KdE2eStage *stage, gconstpointer unused)
{
    Radare radare;

    (void)unused;
    radare_set_up(&radare, stage);
    expect_start(&radare, "fake:name=1", "radare2-kd", KD_LINE);
    radare_tear_down(&radare);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_e2e_add("/e2e/profile/follows-the-dialect-of-the-link", test_dialect);
    kd_e2e_add("/e2e/profile/for-a-line-that-carries-anything-is-asked-for", test_asked_for);
    return g_test_run();
}
