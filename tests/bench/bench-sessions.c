/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One busy session beside many that each exchange once a second. */
#include "bench-mode.h"
#include "bench-samples.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#define STEP_MS        5u /* the quiet ones are asked in small groups, not all at once */
#define MAX_EVENTS     256
#define MIN_MEASURED_S 1.0
/* Far more than it takes, unless another real-time program has the processor. */
#define OPEN_LIMIT_NS UINT64_C(10000000000)
#define OPEN_EACH_NS  UINT64_C(10000000)

static const BenchOrder quiet_order = {
    .work = BENCH_WORK_EXCHANGE, .request_bytes = 16, .reply_bytes = 16};

typedef struct {
    BenchTalk talk;
    uint64_t asked_ns; /* 0: nothing is owed */
} Quiet;

typedef struct {
    BenchTalk talk;
    BenchSamples samples;
    GError *error;
    _Atomic gboolean is_measured;
    _Atomic gboolean is_over;
} Busy;

typedef struct {
    Quiet *all;
    guint n;
    guint next;
    guint n_late; /* still owed when asked again */
    int set;
    BenchSamples samples;
} Crowd;

static gpointer
run_busy(gpointer user)
{
    Busy *busy = user;

    while (!atomic_load(&busy->is_over)) {
        gboolean is_measured = atomic_load(&busy->is_measured);
        uint64_t before = bench_clock_get_ns();

        if (!bench_talk_exchange(&busy->talk, &busy->error)) {
            break;
        }
        if (is_measured) {
            bench_samples_add(&busy->samples, bench_clock_get_ns() - before);
        }
    }
    return NULL;
}

static gboolean
open_crowd(Crowd *crowd, BenchStage *stage, GError **error)
{
    uint64_t end = bench_clock_get_ns() + OPEN_LIMIT_NS + crowd->n * OPEN_EACH_NS;

    for (guint i = 0; i < crowd->n; i++) {
        Quiet *quiet = &crowd->all[i];
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = quiet};
        BenchOrder order = quiet_order;

        order.session = i + 1;
        if (!bench_stage_open(stage, &quiet->talk, &order, error) ||
            !bench_talk_exchange(&quiet->talk, error)) {
            g_prefix_error(error, "opening %u of %u: ", i + 1, crowd->n);
            return FALSE;
        }
        if (bench_clock_get_ns() > end) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                        "only %u of %u sessions opened in time", i + 1, crowd->n);
            return FALSE;
        }
        bench_end_set_blocking(quiet->talk.end, FALSE);
        epoll_ctl(crowd->set, EPOLL_CTL_ADD, bench_end_get_fd(quiet->talk.end), &event);
    }
    return TRUE;
}

