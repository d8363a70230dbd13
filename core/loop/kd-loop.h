/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The loop: bytes move inside the poll function of the default main context. */
#pragma once

#include <kdsrv/kd-plugin.h>

/* Beside KD_READY_IN and KD_READY_OUT of the ABI: the peer has hung up or failed; read on to the
 * end, and do not take a short read for "nothing more just now". Comes together with KD_READY_IN.
 */
#define KD_READY_HUP (1u << 2)

/* One full copy buffer; also the quantum while at most two watches are runnable. */
#define KD_LOOP_BUFFER_BYTES ((size_t)128 * 1024)
/* Room in front of the copy buffer, so that a frame header is written before the bytes. */
#define KD_LOOP_HEADROOM_BYTES ((size_t)4096)

typedef struct KdLoopWatch KdLoopWatch;

/**
 * KdLoopWatchFuncs:
 * @run: does at most one quantum of work and clears the bits of @ready that it found used up;
 *    %TRUE: there is more to do, the watch goes to the tail of the queue
 * @gone: (nullable): the watch was removed and nothing can name it any more: free it
 * @is_pure: @run calls no GLib function that touches a main context (it only copies). All others
 *    make the main context turn afterwards, which the loop sees to by itself
 */
typedef struct {
    gboolean (*run)(KdLoopWatch *watch);
    void (*gone)(KdLoopWatch *watch);
    gboolean is_pure;
} KdLoopWatchFuncs;

/**
 * KdLoopWatch:
 * @funcs: lives as long as the watch
 * @fd: descriptor, edge-triggered for everything; -1: readiness comes from kd_loop_ready() alone
 * @ready: sticky KD_READY_* bits; set by the loop, cleared by the run function, %KD_READY_OUT by
 *    kd_loop_await_out()
 *
 * What the loop runs when it is ready; embedded in its owner, zeroed but for @funcs and @fd.
 */
struct KdLoopWatch {
    const KdLoopWatchFuncs *funcs;
    int fd;
    uint32_t ready;
    /*< private >*/
    KdLoopWatch *next;
    gboolean is_added;
    gboolean is_queued;
    gboolean is_dead;
    gboolean is_always_ready;
    gboolean is_out_watched;
};

gboolean kd_loop_start(GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_loop_stop(void);
gboolean kd_loop_add(KdLoopWatch *watch, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_loop_remove(KdLoopWatch *watch);
void kd_loop_ready(KdLoopWatch *watch, uint32_t bits);
void kd_loop_await_out(KdLoopWatch *watch);
void kd_loop_turn(void);
guint64 kd_loop_get_round(void);
size_t kd_loop_get_quantum_bytes(void);
uint8_t *kd_loop_get_buffer(void);
