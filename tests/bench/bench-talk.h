/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A session with the target in which every byte is checked. */
#pragma once

#include "bench-end.h"
#include "bench-target.h"

/**
 * BenchTalk:
 * @end: the client's end
 * @slot: what the target counts for the session
 * @order: what the target was told
 * @up: bytes sent after the order
 * @down: bytes received
 */
typedef struct {
    BenchEnd *end;
    BenchSlot *slot;
    BenchOrder order;
    uint64_t up;
    uint64_t down;
} BenchTalk;

gboolean bench_talk_begin(BenchTalk *talk, const BenchOrder *order, GError **error);
void bench_talk_end(BenchTalk *talk);
gboolean bench_talk_ask(BenchTalk *talk, GError **error) G_GNUC_WARN_UNUSED_RESULT;
ssize_t bench_talk_take(BenchTalk *talk, GError **error) G_GNUC_WARN_UNUSED_RESULT;
ssize_t bench_talk_give(BenchTalk *talk, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean bench_talk_exchange(BenchTalk *talk, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean bench_talk_wait(BenchTalk *talk, gboolean reads, gboolean writes,
                         GError **error) G_GNUC_WARN_UNUSED_RESULT;
