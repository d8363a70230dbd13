/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is measured: the modes, who takes part in each, and the run of one. */
#include "bench-mode.h"

#define BIT(peer) (1u << (peer))
#define ALONE                                                                 \
    (BIT(BENCH_PEER_DIRECT) | BIT(BENCH_PEER_EPOLL) | BIT(BENCH_PEER_SOCAT) | \
     BIT(BENCH_PEER_SOCAT_64K) | BIT(BENCH_PEER_KDSRV) | BIT(BENCH_PEER_FRAMED))
#define THROUGH                                                                         \
    (BIT(BENCH_PEER_DIRECT) | BIT(BENCH_PEER_TWO_EPOLLS) | BIT(BENCH_PEER_TWO_SOCATS) | \
     BIT(BENCH_PEER_KD_KDSRV))
#define NO_FORKS                                                              \
    (BIT(BENCH_PEER_DIRECT) | BIT(BENCH_PEER_EPOLL) | BIT(BENCH_PEER_KDSRV) | \
     BIT(BENCH_PEER_FRAMED))
#define COUNTED \
    (BIT(BENCH_PEER_EPOLL) | BIT(BENCH_PEER_SOCAT) | BIT(BENCH_PEER_KDSRV) | BIT(BENCH_PEER_FRAMED))
#define LINES                                                                 \
    (BIT(BENCH_PEER_DIRECT) | BIT(BENCH_PEER_SOCAT) | BIT(BENCH_PEER_KDSRV) | \
     BIT(BENCH_PEER_SER2NET))
#define WITH_TLS                                                           \
    (BIT(BENCH_PEER_KDSRV) | BIT(BENCH_PEER_TLS) | BIT(BENCH_PEER_NGINX) | \
     BIT(BENCH_PEER_HAPROXY) | BIT(BENCH_PEER_STUNNEL) | BIT(BENCH_PEER_SSH))
#define KERNELS                                                                  \
    (BIT(BENCH_PEER_DIRECT) | BIT(BENCH_PEER_TWO_EPOLLS) | BIT(BENCH_PEER_NET) | \
     BIT(BENCH_PEER_NET_KD_KDSRV))
#define GAP_US 1000u

typedef gboolean (*ModeFunc)(BenchStage *stage, const BenchSetting *setting,
                             const BenchOrder *order, BenchResult *result, GError **error);

/* ack 16 and reply 4072 are what a kernel answers when a debugger reads 4 KB of its memory */
static const BenchOrder one_byte = {
    .work = BENCH_WORK_EXCHANGE, .request_bytes = 1, .reply_bytes = 1};
static const BenchOrder one_kib = {
    .work = BENCH_WORK_EXCHANGE, .request_bytes = 1024, .reply_bytes = 1024};
static const BenchOrder kd_like = {
    .work = BENCH_WORK_EXCHANGE, .request_bytes = 72, .ack_bytes = 16, .reply_bytes = 4072};
static const BenchOrder kd_like_apart = {.work = BENCH_WORK_EXCHANGE,
                                         .request_bytes = 72,
                                         .ack_bytes = 16,
                                         .reply_bytes = 4072,
                                         .gap_us = GAP_US};
/* what one datagram of KDNET carries */
static const BenchOrder read_memory = {.work = BENCH_WORK_EXCHANGE, .reply_bytes = 1024};
static const BenchOrder sink = {.work = BENCH_WORK_SINK};
static const BenchOrder source = {.work = BENCH_WORK_SOURCE};
static const BenchOrder both = {.work = BENCH_WORK_BOTH};

/* @metric: the one that ratios are taken of
 * @run: NULL: the peers take turns */
