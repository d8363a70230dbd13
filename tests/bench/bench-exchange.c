/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Round trips, one after the other: the speed of debugging. */
#include "bench-mode.h"

/* A clock read costs nothing beside a round trip; this bounds what is kept of a very long run. */
#define MAX_SAMPLES 10000000u

static gboolean
exchange_for(BenchTalk *talk, double seconds, BenchSamples *samples, GError **error)
{
    uint64_t before = bench_clock_get_ns();
    uint64_t end = before + (uint64_t)(seconds * 1e9);

    while (before < end) {
        uint64_t after;

        if (!bench_talk_exchange(talk, error)) {
            return FALSE;
        }
        after = bench_clock_get_ns();
        if (samples != NULL && samples->ns->len < MAX_SAMPLES) {
            bench_samples_add(samples, after - before);
        }
        before = after;
    }
    return TRUE;
}

/**
 * bench_exchange_report:
 * @samples: put in order by this
 * @elapsed_s: how long they took
 * @cpu_us: processor time of the relay for one
 *
 * Says what round trips of one session say.
 */
void
bench_exchange_report(BenchSamples *samples, double elapsed_s, double cpu_us, BenchResult *result)
{
    bench_samples_sort(samples);
    bench_result_set(result, "p50_us", bench_samples_get_us(samples, 0.5));
    bench_result_set(result, "p99_us", bench_samples_get_us(samples, 0.99));
    bench_result_set(result, "max_us", bench_samples_get_us(samples, 1));
    bench_result_set(result, "per_s", (double)samples->ns->len / elapsed_s);
    bench_result_set(result, "cpu_us", cpu_us);
}

/**
 * bench_exchange_run:
 *
 * Measures the round trip of one session.
 *
 * Returns: whether all went well.
 */
gboolean
bench_exchange_run(BenchStage *stage, const BenchSetting *setting, const BenchOrder *order,
                   BenchResult *result, GError **error)
{
    BenchTalk talk;
    BenchSamples samples;
    uint64_t started_ns;
    uint64_t cpu_ns;
    double elapsed_s;
    gboolean is_ok;

    if (!bench_stage_open(stage, &talk, order, error)) {
        return FALSE;
    }
    bench_samples_init(&samples);
    is_ok = exchange_for(&talk, setting->warm_seconds, NULL, error);
    cpu_ns = bench_stage_get_cpu_ns(stage);
    started_ns = bench_clock_get_ns();
    is_ok = is_ok && exchange_for(&talk, setting->seconds, &samples, error);
    elapsed_s = (double)(bench_clock_get_ns() - started_ns) / 1e9;
    cpu_ns = bench_stage_get_cpu_ns(stage) - cpu_ns;
    if (is_ok) {
        bench_exchange_report(&samples, elapsed_s, (double)cpu_ns / 1e3 / (double)samples.ns->len,
                              result);
    }
    bench_samples_clear(&samples);
    bench_talk_end(&talk);
    return is_ok;
}
