/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The plaintext of a TLS session as an endpoint. */
#include "kd-tls-stream.h"
#include "kd-tls-stream-private.h"

#include "kd-endpoint.h"
#include "kd-loop.h"
#include "kd-tls-failure-private.h"

#include <errno.h>

/* One record and its header, so that a read of one byte does not ask the kernel for each */
#define LEAST_READ_BYTES ((size_t)16384 + 512)
/* Calls in one turn that bring nothing to read: key updates, tickets, empty records, warnings */
#define MOST_IDLE_CALLS 32u

/**
 * KdTlsStream:
 * @pump: of a base without a descriptor: sends what its write has left, when there is room again
 * @session: keys and ciphertext
 * @end: what reads return from now on, 0 or -errno, if @has_ended
 * @is_shut: we have said close_notify
 *
 * A stream of the ABI, or a layer over a descriptor.
 */
typedef struct {
    KdLoopWatch pump;
    KdTlsSession *session;
    gssize end;
    gboolean has_ended;
    gboolean is_shut;
    KdReadyFunc ready;
    void *ready_user;
} KdTlsStream;

static KdTlsStream *
from_base(const KdStream *base)
{
    return (KdTlsStream *)(void *)base;
}

static void
report(KdTlsStream *stream, uint32_t ready)
{
    if (ready != 0 && stream->ready != NULL) {
        stream->ready(stream->ready_user, ready);
    }
}

/* ---- reading ---- */

static void
end_reading(KdTlsStream *stream, int code)
{
    KdTlsSession *session = stream->session;

    stream->has_ended = TRUE;
    stream->end = 0;
    if (code == 0) {
        return;
    }
    stream->end = -kd_tls_failure_get_errno(session, code);
    if (code == GNUTLS_E_REHANDSHAKE) {
        /* Nobody needs a renegotiation, and its past is bad (RFC 5746, 4.2). */
        (void)gnutls_alert_send(session->gnutls, GNUTLS_AL_FATAL, GNUTLS_A_NO_RENEGOTIATION);
    } else if (code != GNUTLS_E_FATAL_ALERT_RECEIVED && code != GNUTLS_E_PREMATURE_TERMINATION &&
               code != GNUTLS_E_PULL_ERROR) {
        (void)gnutls_alert_send_appropriate(session->gnutls, code);
    }
}

/* Records until @buf is full or there are none. Returns bytes. */
static size_t
read_records(KdTlsStream *stream, uint8_t *buf, size_t len)
{
    KdTlsSession *session = stream->session;
    size_t done = 0;
    guint n_idle = 0;

    while (done < len && n_idle < MOST_IDLE_CALLS) {
        ssize_t n;

        session->may_stop = done > 0;
        n = gnutls_record_recv(session->gnutls, buf + done, len - done);
        if (n > 0) {
            done += (size_t)n;
        } else if (n == GNUTLS_E_AGAIN && session->is_starved) {
            break;
        } else if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED ||
                   n == GNUTLS_E_WARNING_ALERT_RECEIVED) {
            n_idle++;
        } else {
            end_reading(stream, (int)n);
            break;
        }
    }
    return done;
}

static gssize
tls_read(KdStream *base, void *buf, size_t len)
{
    KdTlsStream *stream = from_base(base);
    KdTlsSession *session = stream->session;
    size_t done;

    if (stream->has_ended) {
        return stream->end;
    }
    kd_tls_session_begin(session, MAX(len, LEAST_READ_BYTES));
    done = read_records(stream, buf, len);
    kd_tls_session_end(session);
    if (done > 0) {
        return (gssize)done;
    }
    if (stream->has_ended) {
        return stream->end;
    }
    if (session->fd < 0 && !session->is_dry) {
        kd_loop_ready(&stream->pump, KD_READY_IN); /* it has had enough for one turn */
    }
    return -EAGAIN;
}

static gboolean
tls_is_dry(const KdStream *base)
{
    const KdTlsStream *stream = from_base(base);

    return !stream->has_ended && kd_tls_session_has_read_all(stream->session);
}

/* ---- writing ---- */

static int
tls_flush(KdStream *base)
{
    return kd_tls_session_flush(from_base(base)->session);
}

static gssize
tls_write(KdStream *base, const void *buf, size_t len)
{
    KdTlsStream *stream = from_base(base);
    KdTlsSession *session = stream->session;
    int code = stream->is_shut ? -EPIPE : kd_tls_session_flush(session);
    size_t done = 0;

    if (code != 0) {
        return code;
    }
    len = MIN(len, KD_TLS_GATHER_BYTES);
    kd_tls_session_begin(session, 0);
    while (done < len) {
        ssize_t n = gnutls_record_send(session->gnutls, (const uint8_t *)buf + done, len - done);

        if (n <= 0) {
            code = -kd_tls_failure_get_errno(session, (int)n);
            break;
        }
        done += (size_t)n;
    }
    kd_tls_session_end(session);
    if (session->out_error != 0) {
        return -session->out_error;
    }
    return done > 0 || len == 0 ? (gssize)done : code;
}

