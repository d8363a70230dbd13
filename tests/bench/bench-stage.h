/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All that stands between a client and the target in one run, set up and taken down. */
#pragma once

#include "bench-child.h"
#include "bench-count.h"
#include "bench-talk.h"

#include "kd-debugger.h"

typedef enum {
    BENCH_PEER_DIRECT = 0,
    BENCH_PEER_EPOLL = 1,
    BENCH_PEER_SOCAT = 2,
    BENCH_PEER_SOCAT_64K = 3,
    BENCH_PEER_KDSRV = 4,
    BENCH_PEER_TWO_EPOLLS = 5, /* the rest: from a UNIX socket through two programs in a row     */
    BENCH_PEER_TWO_SOCATS = 6,
    BENCH_PEER_KD_KDSRV = 7,
    BENCH_PEER_FRAMED = 8,  /* the session protocol, at its least                                */
    BENCH_PEER_SER2NET = 9, /* of terminals only                                                 */
    BENCH_PEER_TLS = 10,    /* the rest: with encryption only; this one does the least           */
    BENCH_PEER_NGINX = 11,
    BENCH_PEER_HAPROXY = 12,
    BENCH_PEER_STUNNEL = 13,
    BENCH_PEER_SSH = 14,
    BENCH_PEER_NET = 15, /* KDNET with a simulated kernel: the debugger itself, and through both  */
    BENCH_PEER_NET_KD_KDSRV = 16,
    BENCH_N_PEERS = 17,
} BenchPeer;

/**
 * BenchSetting:
 * @tools: folder of bench-relay-epoll and the counting module
 * @bin: folder of kdsrv and kd
 * @plugins: folders for --plugin-dir, %NULL-terminated
 * @kdsrv_arguments: (nullable): more of them
 * @place: of all but the modes that need their own
 * @seconds: measured in each run
 * @warm_seconds: not measured, before that
 * @n_sessions: beside the busy one
 * @flip_at: for the relay of the self-test; 0: spoil nothing
 */
typedef struct {
    const char *tools;
    const char *bin;
    const char *const *plugins;
    char **kdsrv_arguments;
    BenchPlace place;
    double seconds;
    double warm_seconds;
    guint n_sessions;
    guint flip_at;
} BenchSetting;

/**
 * BenchStagePlan:
 * @n_links: sessions that are open at the same time, at the most
 * @place: of harness and relay
 * @is_threaded: see bench_target_start()
 * @is_terminal: the same
 * @is_tls: the client's connection to the relay is encrypted
 * @is_kernel: the target is a simulated kernel, and the client a debugger
 * @count: (nullable): counts what the relays allocate
 */
typedef struct {
    guint n_links;
    BenchPlace place;
    gboolean is_threaded;
    gboolean is_terminal;
    gboolean is_tls;
    gboolean is_kernel;
    BenchCount *count;
} BenchStagePlan;

typedef struct BenchStage BenchStage;

const char *bench_peer_get_name(BenchPeer peer);
gboolean bench_peer_is_present(BenchPeer peer, const BenchSetting *setting, char **reason);
BenchStage *bench_stage_new(BenchPeer peer, const BenchSetting *setting, const BenchStagePlan *plan,
                            GError **error) G_GNUC_WARN_UNUSED_RESULT;
void bench_stage_free(BenchStage *stage);
const char *bench_stage_get_folder(const BenchStage *stage);
BenchCount *bench_stage_get_count(const BenchStage *stage);
const char *bench_stage_get_security(const BenchStage *stage);
gboolean bench_stage_is_tls(const BenchStage *stage);
const BenchAddress *bench_stage_get_entry(const BenchStage *stage);
BenchTarget *bench_stage_get_target(const BenchStage *stage);
GPtrArray *bench_stage_get_relays(const BenchStage *stage);
uint64_t bench_stage_get_cpu_ns(const BenchStage *stage);
gboolean bench_stage_has_links(const BenchStage *stage);
BenchEnd *bench_stage_dial(BenchStage *stage, const char *trans,
                           GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean bench_stage_open(BenchStage *stage, BenchTalk *talk, const BenchOrder *order,
                          GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean bench_stage_has_kernel(const BenchSetting *setting, char **reason);
KdDebugger *bench_stage_attach(BenchStage *stage, GError **error) G_GNUC_WARN_UNUSED_RESULT;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(BenchStage, bench_stage_free)
