/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is measured: the modes, who takes part in each, and the run of one. */
#pragma once

#include "bench-result.h"
#include "bench-samples.h"
#include "bench-stage.h"

typedef enum {
    BENCH_MODE_RR1 = 0,
    BENCH_MODE_RRKD = 1,
    BENCH_MODE_BULK_UP = 2,
    BENCH_MODE_BULK_DOWN = 3,
    BENCH_MODE_BULK_BOTH = 4,
    BENCH_MODE_THROUGH_RR1 = 5,
    BENCH_MODE_THROUGH_RRKD = 6,
    BENCH_MODE_SESSIONS = 7,
    BENCH_MODE_FAIR = 8,
    BENCH_MODE_SYSCALLS_RR1 = 9,
    BENCH_MODE_SYSCALLS_RRKD = 10,
    BENCH_MODE_ALLOCATIONS = 11,
    BENCH_MODE_PTY_RR1 = 12,
    BENCH_MODE_PTY_RR1K = 13,
    BENCH_MODE_TLS_RR1 = 14,
    BENCH_MODE_TLS_KD = 15,
    BENCH_MODE_TLS_BULK_UP = 16,
    BENCH_MODE_TLS_BULK_DOWN = 17,
    BENCH_MODE_TLS_HANDSHAKES = 18,
    BENCH_MODE_TLS_MEMORY = 19,
    BENCH_MODE_KDNET = 20,
    BENCH_MODE_KDNET_FLOOD = 21,
    BENCH_N_MODES = 22,
} BenchMode;

const char *bench_mode_get_name(BenchMode mode);
const char *bench_mode_get_metric(BenchMode mode);
gboolean bench_mode_has_kernel(BenchMode mode);
gboolean bench_mode_has_peer(BenchMode mode, BenchPeer peer);
void bench_mode_run(BenchMode mode, BenchPeer peer, const BenchSetting *setting,
                    BenchResult *result);

gboolean bench_mode_takes_turns(BenchMode mode);
void bench_mode_run_turns(BenchMode mode, const BenchPeer *peers, guint n,
                          const BenchSetting *setting, BenchResult **results);

/* The modes themselves, by file; each fills @result or sets @error. */
gboolean bench_exchange_run(BenchStage *stage, const BenchSetting *setting, const BenchOrder *order,
                            BenchResult *result, GError **error);
void bench_exchange_report(BenchSamples *samples, double elapsed_s, double cpu_us,
                           BenchResult *result);
void bench_turns_run(const BenchPeer *peers, guint n, const BenchSetting *setting,
                     const BenchStagePlan *plan, const BenchOrder *order, BenchResult **results);
gboolean bench_flood_run(BenchStage *stage, const BenchSetting *setting, const BenchOrder *order,
                         BenchResult *result, GError **error);
gboolean bench_kernel_read(KdDebugger *debugger, uint64_t *address, size_t len_bytes, uint64_t *ns,
                           GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean bench_bulk_run(BenchStage *stage, const BenchSetting *setting, const BenchOrder *order,
                        BenchResult *result, GError **error);
gboolean bench_bulk_step(BenchTalk *talk, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean bench_bulk_finish(BenchTalk *talk, GError **error) G_GNUC_WARN_UNUSED_RESULT;
uint64_t bench_bulk_get_delivered(const BenchTalk *talk);
void bench_bulk_report(uint64_t bytes, double elapsed_s, double cpu_s_per_gb, BenchResult *result);
gboolean bench_sessions_run(BenchStage *stage, const BenchSetting *setting, const BenchOrder *order,
                            BenchResult *result, GError **error);
gboolean bench_fair_run(BenchStage *stage, const BenchSetting *setting, const BenchOrder *order,
                        BenchResult *result, GError **error);
gboolean bench_syscalls_run(BenchStage *stage, const BenchSetting *setting, const BenchOrder *order,
                            BenchResult *result, GError **error);
gboolean bench_allocations_run(BenchStage *stage, const BenchSetting *setting,
                               const BenchOrder *order, BenchResult *result, GError **error);
gboolean bench_handshakes_run(BenchStage *stage, const BenchSetting *setting,
                              const BenchOrder *order, BenchResult *result, GError **error);
gboolean bench_memory_run(BenchStage *stage, const BenchSetting *setting, const BenchOrder *order,
                          BenchResult *result, GError **error);
guint bench_memory_get_sessions(const BenchSetting *setting);

/* Sessions of bench_fair_run(): the saturating ones, then the measured one. */
#define BENCH_FAIR_LOADS 4u
