/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Round trips of several peers that are all set up at once and take turns of some milliseconds.
 *
 * Through a terminal every byte waits for a worker of the kernel's, which runs wherever there is
 * room and with no priority: what else the machine does is most of the time that is measured, and
 * runs that follow each other tell more of that than of the peers. Short turns share it. With TLS
 * the peers differ by so little that they have to share it, too, and streams as well. */
#include "bench-mode.h"

#include <errno.h>

#define TURN_NS UINT64_C(4000000)
/* A stream that nobody takes goes on until all buffers are full, at the cost of the next one; and
 * it begins with what lies in them, at the cost of nobody. */
#define STREAM_TURN_NS       UINT64_C(50000000)
#define STREAM_FIRST_NS      UINT64_C(20000000)
#define STREAM_SETTLES_IN_MS 10
/* Longer than other round trips, because the noise of terminals is that of the whole machine */
#define N_TIMES_AS_LONG          2
#define N_TIMES_AS_LONG_TERMINAL 4
/* At the start of a turn, while caches are the last peer's */
#define N_FIRST 3u

/**
 * Turn:
 * @stage: (nullable): %NULL: the peer has failed, and why is said in its result
 * @debugger: (nullable): of a kernel, instead of @talk
 * @address: that it reads next
 * @n: exchanges, measured or not
 * @bytes: of a stream, measured
 * @elapsed_ns: of what was measured
 */
typedef struct {
    BenchStage *stage;
    BenchTalk talk;
    KdDebugger *debugger;
    uint64_t address;
    BenchSamples samples;
    BenchResult *result;
    guint64 n;
    uint64_t bytes;
    uint64_t elapsed_ns;
    uint64_t cpu_ns;
} Turn;

static void
fail(Turn *turn, const GError *error)
{
    bench_result_clear(turn->result);
    turn->result->failure = g_strdup(error->message);
    bench_talk_end(&turn->talk);
    g_clear_pointer(&turn->debugger, kd_debugger_free);
    g_clear_pointer(&turn->stage, bench_stage_free);
}

static gboolean
open_turn(Turn *turn, const BenchStagePlan *plan, const BenchOrder *order, GError **error)
{
    if (plan->is_kernel) {
        turn->talk.order = *order;
        turn->debugger = bench_stage_attach(turn->stage, error);
        return turn->debugger != NULL;
    }
    return bench_stage_open(turn->stage, &turn->talk, order, error);
}

static void
set_up(Turn *turn, BenchPeer peer, const BenchSetting *setting, const BenchStagePlan *plan,
       const BenchOrder *order)
{
    g_autoptr(GError) error = NULL;

    bench_samples_init(&turn->samples);
    turn->stage = bench_stage_new(peer, setting, plan, &error);
    if (turn->stage == NULL || !open_turn(turn, plan, order, &error)) {
        fail(turn, error);
        return;
    }
    if (order->work != BENCH_WORK_EXCHANGE) {
        bench_end_set_blocking(turn->talk.end, FALSE);
    }
    turn->cpu_ns = bench_stage_get_cpu_ns(turn->stage);
}

static gboolean
exchange_once(Turn *turn, uint64_t *ns, GError **error)
{
    uint64_t before_ns = bench_clock_get_ns();
    gboolean is_ok = turn->debugger != NULL
                         ? bench_kernel_read(turn->debugger, &turn->address,
                                             turn->talk.order.reply_bytes, ns, error)
                         : bench_talk_exchange(&turn->talk, error);

    if (turn->debugger == NULL) {
        *ns = bench_clock_get_ns() - before_ns;
    }
    return is_ok;
}

static gboolean
exchange(Turn *turn, gboolean is_measured, GError **error)
{
    uint64_t start_ns = bench_clock_get_ns();

    for (guint i = 0; i <= N_FIRST || bench_clock_get_ns() < start_ns + TURN_NS; i++) {
        uint64_t ns = 0;

        if (!exchange_once(turn, &ns, error)) {
            return FALSE;
        }
        turn->n++;
        if (is_measured && i >= N_FIRST) {
            bench_samples_add(&turn->samples, ns);
            turn->elapsed_ns += ns;
        }
    }
    return TRUE;
}

static gboolean
move_until(Turn *turn, uint64_t end_ns, GError **error)
{
    while (bench_clock_get_ns() < end_ns) {
        if (!bench_bulk_step(&turn->talk, error)) {
            return FALSE;
        }
    }
    return TRUE;
}

