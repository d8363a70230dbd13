/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A kd that offers a link on a socket, and the debuggers of the KD protocol that come to it. */
#include "kd-e2e-debug.h"

#include "kd-e2e-socket.h"
#include "kd-sim-facts.h"

/* For one answer, a target that starts anew and a loaded machine included */
#define PATIENCE_MS (KD_E2E_DEADLINE_S * 1000)

/**
 * kd_e2e_debug_new_link:
 * @name: of the socket
 * @link: as kd's -k wants it
 * @setup: (nullable): what is out of the ordinary
 *
 * Starts a kd that opens that link for each debugger.
 *
 * Returns: (transfer full): kd
 */
KdE2eDebug *
kd_e2e_debug_new_link(const KdE2eStage *stage, const char *name, const char *link,
                      const KdE2eSetup *setup)
{
    KdE2eDebug *debug = g_new0(KdE2eDebug, 1);
    g_autofree char *file = g_strconcat(name, ".kd", NULL);
    g_autofree char *listen = NULL;

    debug->path = kd_e2e_stage_build_path(stage, file);
    listen = g_strconcat("--listen=unix:", debug->path, NULL);
    debug->kd = kd_e2e_stage_run("kd", setup, "-k", link, listen, NULL);
    return debug;
}

/**
 * kd_e2e_debug_new:
 * @name: of the socket
 * @trans: what the stage's server shall open
 *
 * Starts a kd that opens that link for each debugger.
 *
 * Returns: (transfer full): kd
 */
KdE2eDebug *
kd_e2e_debug_new(const KdE2eStage *stage, const char *name, const char *trans)
{
    g_autofree char *link = kd_e2e_stage_build_link(stage, trans);

    return kd_e2e_debug_new_link(stage, name, link, NULL);
}

/**
 * kd_e2e_debug_free:
 * @debug: (nullable): kd
 *
 * Kills it.
 */
void
kd_e2e_debug_free(KdE2eDebug *debug)
{
    if (debug == NULL) {
        return;
    }
    kd_e2e_program_free(debug->kd);
    g_free(debug->path);
    g_free(debug);
}

/**
 * kd_e2e_debug_open:
 * @debug: a #KdE2eDebug
 *
 * A #KdDebuggerOpenFunc: comes to kd with one more debugger.
 *
 * Returns: (transfer full): the debugger, which has said nothing yet
 */
KdDebugger *
kd_e2e_debug_open(void *debug, GError **error)
{
    const KdE2eDebug *self = debug;
    int fd = kd_e2e_dial_unix(self->path);
    KdDebugger *debugger = kd_debugger_new(fd, fd);

    (void)error;
    kd_debugger_set_patience_ms(debugger, PATIENCE_MS);
    return debugger;
}

/**
 * kd_e2e_debug_attach:
 * @manner: how
 * @stop: filled
 *
 * Comes to kd with one more debugger, which gets hold of the target.
 *
 * Returns: (transfer full): the debugger
 */
KdDebugger *
kd_e2e_debug_attach(KdE2eDebug *debug, KdDebuggerManner manner, KdDebuggerStop *stop)
{
    g_autoptr(GError) error = NULL;
    KdDebugger *debugger = kd_e2e_debug_open(debug, &error);

    (void)kd_debugger_attach(debugger, manner, stop, &error);
    if (error != NULL) {
        g_test_message("kd said:\n%s", kd_e2e_program_get_text(debug->kd, KD_E2E_STDERR));
    }
    g_assert_no_error(error);
    return debugger;
}

/**
 * kd_e2e_debug_run_script:
 * @read_bytes: how much memory is read; 0: 1 MiB
 *
 * Runs the script of all links, which must go through.
 *
 * Returns: (transfer full): what came of it
 */
char *
kd_e2e_debug_run_script(KdE2eDebug *debug, gsize read_bytes)
{
    KdDebuggerScript script = {.read_bytes = read_bytes};
    g_autoptr(GError) error = NULL;
    char *transcript = kd_debugger_script_run(&script, kd_e2e_debug_open, debug, &error);

    if (error != NULL) {
        g_test_message("kd said:\n%s", kd_e2e_program_get_text(debug->kd, KD_E2E_STDERR));
    }
    g_assert_no_error(error);
    return transcript;
}

/**
 * kd_e2e_debug_expect_lines:
 *
 * Says that two transcripts are equal, line by line: a failure shows where they part.
 */
void
kd_e2e_debug_expect_lines(const char *transcript, const char *expected)
{
    g_auto(GStrv) lines = g_strsplit(transcript, "\n", 0);
    g_auto(GStrv) expected_lines = g_strsplit(expected, "\n", 0);

    for (guint i = 0; lines[i] != NULL && expected_lines[i] != NULL; i++) {
        g_assert_cmpstr(lines[i], ==, expected_lines[i]);
    }
    g_assert_cmpuint(g_strv_length(lines), ==, g_strv_length(expected_lines));
}

/**
 * kd_e2e_debug_expect_script:
 * @read_bytes: how much memory is read; 0: 1 MiB
 *
 * Runs the script, whose transcript must be the one that it has over every link.
 */
void
kd_e2e_debug_expect_script(KdE2eDebug *debug, gsize read_bytes)
{
    KdDebuggerScript script = {.read_bytes = read_bytes};
    g_autofree char *transcript = kd_e2e_debug_run_script(debug, read_bytes);
    g_autofree char *expected = kd_debugger_script_get_expected(&script);

    kd_e2e_debug_expect_lines(transcript, expected);
}

typedef struct {
    KdE2eDebug *debug;
    gsize read_bytes;
    GThread *thread;
} Run;

static gpointer
run_one(gpointer user)
{
    Run *run = user;

    kd_e2e_debug_expect_script(run->debug, run->read_bytes);
    return NULL;
}

/**
 * kd_e2e_debug_expect_scripts:
 * @targets: (element-type KdE2eTarget): that the stage's server can open
 * @read_bytes: how much memory is read of each; 0: 1 MiB
 *
 * Runs the script on all of them at once, each with a kd and debuggers of its own.
 */
void
kd_e2e_debug_expect_scripts(const KdE2eStage *stage, GPtrArray *targets, gsize read_bytes)
{
    g_autofree Run *runs = g_new0(Run, targets->len);

    for (guint i = 0; i < targets->len; i++) {
        const KdE2eTarget *target = targets->pdata[i];

        runs[i].debug = kd_e2e_debug_new(stage, target->name, target->trans);
        runs[i].read_bytes = read_bytes;
    }
    for (guint i = 0; i < targets->len; i++) {
        runs[i].thread = g_thread_new("script", run_one, &runs[i]);
    }
    for (guint i = 0; i < targets->len; i++) {
        g_thread_join(runs[i].thread);
        kd_e2e_debug_free(runs[i].debug);
    }
}

/**
 * kd_e2e_debug_expect_memory:
 * @debugger: of a target that stands
 *
 * Reads so much of the target's pattern, which must be right.
 */
void
kd_e2e_debug_expect_memory(KdDebugger *debugger, gsize len_bytes)
{
    g_autofree uint8_t *bytes = g_malloc0(len_bytes);
    g_autoptr(GError) error = NULL;

    (void)kd_debugger_read(debugger, KD_SIM_PATTERN_ADDRESS, bytes, len_bytes, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(kd_sim_facts_check(KD_SIM_PATTERN_ADDRESS, bytes, len_bytes), ==, len_bytes);
}
