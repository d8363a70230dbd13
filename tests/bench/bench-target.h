/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The process at the far end: takes orders over the very stream that is measured. */
#pragma once

#include "bench-place.h"

#include <gio/gio.h>
#include <stdatomic.h>
#include <stdint.h>

/* One more than the sessions that a run may have. */
#define BENCH_MAX_SLOTS 10000u

typedef enum {
    BENCH_WORK_SINK = 1,     /* takes bytes                                                    */
    BENCH_WORK_SOURCE = 2,   /* gives bytes until told to stop                                 */
    BENCH_WORK_BOTH = 3,     /* both at once                                                   */
    BENCH_WORK_EXCHANGE = 4, /* answers each request with an ack and a reply, in two writes    */
} BenchWork;

/**
 * BenchOrder:
 * @magic: %BENCH_ORDER_MAGIC
 * @work: #BenchWork
 * @session: number of the session: names its pattern and its slot
 * @request_bytes: EXCHANGE
 * @ack_bytes: EXCHANGE; 0: none
 * @reply_bytes: EXCHANGE
 * @gap_us: EXCHANGE: between ack and reply, so that they can't arrive together
 * @is_background: a load: the thread that serves it gives way to the others, and only the start of
 *    each piece is checked
 *
 * First bytes of every session from client to target. Same machine: native byte order.
 */
typedef struct {
    uint32_t magic;
    uint32_t work;
    uint32_t session;
    uint32_t request_bytes;
    uint32_t ack_bytes;
    uint32_t reply_bytes;
    uint32_t gap_us;
    uint32_t is_background;
} BenchOrder;

#define BENCH_ORDER_MAGIC 0x62444b21u

/* What the target knows of a session; in memory shared with the harness. */
typedef struct {
    _Atomic uint64_t received;
    _Atomic uint64_t sent;
    _Atomic uint32_t is_told_to_stop;
    _Atomic uint32_t has_stopped;
    _Atomic uint32_t n_wrong;
} BenchSlot;

typedef struct BenchTarget BenchTarget;

BenchTarget *bench_target_start(const char *folder, guint n_links, gboolean is_threaded,
                                gboolean is_terminal, BenchPlace place,
                                GError **error) G_GNUC_WARN_UNUSED_RESULT;
void bench_target_stop(BenchTarget *target);
BenchSlot *bench_target_get_slot(BenchTarget *target, guint session);
guint bench_target_get_wrong(const BenchTarget *target);
char *bench_target_build_path(const char *folder, guint i);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(BenchTarget, bench_target_stop)
