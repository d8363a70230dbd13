/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What one run found. */
#pragma once

#include <glib.h>

#define BENCH_MAX_METRICS 16u

/**
 * BenchMetric:
 * @name: with its unit, `p50_us`; lives as long as the process
 */
typedef struct {
    const char *name;
    double value;
} BenchMetric;

/**
 * BenchResult:
 * @note: (nullable): what numbers do not say
 * @failure: (nullable): why there are no numbers
 */
typedef struct {
    BenchMetric metrics[BENCH_MAX_METRICS];
    guint n_metrics;
    char *note;
    char *failure;
} BenchResult;

void bench_result_set(BenchResult *result, const char *name, double value);
gboolean bench_result_get(const BenchResult *result, const char *name, double *value);
void bench_result_clear(BenchResult *result);
