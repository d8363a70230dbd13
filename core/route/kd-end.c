/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One end of a route: a descriptor or a plugin's stream behind the same few calls. */
#include "kd-end.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static void
on_stream_ready(void *user, uint32_t ready)
{
    KdEnd *end = user;

    kd_loop_ready(&end->watch, ready);
}

/**
 * kd_end_new:
 * @endpoint: (transfer full): left empty; untouched on error
 * @funcs: its gone function must end with kd_end_gone()
 * @owner: for the run function
 * @error: where to put an error
 *
 * Puts an endpoint into the loop.
 *
 * Returns: (transfer full) (nullable): the end; kd_end_free() or kd_end_release() takes it back
 */
KdEnd *
kd_end_new(KdEndpoint *endpoint, const KdLoopWatchFuncs *funcs, void *owner, GError **error)
{
    KdEnd *end = g_new0(KdEnd, 1);

    end->watch.funcs = funcs;
    end->watch.fd = endpoint->fd;
    end->endpoint = *endpoint;
    end->layer = kd_endpoint_get_layer(endpoint);
    end->is_stream = endpoint->fd < 0 || end->layer != NULL;
    end->owner = owner;
    if (!kd_loop_add(&end->watch, error)) {
        g_free(end);
        return NULL;
    }
    kd_endpoint_init(endpoint);
    if (end->is_stream) {
        /* A stream reports edges, and it may have become ready before anybody listened. */
        end->watch.ready = KD_READY_IN | KD_READY_OUT;
        if (end->layer == NULL) {
            end->endpoint.ops->set_ready(end->endpoint.stream, on_stream_ready, end);
        }
        kd_loop_ready(&end->watch, KD_READY_IN | KD_READY_OUT);
    }
    return end;
}

/**
 * kd_end_release:
 * @end: (transfer full): not to be used any more
 * @endpoint: (out caller-allocates): what it held, still open
 *
 * Takes an endpoint out of the loop without closing it.
 */
void
kd_end_release(KdEnd *end, KdEndpoint *endpoint)
{
    if (end->is_stream && end->layer == NULL) {
        end->endpoint.ops->set_ready(end->endpoint.stream, NULL, NULL);
    }
    *endpoint = end->endpoint;
    kd_endpoint_init(&end->endpoint);
    kd_loop_remove(&end->watch);
}

/**
 * kd_end_free:
 * @end: (transfer full) (nullable): not to be used any more
 *
 * Takes an endpoint out of the loop and closes it: out of the epoll set first, because a duplicate
 * of the descriptor elsewhere would keep its events coming (close() alone is not enough).
 */
void
kd_end_free(KdEnd *end)
{
    KdEndpoint endpoint;

    if (end == NULL) {
        return;
    }
    kd_end_release(end, &endpoint);
    kd_endpoint_clear(&endpoint);
}

/**
 * kd_end_gone:
 * @watch: of an end
 *
 * Frees an end's memory: the gone function of every end.
 */
void
kd_end_gone(KdLoopWatch *watch)
{
    g_free(watch);
}

/**
 * kd_end_read:
 * @end: an end
 * @buf: for the bytes
 * @len: at most so many
 *
 * Reads what is there and keeps the sticky readiness true.
 *
 * Returns: bytes read, 0 at the end, -EAGAIN, or another -errno
 */
gssize
kd_end_read(KdEnd *end, uint8_t *buf, size_t len)
{
    gssize n;

    if (end->is_stream) {
        n = end->endpoint.ops->read(end->endpoint.stream, buf, len);
        if (end->layer != NULL && end->layer->is_dry(end->endpoint.stream)) {
            /* As below: without asking once more. */
            if ((end->watch.ready & KD_READY_HUP) == 0) {
                end->watch.ready &= ~(uint32_t)KD_READY_IN;
            }
        } else if (end->layer != NULL && n == -EAGAIN) {
            kd_loop_ready(&end->watch, KD_READY_IN); /* it has had enough for one turn */
            return n;
        }
    } else {
        do {
            n = read(end->endpoint.fd, buf, len);
        } while (n < 0 && errno == EINTR);
        n = n < 0 ? -errno : n;
        /* Nothing more just now: the next edge says when there is. A peer that has hung up sends
         * no further edge, so then only the end itself counts. */
        if (n > 0 && (size_t)n < len && (end->watch.ready & KD_READY_HUP) == 0) {
            end->watch.ready &= ~(uint32_t)KD_READY_IN;
        }
    }
    if (n == -EAGAIN) {
        end->watch.ready &= ~(uint32_t)(KD_READY_IN | KD_READY_HUP);
        if (end->write_error != 0) {
            return -end->write_error;
        }
    }
    /* A pty's master says EIO when the last slave was closed. */
    return n == -EIO && !end->is_stream ? 0 : n;
}