static int
tls_shutdown_write(KdStream *base)
{
    KdTlsStream *stream = from_base(base);

    if (stream->is_shut) {
        return 0;
    }
    stream->is_shut = TRUE;
    return kd_tls_session_shut(stream->session);
}

/* ---- a base without a descriptor ---- */

static gboolean
on_pump_run(KdLoopWatch *pump)
{
    KdTlsStream *stream = (KdTlsStream *)pump;
    uint32_t ready = pump->ready;

    pump->ready = 0;
    if ((ready & KD_READY_OUT) != 0) {
        int code = kd_tls_session_flush(stream->session);

        if (code == -EAGAIN) {
            ready &= ~(uint32_t)KD_READY_OUT;
        } else if (code < 0) {
            ready |= KD_READY_IN;
        }
    }
    report(stream, ready);
    return FALSE;
}

static void
on_pump_gone(KdLoopWatch *pump)
{
    g_free((KdTlsStream *)pump);
}

/* Not pure: the base is a plugin's. */
static const KdLoopWatchFuncs pump_funcs = {.run = on_pump_run, .gone = on_pump_gone};

static void
on_base_ready(void *user, uint32_t ready)
{
    KdTlsStream *stream = user;

    if ((ready & KD_READY_OUT) != 0 && stream->session->out_kept != NULL) {
        kd_loop_ready(&stream->pump, KD_READY_OUT);
        ready &= ~(uint32_t)KD_READY_OUT;
    }
    report(stream, ready);
}

static void
tls_set_ready(KdStream *base, KdReadyFunc fn, void *user)
{
    KdTlsStream *stream = from_base(base);
    KdEndpoint *inner = &stream->session->base;

    stream->ready = fn;
    stream->ready_user = user;
    if (fn != NULL) {
        inner->ops->set_ready(inner->stream, on_base_ready, stream);
        /* What a handshake has read too much, nobody else tells of. */
        report(stream, KD_READY_IN | KD_READY_OUT);
    } else {
        inner->ops->set_ready(inner->stream, NULL, NULL);
    }
}

static void
tls_destroy(KdStream *base)
{
    KdTlsStream *stream = from_base(base);

    stream->ready = NULL;
    if (stream->session->fd < 0) {
        kd_tls_session_free(g_steal_pointer(&stream->session));
        kd_loop_remove(&stream->pump);
    } else {
        kd_tls_session_free(g_steal_pointer(&stream->session));
        g_free(stream);
    }
}

static const KdLayerOps tls_ops = {
    .stream =
        {
            .struct_size = sizeof(KdStreamOps),
            .read = tls_read,
            .write = tls_write,
            .set_ready = tls_set_ready,
            .shutdown_write = tls_shutdown_write,
            .destroy = tls_destroy,
        },
    .flush = tls_flush,
    .is_dry = tls_is_dry,
};

/**
 * kd_tls_stream_give:
 * @session: (transfer full): after its handshake
 * @endpoint: (out caller-allocates): its plaintext, with the facts of the base
 *
 * Reads return 0 only after close_notify, and -ECONNABORTED where the connection was cut;
 * kd_tls_stream_explain() knows what else they fail with.
 */
void
kd_tls_stream_give(KdTlsSession *session, KdEndpoint *endpoint)
{
    uint32_t flags = KD_ENDPOINT_ENCRYPTED | KD_ENDPOINT_HALF_CLOSE;
    KdTlsStream *stream = g_new0(KdTlsStream, 1);

    stream->session = session;
    stream->pump = (KdLoopWatch){.funcs = &pump_funcs, .fd = -1};
    kd_endpoint_init(endpoint);
    if (session->fd >= 0) {
        kd_endpoint_take_fd(endpoint, session->fd, flags, NULL);
        session->base.fd = -1;
        kd_endpoint_put_layer(endpoint, &tls_ops, (KdStream *)(void *)stream);
    } else {
        if (!kd_loop_add(&stream->pump, NULL)) {
            g_assert_not_reached(); /* without a descriptor nothing can be refused */
        }
        kd_endpoint_take_stream(endpoint, &tls_ops.stream, (KdStream *)(void *)stream, flags, NULL);
    }
    endpoint->facts = g_steal_pointer(&session->base.facts);
}
