/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A KdEndpoint that holds nothing, and one that holds nothing any more. */
#include "kd-endpoint.h"

#include <unistd.h>

/* In KdEndpoint.reserved, where plugins leave 0 */
#define IS_LAYERED UINT32_C(0x4c615972)

/**
 * kd_endpoint_init:
 * @endpoint: any bytes
 *
 * Makes an endpoint that holds nothing, ready to be given to a plugin.
 */
void
kd_endpoint_init(KdEndpoint *endpoint)
{
    *endpoint = (KdEndpoint){.struct_size = sizeof *endpoint, .fd = -1};
}

/**
 * kd_endpoint_put_layer:
 * @endpoint: holds a descriptor and no stream
 * @ops: lives as long as the process
 * @stream: (transfer full): given back by the destroy of @ops
 *
 * Lets bytes pass through a stream from now on. Only the core may: what a plugin puts beside a
 * descriptor is not looked at.
 */
void
kd_endpoint_put_layer(KdEndpoint *endpoint, const KdLayerOps *ops, KdStream *stream)
{
    g_return_if_fail(endpoint->fd >= 0 && endpoint->stream == NULL);
    endpoint->reserved = IS_LAYERED;
    endpoint->ops = &ops->stream;
    endpoint->stream = stream;
}

/**
 * kd_endpoint_get_layer:
 * @endpoint: a filled or an empty one
 *
 * Returns: (transfer none) (nullable): %NULL: it is a descriptor, or a stream
 */
const KdLayerOps *
kd_endpoint_get_layer(const KdEndpoint *endpoint)
{
    return endpoint->fd >= 0 && endpoint->reserved == IS_LAYERED ? (const KdLayerOps *)endpoint->ops
                                                                 : NULL;
}

/**
 * kd_endpoint_clear:
 * @endpoint: a filled or an empty one
 *
 * Closes what the endpoint holds and makes it empty.
 */
void
kd_endpoint_clear(KdEndpoint *endpoint)
{
    if (endpoint->stream != NULL) {
        endpoint->ops->destroy(endpoint->stream);
    }
    if (endpoint->fd >= 0) {
        close(endpoint->fd);
    }
    g_clear_pointer(&endpoint->facts, g_variant_unref);
    kd_endpoint_init(endpoint);
}
