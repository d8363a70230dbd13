/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kinds of links that both commands list, explain and complete. */
#include "kd-e2e-stage.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

/**
 * Scheme:
 * @name: of the scheme
 * @module: that has it
 * @usage: what its line begins with
 * @link: as documented; opened when a debugger comes, which none does
 * @keys: that its help explains and its completion offers
 */
typedef struct {
    const char *name;
    const char *module;
    const char *usage;
    const char *link;
    const char *keys[6];
} Scheme;

static const Scheme schemes[] = {
    {"com",
     "kdsrv-target-com.so",
     "com:port=NAME",
     "com:port=ttyS99,baud=115200",
     {"port", "baud", "pipe", "ipport"}},
    {"net",
     "kdsrv-target-net.so",
     "net:port=",
     "net:port=50000,key=17890.af3489a.9345kjm.lio147",
     {"port", "key", "target"}},
    {"usb", "kdsrv-target-usb.so", "usb:targetname=", "usb:targetname=LAB-1", {"targetname"}},
    {"usb2", "kdsrv-target-usb.so", "usb2:targetname=", "usb2:targetname=LAB-1", {"targetname"}},
    {"1394", "kdsrv-target-1394.so", "1394:[channel=N]", "1394:channel=62", {"channel", "symlink"}},
};

static const char *const commands[] = {"kd", "kdsrv"};

static gboolean
is_built(const Scheme *scheme)
{
    g_autofree char *path = g_build_filename(g_getenv("KD_PLUGINDIR"), scheme->module, NULL);

    return g_file_test(path, G_FILE_TEST_EXISTS);
}

static char *
ask(const char *command, const char *option, const char *value)
{
    g_autoptr(KdE2eProgram) program = kd_e2e_stage_run(command, NULL, option, value, NULL);

    g_assert_cmpint(kd_e2e_program_wait(program), ==, 0);
    g_assert_cmpstr(kd_e2e_program_get_text(program, KD_E2E_STDERR), ==, "");
    return g_strdup(kd_e2e_program_get_text(program, KD_E2E_STDOUT));
}

static void
expect_listed(const char *command, const Scheme *scheme)
{
    g_autofree char *list = ask(command, "--list-plugins", NULL);
    g_auto(GStrv) lines = g_strsplit(list, "\n", -1);
    guint n_found = 0;

    for (char **line = lines; *line != NULL; line++) {
        char kind[16] = "";
        char name[16] = "";

        (void)sscanf(*line, "%15s %15s", kind, name);
        if (strcmp(kind, "target") == 0 && strcmp(name, scheme->name) == 0) {
            g_assert_nonnull(strstr(*line, scheme->module));
            n_found++;
        }
    }
    g_assert_cmpuint(n_found, ==, 1);
}

static void
expect_explained(const char *command, const Scheme *scheme)
{
    g_autofree char *prefix = g_strconcat(scheme->name, ":", NULL);
    g_autofree char *help = ask(command, "--help-target", scheme->name);
    g_autofree char *offered = ask(command, "--complete-target", prefix);

    g_test_message("%s", help);
    g_assert_true(g_str_has_prefix(help, scheme->usage));
    for (const char *const *key = scheme->keys; *key != NULL; key++) {
        g_autofree char *explained = g_strconcat("\n  ", *key, NULL);
        g_autofree char *completed = g_strconcat(prefix, *key, NULL);

        g_assert_nonnull(strstr(help, explained));
        g_assert_nonnull(strstr(offered, completed));
    }
}

/* Strings are judged before anything is listened on or opened. */
static void
expect_taken(const KdE2eStage *stage, const Scheme *scheme)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "debugger");
    g_autofree char *address = g_strconcat("unix:", path, NULL);
    g_autoptr(KdE2eProgram) kd =
        kd_e2e_stage_run("kd", NULL, "-k", scheme->link, "--listen", address, NULL);

    g_free(kd_e2e_program_await(kd, KD_E2E_STDERR, "kd: listening on"));
    kd_e2e_program_signal(kd, SIGTERM);
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 0);
}

static void
test_scheme(KdE2eStage *stage, gconstpointer data)
{
    const Scheme *scheme = data;

    if (!is_built(scheme)) {
        g_test_skip("this build is without that plugin");
        return;
    }
    for (guint i = 0; i < G_N_ELEMENTS(commands); i++) {
        expect_listed(commands[i], scheme);
        expect_explained(commands[i], scheme);
    }
    expect_taken(stage, scheme);
}

/* Its argument is no server's. */
static void
set_up(KdE2eStage *stage, gconstpointer unused)
{
    (void)unused;
    kd_e2e_stage_set_up(stage, NULL);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(schemes); i++) {
        g_autofree char *path = g_strdup_printf(
            "/e2e/schemes/%s-is-listed-explained-completed-and-taken", schemes[i].name);

        g_test_add(path, KdE2eStage, &schemes[i], set_up, test_scheme, kd_e2e_stage_tear_down);
    }
    return g_test_run();
}