static gboolean
ask_some(Crowd *crowd, guint n, GError **error)
{
    for (guint i = 0; i < n; i++) {
        Quiet *quiet = &crowd->all[crowd->next];

        crowd->next = (crowd->next + 1) % crowd->n;
        if (quiet->asked_ns != 0) {
            crowd->n_late++;
            continue;
        }
        quiet->asked_ns = bench_clock_get_ns();
        if (!bench_talk_ask(&quiet->talk, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean
take_answers(Crowd *crowd, int timeout_ms, GError **error)
{
    struct epoll_event events[MAX_EVENTS];
    int n = epoll_wait(crowd->set, events, MAX_EVENTS, timeout_ms);

    for (int i = 0; i < n; i++) {
        Quiet *quiet = events[i].data.ptr;
        ssize_t taken = bench_talk_take(&quiet->talk, error);
        gboolean is_whole = quiet->talk.down % quiet->talk.order.reply_bytes == 0;

        if (taken == -1) {
            return FALSE;
        }
        if (taken > 0 && is_whole && quiet->asked_ns != 0) {
            bench_samples_add(&crowd->samples, bench_clock_get_ns() - quiet->asked_ns);
            quiet->asked_ns = 0;
        }
    }
    return TRUE;
}

static gboolean
keep_asking(Crowd *crowd, double seconds, GError **error)
{
    uint64_t now = bench_clock_get_ns();
    uint64_t end = now + (uint64_t)(seconds * 1e9);
    uint64_t next = now;
    guint owed = 0; /* thousandths of a question */

    while (now < end) {
        if (now >= next) {
            next += STEP_MS * 1000000u;
            owed += crowd->n * STEP_MS;
            if (!ask_some(crowd, owed / 1000, error)) {
                return FALSE;
            }
            owed %= 1000;
        }
        now = bench_clock_get_ns();
        if (!take_answers(crowd, now < next ? (int)((next - now + 999999) / 1000000) : 0, error)) {
            return FALSE;
        }
        now = bench_clock_get_ns();
    }
    return TRUE;
}

static gboolean
measure(Crowd *crowd, Busy *busy, BenchStage *stage, const BenchSetting *setting,
        BenchResult *result, GError **error)
{
    double seconds =
        setting->n_sessions < 100 ? setting->seconds : MAX(setting->seconds, MIN_MEASURED_S);
    GThread *thread = g_thread_new("busy", run_busy, busy);
    uint64_t cpu_ns;
    gboolean is_ok = keep_asking(crowd, setting->warm_seconds, error);

    g_array_set_size(crowd->samples.ns, 0);
    cpu_ns = bench_stage_get_cpu_ns(stage);
    atomic_store(&busy->is_measured, TRUE);
    is_ok = is_ok && keep_asking(crowd, seconds, error);
    atomic_store(&busy->is_over, TRUE);
    cpu_ns = bench_stage_get_cpu_ns(stage) - cpu_ns;
    g_thread_join(thread);
    if (busy->error != NULL) {
        g_clear_error(error);
        g_propagate_error(error, g_steal_pointer(&busy->error));
        return FALSE;
    }
    if (!is_ok) {
        return FALSE;
    }
    bench_samples_sort(&busy->samples);
    bench_samples_sort(&crowd->samples);
    bench_result_set(result, "busy_p50_us", bench_samples_get_us(&busy->samples, 0.5));
    bench_result_set(result, "busy_p99_us", bench_samples_get_us(&busy->samples, 0.99));
    bench_result_set(result, "busy_per_s", (double)busy->samples.ns->len / seconds);
    bench_result_set(result, "quiet_p50_us", bench_samples_get_us(&crowd->samples, 0.5));
    bench_result_set(result, "quiet_p99_us", bench_samples_get_us(&crowd->samples, 0.99));
    bench_result_set(result, "late", crowd->n_late);
    bench_result_set(result, "cpu_us",
                     (double)cpu_ns / 1e3 /
                         (double)(busy->samples.ns->len + crowd->samples.ns->len));
    return TRUE;
}

/**
 * bench_sessions_run:
 *
 * Measures what many sessions that have little to say cost the busy one.
 *
 * Returns: whether all went well.
 */
gboolean
bench_sessions_run(BenchStage *stage, const BenchSetting *setting, const BenchOrder *order,
                   BenchResult *result, GError **error)
{
    Crowd crowd = {.n = setting->n_sessions, .set = epoll_create1(EPOLL_CLOEXEC)};
    Busy busy = {.error = NULL};
    gboolean is_ok;

    crowd.all = g_new0(Quiet, crowd.n);
    bench_samples_init(&crowd.samples);
    bench_samples_init(&busy.samples);
    is_ok = open_crowd(&crowd, stage, error) && bench_stage_open(stage, &busy.talk, order, error) &&
            measure(&crowd, &busy, stage, setting, result, error);
    for (guint i = 0; i < crowd.n; i++) {
        bench_talk_end(&crowd.all[i].talk);
    }
    bench_talk_end(&busy.talk);
    bench_samples_clear(&busy.samples);
    bench_samples_clear(&crowd.samples);
    g_free(crowd.all);
    close(crowd.set);
    return is_ok;
}
