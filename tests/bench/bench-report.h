/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Collects the results of all runs and says what they mean. */
#pragma once

#include "bench-mode.h"

#include <stdio.h>

typedef struct BenchReport BenchReport;

/**
 * BenchPair:
 * @peer: what is looked at
 * @alone: the same without that of which the cost is asked
 */
typedef struct {
    BenchPeer peer;
    BenchPeer alone;
} BenchPair;

BenchReport *bench_report_new(guint n_repetitions);
void bench_report_free(BenchReport *report);
BenchResult *bench_report_get(BenchReport *report, BenchMode mode, BenchPeer peer,
                              guint repetition);
gboolean bench_report_has_run(const BenchReport *report, BenchMode mode, BenchPeer peer);
void bench_report_leave_out(BenchReport *report, BenchMode mode, BenchPeer peer,
                            const char *reason);
const char *bench_report_get_reason(const BenchReport *report, BenchMode mode, BenchPeer peer);
gboolean bench_report_get_median(const BenchReport *report, BenchMode mode, BenchPeer peer,
                                 const char *metric, double *median);
gboolean bench_report_get_ratio(const BenchReport *report, BenchMode mode, BenchPeer peer,
                                BenchPeer base, const char *metric, double *ratio);
gboolean bench_report_get_added_ratio(const BenchReport *report, BenchMode mode,
                                      const BenchPair *pair, const BenchPair *base,
                                      const char *metric, double *ratio);
BenchPeer bench_report_find_best(const BenchReport *report, BenchMode mode, const BenchPeer *peers,
                                 guint n, const char *metric);
guint bench_report_get_failures(const BenchReport *report);
void bench_report_print_table(const BenchReport *report, FILE *out);
void bench_report_print_json(const BenchReport *report, const BenchSetting *setting,
                             const char *congestion, FILE *out);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(BenchReport, bench_report_free)