static const struct {
    const char *name;
    const char *metric;
    const BenchOrder *order;
    ModeFunc run;
    guint peers;
} modes[BENCH_N_MODES] = {
    [BENCH_MODE_RR1] = {"rr1", "p50_us", &one_byte, bench_exchange_run, ALONE},
    [BENCH_MODE_RRKD] = {"rrkd", "p50_us", &kd_like, bench_exchange_run, ALONE},
    [BENCH_MODE_BULK_UP] = {"bulk-up", "mb_per_s", &sink, bench_bulk_run, ALONE},
    [BENCH_MODE_BULK_DOWN] = {"bulk-down", "mb_per_s", &source, bench_bulk_run, ALONE},
    [BENCH_MODE_BULK_BOTH] = {"bulk-both", "mb_per_s", &both, bench_bulk_run, ALONE},
    [BENCH_MODE_THROUGH_RR1] = {"through-rr1", "p50_us", &one_byte, bench_exchange_run, THROUGH},
    [BENCH_MODE_THROUGH_RRKD] = {"through-rrkd", "p50_us", &kd_like, bench_exchange_run, THROUGH},
    [BENCH_MODE_SESSIONS] = {"sessions", "busy_p99_us", &kd_like, bench_sessions_run, NO_FORKS},
    [BENCH_MODE_FAIR] = {"fair", "p99_us", &kd_like, bench_fair_run,
                         COUNTED | BIT(BENCH_PEER_DIRECT)},
    [BENCH_MODE_SYSCALLS_RR1] = {"syscalls-rr1", "calls", &one_byte, bench_syscalls_run, COUNTED},
    [BENCH_MODE_SYSCALLS_RRKD] = {"syscalls-rrkd", "calls", &kd_like_apart, bench_syscalls_run,
                                  COUNTED},
    [BENCH_MODE_PTY_RR1] = {"pty-rr1", "p99_us", &one_byte, NULL, LINES},
    [BENCH_MODE_PTY_RR1K] = {"pty-rr1k", "p99_us", &one_kib, NULL, LINES},
    [BENCH_MODE_TLS_RR1] = {"tls-rr1", "per_s", &one_byte, NULL, WITH_TLS},
    [BENCH_MODE_TLS_KD] = {"tls-kd", "per_s", &kd_like, NULL, WITH_TLS},
    [BENCH_MODE_TLS_BULK_UP] = {"tls-bulk-up", "mb_per_s", &sink, NULL, WITH_TLS},
    [BENCH_MODE_TLS_BULK_DOWN] = {"tls-bulk-down", "mb_per_s", &source, NULL, WITH_TLS},
    /* what ssh opens on its one connection are channels */
    [BENCH_MODE_TLS_HANDSHAKES] = {"tls-handshakes", "per_s", NULL, bench_handshakes_run,
                                   WITH_TLS & ~BIT(BENCH_PEER_SSH)},
    [BENCH_MODE_TLS_MEMORY] = {"tls-memory", "dirty_kb", &kd_like, bench_memory_run, WITH_TLS},
    [BENCH_MODE_ALLOCATIONS] = {"allocations", "allocations", &kd_like, bench_allocations_run,
                                BIT(BENCH_PEER_EPOLL) | BIT(BENCH_PEER_KDSRV)},
    [BENCH_MODE_KDNET] = {"kdnet", "p50_us", &read_memory, NULL, KERNELS},
    [BENCH_MODE_KDNET_FLOOD] = {"kdnet-flood", "p99_us", &read_memory, bench_flood_run,
                                BIT(BENCH_PEER_NET_KD_KDSRV)},
};

/**
 * bench_mode_get_name:
 *
 * Returns: its name in tables and options.
 */
const char *
bench_mode_get_name(BenchMode mode)
{
    return modes[mode].name;
}

/**
 * bench_mode_get_metric:
 *
 * Returns: the name of the metric that ratios are taken of.
 */
const char *
bench_mode_get_metric(BenchMode mode)
{
    return modes[mode].metric;
}

/**
 * bench_mode_has_peer:
 *
 * Returns: whether the mode says anything about @peer.
 */
gboolean
bench_mode_has_peer(BenchMode mode, BenchPeer peer)
{
    return (modes[mode].peers & BIT(peer)) != 0;
}

/**
 * bench_mode_has_kernel:
 *
 * Returns: whether the target is a simulated kernel.
 */
gboolean
bench_mode_has_kernel(BenchMode mode)
{
    return mode == BENCH_MODE_KDNET || mode == BENCH_MODE_KDNET_FLOOD;
}

