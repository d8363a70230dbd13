/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A ready-made stream over two rings, for links and transports that have no descriptor to give. */
#pragma once

#include <kdsrv/kd-plugin.h>

typedef struct KdRingStream KdRingStream;

/**
 * KdRingStreamFuncs:
 * @readable: (nullable): the host has written: bytes wait for kd_ring_stream_take(). Called after
 *    every write that stored something, so a plugin may leave bytes behind and take them later
 * @writable: (nullable): the host has read: there is room for kd_ring_stream_put() again, after it
 *    had taken less than was offered
 * @ended: (nullable): the host has shut its direction down; what it wrote before may still wait
 * @gone: (nullable): the host has destroyed the stream; kd_ring_stream_free() may not be called any
 *    more: the stream frees itself after this
 * @attached: (nullable): a session has taken the stream up, or has let go of it: a link that is
 * kept has one after the other. Bytes of the last one may still wait in either ring
 *
 * The plugin's side. None is called from within put, take, purge or end. Each is called straight
 * from the host's read, write, set_ready, shutdown_write or destroy, and may itself put, take,
 * purge, end and detach: all that those do towards the host is to report readiness, of which it
 * only takes note.
 */
typedef struct {
    void (*readable)(KdRingStream *stream, void *user);
    void (*writable)(KdRingStream *stream, void *user);
    void (*ended)(KdRingStream *stream, void *user);
    void (*gone)(KdRingStream *stream, void *user);
    void (*attached)(KdRingStream *stream, gboolean is_attached, void *user);
} KdRingStreamFuncs;

KdRingStream *kd_ring_stream_new(size_t to_host_bytes, size_t from_host_bytes,
                                 const KdRingStreamFuncs *funcs, void *user);
void kd_ring_stream_free(KdRingStream *stream);
void kd_ring_stream_give(KdRingStream *stream, KdEndpoint *endpoint, uint32_t flags,
                         GVariant *facts);
size_t kd_ring_stream_put(KdRingStream *stream, const void *buf, size_t len);
gboolean kd_ring_stream_put_all(KdRingStream *stream, const void *buf, size_t len);
size_t kd_ring_stream_take(KdRingStream *stream, void *buf, size_t len);
size_t kd_ring_stream_get_pending(const KdRingStream *stream);
size_t kd_ring_stream_get_room(const KdRingStream *stream);
size_t kd_ring_stream_get_unread(const KdRingStream *stream);
size_t kd_ring_stream_purge(KdRingStream *stream);
size_t kd_ring_stream_purge_unread(KdRingStream *stream);
void kd_ring_stream_end(KdRingStream *stream, int error);
void kd_ring_stream_detach(KdRingStream *stream);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdRingStream, kd_ring_stream_free)
