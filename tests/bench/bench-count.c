/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Counts what relays cost the machine beside time: allocations and system calls. */
#include "bench-count.h"

#include "bench-count-page.h"
#include "bench-mode.h"
#include "bench-samples.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define WARM_EXCHANGES        500u
#define TRACED_EXCHANGES      500u
#define MIN_COUNTED_EXCHANGES 2000u
#define COUNTED_S             2.5 /* a few of the ticks that come once a second are in it */

struct BenchCount {
    char *path;
    char *module;
    BenchCountPage *page;
    const char *environment[7];
};

/**
 * bench_count_new:
 * @tools: folder of the counting module
 *
 * Makes the file in which a relay's allocations are counted.
 *
 * Returns: (transfer full): the count, at 0.
 */
BenchCount *
bench_count_new(const char *tools, GError **error)
{
    g_autoptr(BenchCount) count = g_new0(BenchCount, 1);
    void *page;
    int fd = g_file_open_tmp("kd-bench-count-XXXXXX", &count->path, error);

    if (fd < 0) {
        return NULL;
    }
    page = ftruncate(fd, sizeof *count->page) == 0
               ? mmap(NULL, sizeof *count->page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
               : MAP_FAILED;
    close(fd);
    if (page == MAP_FAILED) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "%s: %s", count->path, g_strerror(errno));
        return NULL;
    }
    count->page = page;
    count->module = g_build_filename(tools, "bench-count-shim.so", NULL);
    count->environment[0] = "LD_PRELOAD";
    count->environment[1] = count->module;
    count->environment[2] = BENCH_COUNT_VARIABLE;
    count->environment[3] = count->path;
    count->environment[4] = "G_SLICE"; /* older GLib keeps slices from malloc and from us */
    count->environment[5] = "always-malloc";
    return g_steal_pointer(&count);
}

/**
 * bench_count_free:
 *
 * Removes the file.
 */
void
bench_count_free(BenchCount *count)
{
    if (count->page != NULL) {
        munmap(count->page, sizeof *count->page);
    }
    if (count->path != NULL) {
        g_unlink(count->path);
    }
    g_free(count->path);
    g_free(count->module);
    g_free(count);
}

/**
 * bench_count_get_environment:
 *
 * Returns: (transfer none): what bench_child_start() wants for a program that is to be counted.
 */
const char *const *
bench_count_get_environment(const BenchCount *count)
{
    return count->environment;
}

/**
 * bench_count_get_allocations:
 *
 * Returns: how many there have been.
 */
uint64_t
bench_count_get_allocations(const BenchCount *count)
{
    return atomic_load(&count->page->n_allocations);
}

