/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Collects the results of all runs and says what they mean. */
#include "bench-report.h"

#include "bench-samples.h"

#include <string.h>
#include <sys/utsname.h>

#define MAX_REPETITIONS 99u

typedef struct {
    BenchResult *results; /* one for each repetition */
    guint n_run;
    char *reason; /* why it was left out */
} Cell;

struct BenchReport {
    guint n_repetitions;
    Cell cells[BENCH_N_MODES][BENCH_N_PEERS];
};

/**
 * bench_report_new:
 *
 * Returns: (transfer full): an empty report for at most 99 repetitions.
 */
BenchReport *
bench_report_new(guint n_repetitions)
{
    BenchReport *report = g_new0(BenchReport, 1);

    report->n_repetitions = CLAMP(n_repetitions, 1, MAX_REPETITIONS);
    for (guint m = 0; m < BENCH_N_MODES; m++) {
        for (guint p = 0; p < BENCH_N_PEERS; p++) {
            report->cells[m][p].results = g_new0(BenchResult, report->n_repetitions);
        }
    }
    return report;
}

/**
 * bench_report_free:
 *
 * Forgets all results.
 */
void
bench_report_free(BenchReport *report)
{
    for (guint m = 0; m < BENCH_N_MODES; m++) {
        for (guint p = 0; p < BENCH_N_PEERS; p++) {
            Cell *cell = &report->cells[m][p];

            for (guint i = 0; i < report->n_repetitions; i++) {
                bench_result_clear(&cell->results[i]);
            }
            g_free(cell->results);
            g_free(cell->reason);
        }
    }
    g_free(report);
}

/**
 * bench_report_get:
 *
 * Returns: (transfer none): where the result of a run goes; the run counts from now on.
 */
BenchResult *
bench_report_get(BenchReport *report, BenchMode mode, BenchPeer peer, guint repetition)
{
    Cell *cell = &report->cells[mode][peer];

    g_return_val_if_fail(repetition < report->n_repetitions, NULL);
    cell->n_run = MAX(cell->n_run, repetition + 1);
    return &cell->results[repetition];
}

/**
 * bench_report_has_run:
 *
 * Returns: whether there is any result, if only a failure.
 */
gboolean
bench_report_has_run(const BenchReport *report, BenchMode mode, BenchPeer peer)
{
    return report->cells[mode][peer].n_run > 0;
}

/**
 * bench_report_leave_out:
 *
 * Notes why a peer does not take part.
 */
void
bench_report_leave_out(BenchReport *report, BenchMode mode, BenchPeer peer, const char *reason)
{
    Cell *cell = &report->cells[mode][peer];

    g_free(cell->reason);
    cell->reason = g_strdup(reason);
}

/**
 * bench_report_get_reason:
 *
 * Returns: (transfer none) (nullable): why a peer did not take part.
 */
const char *
bench_report_get_reason(const BenchReport *report, BenchMode mode, BenchPeer peer)
{
    return report->cells[mode][peer].reason;
}

static size_t
collect(const Cell *cell, const char *metric, double *values)
{
    size_t n = 0;

    for (guint i = 0; i < cell->n_run; i++) {
        if (bench_result_get(&cell->results[i], metric, &values[n])) {
            n++;
        }
    }
    return n;
}

/**
 * bench_report_get_median:
 * @median: (out): untouched where there is none
 *
 * Returns: whether any repetition has the metric.
 */
gboolean
bench_report_get_median(const BenchReport *report, BenchMode mode, BenchPeer peer,
                        const char *metric, double *median)
{
    double values[MAX_REPETITIONS];
    size_t n = collect(&report->cells[mode][peer], metric, values);

    if (n > 0) {
        *median = bench_get_median(values, n);
    }
    return n > 0;
}

/**
 * bench_report_get_ratio:
 * @ratio: (out): untouched where there is none
 *
 * Compares two peers repetition by repetition, as they ran side by side, and takes the median of
 * the ratios: what slowed the machine down for a while slowed both.
 *
 * Returns: whether any repetition has both.
 */
gboolean
bench_report_get_ratio(const BenchReport *report, BenchMode mode, BenchPeer peer, BenchPeer base,
                       const char *metric, double *ratio)
{
    const Cell *cell = &report->cells[mode][peer];
    const Cell *base_cell = &report->cells[mode][base];
    double ratios[MAX_REPETITIONS];
    size_t n = 0;

    for (guint i = 0; i < MIN(cell->n_run, base_cell->n_run); i++) {
        double ours = 0;
        double theirs = 0;

        if (bench_result_get(&cell->results[i], metric, &ours) &&
            bench_result_get(&base_cell->results[i], metric, &theirs) && theirs > 0) {
            ratios[n++] = ours / theirs;
        }
    }
    if (n > 0) {
        *ratio = bench_get_median(ratios, n);
    }
    return n > 0;
}

