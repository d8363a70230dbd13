/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Debuggers that come and go while the target stays, targets that come and go while the debugger
 * stays, and many of both at once. */
#include "kd-e2e-debug.h"
#include "kd-e2e-traces.h"
#include "kd-sim-facts.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KEY        KD_E2E_NET_KEY
#define OTHER_KEY  "0.0.0.3w5e11264sgsf"
#define READ_BYTES 65536u
#define N_PRINTS   10000u
/* Of those that nobody saw the last are kept; with what stands in front of each text */
#define KEPT_BYTES 65536u
#define MOST_KEPT  (KEPT_BYTES / KD_SIM_PRINT_BYTES)
#define LEAST_KEPT (KEPT_BYTES / (KD_SIM_PRINT_BYTES + 80u))

static void
let_go(KdDebugger *debugger)
{
    g_autoptr(GError) error = NULL;

    (void)kd_debugger_continue(debugger, &error);
    g_assert_no_error(error);
}

/* ---- debuggers come and go ---- */

/* The first one leaves with half of its reading done; the second one says nothing and sees where
 * the target stands. */
static void
test_leaves_halted(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eTarget) target = kd_e2e_target_new_net(stage, "box", KEY);
    g_autoptr(KdE2eDebug) debug = NULL;
    KdDebuggerStop first;

    (void)unused;
    kd_e2e_stage_start(stage, NULL);
    debug = kd_e2e_debug_new(stage, "box", target->trans);
    for (guint i = 0; i < 5; i++) {
        g_autoptr(KdDebugger) debugger = NULL;
        g_autoptr(GError) error = NULL;
        KdDebuggerStop stop;

        debugger = kd_e2e_debug_attach(
            debug, i == 0 ? KD_DEBUGGER_ATTACH_ASKS : KD_DEBUGGER_ATTACH_LISTENS, &stop);
        first = i == 0 ? stop : first;
        g_assert_cmpuint(stop.pc, ==, first.pc);
        g_assert_cmpuint(stop.code, ==, first.code);
        g_assert_true(stop.is_sync);
        kd_e2e_debug_expect_memory(debugger, 4096);
        if (i % 2 == 0) { /* its answer comes to somebody who has gone */
            (void)kd_debugger_send_read(debugger, KD_SIM_PATTERN_ADDRESS, 1024, &error);
            g_assert_no_error(error);
        }
    }
    g_assert_cmpuint(kd_e2e_target_count(target, "boots"), ==, 1);
}

static void
test_leaves_running(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eTarget) target = kd_e2e_target_new_net(stage, "box", KEY);
    g_autoptr(KdE2eDebug) debug = NULL;

    (void)unused;
    kd_e2e_stage_start(stage, NULL);
    debug = kd_e2e_debug_new(stage, "box", target->trans);
    for (guint i = 0; i < 3; i++) {
        g_autoptr(KdDebugger) debugger = NULL;
        KdDebuggerStop stop;

        debugger = kd_e2e_debug_attach(
            debug, i == 1 ? KD_DEBUGGER_ATTACH_BREAKS : KD_DEBUGGER_ATTACH_ASKS, &stop);
        g_assert_cmpuint(stop.pc, ==, KD_SIM_BREAK_ADDRESS);
        kd_e2e_debug_expect_memory(debugger, 4096);
        let_go(debugger);
    }
    g_assert_cmpuint(kd_e2e_target_count(target, "boots"), ==, 1);
    g_assert_cmpuint(kd_e2e_target_count(target, "break-ins"), ==, 2);
}

/* The whole kd goes, with a question open and no word to anybody. */
static void
test_killed(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eTarget) target = kd_e2e_target_new_net(stage, "box", KEY);

    (void)unused;
    kd_e2e_stage_start(stage, NULL);
    for (guint i = 0; i < 3; i++) {
        g_autofree char *name = g_strdup_printf("kd%u", i);
        g_autoptr(KdE2eDebug) debug = kd_e2e_debug_new(stage, name, target->trans);
        g_autoptr(KdDebugger) debugger = NULL;
        g_autoptr(GError) error = NULL;
        KdDebuggerStop stop;

        debugger = kd_e2e_debug_attach(debug, KD_DEBUGGER_ATTACH_LISTENS, &stop);
        kd_e2e_debug_expect_memory(debugger, 4096);
        (void)kd_debugger_send_read(debugger, KD_SIM_PATTERN_ADDRESS, 1024, &error);
        g_assert_no_error(error);
        kd_e2e_program_signal(debug->kd, SIGKILL);
        g_assert_cmpint(kd_e2e_program_wait(debug->kd), ==, 128 + SIGKILL);
    }
    g_assert_cmpuint(kd_e2e_target_count(target, "boots"), ==, 1);
}

