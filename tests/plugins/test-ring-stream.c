/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ring stream: edges, ends, and functions that call back into it. */
#include <kdsrv-support/kd-ring-stream.h>

#include <errno.h>
#include <string.h>

typedef struct {
    KdRingStream *plugin;
    KdEndpoint host;
    uint32_t edges; /* told to the host since it last looked */
    guint n_readable;
    guint n_writable;
    guint n_ended;
    guint n_gone;
    guint n_attached;
    guint n_detached;
    gboolean is_echoing;
} Pair;

static void
on_ready(void *user, uint32_t ready)
{
    ((Pair *)user)->edges |= ready;
}

static void
on_readable(KdRingStream *stream, void *user)
{
    Pair *pair = user;
    char buf[64];
    pair->n_readable++;
    if (!pair->is_echoing)
        return;
    for (size_t n = kd_ring_stream_take(stream, buf, sizeof(buf)); n > 0;
         n = kd_ring_stream_take(stream, buf, sizeof(buf)))
        g_assert_cmpuint(kd_ring_stream_put(stream, buf, n), ==, n);
}

static void
on_writable(KdRingStream *stream, void *user)
{
    (void)stream;
    ((Pair *)user)->n_writable++;
}

static void
on_ended(KdRingStream *stream, void *user)
{
    (void)stream;
    ((Pair *)user)->n_ended++;
}

static void
on_gone(KdRingStream *stream, void *user)
{
    (void)stream;
    ((Pair *)user)->n_gone++;
}

static void
on_attached(KdRingStream *stream, gboolean is_attached, void *user)
{
    Pair *pair = user;
    if (!is_attached) {
        pair->n_detached++;
    } else if (pair->n_attached++ > 0) {
        kd_ring_stream_put(stream, "hi", 2);
    }
}

static const KdRingStreamFuncs funcs = {on_readable, on_writable, on_ended, on_gone, on_attached};

static void
set_up(Pair *pair, gconstpointer size)
{
    pair->plugin = kd_ring_stream_new(GPOINTER_TO_SIZE(size), GPOINTER_TO_SIZE(size), &funcs, pair);
    pair->host.struct_size = sizeof(KdEndpoint);
    kd_ring_stream_give(pair->plugin, &pair->host, KD_ENDPOINT_HALF_CLOSE, NULL);
    pair->host.ops->set_ready(pair->host.stream, on_ready, pair);
    pair->edges = 0;
}

static void
tear_down(Pair *pair, gconstpointer size)
{
    (void)size;
    if (pair->host.stream != NULL)
        pair->host.ops->destroy(pair->host.stream);
}

static gssize
host_read(Pair *pair, void *buf, size_t len)
{
    return pair->host.ops->read(pair->host.stream, buf, len);
}

static gssize
host_write(Pair *pair, const void *buf, size_t len)
{
    return pair->host.ops->write(pair->host.stream, buf, len);
}

static void
test_bytes_arrive(Pair *pair, gconstpointer size)
{
    /* Two bytes stay behind, so that the rings never start over: 5 of 7 walks over every place. */
    guint8 next_in = 0;
    guint8 next_out = 0;
    guint8 buf[5];
    (void)size;
    pair->is_echoing = TRUE;
    for (int round = 0; round < 1000; round++) {
        size_t len = round == 0 ? 2 : sizeof(buf);
        for (size_t i = 0; i < len; i++)
            buf[i] = next_in++;
        g_assert_cmpint(host_write(pair, buf, len), ==, (gssize)len);
        if (round == 0)
            continue;
        memset(buf, 0, sizeof(buf));
        g_assert_cmpint(host_read(pair, buf, sizeof(buf)), ==, sizeof(buf));
        for (size_t i = 0; i < sizeof(buf); i++)
            g_assert_cmpuint(buf[i], ==, next_out++);
    }
}

static void
test_read_edge(Pair *pair, gconstpointer size)
{
    char buf[16];
    (void)size;
    g_assert_cmpint(host_read(pair, buf, sizeof(buf)), ==, -EAGAIN);
    g_assert_cmpuint(kd_ring_stream_put(pair->plugin, "ab", 2), ==, 2);
    g_assert_cmpuint(pair->edges, ==, KD_READY_IN);
    pair->edges = 0;
    /* A short read that empties the ring waits as well, for hosts that stop there. */
    g_assert_cmpint(host_read(pair, buf, sizeof(buf)), ==, 2);
    g_assert_cmpuint(kd_ring_stream_put(pair->plugin, "c", 1), ==, 1);
    g_assert_cmpuint(pair->edges, ==, KD_READY_IN);
}