static gboolean
get_more(const BenchReport *report, BenchMode mode, const BenchPair *pair, const char *metric,
         guint i, double *more)
{
    const Cell *cell = &report->cells[mode][pair->peer];
    const Cell *alone = &report->cells[mode][pair->alone];
    double value = 0;
    double least = 0;

    if (i >= cell->n_run || i >= alone->n_run ||
        !bench_result_get(&cell->results[i], metric, &value) ||
        !bench_result_get(&alone->results[i], metric, &least)) {
        return FALSE;
    }
    *more = value - least;
    return TRUE;
}

/**
 * bench_report_get_added_ratio:
 * @ratio: (out): untouched where there is none
 *
 * As bench_report_get_ratio(), of what @pair and @base each add to what there is without them.
 *
 * Returns: whether any repetition has all four.
 */
gboolean
bench_report_get_added_ratio(const BenchReport *report, BenchMode mode, const BenchPair *pair,
                             const BenchPair *base, const char *metric, double *ratio)
{
    double ratios[MAX_REPETITIONS];
    size_t n = 0;

    for (guint i = 0; i < report->n_repetitions; i++) {
        double ours = 0;
        double theirs = 0;

        if (get_more(report, mode, pair, metric, i, &ours) &&
            get_more(report, mode, base, metric, i, &theirs) && theirs > 0) {
            ratios[n++] = ours / theirs;
        }
    }
    if (n > 0) {
        *ratio = bench_get_median(ratios, n);
    }
    return n > 0;
}

/**
 * bench_report_find_best:
 * @peers: (array length=n): among these
 * @metric: of which more is better
 *
 * Returns: the one with the best median; %BENCH_N_PEERS where none has any.
 */
BenchPeer
bench_report_find_best(const BenchReport *report, BenchMode mode, const BenchPeer *peers, guint n,
                       const char *metric)
{
    BenchPeer best = BENCH_N_PEERS;
    double most = 0;

    for (guint i = 0; i < n; i++) {
        double median = 0;

        if (bench_report_get_median(report, mode, peers[i], metric, &median) && median > most) {
            most = median;
            best = peers[i];
        }
    }
    return best;
}

/**
 * bench_report_get_failures:
 *
 * Returns: how many runs failed.
 */
guint
bench_report_get_failures(const BenchReport *report)
{
    guint n = 0;

    for (guint m = 0; m < BENCH_N_MODES; m++) {
        for (guint p = 0; p < BENCH_N_PEERS; p++) {
            for (guint i = 0; i < report->cells[m][p].n_run; i++) {
                n += report->cells[m][p].results[i].failure != NULL;
            }
        }
    }
    return n;
}

/* ---- the table ------------------------------------------------------------------------------ */

static const BenchResult *
find_good(const Cell *cell)
{
    for (guint i = 0; i < cell->n_run; i++) {
        if (cell->results[i].failure == NULL) {
            return &cell->results[i];
        }
    }
    return NULL;
}

static void
print_ratio(const BenchReport *report, BenchMode mode, BenchPeer peer, BenchPeer base, FILE *out)
{
    double ratio = 0;

    if (bench_report_get_ratio(report, mode, peer, base, bench_mode_get_metric(mode), &ratio)) {
        fprintf(out, " %8.2f", ratio);
    } else {
        fprintf(out, " %8s", "-");
    }
}

/* Of the minimal relay, in clear or not, or of two where two are in a row */
static BenchPeer
get_limit(BenchMode mode)
{
    return bench_mode_has_peer(mode, BENCH_PEER_EPOLL) ? BENCH_PEER_EPOLL
           : bench_mode_has_peer(mode, BENCH_PEER_TLS) ? BENCH_PEER_TLS
                                                       : BENCH_PEER_TWO_EPOLLS;
}

static void
print_row(const BenchReport *report, BenchMode mode, BenchPeer peer, FILE *out)
{
    const Cell *cell = &report->cells[mode][peer];
    const BenchResult *good = find_good(cell);
    double values[MAX_REPETITIONS];
    size_t n = collect(cell, bench_mode_get_metric(mode), values);

    fprintf(out, "  %-12s", bench_peer_get_name(peer));
    if (good != NULL && n > 0) {
        double median = bench_get_median(values, n);

        fprintf(out, " %10.2f (%.2f - %.2f)", median, values[0], values[n - 1]);
        print_ratio(report, mode, peer, BENCH_PEER_DIRECT, out);
        print_ratio(report, mode, peer, get_limit(mode), out);
        for (guint i = 0; i < good->n_metrics; i++) {
            const char *name = good->metrics[i].name;

            if (strcmp(name, bench_mode_get_metric(mode)) != 0 &&
                bench_report_get_median(report, mode, peer, name, &median)) {
                fprintf(out, "  %s %.4g", name, median);
            }
        }
        if (good->note != NULL) {
            fprintf(out, "  [%s]", good->note);
        }
    }
    fputc('\n', out);
    for (guint i = 0; i < cell->n_run; i++) {
        if (cell->results[i].failure != NULL) {
            fprintf(out, "  %-12s FAILED in repetition %u: %s\n", "", i + 1,
                    cell->results[i].failure);
        }
    }
}

/**
 * bench_report_print_table:
 *
 * Prints each mode: median (least - most) of its metric, its ratio to no relay at all and to the
 * minimal one, and the medians of what else was found.
 */