static gboolean
move(Turn *turn, gboolean is_measured, GError **error)
{
    uint64_t start_ns = bench_clock_get_ns();
    uint64_t bytes;

    if (!move_until(turn, start_ns + STREAM_FIRST_NS, error)) {
        return FALSE;
    }
    start_ns = bench_clock_get_ns();
    bytes = bench_bulk_get_delivered(&turn->talk);
    if (!move_until(turn, start_ns + STREAM_TURN_NS, error)) {
        return FALSE;
    }
    if (is_measured) {
        turn->bytes += bench_bulk_get_delivered(&turn->talk) - bytes;
        turn->elapsed_ns += bench_clock_get_ns() - start_ns;
    }
    bench_clock_sleep_ms(STREAM_SETTLES_IN_MS);
    return TRUE;
}

static void
take_turn(Turn *turn, gboolean is_measured)
{
    gboolean is_stream = turn->talk.order.work != BENCH_WORK_EXCHANGE;
    g_autoptr(GError) error = NULL;

    if (!(is_stream ? move : exchange)(turn, is_measured, &error)) {
        fail(turn, error);
    }
}

/* The shortest is the next, so that all get the same time, whatever one exchange of them takes. */
static Turn *
find_next(Turn *turns, guint n, uint64_t limit_ns)
{
    Turn *next = NULL;

    for (guint i = 0; i < n; i++) {
        if (turns[i].stage != NULL && turns[i].elapsed_ns < limit_ns &&
            (next == NULL || turns[i].elapsed_ns < next->elapsed_ns)) {
            next = &turns[i];
        }
    }
    return next;
}

static void
take_turns(Turn *turns, guint n, const BenchSetting *setting, const BenchStagePlan *plan)
{
    uint64_t limit_ns = (uint64_t)(setting->seconds * 1e9) *
                        (plan->is_terminal ? N_TIMES_AS_LONG_TERMINAL : N_TIMES_AS_LONG);
    Turn *turn;

    for (guint i = 0; i < n; i++) {
        uint64_t end_ns = bench_clock_get_ns() + (uint64_t)(setting->warm_seconds * 1e9);

        while (turns[i].stage != NULL && bench_clock_get_ns() < end_ns) {
            take_turn(&turns[i], FALSE);
        }
    }
    while ((turn = find_next(turns, n, limit_ns)) != NULL) {
        take_turn(turn, TRUE);
    }
}

static void
report(Turn *turn)
{
    uint64_t cpu_ns = bench_stage_get_cpu_ns(turn->stage) - turn->cpu_ns;
    g_autoptr(GError) error = NULL;

    if (turn->talk.order.work == BENCH_WORK_EXCHANGE) {
        bench_exchange_report(&turn->samples, (double)turn->elapsed_ns / 1e9,
                              (double)cpu_ns / 1e3 / (double)turn->n, turn->result);
    } else if (!bench_bulk_finish(&turn->talk, &error)) {
        fail(turn, error);
        return;
    } else {
        bench_bulk_report(turn->bytes, (double)turn->elapsed_ns / 1e9,
                          (double)cpu_ns / (double)bench_bulk_get_delivered(&turn->talk),
                          turn->result);
    }
    turn->result->note = g_strdup(bench_stage_get_security(turn->stage));
}

static void
tear_down(Turn *turn)
{
    if (turn->stage != NULL) {
        report(turn);
    }
    if (turn->stage != NULL && turn->debugger == NULL) {
        guint n_wrong = bench_target_get_wrong(bench_stage_get_target(turn->stage));

        if (n_wrong > 0) {
            bench_result_clear(turn->result);
            turn->result->failure =
                g_strdup_printf("the target received wrong bytes, %u times", n_wrong);
        }
    }
    bench_talk_end(&turn->talk);
    g_clear_pointer(&turn->debugger, kd_debugger_free);
    g_clear_pointer(&turn->stage, bench_stage_free);
    bench_samples_clear(&turn->samples);
}

/**
 * bench_turns_run:
 * @n: how many peers
 * @results: (array length=n): zeroed; where one failed, its failure is set
 *
 * Measures one session of each peer, all of them set up at the same time.
 */
void
bench_turns_run(const BenchPeer *peers, guint n, const BenchSetting *setting,
                const BenchStagePlan *plan, const BenchOrder *order, BenchResult **results)
{
    g_autofree Turn *turns = g_new0(Turn, n);

    for (guint i = 0; i < n; i++) {
        turns[i].result = results[i];
        set_up(&turns[i], peers[i], setting, plan, order);
    }
    /* a peer that failed has put it back */
    bench_place_harness(plan->place);
    take_turns(turns, n, setting, plan);
    for (guint i = 0; i < n; i++) {
        tear_down(&turns[i]);
    }
}
