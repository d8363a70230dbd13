/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What sessions that have nothing to say keep in the relay's memory. */
#include "bench-mode.h"
#include "bench-samples.h"

#include <stdlib.h>
#include <string.h>

#define MAX_SESSIONS 500u
/* A tick that comes once a second may give something back. */
#define SETTLE_MS 1500u

/* Kilobytes of all processes of the relays */
typedef struct {
    double dirty;
    double pss;
} Usage;

/**
 * bench_memory_get_sessions:
 *
 * Returns: how many are opened.
 */
guint
bench_memory_get_sessions(const BenchSetting *setting)
{
    return MIN(setting->n_sessions, MAX_SESSIONS);
}

static double
find_kb(const char *text, const char *name)
{
    const char *at = strstr(text, name);

    return at != NULL ? strtod(at + strlen(name), NULL) : 0;
}

static gboolean
add_process(Usage *usage, int pid, GError **error)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/smaps_rollup", pid);
    g_autofree char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, error)) {
        return FALSE;
    }
    usage->dirty += find_kb(text, "\nPrivate_Dirty:");
    usage->pss += find_kb(text, "\nPss:");
    return TRUE;
}

static gboolean
look(BenchStage *stage, Usage *usage, GError **error)
{
    GPtrArray *relays = bench_stage_get_relays(stage);

    memset(usage, 0, sizeof *usage);
    for (guint i = 0; i < relays->len; i++) {
        g_autoptr(GArray) tree = bench_child_dup_tree(g_ptr_array_index(relays, i));

        for (guint k = 0; k < tree->len; k++) {
            if (!add_process(usage, g_array_index(tree, int, k), error)) {
                return FALSE;
            }
        }
    }
    return TRUE;
}

/* Each has had its buffers in use before it falls silent. */
static gboolean
open_session(BenchStage *stage, BenchTalk *talk, const BenchOrder *order, guint session,
             GError **error)
{
    BenchOrder own = *order;

    own.session = session;
    return bench_stage_open(stage, talk, &own, error) && bench_talk_exchange(talk, error);
}

static gboolean
measure(BenchStage *stage, BenchTalk *talks, guint n, const BenchOrder *order, BenchResult *result,
        GError **error)
{
    Usage before;
    Usage after;

    /* what the first one makes the relay take once and for all is no session's */
    if (!open_session(stage, &talks[0], order, 0, error)) {
        return FALSE;
    }
    bench_clock_sleep_ms(SETTLE_MS);
    if (!look(stage, &before, error)) {
        return FALSE;
    }
    for (guint i = 1; i <= n; i++) {
        if (!open_session(stage, &talks[i], order, i, error)) {
            g_prefix_error(error, "opening %u of %u: ", i, n);
            return FALSE;
        }
    }
    bench_clock_sleep_ms(SETTLE_MS);
    if (!look(stage, &after, error)) {
        return FALSE;
    }
    /* and each still works */
    for (guint i = 0; i <= n; i++) {
        if (!bench_talk_exchange(&talks[i], error)) {
            return FALSE;
        }
    }
    bench_result_set(result, "dirty_kb", (after.dirty - before.dirty) / n);
    bench_result_set(result, "pss_kb", (after.pss - before.pss) / n);
    bench_result_set(result, "sessions", n);
    bench_result_set(result, "with_one_kb", before.dirty);
    return TRUE;
}

/**
 * bench_memory_run:
 *
 * Measures how much the relay's memory grows for each session that is open and idle: pages that it
 * has written to and shares with nobody. Buffers in the kernel are not in it.
 *
 * Returns: whether all went well.
 */
gboolean
bench_memory_run(BenchStage *stage, const BenchSetting *setting, const BenchOrder *order,
                 BenchResult *result, GError **error)
{
    guint n = bench_memory_get_sessions(setting);
    g_autofree BenchTalk *talks = g_new0(BenchTalk, n + 1);
    gboolean is_ok = measure(stage, talks, n, order, result, error);

    for (guint i = 0; i <= n; i++) {
        bench_talk_end(&talks[i]);
    }
    return is_ok;
}