/* It stops while nobody is there: who comes next sees it at once. */
static void
test_stops_alone(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eTarget) target = kd_e2e_target_new_net(stage, "box", KEY);
    g_autoptr(KdE2eDebug) debug = NULL;
    g_autoptr(KdDebugger) first = NULL;
    g_autoptr(KdDebugger) second = NULL;
    KdDebuggerStop stop;

    (void)unused;
    kd_e2e_stage_start(stage, NULL);
    debug = kd_e2e_debug_new(stage, "box", target->trans);
    first = kd_e2e_debug_attach(debug, KD_DEBUGGER_ATTACH_ASKS, &stop);
    let_go(first);
    g_clear_pointer(&first, kd_debugger_free);
    kd_e2e_target_order(target, "load-symbols");
    kd_e2e_target_order(target, "getstring");
    kd_e2e_target_order(target, "fileio");
    kd_e2e_target_order(target, "wait files 1");
    kd_e2e_target_order(target, "exception");
    kd_e2e_target_order(target, "wait exceptions 2");
    second = kd_e2e_debug_attach(debug, KD_DEBUGGER_ATTACH_LISTENS, &stop);
    g_assert_cmpuint(stop.pc, ==, KD_SIM_FAULT_ADDRESS);
    g_assert_cmpuint(stop.code, ==, KD_SIM_CODE_FAULT);
    kd_e2e_debug_expect_memory(second, 4096);
    let_go(second);
    g_assert_cmpuint(kd_e2e_target_count(target, "strings"), ==, 1);
    g_assert_cmpuint(kd_e2e_target_count(target, "load-symbols"), ==, 1);
}

/* ---- words that nobody hears ---- */

static guint
get_number(const char *text)
{
    guint number = 0;

    g_assert_cmpint(sscanf(text, KD_SIM_PRINT_FORMAT, &number), ==, 1);
    return number;
}

/* Every kept line is one of the target's, none is missing between, and the last is the last. */
static void
expect_last_prints(const char *prints)
{
    g_auto(GStrv) lines = g_strsplit(prints, "\n", 0);
    guint n = g_strv_length(lines);
    guint first = 0;

    g_assert_cmpuint(n, >, 0);
    g_assert_cmpstr(lines[--n], ==, ""); /* behind the last end of line */
    for (guint i = 0; i < n; i++) {
        g_autofree char *line = g_strconcat(lines[i], "\n", NULL);

        first = i == 0 ? get_number(line) : first;
        g_assert_cmpuint(get_number(line), ==, first + i);
    }
    g_test_message("%u of %u debug strings were kept", n, N_PRINTS);
    g_assert_cmpuint(first + n - 1, ==, N_PRINTS);
    g_assert_cmpuint(n, >=, LEAST_KEPT);
    g_assert_cmpuint(n, <=, MOST_KEPT);
}

static void
await_last_print(KdDebugger *debugger)
{
    g_autofree char *last = g_strdup_printf(KD_SIM_PRINT_FORMAT, N_PRINTS);
    g_autoptr(GError) error = NULL;

    for (guint i = 0;
         i < KD_E2E_DEADLINE_S && !g_str_has_suffix(kd_debugger_get_prints(debugger), last); i++) {
        (void)kd_debugger_settle(debugger, 1000, &error);
        g_assert_no_error(error);
    }
}

static void
test_prints_alone(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eTarget) target = kd_e2e_target_new_net(stage, "box", KEY);
    g_autoptr(KdE2eDebug) debug = NULL;
    g_autoptr(KdDebugger) first = NULL;
    g_autoptr(KdDebugger) second = NULL;
    g_autofree char *order = g_strdup_printf("print %u", N_PRINTS);
    g_autofree char *wait = g_strdup_printf("wait prints %u", N_PRINTS);
    g_autoptr(GError) error = NULL;
    KdDebuggerStop stop;
    KdE2eTraces traces;

    (void)unused;
    kd_e2e_stage_start(stage, NULL);
    debug = kd_e2e_debug_new(stage, "box", target->trans);
    first = kd_e2e_debug_attach(debug, KD_DEBUGGER_ATTACH_ASKS, &stop);
    kd_e2e_debug_expect_memory(first, READ_BYTES);
    let_go(first);
    g_clear_pointer(&first, kd_debugger_free);
    kd_e2e_traces_take(&traces, stage->server);
    kd_e2e_target_order(target, order);
    kd_e2e_target_order(target, wait);
    kd_e2e_traces_expect_memory(&traces, stage->server);
    g_assert_cmpuint(kd_e2e_target_count(target, "gave-up"), ==, 0);
    second = kd_e2e_debug_open(debug, &error);
    await_last_print(second);
    expect_last_prints(kd_debugger_get_prints(second));
    g_free(kd_e2e_program_await(debug->kd, KD_E2E_STDERR, "debug strings were dropped"));
    (void)kd_debugger_break_in(second, &stop, &error);
    g_assert_no_error(error);
    kd_e2e_debug_expect_memory(second, READ_BYTES);
    let_go(second);
}

