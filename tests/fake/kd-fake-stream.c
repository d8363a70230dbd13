/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The stream of a fake device: a ring stream whose reads and writes can be made short and whose
 * readiness can be reported too often. */
#include "kd-fake-device.h"

struct KdFakeStream {
    KdFakeDevice *device; /* (nullable): %NULL once another stream has taken its place */
    KdRingStream *ring;
    const KdStreamOps *ring_ops;
    KdStream *ring_base;
    KdReadyFunc ready_fn;
    void *ready_user;
    gboolean is_shut;
    gboolean has_ended;
};

static KdFakeStream *
from_base(KdStream *base)
{
    return (KdFakeStream *)(void *)base;
}

static void
report_spuriously(KdFakeStream *stream)
{
    if (stream->device == NULL || stream->device->spurious_left == 0)
        return;
    stream->device->spurious_left--;
    kd_fake_stream_report(stream);
}

static gssize
on_read(KdStream *base, void *buf, size_t len)
{
    KdFakeStream *stream = from_base(base);
    KdFakeDevice *device = stream->device;
    if (device != NULL) {
        device->stat.reads++;
        if (device->slow_read_bytes != 0)
            len = MIN(len, device->slow_read_bytes);
    }
    gssize n = stream->ring_ops->read(stream->ring_base, buf, len);
    report_spuriously(stream);
    return n;
}

static gssize
on_write(KdStream *base, const void *buf, size_t len)
{
    KdFakeStream *stream = from_base(base);
    KdFakeDevice *device = stream->device;
    if (device != NULL) {
        device->stat.writes++;
        if (device->slow_write_bytes != 0)
            len = MIN(len, device->slow_write_bytes);
    }
    gssize n = stream->ring_ops->write(stream->ring_base, buf, len);
    if (device != NULL && n > 0) {
        device->stat.max_pending =
            MAX(device->stat.max_pending, kd_ring_stream_get_pending(stream->ring));
        device->stat.in_break += device->is_breaking ? (guint64)n : 0;
    }
    report_spuriously(stream);
    return n;
}

static void
on_set_ready(KdStream *base, KdReadyFunc fn, void *user)
{
    KdFakeStream *stream = from_base(base);
    stream->ready_fn = fn;
    stream->ready_user = user;
    stream->ring_ops->set_ready(stream->ring_base, fn, user);
}

static int
on_shutdown_write(KdStream *base)
{
    KdFakeStream *stream = from_base(base);
    return stream->ring_ops->shutdown_write(stream->ring_base);
}

static void
on_destroy(KdStream *base)
{
    KdFakeStream *stream = from_base(base);
    KdFakeDevice *device = stream->device;
    if (device != NULL) {
        device->stat.drops += kd_ring_stream_get_pending(stream->ring);
        device->stat.destroys++;
        device->stream = NULL;
        kd_fake_device_kick(device);
    }
    stream->ring_ops->destroy(stream->ring_base);
    g_free(stream);
}

static const KdStreamOps stream_ops = {
    .struct_size = sizeof(KdStreamOps),
    .read = on_read,
    .write = on_write,
    .set_ready = on_set_ready,
    .destroy = on_destroy,
};

static const KdStreamOps half_close_ops = {
    .struct_size = sizeof(KdStreamOps),
    .read = on_read,
    .write = on_write,
    .set_ready = on_set_ready,
    .shutdown_write = on_shutdown_write,
    .destroy = on_destroy,
};

static void
on_ring_moved(KdRingStream *ring G_GNUC_UNUSED, void *user)
{
    KdFakeStream *stream = user;
    if (stream->device != NULL)
        kd_fake_device_kick(stream->device);
}

static void
on_ring_ended(KdRingStream *ring, void *user)
{
    KdFakeStream *stream = user;
    stream->is_shut = TRUE;
    if (stream->device != NULL)
        stream->device->stat.ends++;
    on_ring_moved(ring, user);
}

/**
 * kd_fake_stream_new:
 * @endpoint: filled; the host's from now on
 *
 * Makes the device's stream and gives it away.
 */
void
kd_fake_stream_new(KdFakeDevice *device, const KdFakeOptions *options, KdEndpoint *endpoint)
{
    static const KdRingStreamFuncs funcs = {
        .readable = on_ring_moved,
        .writable = on_ring_moved,
        .ended = on_ring_ended,
    };
    g_autofree char *peer = g_strdup_printf("fake:name=%" G_GUINT64_FORMAT, device->name);
    KdFakeStream *stream = g_new0(KdFakeStream, 1);
    KdEndpoint inner = {.struct_size = sizeof inner, .fd = -1};
    GVariantDict facts;

    stream->device = device;
    stream->ring = kd_ring_stream_new(options->ring_bytes, options->ring_bytes, &funcs, stream);
    kd_ring_stream_give(stream->ring, &inner, 0, NULL);
    stream->ring_ops = inner.ops;
    stream->ring_base = inner.stream;
    device->stream = stream;

    g_variant_dict_init(&facts, NULL);
    g_variant_dict_insert(&facts, "peer", "s", peer);
    g_variant_dict_insert(&facts, "baud", "u", device->baud);
    if (options->has_resets)
        g_variant_dict_insert(&facts, "resets", "u", options->resets);
    g_variant_dict_insert(&facts, "dialect", "s", options->dialect);
    kd_endpoint_take_stream(
        endpoint, (options->flags & KD_ENDPOINT_HALF_CLOSE) != 0 ? &half_close_ops : &stream_ops,
        (KdStream *)(void *)stream, options->flags, g_variant_dict_end(&facts));
}

/**
 * kd_fake_stream_orphan:
 *
 * Cuts a stream that the host still holds off its device, because another one takes its place.
 */
void
kd_fake_stream_orphan(KdFakeStream *stream)
{
    stream->device->stat.drops += kd_ring_stream_purge(stream->ring);
    stream->device->stream = NULL;
    stream->device = NULL;
    kd_ring_stream_detach(stream->ring);
}

/**
 * kd_fake_stream_report:
 *
 * Tells the host that the stream is ready, whether it is or not.
 */
void
kd_fake_stream_report(KdFakeStream *stream)
{
    if (stream->ready_fn != NULL)
        stream->ready_fn(stream->ready_user, KD_READY_IN | KD_READY_OUT);
}

/**
 * kd_fake_stream_get_ring:
 *
 * Returns: (transfer none): the ring stream inside
 */
KdRingStream *
kd_fake_stream_get_ring(KdFakeStream *stream)
{
    return stream->ring;
}

/**
 * kd_fake_stream_is_shut:
 *
 * Returns: whether the host has shut its direction down
 */
gboolean
kd_fake_stream_is_shut(const KdFakeStream *stream)
{
    return stream->is_shut;
}

/**
 * kd_fake_stream_end:
 * @error: 0, or an errno
 *
 * Ends what the host reads.
 */
void
kd_fake_stream_end(KdFakeStream *stream, int error)
{
    stream->has_ended = TRUE;
    kd_ring_stream_end(stream->ring, error);
}

/**
 * kd_fake_stream_has_ended:
 *
 * Returns: whether the device has ended the stream, in good order or with an error
 */
gboolean
kd_fake_stream_has_ended(const KdFakeStream *stream)
{
    return stream->has_ended;
}
