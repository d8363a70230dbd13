/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The client's end of a session: a plain stream, or the session protocol on it. */
#pragma once

#include "bench-socket.h"

#include <gio/gio.h>

typedef struct BenchEnd BenchEnd;

BenchEnd *bench_end_open(const BenchAddress *address, gboolean is_tls, const char *trans,
                         GError **error) G_GNUC_WARN_UNUSED_RESULT;
BenchEnd *bench_end_open_terminal(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void bench_end_free(BenchEnd *end);
char *bench_end_describe_tls(const BenchEnd *end);
int bench_end_get_fd(const BenchEnd *end);
void bench_end_set_blocking(BenchEnd *end, gboolean is_blocking);
ssize_t bench_end_write(BenchEnd *end, const uint8_t *bytes, size_t len_bytes);
ssize_t bench_end_read(BenchEnd *end, const uint8_t **bytes);
gboolean bench_end_is_credit_low(const BenchEnd *end);
short bench_end_get_poll_events(const BenchEnd *end, gboolean reads, gboolean writes);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(BenchEnd, bench_end_free)
