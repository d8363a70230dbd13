/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bytes that wait for a blocked end: a ring that costs memory only while it is in use. */
#include "kd-ring.h"

#include <string.h>

/**
 * kd_ring_init:
 * @ring: any bytes
 * @least_bytes: the least capacity
 *
 * Makes an empty ring, without memory yet.
 */
void
kd_ring_init(KdRing *ring, size_t least_bytes)
{
    *ring = (KdRing){.size = 1};
    while (ring->size < least_bytes) {
        ring->size <<= 1;
    }
}

/**
 * kd_ring_clear:
 * @ring: a ring
 *
 * Drops all bytes and gives the memory back.
 */
void
kd_ring_clear(KdRing *ring)
{
    g_clear_pointer(&ring->bytes, g_free);
    ring->head = ring->tail = 0;
}

/**
 * kd_ring_get_len:
 * @ring: a ring
 *
 * Returns: how many bytes wait
 */
size_t
kd_ring_get_len(const KdRing *ring)
{
    return ring->tail - ring->head;
}

/**
 * kd_ring_push:
 * @ring: a ring
 * @bytes: copied
 * @len: at most what is free
 *
 * Puts bytes behind those that wait. That they fit is the caller's promise: credit and quantum
 * bound what can ever wait.
 */
void
kd_ring_push(KdRing *ring, const uint8_t *bytes, size_t len)
{
    size_t at;
    size_t first;

    g_return_if_fail(len <= ring->size - kd_ring_get_len(ring));
    if (len == 0) {
        return;
    }
    if (ring->bytes == NULL) {
        ring->bytes = g_malloc(ring->size);
    }
    at = ring->tail & (ring->size - 1);
    first = MIN(len, ring->size - at);
    memcpy(ring->bytes + at, bytes, first);
    memcpy(ring->bytes, bytes + first, len - first);
    ring->tail += len;
}

/**
 * kd_ring_peek:
 * @ring: a ring
 * @vec: (out): up to two runs of bytes, borrowed
 * @most_bytes: how many bytes are wanted at most
 *
 * Shows the bytes that wait, first ones first.
 *
 * Returns: how many of @vec are filled
 */
int
kd_ring_peek(const KdRing *ring, struct iovec vec[2], size_t most_bytes)
{
    size_t len = MIN(kd_ring_get_len(ring), most_bytes);
    size_t at = ring->head & (ring->size - 1);
    size_t first = MIN(len, ring->size - at);

    if (len == 0) {
        return 0;
    }
    vec[0] = (struct iovec){.iov_base = ring->bytes + at, .iov_len = first};
    if (first == len) {
        return 1;
    }
    vec[1] = (struct iovec){.iov_base = ring->bytes, .iov_len = len - first};
    return 2;
}

/**
 * kd_ring_pop:
 * @ring: a ring
 * @len: at most what waits
 *
 * Takes the first @len bytes out.
 */
void
kd_ring_pop(KdRing *ring, size_t len)
{
    g_return_if_fail(len <= kd_ring_get_len(ring));
    ring->head += len;
}

/**
 * kd_ring_trim:
 * @ring: a ring
 *
 * Gives the memory back if nothing waits.
 */
void
kd_ring_trim(KdRing *ring)
{
    if (ring->head == ring->tail) {
        kd_ring_clear(ring);
    }
}
