/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The stage as its own files see it. */
#pragma once

#include "bench-stage.h"

struct BenchStage {
    BenchPeer peer;
    const BenchSetting *setting;
    const BenchStagePlan *plan;
    char *folder;
    char *line;          /* (nullable): the terminal that the session goes through      */
    char *security;      /* (nullable): what was agreed upon between client and relay   */
    BenchTarget *target; /* (nullable): %NULL: a kernel                                */
    BenchChild *kernel;  /* (nullable)                                                 */
    GPtrArray *relays;   /* from the client's side to the target's */
    BenchAddress entry;
    uint16_t net_port; /* of KDNET; 0: none                                          */
};

typedef BenchChild *(*BenchStartFunc)(BenchStage *stage, uint16_t port, GError **error);

BenchChild *bench_stage_start(BenchStage *stage, const char *const *argv, GError **error);
gboolean bench_stage_await_entry(BenchStage *stage, BenchChild *child, const char *path,
                                 GError **error);
uint16_t bench_stage_find_free_port(void);

/* A simulated kernel: bench-stage-kernel.c */
gboolean bench_stage_start_kernel(BenchStage *stage, GError **error);
char *bench_stage_build_net_link(BenchStage *stage);

/* TLS: bench-stage-tls.c */
gboolean bench_stage_is_tls_present(BenchPeer peer, char **reason);
char *bench_stage_write_identity(BenchStage *stage, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean bench_stage_add_tls(BenchStage *stage, GError **error);
