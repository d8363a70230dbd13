/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One end of a route: a descriptor or a plugin's stream behind the same few calls. */
#pragma once

#include "kd-endpoint.h"
#include "kd-loop.h"

#include <sys/uio.h>

/**
 * KdEnd:
 * @watch: queued by the loop when the end is ready
 * @endpoint: what is read and written
 * @layer: (nullable): where the endpoint has one
 * @is_stream: bytes pass through a stream, whether there is a descriptor or not
 * @owner: of the run function
 * @write_error: errno of a write that failed for good; the end is read on, written no more
 * @is_shut: our direction has been shut down
 */
typedef struct {
    KdLoopWatch watch;
    KdEndpoint endpoint;
    const KdLayerOps *layer;
    gboolean is_stream;
    void *owner;
    int write_error;
    gboolean is_shut;
} KdEnd;

KdEnd *kd_end_new(KdEndpoint *endpoint, const KdLoopWatchFuncs *funcs, void *owner,
                  GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_end_free(KdEnd *end);
void kd_end_release(KdEnd *end, KdEndpoint *endpoint);
void kd_end_gone(KdLoopWatch *watch);
gssize kd_end_read(KdEnd *end, uint8_t *buf, size_t len);
gssize kd_end_write(KdEnd *end, const struct iovec *vec, int n);
gboolean kd_end_flush(KdEnd *end);
void kd_end_shutdown_write(KdEnd *end);
gboolean kd_end_is_readable(const KdEnd *end);
gboolean kd_end_is_writable(const KdEnd *end);