static void
test_write_edge(Pair *pair, gconstpointer size)
{
    char buf[16] = "0123456789";
    (void)size;
    g_assert_cmpint(host_write(pair, buf, 10), ==, 8);
    g_assert_cmpint(host_write(pair, buf, 10), ==, -EAGAIN);
    g_assert_cmpuint(kd_ring_stream_get_pending(pair->plugin), ==, 8);
    g_assert_cmpuint(pair->edges, ==, 0);
    g_assert_cmpuint(kd_ring_stream_take(pair->plugin, buf, 1), ==, 1);
    g_assert_cmpuint(pair->edges, ==, KD_READY_OUT);
}

static void
test_purge(Pair *pair, gconstpointer size)
{
    (void)size;
    g_assert_cmpint(host_write(pair, "0123456789", 10), ==, 8);
    g_assert_cmpuint(kd_ring_stream_purge(pair->plugin), ==, 8);
    g_assert_cmpuint(pair->edges, ==, KD_READY_OUT);
    g_assert_cmpuint(kd_ring_stream_purge(pair->plugin), ==, 0);
}

static void
test_writable(Pair *pair, gconstpointer size)
{
    char buf[4];
    (void)size;
    g_assert_cmpuint(kd_ring_stream_put(pair->plugin, "01234567", 8), ==, 8);
    g_assert_cmpint(host_read(pair, buf, 1), ==, 1);
    g_assert_cmpuint(pair->n_writable, ==, 0); /* nothing was turned away */
    g_assert_cmpuint(kd_ring_stream_get_room(pair->plugin), ==, 1);
    g_assert_cmpuint(kd_ring_stream_put(pair->plugin, "89", 2), ==, 1);
    g_assert_cmpint(host_read(pair, buf, 1), ==, 1);
    g_assert_cmpuint(pair->n_writable, ==, 1);
    g_assert_cmpint(host_read(pair, buf, 1), ==, 1);
    g_assert_cmpuint(pair->n_writable, ==, 1);
}

static void
test_put_all(Pair *pair, gconstpointer size)
{
    char buf[8];
    (void)size;
    g_assert_true(kd_ring_stream_put_all(pair->plugin, "012345", 6));
    g_assert_false(kd_ring_stream_put_all(pair->plugin, "678", 3));
    g_assert_cmpuint(kd_ring_stream_get_unread(pair->plugin), ==, 6);
    g_assert_cmpint(host_read(pair, buf, 1), ==, 1);
    g_assert_cmpuint(pair->n_writable, ==, 1);
    g_assert_true(kd_ring_stream_put_all(pair->plugin, "678", 3));
    g_assert_cmpint(host_read(pair, buf, sizeof(buf)), ==, 8);
    g_assert_cmpmem(buf, 8, "12345678", 8);
    g_assert_cmpuint(pair->n_writable, ==, 1);
}

static void
test_purge_unread(Pair *pair, gconstpointer size)
{
    char buf[8];
    (void)size;
    kd_ring_stream_put(pair->plugin, "ab", 2);
    g_assert_cmpuint(kd_ring_stream_purge_unread(pair->plugin), ==, 2);
    g_assert_cmpuint(kd_ring_stream_get_unread(pair->plugin), ==, 0);
    pair->edges = 0;
    kd_ring_stream_put(pair->plugin, "c", 1);
    g_assert_cmpuint(pair->edges, ==, KD_READY_IN);
    g_assert_cmpint(host_read(pair, buf, sizeof(buf)), ==, 1);
    g_assert_cmpint(buf[0], ==, 'c');
}

static void
test_attached(Pair *pair, gconstpointer size)
{
    (void)size;
    g_assert_cmpuint(pair->n_attached, ==, 1);
    pair->host.ops->set_ready(pair->host.stream, on_ready, pair);
    g_assert_cmpuint(pair->n_attached, ==, 1);
    pair->host.ops->set_ready(pair->host.stream, NULL, NULL);
    g_assert_cmpuint(pair->n_detached, ==, 1);
    pair->edges = 0;
    /* What is put when the next session comes is what it reads first. */
    pair->host.ops->set_ready(pair->host.stream, on_ready, pair);
    g_assert_cmpuint(pair->n_attached, ==, 2);
    g_assert_cmpuint(pair->edges, ==, KD_READY_IN | KD_READY_OUT);
}

static void
test_end(Pair *pair, gconstpointer size)
{
    char buf[4];
    (void)size;
    kd_ring_stream_put(pair->plugin, "ab", 2);
    kd_ring_stream_end(pair->plugin, 0);
    g_assert_cmpuint(kd_ring_stream_put(pair->plugin, "c", 1), ==, 0);
    g_assert_cmpuint(pair->edges & KD_READY_IN, ==, KD_READY_IN);
    g_assert_cmpint(host_read(pair, buf, sizeof(buf)), ==, 2);
    g_assert_cmpint(host_read(pair, buf, sizeof(buf)), ==, 0);
    g_assert_cmpint(host_write(pair, "x", 1), ==, 1); /* the other direction goes on */
}

