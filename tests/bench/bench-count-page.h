/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the counting module and the harness share: one page of a file. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#define BENCH_COUNT_VARIABLE "KD_BENCH_COUNT_FILE"

/**
 * BenchCountPage:
 * @n_loaded: processes that have found the file, so that 0 allocations are not those of nobody
 * @n_allocations: calls of malloc, calloc, realloc and the aligned ones
 */
typedef struct {
    _Atomic uint64_t n_loaded;
    _Atomic uint64_t n_allocations;
} BenchCountPage;
