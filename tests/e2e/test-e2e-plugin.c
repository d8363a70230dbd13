/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A transport that somebody else has built, against an installed tree, carries a session. */
#include "kd-e2e-stage.h"

#include <signal.h>
#include <string.h>
#include <sys/stat.h>

/* Building takes longer than what else is waited for. */
static void
run(const char *const *argv)
{
    g_autofree char *out = NULL;
    g_autofree char *errors = NULL;
    g_autoptr(GError) error = NULL;
    int status = 0;

    g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out,
                               &errors, &status, &error));
    if (!g_spawn_check_wait_status(status, &error)) {
        g_error("%s: %s\n%s%s", argv[0], error->message, out, errors);
    }
}

/* As a third party does: install the part for plugin authors, configure, build. */
static char *
build_example(const KdE2eStage *stage)
{
    g_autofree char *prefix = kd_e2e_stage_build_path(stage, "prefix");
    g_autofree char *build = kd_e2e_stage_build_path(stage, "build");
    g_autofree char *found_by = g_strconcat("-DCMAKE_PREFIX_PATH=", prefix, NULL);
    const char *install[] = {KD_CMAKE, "--install",   KD_BUILD_FOLDER,    "--prefix",
                             prefix,   "--component", "kdsrv-plugin-dev", NULL};
    const char *configure[] = {KD_CMAKE, "-S",     KD_EXAMPLE_FOLDER,           "-B",
                               build,    found_by, "-DCMAKE_C_COMPILER=" KD_CC, NULL};
    const char *make[] = {KD_CMAKE, "--build", build, NULL};

    run(install);
    run(configure);
    run(make);
    return g_build_filename(build, "plugins-0", NULL);
}

static KdE2eProgram *
start_server(const char *folder, const char *transport)
{
    KdE2eProgram *server =
        kd_e2e_stage_run("kdsrv", NULL, "--plugin-dir", folder, "-t", transport, NULL);

    g_free(kd_e2e_program_await(server, KD_E2E_STDERR, "kdsrv: ready: abstract:"));
    return server;
}

static void
test_foreign_transport(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *folder = NULL;
    g_autofree char *transport = g_strdup_printf("abstract:name=kdsrv-e2e-%u", stage->low);
    g_autofree char *link =
        g_strdup_printf("kdsrv:server=@{%s},trans=@{fake:name=1,echo}", transport);
    g_autoptr(KdE2eProgram) server = NULL;
    g_autoptr(KdE2eProgram) kd = NULL;

    (void)unused;
    (void)umask(022);
    folder = build_example(stage);
    server = start_server(folder, transport);
    kd = kd_e2e_stage_run("kd", NULL, "--plugin-dir", folder, "-k", link, "--stdio", NULL);
    kd_e2e_program_say(kd, "over a foreign transport\n");
    g_free(kd_e2e_program_await(kd, KD_E2E_STDOUT, "over a foreign transport"));
    kd_e2e_program_signal(server, SIGTERM);
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 1);
    g_assert_nonnull(strstr(kd_e2e_program_get_text(kd, KD_E2E_STDERR), "the server is ending"));
    g_assert_cmpint(kd_e2e_program_wait(server), ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_e2e_add("/e2e/plugin/foreign-transport-carries-a-session", test_foreign_transport);
    return g_test_run();
}