/* ---- targets come and go ---- */

static void
test_target_dies(KdE2eStage *stage, gconstpointer unused)
{
    int lock = -1;
    guint port = kd_e2e_target_take_net_port(&lock);
    g_autoptr(KdE2eTarget) target = kd_e2e_target_new_net_at(stage, "one", KEY, port, port);
    g_autoptr(KdE2eTarget) heir = NULL;
    g_autoptr(KdE2eDebug) debug = NULL;
    g_autoptr(KdDebugger) debugger = NULL;
    g_autoptr(GError) error = NULL;
    KdDebuggerStop stop;

    (void)unused;
    kd_e2e_stage_start(stage, NULL);
    debug = kd_e2e_debug_new(stage, "box", target->trans);
    debugger = kd_e2e_debug_attach(debug, KD_DEBUGGER_ATTACH_ASKS, &stop);
    kd_e2e_debug_expect_memory(debugger, 4096);
    g_clear_pointer(&target, kd_e2e_target_free);
    g_free(kd_e2e_program_await(debug->kd, KD_E2E_STDERR, "target lost"));
    heir = kd_e2e_target_new_net_at(stage, "two", KEY, port, port);
    g_free(kd_e2e_program_await(debug->kd, KD_E2E_STDERR, "target back"));
    (void)kd_debugger_wait(debugger, KD_E2E_DEADLINE_S * 1000, &stop, &error);
    g_assert_no_error(error);
    g_assert_true(stop.is_sync);
    kd_e2e_debug_expect_memory(debugger, 4096);
    g_assert_nonnull(strstr(kd_e2e_program_get_text(debug->kd, KD_E2E_STDERR), "target restarted"));
    close(lock);
}

/* The client may come first: it waits, and its break-in waits with it. */
static void
test_target_comes_late(KdE2eStage *stage, gconstpointer unused)
{
    int lock = -1;
    guint port = kd_e2e_target_take_net_port(&lock);
    g_autofree char *trans = g_strdup_printf("net:port=%u,key=" KEY, port);
    g_autoptr(KdE2eTarget) target = NULL;
    g_autoptr(KdE2eDebug) debug = NULL;
    g_autoptr(KdDebugger) debugger = NULL;
    g_autoptr(GError) error = NULL;
    KdDebuggerStop stop;

    (void)unused;
    kd_e2e_stage_start(stage, NULL);
    debug = kd_e2e_debug_new(stage, "box", trans);
    debugger = kd_e2e_debug_open(debug, &error);
    (void)kd_debugger_send_break_in(debugger, &error);
    g_assert_no_error(error);
    g_free(kd_e2e_program_await(debug->kd, KD_E2E_STDERR, "waiting for a target"));
    target = kd_e2e_target_new_net_at(stage, "box", KEY, port, port);
    (void)kd_debugger_wait(debugger, KD_E2E_DEADLINE_S * 1000, &stop, &error);
    g_assert_no_error(error);
    kd_e2e_debug_expect_memory(debugger, 4096);
    close(lock);
}

/* ---- many ---- */

static void
test_many(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(GPtrArray) targets =
        g_ptr_array_new_with_free_func((GDestroyNotify)kd_e2e_target_free);

    (void)unused;
    g_ptr_array_add(targets, kd_e2e_target_new_net(stage, "one", KEY));
    g_ptr_array_add(targets, kd_e2e_target_new_net(stage, "two", OTHER_KEY));
    g_ptr_array_add(targets, kd_e2e_target_new_pty(stage, "three"));
    g_ptr_array_add(targets, kd_e2e_target_new_pipe(stage, "four"));
    kd_e2e_stage_start(stage, "--allow-path", "/dev/pts", "--allow-path", stage->folder, NULL);
    kd_e2e_debug_expect_scripts(stage, targets, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_e2e_add("/e2e/kd-life/next-debugger-sees-where-the-target-stands", test_leaves_halted);
    kd_e2e_add("/e2e/kd-life/next-kd-goes-on-where-one-was-killed", test_killed);
    kd_e2e_add("/e2e/kd-life/next-debugger-stops-a-target-that-runs", test_leaves_running);
    kd_e2e_add("/e2e/kd-life/target-that-stops-alone-waits-for-a-debugger", test_stops_alone);
    kd_e2e_add("/e2e/kd-life/ten-thousand-prints-hurt-nobody", test_prints_alone);
    kd_e2e_add("/e2e/kd-life/target-that-dies-is-told-and-so-is-its-return", test_target_dies);
    kd_e2e_add("/e2e/kd-life/target-may-come-behind-its-debugger", test_target_comes_late);
    kd_e2e_add("/e2e/kd-life/four-targets-at-once-have-each-a-debugger", test_many);
    return g_test_run();
}
