/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Programs that a measurement starts: placed, watched, counted and ended by process id. */
#pragma once

#include "bench-place.h"

#include <gio/gio.h>
#include <stdint.h>

typedef struct BenchChild BenchChild;

BenchChild *bench_child_start(const char *const *argv, const char *folder, BenchPlace place,
                              const char *const *environment,
                              GError **error) G_GNUC_WARN_UNUSED_RESULT;
void bench_child_stop(BenchChild *child);
void bench_child_stop_all(void);
gboolean bench_child_interrupt(BenchChild *child, GError **error) G_GNUC_WARN_UNUSED_RESULT;
char *bench_child_wait_line(BenchChild *child, const char *needle,
                            GError **error) G_GNUC_WARN_UNUSED_RESULT;
uint16_t bench_child_wait_port(BenchChild *child, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean bench_child_wait_socket(BenchChild *child, const char *path,
                                 GError **error) G_GNUC_WARN_UNUSED_RESULT;
GArray *bench_child_dup_tree(const BenchChild *child);
uint64_t bench_child_get_cpu_ns(const BenchChild *child);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(BenchChild, bench_child_stop)
