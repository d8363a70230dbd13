/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A ready-made stream over two rings, for links and transports that have no descriptor to give. */
#include <kdsrv-support/kd-ring-stream.h>

#include <errno.h>
#include <string.h>

/* A ring of the size that was asked for, no power of two: memory counts with a thousand channels */
typedef struct {
    uint8_t *bytes;
    size_t size;
    size_t head; /* the oldest byte */
    size_t used;
} Ring;

struct KdRingStream {
    Ring to_host;
    Ring from_host;
    KdRingStreamFuncs funcs;
    void *user;
    KdReadyFunc ready_fn;
    void *ready_user;
    int error;          /* what read says after the last byte, with is_ended; 0 = end           */
    gboolean is_ended;  /* the plugin puts no more                                               */
    gboolean is_shut;   /* the host writes no more                                               */
    gboolean is_given;  /* the host's to destroy                                                 */
    gboolean is_gone;   /* destroyed by the host: freed as soon as no callback runs              */
    gboolean waits_in;  /* the host found nothing to read and waits for an edge                  */
    gboolean waits_out; /* the host found no room and waits for an edge                          */
    gboolean waits_put; /* the plugin found no room and waits for writable                       */
    unsigned depth;     /* callbacks of the plugin that are running                              */
};

static size_t
ring_put(Ring *ring, const uint8_t *buf, size_t len)
{
    size_t n = MIN(len, ring->size - ring->used);
    size_t tail = ring->head + ring->used;
    if (tail >= ring->size) {
        tail -= ring->size;
    }
    size_t first = MIN(n, ring->size - tail);
    if (first > 0) {
        memcpy(ring->bytes + tail, buf, first);
    }
    if (n > first) {
        memcpy(ring->bytes, buf + first, n - first);
    }
    ring->used += n;
    return n;
}

static size_t
ring_take(Ring *ring, uint8_t *buf, size_t len)
{
    size_t n = MIN(len, ring->used);
    size_t first = MIN(n, ring->size - ring->head);
    if (first > 0) {
        memcpy(buf, ring->bytes + ring->head, first);
    }
    if (n > first) {
        memcpy(buf + first, ring->bytes, n - first);
    }
    ring->used -= n;
    ring->head += n;
    if (ring->head >= ring->size) {
        ring->head -= ring->size;
    }
    /* Starting over keeps the bytes of a stop-and-wait exchange in the same cache lines. */
    if (ring->used == 0) {
        ring->head = 0;
    }
    return n;
}

static void
tell_host(KdRingStream *stream, uint32_t ready)
{
    if (ready != 0 && stream->ready_fn != NULL) {
        stream->ready_fn(stream->ready_user, ready);
    }
}

static void
tell_host_of_room(KdRingStream *stream)
{
    if (!stream->waits_out) {
        return;
    }
    stream->waits_out = FALSE;
    tell_host(stream, KD_READY_OUT);
}

static void
free_now(KdRingStream *stream)
{
    g_free(stream->to_host.bytes);
    g_free(stream->from_host.bytes);
    g_free(stream);
}

static void
leave_plugin(KdRingStream *stream)
{
    stream->depth--;
    if (stream->depth == 0 && stream->is_gone) {
        free_now(stream);
    }
}

static void
tell_plugin(KdRingStream *stream, void (*fn)(KdRingStream *stream, void *user))
{
    if (fn != NULL) {
        stream->depth++;
        fn(stream, stream->user);
        leave_plugin(stream);
    }
}

static KdRingStream *
from_host(KdStream *stream)
{
    return (KdRingStream *)(void *)stream;
}

static gssize
on_read(KdStream *base, void *buf, size_t len)
{
    KdRingStream *stream = from_host(base);
    if (len == 0) {
        return -EINVAL; /* 0 would read as the end */
    }
    size_t n = ring_take(&stream->to_host, buf, MIN(len, (size_t)G_MAXSSIZE));
    /* Also after a read that emptied the ring: a host that takes a short read for "nothing more
     * just now" still hears of the next byte. */
    if (stream->to_host.used == 0) {
        stream->waits_in = TRUE;
    }
    if (n == 0) {
        if (!stream->is_ended) {
            return -EAGAIN;
        }
        return stream->error != 0 ? -stream->error : 0;
    }
    if (stream->waits_put) {
        stream->waits_put = FALSE;
        tell_plugin(stream, stream->funcs.writable);
    }
    return (gssize)n;
}

