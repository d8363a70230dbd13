/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Times of single exchanges, and what is said about many of them. */
#pragma once

#include <glib.h>
#include <stdint.h>

/**
 * BenchSamples:
 * @ns: (element-type guint32): saturated at four seconds
 *
 * Room is taken in advance, so that adding one costs no allocation while the clock runs.
 */
typedef struct {
    GArray *ns;
} BenchSamples;

uint64_t bench_clock_get_ns(void);
void bench_clock_sleep_ms(unsigned ms);
void bench_samples_init(BenchSamples *samples);
void bench_samples_clear(BenchSamples *samples);
void bench_samples_add(BenchSamples *samples, uint64_t ns);
void bench_samples_sort(BenchSamples *samples);
double bench_samples_get_us(const BenchSamples *samples, double quantile);
double bench_get_median(double *values, size_t n);
