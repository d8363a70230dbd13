/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A session with the target in which every byte is checked. */
#include "bench-talk.h"

#include "bench-pattern.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#define STALL_LIMIT_MS 5000

static gboolean
fail(const BenchTalk *talk, const char *what, ssize_t result, GError **error)
{
    const char *why = result == 0         ? "the connection ended"
                      : result == -EAGAIN ? "nothing moved for 5 s"
                                          : g_strerror((int)-result);

    g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED,
                "session %u, %s, after %" G_GUINT64_FORMAT " bytes up and %" G_GUINT64_FORMAT
                " down: %s",
                talk->order.session, what, talk->up, talk->down, why);
    return FALSE;
}

static gboolean
write_all(BenchTalk *talk, const uint8_t *bytes, size_t len, GError **error)
{
    while (len > 0) {
        ssize_t n = bench_end_write(talk->end, bytes, len);

        if (n <= 0) {
            return fail(talk, "sending", n, error);
        }
        bytes += n;
        len -= (size_t)n;
    }
    return TRUE;
}

/**
 * bench_talk_begin:
 * @talk: its end is set, everything else zeroed
 *
 * Gives the target its order.
 *
 * Returns: whether it went.
 */
gboolean
bench_talk_begin(BenchTalk *talk, const BenchOrder *order, GError **error)
{
    talk->order = *order;
    talk->order.magic = BENCH_ORDER_MAGIC;
    return write_all(talk, (const uint8_t *)&talk->order, sizeof talk->order, error);
}

/**
 * bench_talk_end:
 *
 * Disconnects; harmless where there is no connection.
 */
void
bench_talk_end(BenchTalk *talk)
{
    g_clear_pointer(&talk->end, bench_end_free);
}

/**
 * bench_talk_ask:
 *
 * Sends one whole request.
 *
 * Returns: whether it went.
 */
gboolean
bench_talk_ask(BenchTalk *talk, GError **error)
{
    uint32_t len = talk->order.request_bytes;
    const uint8_t *bytes = bench_pattern_get(talk->order.session, BENCH_UP, talk->up);

    talk->up += len;
    return write_all(talk, bytes, len, error);
}

/**
 * bench_talk_take:
 *
 * Reads and checks what has come.
 *
 * Returns: how many bytes; -EAGAIN: none; or -1 with @error set.
 */
ssize_t
bench_talk_take(BenchTalk *talk, GError **error)
{
    const uint8_t *bytes;
    ssize_t n = bench_end_read(talk->end, &bytes);
    bool is_right;

    if (n == -EAGAIN) {
        return n;
    }
    if (n <= 0) {
        fail(talk, "reading", n, error);
        return -1;
    }
    is_right = (talk->order.is_background ? bench_pattern_begins : bench_pattern_matches)(
        talk->order.session, BENCH_DOWN, talk->down, bytes, (size_t)n);
    if (!is_right) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                    "session %u: wrong bytes from %" G_GUINT64_FORMAT " down", talk->order.session,
                    talk->down);
        return -1;
    }
    talk->down += (uint64_t)n;
    return n;
}

/**
 * bench_talk_give:
 *
 * Sends the next bytes of an endless stream.
 *
 * Returns: how many bytes; -EAGAIN: none; or -1 with @error set.
 */
ssize_t
bench_talk_give(BenchTalk *talk, GError **error)
{
    ssize_t n = bench_end_write(
        talk->end, bench_pattern_get(talk->order.session, BENCH_UP, talk->up), BENCH_CHUNK_BYTES);

    if (n == -EAGAIN) {
        return n;
    }
    if (n <= 0) {
        fail(talk, "sending", n, error);
        return -1;
    }
    talk->up += (uint64_t)n;
    return n;
}

/**
 * bench_talk_exchange:
 *
 * One request and its whole answer, on an end that waits.
 *
 * Returns: whether all of it came, and was right.
 */
gboolean
bench_talk_exchange(BenchTalk *talk, GError **error)
{
    uint64_t until = talk->down + talk->order.ack_bytes + talk->order.reply_bytes;

    if (!bench_talk_ask(talk, error)) {
        return FALSE;
    }
    while (talk->down < until) {
        ssize_t n = bench_talk_take(talk, error);

        if (n == -EAGAIN) {
            return fail(talk, "awaiting an answer", n, error);
        }
        if (n < 0) {
            return FALSE;
        }
    }
    return TRUE;
}

/**
 * bench_talk_wait:
 *
 * Waits until an end that does not wait can go on.
 *
 * Returns: whether that came in time.
 */
gboolean
bench_talk_wait(BenchTalk *talk, gboolean reads, gboolean writes, GError **error)
{
    struct pollfd fd = {.fd = bench_end_get_fd(talk->end),
                        .events = bench_end_get_poll_events(talk->end, reads, writes)};

    return poll(&fd, 1, STALL_LIMIT_MS) > 0 || fail(talk, "waiting", -EAGAIN, error);
}