static gssize
on_write(KdStream *base, const void *buf, size_t len)
{
    KdRingStream *stream = from_host(base);
    if (stream->is_shut) {
        return -EPIPE;
    }
    if (stream->is_ended && stream->error != 0) {
        return -stream->error;
    }
    if (len == 0) {
        return 0;
    }
    size_t n = ring_put(&stream->from_host, buf, MIN(len, (size_t)G_MAXSSIZE));
    if (n < len) {
        stream->waits_out = TRUE;
    }
    if (n == 0) {
        return -EAGAIN;
    }
    tell_plugin(stream, stream->funcs.readable);
    return (gssize)n;
}

static void
on_set_ready(KdStream *base, KdReadyFunc fn, void *user)
{
    KdRingStream *stream = from_host(base);
    gboolean was_attached = stream->ready_fn != NULL;
    stream->ready_fn = fn;
    stream->ready_user = user;
    if (stream->funcs.attached != NULL && was_attached != (fn != NULL)) {
        stream->depth++;
        stream->funcs.attached(stream, fn != NULL, stream->user);
        leave_plugin(stream);
    }
    /* Bytes may have been put before anybody listened. */
    uint32_t ready = KD_READY_OUT;
    if (stream->to_host.used > 0 || stream->is_ended) {
        ready |= KD_READY_IN;
    }
    tell_host(stream, ready);
}

static int
on_shutdown_write(KdStream *base)
{
    KdRingStream *stream = from_host(base);
    if (stream->is_shut) {
        return 0;
    }
    stream->is_shut = TRUE;
    tell_plugin(stream, stream->funcs.ended);
    return 0;
}

static void
on_destroy(KdStream *base)
{
    KdRingStream *stream = from_host(base);
    stream->ready_fn = NULL;
    stream->is_shut = TRUE;
    void (*gone)(KdRingStream *, void *) = stream->funcs.gone;
    stream->funcs = (KdRingStreamFuncs){0};
    stream->depth++;
    if (gone != NULL) {
        gone(stream, stream->user);
    }
    stream->depth--;
    stream->is_gone = TRUE;
    if (stream->depth == 0) {
        free_now(stream);
    }
}

static const KdStreamOps ring_ops = {
    .struct_size = sizeof(KdStreamOps),
    .read = on_read,
    .write = on_write,
    .set_ready = on_set_ready,
    .shutdown_write = on_shutdown_write,
    .destroy = on_destroy,
};

/**
 * kd_ring_stream_new:
 * @to_host_bytes: room for what the plugin puts
 * @from_host_bytes: room for what the host writes
 * @funcs: (nullable): copied
 * @user: (nullable): for @funcs; must live until `gone` or kd_ring_stream_detach()
 *
 * Makes a stream with two rings of fixed size; nothing is allocated after this.
 *
 * Returns: (transfer full): until kd_ring_stream_give(), free with kd_ring_stream_free()
 */
KdRingStream *
kd_ring_stream_new(size_t to_host_bytes, size_t from_host_bytes, const KdRingStreamFuncs *funcs,
                   void *user)
{
    g_return_val_if_fail(to_host_bytes > 0 && from_host_bytes > 0, NULL);
    KdRingStream *stream = g_new0(KdRingStream, 1);
    stream->to_host.bytes = g_malloc(to_host_bytes);
    stream->to_host.size = to_host_bytes;
    stream->from_host.bytes = g_malloc(from_host_bytes);
    stream->from_host.size = from_host_bytes;
    stream->waits_in = TRUE;
    if (funcs != NULL) {
        stream->funcs = *funcs;
    }
    stream->user = user;
    return stream;
}

/**
 * kd_ring_stream_free:
 * @stream: (transfer full) (nullable): not given to a host
 *
 * Frees a stream that no host has got, without calling `gone`.
 */
void
kd_ring_stream_free(KdRingStream *stream)
{
    if (stream == NULL) {
        return;
    }
    g_return_if_fail(!stream->is_given);
    free_now(stream);
}

/**
 * kd_ring_stream_give:
 * @stream: (transfer full): still usable by the plugin, until `gone`
 * @endpoint: the host's
 * @flags: KD_ENDPOINT_*
 * @facts: (nullable): a{sv}; sunk if floating
 *
 * Hands the stream over; from now on the host destroys it.
 */
void
kd_ring_stream_give(KdRingStream *stream, KdEndpoint *endpoint, uint32_t flags, GVariant *facts)
{
    g_return_if_fail(!stream->is_given);
    stream->is_given = TRUE;
    kd_endpoint_take_stream(endpoint, &ring_ops, (KdStream *)(void *)stream, flags, facts);
}

/**
 * kd_ring_stream_put:
 *
 * Offers bytes to the host.
 *
 * Returns: how many were taken; when fewer than @len, `writable` follows once there is room. After
 *    kd_ring_stream_end() nothing is taken and nothing follows
 */
