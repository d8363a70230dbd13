/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Endpoints in use: descriptors and streams alike, held to the contract of readiness. */
#include "kd-check.h"

#include <glib-unix.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK_BYTES (64u * 1024u)

static void
on_ready(void *user, uint32_t ready)
{
    KdCheckEnd *end = user;
    g_assert_true(end->is_open); /* none after destroy */
    g_assert_cmpuint(ready & ~(uint32_t)(KD_READY_IN | KD_READY_OUT), ==, 0);
    end->ready |= ready;
    end->n_reports++;
}

static gboolean
on_fd_ready(gint fd G_GNUC_UNUSED, GIOCondition condition, gpointer user)
{
    KdCheckEnd *end = user;
    if ((condition & (G_IO_IN | G_IO_HUP | G_IO_ERR)) != 0)
        end->ready |= KD_READY_IN;
    if ((condition & (G_IO_OUT | G_IO_HUP | G_IO_ERR)) != 0)
        end->ready |= KD_READY_OUT;
    return G_SOURCE_CONTINUE;
}

/**
 * kd_check_end_prepare:
 *
 * Makes an empty endpoint for a _finish to fill.
 */
void
kd_check_end_prepare(KdCheckEnd *end)
{
    *end = (KdCheckEnd){.endpoint = {.struct_size = sizeof(KdEndpoint), .fd = -1}};
}

static void
check_facts(GVariant *facts)
{
    static const struct {
        const char *name;
        const char *type;
    } known[] = {
        {"peer", "s"}, {"peer-uid", "u"}, {"peer-pid", "u"}, {"baud", "u"}, {"dialect", "s"},
    };
    if (facts == NULL)
        return;
    g_assert_true(g_variant_is_of_type(facts, G_VARIANT_TYPE_VARDICT));
    g_assert_false(g_variant_is_floating(facts));
    for (size_t i = 0; i < G_N_ELEMENTS(known); i++) {
        g_autoptr(GVariant) fact = g_variant_lookup_value(facts, known[i].name, NULL);
        if (fact != NULL)
            g_assert_cmpstr(g_variant_get_type_string(fact), ==, known[i].type);
    }
}

/**
 * kd_check_end_start:
 *
 * Looks at an endpoint that a _finish has filled, and starts to use it.
 */
void
kd_check_end_start(KdCheckEnd *end)
{
    const KdEndpoint *endpoint = &end->endpoint;
    g_assert_cmpuint(endpoint->struct_size, ==, sizeof(KdEndpoint));
    g_assert_cmpuint(endpoint->reserved, ==, 0);
    g_assert_cmpuint(endpoint->flags &
                         ~(uint32_t)(KD_ENDPOINT_ENCRYPTED | KD_ENDPOINT_HALF_CLOSE |
                                     KD_ENDPOINT_KEEP | KD_ENDPOINT_DRAIN | KD_ENDPOINT_QUIET),
                     ==, 0);
    check_facts(endpoint->facts);
    end->is_open = TRUE;
    end->ready = KD_READY_IN | KD_READY_OUT; /* try first, then wait */
    if (endpoint->fd >= 0) {
        g_assert_null(endpoint->ops);
        g_assert_null(endpoint->stream);
        g_assert_true((fcntl(endpoint->fd, F_GETFL) & O_NONBLOCK) != 0);
        g_assert_true((fcntl(endpoint->fd, F_GETFD) & FD_CLOEXEC) != 0);
        return;
    }
    g_assert_nonnull(endpoint->ops);
    g_assert_nonnull(endpoint->stream);
    g_assert_cmpuint(endpoint->ops->struct_size, >=, sizeof(KdStreamOps));
    g_assert_nonnull(endpoint->ops->read);
    g_assert_nonnull(endpoint->ops->write);
    g_assert_nonnull(endpoint->ops->set_ready);
    g_assert_nonnull(endpoint->ops->destroy);
    if ((endpoint->flags & KD_ENDPOINT_HALF_CLOSE) != 0)
        g_assert_nonnull(endpoint->ops->shutdown_write);
    endpoint->ops->set_ready(endpoint->stream, on_ready, end);
}

