/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What one run found. */
#include "bench-result.h"

#include <string.h>

/**
 * bench_result_set:
 * @name: (transfer none): a literal
 *
 * Adds a metric.
 */
void
bench_result_set(BenchResult *result, const char *name, double value)
{
    g_return_if_fail(result->n_metrics < BENCH_MAX_METRICS);
    result->metrics[result->n_metrics++] = (BenchMetric){name, value};
}

/**
 * bench_result_get:
 * @value: (out): untouched where there is none
 *
 * Returns: whether the run has the metric.
 */
gboolean
bench_result_get(const BenchResult *result, const char *name, double *value)
{
    for (guint i = 0; i < result->n_metrics; i++) {
        if (strcmp(result->metrics[i].name, name) == 0) {
            *value = result->metrics[i].value;
            return TRUE;
        }
    }
    return FALSE;
}

/**
 * bench_result_clear:
 *
 * Forgets everything.
 */
void
bench_result_clear(BenchResult *result)
{
    g_free(result->note);
    g_free(result->failure);
    memset(result, 0, sizeof *result);
}