size_t
kd_ring_stream_put(KdRingStream *stream, const void *buf, size_t len)
{
    if (stream->is_ended) {
        return 0;
    }
    size_t n = ring_put(&stream->to_host, buf, len);
    if (n < len) {
        stream->waits_put = TRUE;
    }
    if (n > 0 && stream->waits_in) {
        stream->waits_in = FALSE;
        tell_host(stream, KD_READY_IN);
    }
    return n;
}

/**
 * kd_ring_stream_put_all:
 *
 * Offers bytes to the host that must not be split.
 *
 * Returns: whether they were taken; if not, none was, and `writable` follows once the host has
 * read, be it enough or not. More than the ring holds are never taken
 */
gboolean
kd_ring_stream_put_all(KdRingStream *stream, const void *buf, size_t len)
{
    if (kd_ring_stream_get_room(stream) < len) {
        stream->waits_put = !stream->is_ended;
        return FALSE;
    }
    return kd_ring_stream_put(stream, buf, len) == len;
}

/**
 * kd_ring_stream_take:
 *
 * Takes bytes that the host has written.
 *
 * Returns: how many; 0 when none wait
 */
size_t
kd_ring_stream_take(KdRingStream *stream, void *buf, size_t len)
{
    size_t n = ring_take(&stream->from_host, buf, len);
    if (n > 0) {
        tell_host_of_room(stream);
    }
    return n;
}

/**
 * kd_ring_stream_get_pending:
 *
 * Returns: how many bytes of the host wait for kd_ring_stream_take()
 */
size_t
kd_ring_stream_get_pending(const KdRingStream *stream)
{
    return stream->from_host.used;
}

/**
 * kd_ring_stream_get_room:
 *
 * Tells a plugin whose packets must not be split how much the next put takes. Only a put that took
 * too little makes `writable` follow.
 *
 * Returns: how many bytes kd_ring_stream_put() would take
 */
size_t
kd_ring_stream_get_room(const KdRingStream *stream)
{
    return stream->is_ended ? 0 : stream->to_host.size - stream->to_host.used;
}

/**
 * kd_ring_stream_get_unread:
 *
 * Returns: how many bytes of the plugin's the host has not read yet
 */
size_t
kd_ring_stream_get_unread(const KdRingStream *stream)
{
    return stream->to_host.used;
}

/**
 * kd_ring_stream_purge:
 *
 * Drops what the host has written and nobody has taken.
 *
 * Returns: how many bytes were dropped
 */
size_t
kd_ring_stream_purge(KdRingStream *stream)
{
    size_t n = stream->from_host.used;
    stream->from_host.used = 0;
    stream->from_host.head = 0;
    if (n > 0) {
        tell_host_of_room(stream);
    }
    return n;
}

/**
 * kd_ring_stream_purge_unread:
 *
 * Drops what the plugin has put and the host has not read: it was for a session that has let go.
 *
 * Returns: how many bytes were dropped
 */
size_t
kd_ring_stream_purge_unread(KdRingStream *stream)
{
    size_t n = stream->to_host.used;
    stream->to_host.used = 0;
    stream->to_host.head = 0;
    stream->waits_in = TRUE;
    return n;
}

/**
 * kd_ring_stream_end:
 * @error: 0, or an errno such as %EIO
 *
 * Ends what the host reads, after the bytes that wait: with an end, or with -@error. An end leaves
 * the other direction as it is; an error makes the host's writes fail with it from now on. A
 * second end changes nothing.
 */
void
kd_ring_stream_end(KdRingStream *stream, int error)
{
    if (stream->is_ended) {
        return;
    }
    stream->is_ended = TRUE;
    stream->error = error < 0 ? -error : error;
    stream->waits_put = FALSE;
    stream->waits_in = FALSE;
    if (stream->error != 0) {
        stream->waits_out = FALSE;
    }
    tell_host(stream, KD_READY_IN | (stream->error != 0 ? KD_READY_OUT : 0u));
}

/**
 * kd_ring_stream_detach:
 * @stream: (transfer full): given to a host; not used by the plugin any more
 *
 * Takes leave of a stream that the host may keep for a while: no function of the plugin's is called
 * any more, not even `gone`. The host reads the rest and then the end, unless another was set; its
 * writes fail with -EPIPE.
 */
void
kd_ring_stream_detach(KdRingStream *stream)
{
    g_return_if_fail(stream->is_given);
    stream->funcs = (KdRingStreamFuncs){0};
    stream->user = NULL;
    stream->is_shut = TRUE;
    kd_ring_stream_end(stream, 0);
    tell_host_of_room(stream);
}
