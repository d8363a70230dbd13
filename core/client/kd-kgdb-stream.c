/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A debugger's end that stops where a BREAK is wanted between its bytes. */
#include "kd-kgdb-stream.h"

#include "kd-end.h"
#include "kd-rsp-scanner.h"

#include <errno.h>
#include <string.h>

/**
 * KdStream:
 * @mark: no descriptor: tells the owner of a mark from outside of a read
 * @inner: the debugger
 * @held: (nullable): read from the debugger and not given yet
 * @held_at: how much of @held is used up
 * @is_marked: a BREAK is wanted before the next byte of the debugger
 * @mark_has_g: and a `g` behind it
 * @is_asked: a BREAK is wanted as soon as no packet is half given
 * @has_g: a `g` comes next
 * @has_ended: the debugger has said its last byte, and all was given
 */
struct KdStream {
    KdLoopWatch mark;
    KdEnd *inner;
    const KdKgdbFuncs *funcs;
    void *user;
    KdReadyFunc ready;
    void *ready_user;
    KdRspScanner scanner;
    uint8_t *held;
    size_t held_at;
    size_t held_len;
    gboolean is_marked;
    gboolean mark_has_g;
    gboolean is_asked;
    gboolean has_g;
    gboolean has_ended;
};

static void
report(KdStream *stream, uint32_t ready)
{
    if (stream->ready != NULL) {
        stream->ready(stream->ready_user, ready);
    }
}

/* ---- what was read and must wait ---- */

static void
use_held(KdStream *stream, size_t len)
{
    stream->held_at += len;
    if (stream->held_at >= stream->held_len) {
        g_clear_pointer(&stream->held, g_free);
        stream->held_at = stream->held_len = 0;
    }
}

/* Behind what is held already, which is one byte at most. */
static void
hold(KdStream *stream, const uint8_t *bytes, size_t len)
{
    size_t old = stream->held_len - stream->held_at;
    uint8_t *held;

    if (len == 0) {
        return;
    }
    held = g_malloc(old + len);
    if (old > 0) {
        memcpy(held, stream->held + stream->held_at, old);
    }
    memcpy(held + old, bytes, len);
    g_free(stream->held);
    stream->held = held;
    stream->held_at = 0;
    stream->held_len = old + len;
}

/* ---- reading ---- */

static void
take_mark(KdStream *stream, const KdRspPiece *piece)
{
    if (piece->is_break) {
        stream->is_marked = TRUE;
        stream->mark_has_g = piece->has_g;
    }
}

/* Returns: bytes given; 0 for a mark, or when more must be read first */
static size_t
give_held(KdStream *stream, uint8_t *buf, size_t len)
{
    const uint8_t *bytes = stream->held + stream->held_at;
    KdRspPiece piece;

    kd_rsp_scan(&stream->scanner, bytes, stream->held_len - stream->held_at, len, &piece);
    memcpy(buf, bytes, piece.n_pass);
    use_held(stream, piece.n_pass + piece.n_skip);
    take_mark(stream, &piece);
    return piece.n_pass;
}

/* Nothing is held: what passes stays where it was read to. */
static size_t
give_fresh(KdStream *stream, uint8_t *buf, size_t len)
{
    KdRspPiece piece;

    kd_rsp_scan(&stream->scanner, buf, len, len, &piece);
    hold(stream, buf + piece.n_pass + piece.n_skip, len - piece.n_pass - piece.n_skip);
    take_mark(stream, &piece);
    return piece.n_pass;
}

/* The debugger's end or failure: what was held in case more came passes first. */
static gssize
end_reading(KdStream *stream, uint8_t *buf, gssize code)
{
    if (code != -EAGAIN && stream->held != NULL) {
        *buf = stream->held[stream->held_at];
        use_held(stream, 1);
        return 1;
    }
    stream->has_ended = stream->has_ended || code != -EAGAIN;
    return code;
}

static gssize
read_inner(KdStream *stream, uint8_t *buf, size_t len)
{
    return kd_end_is_readable(stream->inner) ? kd_end_read(stream->inner, buf, len) : -EAGAIN;
}

static gssize
read_on(KdStream *stream, uint8_t *buf, size_t len)
{
    size_t given = stream->held != NULL ? give_held(stream, buf, len) : 0;

    while (given == 0 && !stream->is_marked) {
        gssize n = read_inner(stream, buf, len);

        if (n <= 0) {
            return end_reading(stream, buf, n);
        }
        if (stream->held != NULL) {
            hold(stream, buf, (size_t)n);
            given = give_held(stream, buf, len);
        } else {
            given = give_fresh(stream, buf, (size_t)n);
        }
    }
    return (gssize)given;
}

static gssize
kgdb_read(KdStream *stream, void *buf, size_t len)
{
    gssize n;

    if (stream->has_g) {
        stream->has_g = FALSE;
        *(uint8_t *)buf = 'g';
        return 1;
    }
    if (stream->is_asked && !stream->is_marked && kd_rsp_is_outside(&stream->scanner)) {
        stream->is_asked = FALSE;
        stream->is_marked = stream->mark_has_g = TRUE;
    }
    n = stream->is_marked ? 0 : read_on(stream, buf, len);
    if (n == 0 && stream->is_marked) {
        kd_loop_ready(&stream->mark, 0);
        return -EAGAIN;
    }
    return n;
}

