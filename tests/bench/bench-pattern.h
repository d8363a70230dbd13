/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bytes that both ends of a measurement agree on without talking about them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longest piece that bench_pattern_get() gives in one go, and the size of every copy buffer. */
#define BENCH_CHUNK_BYTES (128u * 1024u)

typedef enum {
    BENCH_UP = 0,   /* client to target */
    BENCH_DOWN = 1, /* target to client */
} BenchDirection;

void bench_pattern_init(void);
const uint8_t *bench_pattern_get(uint32_t session, BenchDirection direction, uint64_t position);
bool bench_pattern_begins(uint32_t session, BenchDirection direction, uint64_t position,
                          const uint8_t *bytes, size_t len_bytes);
bool bench_pattern_matches(uint32_t session, BenchDirection direction, uint64_t position,
                           const uint8_t *bytes, size_t len_bytes);
