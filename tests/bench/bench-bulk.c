/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Streams as fast as they go: up, down, or both ways on one session. */
#include "bench-mode.h"
#include "bench-samples.h"

#include <errno.h>

#define TAIL_LIMIT_MS 5000u

static gboolean
gives(const BenchTalk *talk)
{
    return talk->order.work == BENCH_WORK_SINK || talk->order.work == BENCH_WORK_BOTH;
}

static gboolean
takes(const BenchTalk *talk)
{
    return talk->order.work == BENCH_WORK_SOURCE || talk->order.work == BENCH_WORK_BOTH;
}

/**
 * bench_bulk_step:
 * @talk: on an end that does not wait
 *
 * Sends and takes what goes at once; waits when nothing does.
 *
 * Returns: whether something moved, and was right.
 */
gboolean
bench_bulk_step(BenchTalk *talk, GError **error)
{
    gboolean has_moved = FALSE;

    if (gives(talk)) {
        ssize_t n = bench_talk_give(talk, error);

        if (n == -1) {
            return FALSE;
        }
        has_moved = n > 0;
    }
    /* acks come that way too */
    if (takes(talk) || bench_end_is_credit_low(talk->end)) {
        ssize_t n = bench_talk_take(talk, error);

        if (n == -1) {
            return FALSE;
        }
        has_moved = has_moved || n > 0;
    }
    return has_moved || bench_talk_wait(talk, takes(talk), gives(talk), error);
}

static gboolean
has_all(const BenchTalk *talk)
{
    if (gives(talk) &&
        atomic_load_explicit(&talk->slot->received, memory_order_acquire) < talk->up) {
        return FALSE;
    }
    return !takes(talk) ||
           (atomic_load_explicit(&talk->slot->has_stopped, memory_order_acquire) &&
            atomic_load_explicit(&talk->slot->sent, memory_order_relaxed) == talk->down);
}

/**
 * bench_bulk_finish:
 *
 * Ends both directions and waits for every byte that is still under way: what a relay has taken
 * and not delivered is lost, however fast it took it.
 *
 * Returns: whether nothing is missing.
 */
gboolean
bench_bulk_finish(BenchTalk *talk, GError **error)
{
    uint64_t end = bench_clock_get_ns() + TAIL_LIMIT_MS * UINT64_C(1000000);

    atomic_store_explicit(&talk->slot->is_told_to_stop, 1, memory_order_release);
    while (!has_all(talk)) {
        /* reads even where nothing comes down: acks let the rest of a frame go */
        ssize_t n = bench_talk_take(talk, error);

        if (n == -1) {
            return FALSE;
        }
        if (bench_clock_get_ns() > end) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                        "bytes are missing: %" G_GUINT64_FORMAT " up, %" G_GUINT64_FORMAT
                        " arrived; %" G_GUINT64_FORMAT " down, %" G_GUINT64_FORMAT " arrived",
                        talk->up, atomic_load(&talk->slot->received),
                        atomic_load(&talk->slot->sent), talk->down);
            return FALSE;
        }
        if (n == -EAGAIN) {
            bench_clock_sleep_ms(1);
        }
    }
    return TRUE;
}

/**
 * bench_bulk_get_delivered:
 *
 * Returns: bytes that have come through, in both directions.
 */
uint64_t
bench_bulk_get_delivered(const BenchTalk *talk)
{
    return talk->down + atomic_load_explicit(&talk->slot->received, memory_order_relaxed);
}

static gboolean
move_for(BenchTalk *talk, double seconds, GError **error)
{
    uint64_t end = bench_clock_get_ns() + (uint64_t)(seconds * 1e9);

    while (bench_clock_get_ns() < end) {
        if (!bench_bulk_step(talk, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

/**
 * bench_bulk_report:
 * @bytes: that have come through
 * @elapsed_s: how long that took
 * @cpu_s_per_gb: processor time of the relay
 *
 * Says what a stream says.
 */
void
bench_bulk_report(uint64_t bytes, double elapsed_s, double cpu_s_per_gb, BenchResult *result)
{
    bench_result_set(result, "mb_per_s", (double)bytes / 1e6 / elapsed_s);
    bench_result_set(result, "cpu_s_per_gb", cpu_s_per_gb);
}

/**
 * bench_bulk_run:
 *
 * Measures how fast bytes come through one session.
 *
 * Returns: whether all went well.
 */
gboolean
bench_bulk_run(BenchStage *stage, const BenchSetting *setting, const BenchOrder *order,
               BenchResult *result, GError **error)
{
    BenchTalk talk;
    uint64_t started_ns;
    uint64_t bytes;
    uint64_t cpu_ns;
    double elapsed_s;
    gboolean is_ok;

    if (!bench_stage_open(stage, &talk, order, error)) {
        return FALSE;
    }
    bench_end_set_blocking(talk.end, FALSE);
    is_ok = move_for(&talk, setting->warm_seconds, error);
    cpu_ns = bench_stage_get_cpu_ns(stage);
    bytes = bench_bulk_get_delivered(&talk);
    started_ns = bench_clock_get_ns();
    is_ok = is_ok && move_for(&talk, setting->seconds, error);
    elapsed_s = (double)(bench_clock_get_ns() - started_ns) / 1e9;
    bytes = bench_bulk_get_delivered(&talk) - bytes;
    cpu_ns = bench_stage_get_cpu_ns(stage) - cpu_ns;
    is_ok = is_ok && bench_bulk_finish(&talk, error);
    if (is_ok) {
        bench_bulk_report(bytes, elapsed_s, bytes > 0 ? (double)cpu_ns / (double)bytes : 0, result);
    }
    bench_talk_end(&talk);
    return is_ok;
}
