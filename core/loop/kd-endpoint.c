/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A KdEndpoint that holds nothing, and one that holds nothing any more. */
#include "kd-endpoint.h"

#include <unistd.h>

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
 * kd_endpoint_clear:
 * @endpoint: a filled or an empty one
 *
 * Closes what the endpoint holds and makes it empty.
 */
void
kd_endpoint_clear(KdEndpoint *endpoint)
{
    if (endpoint->fd >= 0) {
        close(endpoint->fd);
    }
    if (endpoint->stream != NULL) {
        endpoint->ops->destroy(endpoint->stream);
    }
    g_clear_pointer(&endpoint->facts, g_variant_unref);
    kd_endpoint_init(endpoint);
}
