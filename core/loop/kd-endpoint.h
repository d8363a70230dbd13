/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A KdEndpoint that holds nothing, and one that holds nothing any more. */
#pragma once

#include <kdsrv/kd-plugin.h>

/**
 * KdLayerOps:
 * @stream: its @set_ready is not called: the descriptor tells
 * @flush: sends what @write has taken and the descriptor has not; 0: nothing waits any more;
 *    -EAGAIN: it is full; -errno: for good
 * @is_dry: whether the last read found all there is, so that more comes only with the next edge of
 *    the descriptor; %FALSE also after an end or an error that no read has told yet
 *
 * The operations of a core-private kind of endpoint, which has a descriptor and a stream: the loop
 * watches the one, bytes pass through the other. Its @stream is destroyed before the descriptor is
 * closed, and touches no main context. TLS is such a layer.
 */
typedef struct {
    KdStreamOps stream;
    int (*flush)(KdStream *stream);
    gboolean (*is_dry)(const KdStream *stream);
} KdLayerOps;

void kd_endpoint_init(KdEndpoint *endpoint);
void kd_endpoint_clear(KdEndpoint *endpoint);
void kd_endpoint_put_layer(KdEndpoint *endpoint, const KdLayerOps *ops, KdStream *stream);
const KdLayerOps *kd_endpoint_get_layer(const KdEndpoint *endpoint);
