/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bytes that both ends of a measurement agree on without talking about them. */
#include "bench-pattern.h"

#include <string.h>

/* A prime, so that no buffer size divides it: a lost or repeated buffer shifts what follows. */
#define PERIOD_BYTES 262147u
/* Distance between the streams of two sessions, and between the two directions of one. */
#define STREAM_STEP 104729u
/* How much of a piece bench_pattern_begins() looks at. */
#define CHECKED_BYTES 256u

static uint8_t table[PERIOD_BYTES + BENCH_CHUNK_BYTES];

/**
 * bench_pattern_init:
 *
 * Fills the table; call it once, before the first fork.
 */
void
bench_pattern_init(void)
{
    uint64_t state = 0;

    for (size_t i = 0; i < PERIOD_BYTES; i++) {
        /* splitmix64 */
        uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));

        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        table[i] = (uint8_t)(z >> 56);
    }
    memcpy(table + PERIOD_BYTES, table, BENCH_CHUNK_BYTES);
}

/**
 * bench_pattern_get:
 *
 * Returns: (transfer none): the next %BENCH_CHUNK_BYTES bytes of a stream from @position on.
 */
const uint8_t *
bench_pattern_get(uint32_t session, BenchDirection direction, uint64_t position)
{
    uint64_t stream = (uint64_t)session * 2 + (uint64_t)direction;

    return table + (stream * STREAM_STEP + position) % PERIOD_BYTES;
}

/**
 * bench_pattern_matches:
 *
 * Returns: whether @bytes are what the stream has at @position.
 */
bool
bench_pattern_matches(uint32_t session, BenchDirection direction, uint64_t position,
                      const uint8_t *bytes, size_t len_bytes)
{
    while (len_bytes > 0) {
        size_t n = len_bytes < BENCH_CHUNK_BYTES ? len_bytes : BENCH_CHUNK_BYTES;

        if (memcmp(bytes, bench_pattern_get(session, direction, position), n) != 0) {
            return false;
        }
        bytes += n;
        position += n;
        len_bytes -= n;
    }
    return true;
}

/**
 * bench_pattern_begins:
 *
 * Like bench_pattern_matches(), of the first bytes only: for streams that serve as a load, whose
 * checking would cost so much that the relay is not what limits them. A byte that is lost, repeated
 * or another session's shifts all that follow, so it is found in the next piece.
 *
 * Returns: whether the first of @bytes are what the stream has at @position.
 */
bool
bench_pattern_begins(uint32_t session, BenchDirection direction, uint64_t position,
                     const uint8_t *bytes, size_t len_bytes)
{
    return bench_pattern_matches(session, direction, position, bytes,
                                 len_bytes < CHECKED_BYTES ? len_bytes : CHECKED_BYTES);
}