/* ---- the rest of a stream ---- */

static gssize
kgdb_write(KdStream *stream, const void *buf, size_t len)
{
    struct iovec vec = {.iov_base = (void *)buf, .iov_len = len};

    return kd_end_is_writable(stream->inner) ? kd_end_write(stream->inner, &vec, 1) : -EAGAIN;
}

static void
kgdb_set_ready(KdStream *stream, KdReadyFunc fn, void *user)
{
    stream->ready = fn;
    stream->ready_user = user;
}

static int
kgdb_shutdown_write(KdStream *stream)
{
    kd_end_shutdown_write(stream->inner);
    return 0;
}

static void
kgdb_destroy(KdStream *stream)
{
    stream->ready = NULL;
    stream->funcs->gone(stream->user);
    kd_end_free(g_steal_pointer(&stream->inner));
    kd_loop_remove(&stream->mark);
}

static const KdStreamOps kgdb_ops = {
    .struct_size = sizeof(KdStreamOps),
    .read = kgdb_read,
    .write = kgdb_write,
    .set_ready = kgdb_set_ready,
    .shutdown_write = kgdb_shutdown_write,
    .destroy = kgdb_destroy,
};

/* ---- readiness ---- */

static gboolean
on_inner_run(KdLoopWatch *watch)
{
    KdStream *stream = ((KdEnd *)watch)->owner;
    uint32_t ready = watch->ready & (KD_READY_IN | KD_READY_OUT);

    if ((watch->ready & KD_READY_HUP) != 0) {
        ready |= KD_READY_IN;
    }
    report(stream, ready);
    return FALSE;
}

static const KdLoopWatchFuncs inner_funcs = {
    .run = on_inner_run,
    .gone = kd_end_gone,
    .is_pure = TRUE,
};

static gboolean
on_mark_run(KdLoopWatch *watch)
{
    KdStream *stream = (KdStream *)watch;

    if (stream->has_g) {
        report(stream, KD_READY_IN); /* of an urgent BREAK meanwhile: comes first */
    } else if (stream->is_marked) {
        stream->funcs->marked(stream->user);
    }
    return FALSE;
}

static void
on_mark_gone(KdLoopWatch *watch)
{
    KdStream *stream = (KdStream *)watch;

    g_free(stream->held);
    g_free(stream);
}

static const KdLoopWatchFuncs mark_funcs = {.run = on_mark_run, .gone = on_mark_gone};

/* ---- for the owner ---- */

/**
 * kd_kgdb_stream_wrap:
 * @endpoint: (inout): the debugger's; afterwards one that has it inside. Untouched on error
 * @funcs: lives as long as the stream
 * @user: for @funcs
 * @error: return location
 *
 * Reads along what a debugger says, and stops where GDB wants to break into a kernel.
 *
 * Returns: (transfer none): the stream, which @endpoint owns
 */
KdStream *
kd_kgdb_stream_wrap(KdEndpoint *endpoint, const KdKgdbFuncs *funcs, void *user, GError **error)
{
    KdStream *stream = g_new0(KdStream, 1);
    uint32_t flags = endpoint->flags;

    stream->mark = (KdLoopWatch){.funcs = &mark_funcs, .fd = -1};
    stream->funcs = funcs;
    stream->user = user;
    stream->inner = kd_end_new(endpoint, &inner_funcs, stream, error);
    if (stream->inner == NULL) {
        g_free(stream);
        return NULL;
    }
    if (!kd_loop_add(&stream->mark, NULL)) {
        g_assert_not_reached(); /* without a descriptor nothing can be refused */
    }
    kd_endpoint_take_stream(endpoint, &kgdb_ops, stream, flags, NULL);
    return stream;
}

/**
 * kd_kgdb_stream_pass:
 * @stream: at a mark
 * @is_sent: the BREAK is on its way; else the `g` that belongs to it is dropped as well
 *
 * Goes on behind the mark, which serves whoever has asked for one meanwhile as well.
 */
void
kd_kgdb_stream_pass(KdStream *stream, gboolean is_sent)
{
    stream->is_marked = FALSE;
    stream->has_g = stream->has_g || (is_sent && (stream->mark_has_g || stream->is_asked));
    stream->is_asked = FALSE; /* this BREAK was for them, too */
    report(stream, KD_READY_IN);
}

/**
 * kd_kgdb_stream_retry:
 * @stream: maybe at a mark
 *
 * Tells of the mark again.
 */
void
kd_kgdb_stream_retry(KdStream *stream)
{
    report(stream, KD_READY_IN);
}

/**
 * kd_kgdb_stream_ask:
 * @stream: anywhere
 *
 * Asks for a mark, with `g`, behind what was given so far and behind the end of its last packet.
 *
 * Returns: %FALSE if the debugger has ended, so that nothing stands behind
 */
gboolean
kd_kgdb_stream_ask(KdStream *stream)
{
    if (stream->has_ended) {
        return FALSE;
    }
    stream->is_asked = TRUE;
    report(stream, KD_READY_IN);
    return TRUE;
}

/**
 * kd_kgdb_stream_insert_g:
 * @stream: anywhere
 *
 * Gives a `g` before anything else, as it belongs to a BREAK that went past the debugger's bytes.
 */
void
kd_kgdb_stream_insert_g(KdStream *stream)
{
    stream->has_g = TRUE;
    report(stream, KD_READY_IN);
}
