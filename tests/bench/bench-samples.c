/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Times of single exchanges, and what is said about many of them. */
#include "bench-samples.h"

#include <stdlib.h>
#include <time.h>

#define RESERVED_SAMPLES 262144u

/**
 * bench_clock_get_ns:
 *
 * Returns: the monotonic clock.
 */
uint64_t
bench_clock_get_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/**
 * bench_clock_sleep_ms:
 *
 * Sleeps, for polling what has no event: /proc, and another process's log.
 */
void
bench_clock_sleep_ms(unsigned ms)
{
    g_usleep((gulong)ms * 1000u);
}

/**
 * bench_samples_init:
 *
 * Takes room for the samples of a usual run.
 */
void
bench_samples_init(BenchSamples *samples)
{
    samples->ns = g_array_sized_new(FALSE, TRUE, sizeof(guint32), RESERVED_SAMPLES);
}

/**
 * bench_samples_clear:
 *
 * Gives the room back; harmless on a zeroed one.
 */
void
bench_samples_clear(BenchSamples *samples)
{
    g_clear_pointer(&samples->ns, g_array_unref);
}

/**
 * bench_samples_add:
 *
 * Notes one time.
 */
void
bench_samples_add(BenchSamples *samples, uint64_t ns)
{
    guint32 value = ns > UINT32_MAX ? UINT32_MAX : (guint32)ns;

    g_array_append_val(samples->ns, value);
}

static int
compare_ns(gconstpointer a, gconstpointer b)
{
    guint32 x = *(const guint32 *)a;
    guint32 y = *(const guint32 *)b;

    return (x > y) - (x < y);
}

/**
 * bench_samples_sort:
 *
 * Puts the samples in order, which bench_samples_get_us() wants.
 */
void
bench_samples_sort(BenchSamples *samples)
{
    g_array_sort(samples->ns, compare_ns);
}

/**
 * bench_samples_get_us:
 * @quantile: 0 to 1
 *
 * Returns: the sample at @quantile in microseconds; 0 when there are none.
 */
double
bench_samples_get_us(const BenchSamples *samples, double quantile)
{
    guint n = samples->ns->len;
    guint at;

    if (n == 0) {
        return 0;
    }
    at = (guint)(quantile * (double)n);
    return g_array_index(samples->ns, guint32, MIN(at, n - 1)) / 1e3;
}

static int
compare_double(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

/**
 * bench_get_median:
 * @values: put in order by this
 *
 * Returns: the middle one, or the mean of the two middle ones; 0 of none.
 */
double
bench_get_median(double *values, size_t n)
{
    if (n == 0) {
        return 0;
    }
    qsort(values, n, sizeof *values, compare_double);
    return n % 2 != 0 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}