/**
 * kd_check_end_close:
 *
 * Closes the endpoint as a host does.
 */
void
kd_check_end_close(KdCheckEnd *end)
{
    if (!end->is_open)
        return;
    kd_check_clock_start();
    if (end->endpoint.fd >= 0) {
        g_assert_cmpint(close(end->endpoint.fd), ==, 0);
    } else {
        end->endpoint.ops->set_ready(end->endpoint.stream, NULL, NULL);
        end->is_open = FALSE;
        end->endpoint.ops->destroy(end->endpoint.stream);
    }
    kd_check_clock_stop("closing an end");
    end->is_open = FALSE;
    end->endpoint.fd = -1;
    end->endpoint.ops = NULL;
    end->endpoint.stream = NULL;
    g_clear_pointer(&end->endpoint.facts, g_variant_unref);
}

static gssize
note_count(KdCheckEnd *end, gssize n, size_t len, uint32_t ready)
{
    if (n == -EAGAIN)
        end->ready &= ~ready;
    g_assert_cmpint(n, <=, (gssize)len);
    return n;
}

/**
 * kd_check_end_read:
 *
 * Returns: bytes, 0 at the end, or -errno; a terminal that is hung up has ended
 */
gssize
kd_check_end_read(KdCheckEnd *end, void *buf, size_t len)
{
    gssize n = 0;
    if (end->endpoint.fd < 0) {
        n = end->endpoint.ops->read(end->endpoint.stream, buf, len);
    } else {
        n = read(end->endpoint.fd, buf, len);
        if (n < 0)
            n = -errno;
    }
    return note_count(end, n, len, KD_READY_IN);
}

/**
 * kd_check_end_write:
 *
 * Returns: bytes taken, or -errno
 */
gssize
kd_check_end_write(KdCheckEnd *end, const void *buf, size_t len)
{
    gssize n = 0;
    if (end->endpoint.fd < 0) {
        n = end->endpoint.ops->write(end->endpoint.stream, buf, len);
    } else {
        n = send(end->endpoint.fd, buf, len, MSG_NOSIGNAL);
        if (n < 0 && errno == ENOTSOCK)
            n = write(end->endpoint.fd, buf, len);
        if (n < 0)
            n = -errno;
    }
    return note_count(end, n, len, KD_READY_OUT);
}

/**
 * kd_check_end_shutdown:
 *
 * Returns: 0 or -errno
 */
int
kd_check_end_shutdown(KdCheckEnd *end)
{
    if (end->endpoint.fd < 0)
        return end->endpoint.ops->shutdown_write(end->endpoint.stream);
    return shutdown(end->endpoint.fd, SHUT_WR) == 0 ? 0 : -errno;
}

static guint
watch_end(KdCheckEnd *end, uint32_t ready)
{
    unsigned condition = 0;
    if (end->endpoint.fd < 0)
        return 0; /* tells by itself */
    if ((ready & ~end->ready & KD_READY_IN) != 0)
        condition |= G_IO_IN;
    if ((ready & ~end->ready & KD_READY_OUT) != 0)
        condition |= G_IO_OUT;
    return condition != 0
               ? g_unix_fd_add(end->endpoint.fd, (GIOCondition)condition, on_fd_ready, end)
               : 0;
}

/**
 * kd_check_end_await:
 *
 * Turns the loop until the end is ready for one of @ready: after an -EAGAIN that has to be
 * reported.
 */
void
kd_check_end_await(KdCheckEnd *end, uint32_t ready)
{
    guint id = watch_end(end, ready);
    while ((end->ready & ready) == 0)
        kd_check_turn(TRUE);
    g_clear_handle_id(&id, g_source_remove);
}

static uint8_t
get_pattern(guint64 at)
{
    return (uint8_t)(at ^ (at >> 8) * 167u ^ (at >> 16) * 59u);
}

