/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A debugger's end that stops where a BREAK is wanted between its bytes. */
#pragma once

#include <kdsrv/kd-plugin.h>

/**
 * KdKgdbFuncs:
 * @marked: all bytes before a place where a BREAK is wanted were given; none follows before
 *    kd_kgdb_stream_pass() or kd_kgdb_stream_retry()
 * @gone: the stream was destroyed
 *
 * What the owner of such a stream is told. @marked comes from the loop, not from within a read.
 */
typedef struct {
    void (*marked)(void *user);
    void (*gone)(void *user);
} KdKgdbFuncs;

KdStream *kd_kgdb_stream_wrap(KdEndpoint *endpoint, const KdKgdbFuncs *funcs, void *user,
                              GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_kgdb_stream_pass(KdStream *stream, gboolean is_sent);
void kd_kgdb_stream_retry(KdStream *stream);
gboolean kd_kgdb_stream_ask(KdStream *stream);
void kd_kgdb_stream_insert_g(KdStream *stream);