static void
test_error(Pair *pair, gconstpointer size)
{
    char buf[4];
    (void)size;
    kd_ring_stream_put(pair->plugin, "ab", 2);
    g_assert_cmpint(host_write(pair, "0123456789", 10), ==, 8);
    g_assert_cmpint(host_write(pair, "x", 1), ==, -EAGAIN);
    pair->edges = 0;
    kd_ring_stream_end(pair->plugin, EIO);
    g_assert_cmpuint(pair->edges, ==, KD_READY_IN | KD_READY_OUT);
    g_assert_cmpint(host_write(pair, "x", 1), ==, -EIO);
    g_assert_cmpint(host_read(pair, buf, sizeof(buf)), ==, 2);
    g_assert_cmpint(host_read(pair, buf, sizeof(buf)), ==, -EIO);
}

static void
test_shutdown(Pair *pair, gconstpointer size)
{
    char buf[4];
    (void)size;
    g_assert_cmpint(host_write(pair, "ab", 2), ==, 2);
    g_assert_cmpint(pair->host.ops->shutdown_write(pair->host.stream), ==, 0);
    g_assert_cmpint(pair->host.ops->shutdown_write(pair->host.stream), ==, 0);
    g_assert_cmpuint(pair->n_ended, ==, 1);
    g_assert_cmpint(host_write(pair, "c", 1), ==, -EPIPE);
    g_assert_cmpuint(kd_ring_stream_take(pair->plugin, buf, sizeof(buf)), ==, 2);
}

static void
test_gone(Pair *pair, gconstpointer size)
{
    (void)size;
    pair->host.ops->destroy(g_steal_pointer(&pair->host.stream));
    g_assert_cmpuint(pair->n_gone, ==, 1);
}

static void
test_detach(Pair *pair, gconstpointer size)
{
    char buf[4];
    (void)size;
    kd_ring_stream_put(pair->plugin, "ab", 2);
    kd_ring_stream_detach(g_steal_pointer(&pair->plugin));
    g_assert_cmpint(host_write(pair, "x", 1), ==, -EPIPE);
    g_assert_cmpint(host_read(pair, buf, sizeof(buf)), ==, 2);
    g_assert_cmpint(host_read(pair, buf, sizeof(buf)), ==, 0);
    pair->host.ops->destroy(g_steal_pointer(&pair->host.stream));
    g_assert_cmpuint(pair->n_readable + pair->n_gone, ==, 0);
}

static void
test_early_bytes(void)
{
    Pair pair = {0};
    pair.plugin = kd_ring_stream_new(8, 8, &funcs, &pair);
    kd_ring_stream_put(pair.plugin, "ab", 2);
    kd_ring_stream_give(pair.plugin, &pair.host, 0, NULL);
    pair.host.ops->set_ready(pair.host.stream, on_ready, &pair);
    g_assert_cmpuint(pair.edges, ==, KD_READY_IN | KD_READY_OUT);
    pair.host.ops->destroy(pair.host.stream);
}

static void
test_silence(Pair *pair, gconstpointer size)
{
    char buf[4];
    (void)size;
    g_assert_cmpint(host_read(pair, buf, sizeof(buf)), ==, -EAGAIN);
    pair->host.ops->set_ready(pair->host.stream, NULL, NULL);
    kd_ring_stream_put(pair->plugin, "ab", 2);
    kd_ring_stream_end(pair->plugin, EIO);
    g_assert_cmpuint(pair->edges, ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, size, fn) \
    g_test_add("/support/ring-stream/" name, Pair, GSIZE_TO_POINTER(size), set_up, fn, tear_down)
    ADD("bytes-arrive-in-order-round-the-ring", 7, test_bytes_arrive);
    ADD("put-wakes-a-reader-that-found-nothing", 8, test_read_edge);
    ADD("take-wakes-a-writer-that-found-no-room", 8, test_write_edge);
    ADD("purge-tells-what-was-dropped", 8, test_purge);
    ADD("writable-follows-a-put-that-was-cut", 8, test_writable);
    ADD("what-must-not-be-split-is-put-whole-or-not-at-all", 8, test_put_all);
    ADD("purged-bytes-are-not-read", 8, test_purge_unread);
    ADD("each-session-that-comes-and-goes-is-told", 8, test_attached);
    ADD("end-comes-after-the-bytes", 8, test_end);
    ADD("error-comes-after-the-bytes-and-stops-writes", 8, test_error);
    ADD("shutdown-keeps-what-was-written", 8, test_shutdown);
    ADD("destroy-says-gone-once", 8, test_gone);
    ADD("detached-stream-calls-nobody", 8, test_detach);
    ADD("no-edge-after-the-host-stopped-listening", 8, test_silence);
    g_test_add_func("/support/ring-stream/bytes-put-before-giving-are-reported", test_early_bytes);
    return g_test_run();
}
