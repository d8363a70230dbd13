/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Counts what relays allocate: our side of the module that is loaded into them. */
#pragma once

#include <gio/gio.h>
#include <stdint.h>

typedef struct BenchCount BenchCount;

BenchCount *bench_count_new(const char *tools, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void bench_count_free(BenchCount *count);
const char *const *bench_count_get_environment(const BenchCount *count);
uint64_t bench_count_get_allocations(const BenchCount *count);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(BenchCount, bench_count_free)