void
bench_report_print_table(const BenchReport *report, FILE *out)
{
    for (guint m = 0; m < BENCH_N_MODES; m++) {
        gboolean has_head = FALSE;

        for (guint p = 0; p < BENCH_N_PEERS; p++) {
            const Cell *cell = &report->cells[m][p];

            if (cell->n_run == 0 && cell->reason == NULL) {
                continue;
            }
            if (!has_head) {
                fprintf(out, "%s: %s median (least - most), /direct, /minimal relay, others\n",
                        bench_mode_get_name(m), bench_mode_get_metric(m));
                has_head = TRUE;
            }
            if (cell->n_run > 0) {
                print_row(report, m, p, out);
            } else {
                fprintf(out, "  %-12s left out: %s\n", bench_peer_get_name(p), cell->reason);
            }
        }
    }
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static void
print_json_string(const char *key, const char *text, FILE *out)
{
    fprintf(out, ",\"%s\":\"", key);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\') {
            fprintf(out, "\\%c", *c);
        } else if ((unsigned char)*c < 0x20) {
            fprintf(out, "\\u%04x", (unsigned)*c);
        } else {
            fputc(*c, out);
        }
    }
    fputc('"', out);
}

static void
print_json_number(const char *key, double value, FILE *out)
{
    char number[G_ASCII_DTOSTR_BUF_SIZE];

    fprintf(out, ",\"%s\":%s", key, g_ascii_formatd(number, sizeof number, "%.6g", value));
}

static void
print_json_run(const BenchResult *result, BenchMode mode, BenchPeer peer, guint repetition,
               FILE *out)
{
    fprintf(out, "    {\"mode\":\"%s\",\"peer\":\"%s\",\"repetition\":%u,\"ok\":%s",
            bench_mode_get_name(mode), bench_peer_get_name(peer), repetition + 1,
            result->failure == NULL ? "true" : "false");
    for (guint i = 0; i < result->n_metrics; i++) {
        print_json_number(result->metrics[i].name, result->metrics[i].value, out);
    }
    if (result->note != NULL) {
        print_json_string("note", result->note, out);
    }
    if (result->failure != NULL) {
        print_json_string("failure", result->failure, out);
    }
    fputc('}', out);
}

/* The metric of each mode: its median, and the medians of its ratios. */
static void
print_json_medians(const BenchReport *report, FILE *out)
{
    const char *separator = "";

    for (guint m = 0; m < BENCH_N_MODES; m++) {
        const char *metric = bench_mode_get_metric(m);

        for (guint p = 0; p < BENCH_N_PEERS; p++) {
            double value = 0;

            if (!bench_report_get_median(report, m, p, metric, &value)) {
                continue;
            }
            fprintf(out, "%s    {\"mode\":\"%s\",\"peer\":\"%s\",\"metric\":\"%s\"", separator,
                    bench_mode_get_name(m), bench_peer_get_name(p), metric);
            print_json_number("median", value, out);
            if (bench_report_get_ratio(report, m, p, BENCH_PEER_DIRECT, metric, &value)) {
                print_json_number("to_direct", value, out);
            }
            if (bench_report_get_ratio(report, m, p, get_limit(m), metric, &value)) {
                print_json_number("to_minimal_relay", value, out);
            }
            fputc('}', out);
            separator = ",\n";
        }
    }
}

/**
 * bench_report_print_json:
 * @congestion: TCP's congestion control on loopback
 *
 * Prints one document: the machine in general terms, then every run and who was left out, then
 * the medians and their ratios.
 */
void
bench_report_print_json(const BenchReport *report, const BenchSetting *setting,
                        const char *congestion, FILE *out)
{
    struct utsname name;
    const char *separator = "";

    uname(&name);
    fprintf(out,
            "{\n  \"machine\":{\"processors\":%d,\"realtime\":%s,\"place\":\"%s\","
            "\"seconds\":%g,\"sessions\":%u",
            bench_place_get_processors(), bench_place_can_be_realtime() ? "true" : "false",
            bench_place_get_name(setting->place), setting->seconds, setting->n_sessions);
    print_json_string("kernel", name.release, out);
    print_json_string("arch", name.machine, out);
    print_json_string("congestion", congestion, out);
    fputs("},\n  \"runs\":[\n", out);
    for (guint m = 0; m < BENCH_N_MODES; m++) {
        for (guint p = 0; p < BENCH_N_PEERS; p++) {
            const Cell *cell = &report->cells[m][p];

            for (guint i = 0; i < cell->n_run; i++) {
                fputs(separator, out);
                print_json_run(&cell->results[i], m, p, i, out);
                separator = ",\n";
            }
            if (cell->n_run == 0 && cell->reason != NULL) {
                fprintf(out, "%s    {\"mode\":\"%s\",\"peer\":\"%s\"", separator,
                        bench_mode_get_name(m), bench_peer_get_name(p));
                print_json_string("left_out", cell->reason, out);
                fputc('}', out);
                separator = ",\n";
            }
        }
    }
    fputs("\n  ],\n  \"medians\":[\n", out);
    print_json_medians(report, out);
    fputs("\n  ]\n}\n", out);
}