static gssize
stream_writev(KdEnd *end, const struct iovec *vec, int n)
{
    gssize total = 0;

    for (int i = 0; i < n; i++) {
        gssize done =
            end->endpoint.ops->write(end->endpoint.stream, vec[i].iov_base, vec[i].iov_len);

        if (done < 0) {
            return total > 0 ? total : done;
        }
        total += done;
        if ((size_t)done < vec[i].iov_len) {
            break;
        }
    }
    return total;
}

/**
 * kd_end_write:
 * @end: an end
 * @vec: runs of bytes, none of them empty
 * @n: how many runs
 *
 * Writes what is taken at once and keeps the sticky readiness true. After an error that is for good
 * the end counts as readable, so that its owner reads on to the end of what the other side said.
 *
 * Returns: bytes written, maybe fewer, -EAGAIN, or another -errno
 */
gssize
kd_end_write(KdEnd *end, const struct iovec *vec, int n)
{
    gssize done;

    if (end->write_error != 0) {
        return -end->write_error;
    }
    if (end->is_stream) {
        done = stream_writev(end, vec, n);
    } else {
        do {
            done = n == 1 ? write(end->endpoint.fd, vec[0].iov_base, vec[0].iov_len)
                          : writev(end->endpoint.fd, vec, n);
        } while (done < 0 && errno == EINTR);
        done = done < 0 ? -errno : done;
    }
    if (done == -EAGAIN) {
        kd_loop_await_out(&end->watch);
    } else if (done < 0) {
        end->write_error = (int)-done;
        kd_loop_ready(&end->watch, KD_READY_IN);
    } else if (end->layer != NULL) {
        (void)kd_end_flush(end);
    }
    return done;
}

/**
 * kd_end_flush:
 * @end: an end
 *
 * Sends what an earlier write has left behind, if there is room: every run of an end that may have
 * a layer must ask.
 *
 * Returns: whether nothing waits inside of the end, or never leaves it any more
 */
gboolean
kd_end_flush(KdEnd *end)
{
    int code;

    if (end->layer == NULL || end->write_error != 0) {
        return TRUE;
    }
    if ((end->watch.ready & KD_READY_OUT) == 0) {
        return FALSE; /* this is how it was left */
    }
    code = end->layer->flush(end->endpoint.stream);
    if (code == -EAGAIN) {
        kd_loop_await_out(&end->watch);
    } else if (code < 0) {
        end->write_error = -code;
        kd_loop_ready(&end->watch, KD_READY_IN);
    }
    return code != -EAGAIN;
}

/**
 * kd_end_shutdown_write:
 * @end: an end
 *
 * Tells the other side that no more bytes come, where the endpoint can.
 */
void
kd_end_shutdown_write(KdEnd *end)
{
    if (end->is_shut) {
        return;
    }
    end->is_shut = TRUE;
    if (!end->is_stream) {
        (void)shutdown(end->endpoint.fd, SHUT_WR);
    } else if (end->endpoint.ops->shutdown_write != NULL) {
        (void)end->endpoint.ops->shutdown_write(end->endpoint.stream);
        (void)kd_end_flush(end);
    }
}

/**
 * kd_end_is_readable:
 * @end: an end
 *
 * Returns: whether a read is worth trying
 */
gboolean
kd_end_is_readable(const KdEnd *end)
{
    return (end->watch.ready & (KD_READY_IN | KD_READY_HUP)) != 0;
}

/**
 * kd_end_is_writable:
 * @end: an end
 *
 * Returns: whether a write is worth trying
 */
gboolean
kd_end_is_writable(const KdEnd *end)
{
    return (end->watch.ready & KD_READY_OUT) != 0 || end->write_error != 0;
}