static gboolean
exchange_n(BenchTalk *talk, guint n, GError **error)
{
    for (guint i = 0; i < n; i++) {
        if (!bench_talk_exchange(talk, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/**
 * bench_allocations_run:
 *
 * Counts the allocations of an exchange when the session has settled.
 *
 * Returns: whether all went well.
 */
gboolean
bench_allocations_run(BenchStage *stage, const BenchSetting *setting, const BenchOrder *order,
                      BenchResult *result, GError **error)
{
    BenchCount *count = bench_stage_get_count(stage);
    uint64_t end = 0;
    uint64_t before = 0;
    guint n = 0;
    BenchTalk talk;
    gboolean is_ok;

    if (atomic_load(&count->page->n_loaded) == 0) {
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_FAILED,
                            "the counting module was not loaded");
        return FALSE;
    }
    if (!bench_stage_open(stage, &talk, order, error)) {
        return FALSE;
    }
    is_ok = exchange_n(&talk, WARM_EXCHANGES, error);
    before = bench_count_get_allocations(count);
    if (is_ok && before == 0) {
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_FAILED,
                            "not even setting up was counted: the module does not count");
        is_ok = FALSE;
    }
    end = bench_clock_get_ns() + (uint64_t)(MAX(setting->seconds, COUNTED_S) * 1e9);
    while (is_ok && (n < MIN_COUNTED_EXCHANGES || bench_clock_get_ns() < end)) {
        is_ok = bench_talk_exchange(&talk, error);
        n++;
    }
    if (is_ok) {
        bench_result_set(result, "allocations",
                         (double)(bench_count_get_allocations(count) - before));
        bench_result_set(result, "exchanges", n);
        bench_result_set(result, "before", (double)before);
    }
    bench_talk_end(&talk);
    return is_ok;
}

/* ---- system calls --------------------------------------------------------------------------- */

static BenchChild *
attach_tracer(BenchStage *stage, const char *summary, GError **error)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
    GPtrArray *relays = bench_stage_get_relays(stage);
    g_autoptr(BenchChild) tracer = NULL;
    g_autofree char *line = NULL;

    g_ptr_array_add(argv, g_strdup("strace"));
    g_ptr_array_add(argv, g_strdup("-f"));
    g_ptr_array_add(argv, g_strdup("-c"));
    g_ptr_array_add(argv, g_strdup("-o"));
    g_ptr_array_add(argv, g_strdup(summary));
    for (guint i = 0; i < relays->len; i++) {
        g_autoptr(GArray) tree = bench_child_dup_tree(g_ptr_array_index(relays, i));

        for (guint k = 0; k < tree->len; k++) {
            g_ptr_array_add(argv, g_strdup("-p"));
            g_ptr_array_add(argv, g_strdup_printf("%d", g_array_index(tree, int, k)));
        }
    }
    g_ptr_array_add(argv, NULL);
    tracer = bench_child_start((const char *const *)argv->pdata, bench_stage_get_folder(stage),
                               BENCH_PLACE_FREE, NULL, error);
    line = tracer != NULL ? bench_child_wait_line(tracer, "attached", error) : NULL;
    return line != NULL ? g_steal_pointer(&tracer) : NULL;
}

/* `% time  seconds  usecs/call  calls  [errors]  syscall`: adds the calls up, names them in @note
 */
static double
sum_calls(const char *summary, guint n_exchanges, GString *note)
{
    g_auto(GStrv) lines = g_strsplit(summary, "\n", -1);
    double sum = 0;

    for (guint i = 0; lines[i] != NULL; i++) {
        char name[64];
        unsigned long calls;
        double each;

        if (sscanf(lines[i], "%*f %*f %*d %lu %*d %63s", &calls, name) != 2 &&
            sscanf(lines[i], "%*f %*f %*d %lu %63[a-z_0-9]", &calls, name) != 2) {
            continue;
        }
        if (strcmp(name, "total") == 0) {
            continue;
        }
        each = (double)calls / (double)n_exchanges;
        sum += each;
        if (each >= 0.005) {
            g_string_append_printf(note, "%s%s %.2f", note->len > 0 ? ", " : "", name, each);
        }
    }
    return sum;
}

static gboolean
trace(BenchStage *stage, BenchTalk *talk, const char *summary, GError **error)
{
    g_autoptr(BenchChild) tracer = NULL;

    if (!exchange_n(talk, WARM_EXCHANGES / 5, error)) {
        return FALSE;
    }
    tracer = attach_tracer(stage, summary, error);
    return tracer != NULL && exchange_n(talk, TRACED_EXCHANGES, error) &&
           bench_child_interrupt(tracer, error);
}

/**
 * bench_syscalls_run:
 *
 * Counts the system calls that a round trip costs the programs in between.
 *
 * Returns: whether all went well.
 */
gboolean
bench_syscalls_run(BenchStage *stage, const BenchSetting *setting, const BenchOrder *order,
                   BenchResult *result, GError **error)
{
    g_autofree char *path = g_build_filename(bench_stage_get_folder(stage), "summary", NULL);
    g_autofree char *summary = NULL;
    g_autoptr(GString) note = g_string_new(NULL);
    BenchTalk talk;
    gboolean is_ok;

    (void)setting;
    if (!bench_stage_open(stage, &talk, order, error)) {
        return FALSE;
    }
    is_ok = trace(stage, &talk, path, error) && g_file_get_contents(path, &summary, NULL, error);
    bench_talk_end(&talk);
    if (is_ok) {
        bench_result_set(result, "calls", sum_calls(summary, TRACED_EXCHANGES, note));
        result->note = g_strdup(note->str);
    }
    return is_ok;
}