static BenchStagePlan
plan_stage(BenchMode mode, const BenchSetting *setting)
{
    BenchStagePlan plan = {.n_links = 1, .place = setting->place};

    switch (mode) {
    case BENCH_MODE_SESSIONS:
        plan.n_links = setting->n_sessions + 1;
        break;
    case BENCH_MODE_FAIR:
        /* on one processor it would be the scheduler's fairness that is measured */
        plan.n_links = BENCH_FAIR_LOADS + 1;
        plan.place = setting->place == BENCH_PLACE_FREE ? BENCH_PLACE_FREE : BENCH_PLACE_TWO;
        plan.is_threaded = TRUE;
        break;
    case BENCH_MODE_SYSCALLS_RR1:
    case BENCH_MODE_SYSCALLS_RRKD:
        plan.place = BENCH_PLACE_FREE;
        break;
    case BENCH_MODE_PTY_RR1:
    case BENCH_MODE_PTY_RR1K:
        /* the kernel's workers, on which terminals depend, have to give way to real time */
        plan.place = BENCH_PLACE_FREE;
        plan.is_terminal = TRUE;
        break;
    case BENCH_MODE_TLS_MEMORY:
        plan.n_links = bench_memory_get_sessions(setting) + 1;
        plan.is_tls = TRUE;
        break;
    case BENCH_MODE_KDNET:
    case BENCH_MODE_KDNET_FLOOD:
        plan.is_kernel = TRUE;
        break;
    case BENCH_MODE_TLS_RR1:
    case BENCH_MODE_TLS_KD:
    case BENCH_MODE_TLS_BULK_UP:
    case BENCH_MODE_TLS_BULK_DOWN:
    case BENCH_MODE_TLS_HANDSHAKES:
        plan.is_tls = TRUE;
        break;
    default:
        break;
    }
    return plan;
}

static gboolean
run(BenchMode mode, BenchPeer peer, const BenchSetting *setting, BenchResult *result,
    GError **error)
{
    BenchStagePlan plan = plan_stage(mode, setting);
    g_autoptr(BenchCount) count = NULL;
    g_autoptr(BenchStage) stage = NULL;
    guint n_wrong;

    if (mode == BENCH_MODE_ALLOCATIONS) {
        count = bench_count_new(setting->tools, error);
        if (count == NULL) {
            return FALSE;
        }
        plan.count = count;
    }
    stage = bench_stage_new(peer, setting, &plan, error);
    if (stage == NULL || !modes[mode].run(stage, setting, modes[mode].order, result, error)) {
        return FALSE;
    }
    n_wrong = plan.is_kernel ? 0 : bench_target_get_wrong(bench_stage_get_target(stage));
    if (n_wrong > 0) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                    "the target received wrong bytes, %u times", n_wrong);
        return FALSE;
    }
    if (result->note == NULL) {
        result->note = g_strdup(bench_stage_get_security(stage));
    }
    return TRUE;
}

/**
 * bench_mode_run:
 * @result: zeroed; its failure is set where the run failed
 *
 * Sets everything up, measures once and takes everything down.
 */
void
bench_mode_run(BenchMode mode, BenchPeer peer, const BenchSetting *setting, BenchResult *result)
{
    g_autoptr(GError) error = NULL;

    if (!run(mode, peer, setting, result, &error)) {
        bench_result_clear(result);
        result->failure = g_strdup(error->message);
    }
}

/**
 * bench_mode_takes_turns:
 *
 * Returns: whether peers are measured by bench_mode_run_turns() and not one by one.
 */
gboolean
bench_mode_takes_turns(BenchMode mode)
{
    return modes[mode].run == NULL;
}

/**
 * bench_mode_run_turns:
 * @n: how many peers
 * @results: (array length=n): zeroed; where one failed, its failure is set
 *
 * Sets up all peers, measures them by turns and takes everything down.
 */
void
bench_mode_run_turns(BenchMode mode, const BenchPeer *peers, guint n, const BenchSetting *setting,
                     BenchResult **results)
{
    BenchStagePlan plan = plan_stage(mode, setting);

    bench_turns_run(peers, n, setting, &plan, modes[mode].order, results);
}
