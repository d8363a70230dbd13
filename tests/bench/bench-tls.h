/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* TLS 1.3 on a socket, as cheap as it gets: many records for each system call. */
#pragma once

#include <gio/gio.h>
#include <stdint.h>
#include <sys/types.h>

/* What bench_tls_write() takes at once, beside a head of at most BENCH_TLS_MAX_HEAD_BYTES. */
#define BENCH_TLS_MAX_BYTES      (128u * 1024u)
#define BENCH_TLS_MAX_HEAD_BYTES 64u

typedef struct BenchTls BenchTls;

char *bench_tls_build_identity(GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean bench_tls_load_identity(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;
BenchTls *bench_tls_new_client(int fd);
BenchTls *bench_tls_new_server(int fd);
void bench_tls_free(BenchTls *tls);
int bench_tls_shake_hands(BenchTls *tls);
ssize_t bench_tls_read(BenchTls *tls, uint8_t *bytes, size_t len_bytes);
gboolean bench_tls_is_drained(const BenchTls *tls);
ssize_t bench_tls_write(BenchTls *tls, const uint8_t *head, size_t head_bytes, const uint8_t *bytes,
                        size_t len_bytes);
int bench_tls_flush(BenchTls *tls);
gboolean bench_tls_has_unsent(const BenchTls *tls);
int bench_tls_say_bye(BenchTls *tls);
char *bench_tls_describe(const BenchTls *tls);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(BenchTls, bench_tls_free)
