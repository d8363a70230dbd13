/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bytes that wait for a blocked end: a ring that costs memory only while it is in use. */
#pragma once

#include <glib.h>
#include <stdint.h>
#include <sys/uio.h>

/**
 * KdRing:
 * @bytes: (nullable): allocated with the first byte
 * @size: capacity; a power of two
 * @head: offset of the first byte, ever rising
 * @tail: offset behind the last byte
 */
typedef struct {
    uint8_t *bytes;
    size_t size;
    size_t head;
    size_t tail;
} KdRing;

void kd_ring_init(KdRing *ring, size_t least_bytes);
void kd_ring_clear(KdRing *ring);
size_t kd_ring_get_len(const KdRing *ring);
void kd_ring_push(KdRing *ring, const uint8_t *bytes, size_t len);
int kd_ring_peek(const KdRing *ring, struct iovec vec[2], size_t most_bytes);
void kd_ring_pop(KdRing *ring, size_t len);
void kd_ring_trim(KdRing *ring);
