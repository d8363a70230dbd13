/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What four sessions that never stop sending leave to a fifth, and to a timer of the server. */
#include "bench-mode.h"
#include "bench-samples.h"

#include <errno.h>
#include <string.h>

#define MIN_MEASURED_S 3.0 /* 300 turns of the timer */
#define PAUSE_US       200u
#define SETTLE_MS      200u
#define TIMER_TRANS    "probe:interval=10"

typedef struct {
    BenchTalk talk;
    GThread *thread;
    const _Atomic gboolean *is_over;
    GError *error;
} Load;

typedef struct {
    BenchEnd *end;
    BenchSamples samples; /* lateness */
    GThread *thread;
    const _Atomic gboolean *is_over;
} Timer;

static gpointer
run_load(gpointer user)
{
    Load *load = user;
    gboolean is_ok = TRUE;

    bench_place_background();
    while (is_ok && !atomic_load_explicit(load->is_over, memory_order_relaxed)) {
        is_ok = bench_bulk_step(&load->talk, &load->error);
    }
    if (is_ok) {
        (void)!bench_bulk_finish(&load->talk, &load->error);
    }
    return NULL;
}

/* The probe's stream: one little-endian lateness in microseconds after the other. */
static gpointer
run_timer(gpointer user)
{
    Timer *timer = user;
    uint32_t value = 0;
    guint n_bytes = 0;

    while (!atomic_load(timer->is_over)) {
        const uint8_t *bytes;
        ssize_t n = bench_end_read(timer->end, &bytes);

        if (n <= 0) {
            break;
        }
        for (ssize_t i = 0; i < n; i++) {
            value |= (uint32_t)bytes[i] << (8 * n_bytes);
            if (++n_bytes == sizeof value) {
                bench_samples_add(&timer->samples, (uint64_t)value * 1000);
                value = 0;
                n_bytes = 0;
            }
        }
    }
    return NULL;
}

static gboolean
start_loads(Load *loads, BenchStage *stage, const _Atomic gboolean *is_over, GError **error)
{
    for (guint i = 0; i < BENCH_FAIR_LOADS; i++) {
        BenchOrder order = {.work = i % 2 == 0 ? BENCH_WORK_SINK : BENCH_WORK_SOURCE,
                            .session = i + 1,
                            .is_background = 1};

        if (!bench_stage_open(stage, &loads[i].talk, &order, error)) {
            return FALSE;
        }
        bench_end_set_blocking(loads[i].talk.end, FALSE);
        loads[i].is_over = is_over;
        loads[i].thread = g_thread_new("load", run_load, &loads[i]);
    }
    return TRUE;
}

static void
start_timer(Timer *timer, BenchStage *stage, const _Atomic gboolean *is_over, BenchResult *result)
{
    g_autoptr(GError) error = NULL;

    if (!bench_stage_has_links(stage)) {
        return; /* no main loop in there whose timer could be late */
    }
    timer->end = bench_stage_dial(stage, TIMER_TRANS, &error);
    if (timer->end == NULL) {
        result->note = g_strdup_printf("no timer: %s", error->message);
        return;
    }
    timer->is_over = is_over;
    timer->thread = g_thread_new("timer", run_timer, timer);
}

static uint64_t
get_moved(const Load *loads)
{
    uint64_t sum = 0;

    for (guint i = 0; i < BENCH_FAIR_LOADS; i++) {
        sum += atomic_load(&loads[i].talk.slot->received) + atomic_load(&loads[i].talk.slot->sent);
    }
    return sum;
}

static gboolean
measure(BenchTalk *talk, BenchStage *stage, const Load *loads, double seconds, BenchResult *result,
        GError **error)
{
    BenchSamples samples;
    uint64_t cpu_ns = bench_stage_get_cpu_ns(stage);
    uint64_t moved = get_moved(loads);
    uint64_t started = bench_clock_get_ns();
    uint64_t end = started + (uint64_t)(seconds * 1e9);
    uint64_t now = started;
    gboolean is_ok = TRUE;

    bench_samples_init(&samples);
    while (is_ok && now < end) {
        is_ok = bench_talk_exchange(talk, error);
        bench_samples_add(&samples, bench_clock_get_ns() - now);
        g_usleep(PAUSE_US);
        now = bench_clock_get_ns();
    }
    if (is_ok) {
        double elapsed_ns = (double)(now - started);

        bench_samples_sort(&samples);
        bench_result_set(result, "p50_us", bench_samples_get_us(&samples, 0.5));
        bench_result_set(result, "p99_us", bench_samples_get_us(&samples, 0.99));
        bench_result_set(result, "max_us", bench_samples_get_us(&samples, 1));
        bench_result_set(result, "exchanges", samples.ns->len);
        bench_result_set(result, "load_mb_per_s",
                         (double)(get_moved(loads) - moved) * 1e3 / elapsed_ns);
        bench_result_set(result, "relay_busy",
                         (double)(bench_stage_get_cpu_ns(stage) - cpu_ns) / elapsed_ns);
    }
    bench_samples_clear(&samples);
    return is_ok;
}

static gboolean
stop_loads(Load *loads, GError **error)
{
    gboolean is_ok = TRUE;

    for (guint i = 0; i < BENCH_FAIR_LOADS; i++) {
        g_clear_pointer(&loads[i].thread, g_thread_join);
        bench_talk_end(&loads[i].talk);
        if (loads[i].error == NULL) {
            continue;
        }
        if (is_ok && (error == NULL || *error == NULL)) {
            g_propagate_prefixed_error(error, loads[i].error, "load: ");
        } else {
            g_error_free(loads[i].error);
        }
        is_ok = FALSE;
    }
    return is_ok;
}

static void
stop_timer(Timer *timer, BenchResult *result)
{
    if (timer->thread != NULL) {
        g_thread_join(timer->thread);
        bench_samples_sort(&timer->samples);
        bench_result_set(result, "timer_p50_us", bench_samples_get_us(&timer->samples, 0.5));
        bench_result_set(result, "timer_p99_us", bench_samples_get_us(&timer->samples, 0.99));
        bench_result_set(result, "timer_n", timer->samples.ns->len);
    }
    g_clear_pointer(&timer->end, bench_end_free);
    bench_samples_clear(&timer->samples);
}

/**
 * bench_fair_run:
 *
 * Measures how long the others wait while four sessions saturate the relay.
 *
 * Returns: whether all went well.
 */
gboolean
bench_fair_run(BenchStage *stage, const BenchSetting *setting, const BenchOrder *order,
               BenchResult *result, GError **error)
{
    _Atomic gboolean is_over = FALSE;
    Load loads[BENCH_FAIR_LOADS] = {0};
    Timer timer = {.end = NULL};
    BenchTalk talk;
    gboolean is_ok;

    bench_samples_init(&timer.samples);
    if (!bench_stage_open(stage, &talk, order, error)) {
        bench_samples_clear(&timer.samples);
        return FALSE;
    }
    is_ok = start_loads(loads, stage, &is_over, error);
    if (is_ok) {
        bench_clock_sleep_ms(SETTLE_MS);
        start_timer(&timer, stage, &is_over, result);
        is_ok = measure(&talk, stage, loads, MAX(setting->seconds, MIN_MEASURED_S), result, error);
    }
    atomic_store(&is_over, TRUE);
    is_ok = stop_loads(loads, error) && is_ok;
    stop_timer(&timer, result);
    bench_talk_end(&talk);
    return is_ok;
}