static gboolean
push_flow(KdCheckFlow *flow)
{
    static uint8_t chunk[CHUNK_BYTES];
    size_t len = (size_t)MIN(flow->total - flow->written, (guint64)MIN(flow->chunk, sizeof chunk));
    if (len == 0 || (flow->from->ready & KD_READY_OUT) == 0)
        return FALSE;
    for (size_t i = 0; i < len; i++)
        chunk[i] = get_pattern(flow->written + i);
    gssize n = kd_check_end_write(flow->from, chunk, len);
    if (n == -EAGAIN)
        return FALSE;
    g_assert_cmpint(n, >, 0);
    flow->written += (guint64)n;
    return TRUE;
}

static gboolean
pull_flow(KdCheckFlow *flow)
{
    static uint8_t chunk[CHUNK_BYTES];
    if (flow->read == flow->total || (flow->to->ready & KD_READY_IN) == 0)
        return FALSE;
    gssize n = kd_check_end_read(flow->to, chunk, sizeof chunk);
    if (n == -EAGAIN)
        return FALSE;
    g_assert_cmpint(n, >, 0);
    g_assert_cmpuint(flow->read + (guint64)n, <=, flow->total);
    for (gssize i = 0; i < n; i++) {
        if (chunk[i] != get_pattern(flow->read + (guint64)i))
            g_error("wrong byte at %" G_GUINT64_FORMAT, flow->read + (guint64)i);
    }
    flow->read += (guint64)n;
    return TRUE;
}

static void
await_flows(KdCheckFlow *flows, size_t n_flows)
{
    g_autoptr(GArray) ids = g_array_new(FALSE, FALSE, sizeof(guint));
    gboolean is_ready = FALSE;
    for (size_t i = 0; i < n_flows; i++) {
        guint out = watch_end(flows[i].from,
                              flows[i].written < flows[i].total ? (uint32_t)KD_READY_OUT : 0u);
        guint in =
            watch_end(flows[i].to, flows[i].read < flows[i].total ? (uint32_t)KD_READY_IN : 0u);
        g_array_append_val(ids, out);
        g_array_append_val(ids, in);
    }
    while (!is_ready) {
        kd_check_turn(TRUE);
        for (size_t i = 0; i < n_flows; i++)
            is_ready |=
                (flows[i].written < flows[i].total && (flows[i].from->ready & KD_READY_OUT) != 0) ||
                (flows[i].read < flows[i].total && (flows[i].to->ready & KD_READY_IN) != 0);
    }
    for (guint i = 0; i < ids->len; i++) {
        if (g_array_index(ids, guint, i) != 0)
            g_source_remove(g_array_index(ids, guint, i));
    }
}

/**
 * kd_check_run_flows:
 *
 * Moves all bytes of all flows; whoever said -EAGAIN is not asked again before it has reported.
 */
void
kd_check_run_flows(KdCheckFlow *flows, size_t n_flows)
{
    for (;;) {
        gboolean has_moved = FALSE;
        gboolean is_done = TRUE;
        for (size_t i = 0; i < n_flows; i++) {
            has_moved |= push_flow(&flows[i]);
            has_moved |= pull_flow(&flows[i]);
            is_done &= flows[i].read == flows[i].total;
        }
        if (is_done)
            return;
        if (!has_moved)
            await_flows(flows, n_flows);
    }
}

/**
 * kd_check_end_fill:
 *
 * Writes until no more is taken, or @most bytes are.
 *
 * Returns: how many were
 */
guint64
kd_check_end_fill(KdCheckEnd *end, guint64 most)
{
    KdCheckFlow flow = {.from = end, .to = end, .total = most, .chunk = CHUNK_BYTES};
    while (push_flow(&flow))
        ;
    return flow.written;
}

/**
 * kd_check_end_drain:
 * @count: (nullable): is increased by the bytes
 *
 * Reads to the end or to an error.
 *
 * Returns: 0 or -errno
 */
gssize
kd_check_end_drain(KdCheckEnd *end, guint64 *count)
{
    uint8_t chunk[4096];
    for (;;) {
        gssize n = kd_check_end_read(end, chunk, sizeof chunk);
        if (n == -EAGAIN) {
            kd_check_end_await(end, KD_READY_IN);
            continue;
        }
        if (n <= 0)
            return n;
        if (count != NULL)
            *count += (guint64)n;
    }
}
