/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stdin and stdout as one stream, whatever they are: pipes, sockets, terminals, plain files. */
#include "kd-stdio.h"

#include "kd-hangup.h"
#include "kd-loop.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/**
 * KdStream:
 * @in: stdin's readiness
 * @out: stdout's readiness
 * @broken: told once when stdout takes nothing any more
 * @n_watches: how many of the two the loop still knows
 */
struct KdStream {
    KdLoopWatch in;
    KdLoopWatch out;
    KdReadyFunc ready;
    void *ready_user;
    KdStdioBrokenFunc broken;
    void *broken_user;
    unsigned n_watches;
};

/* O_NONBLOCK belongs to the open file, which the shell and others share: it is put back at exit. */
static int saved_flags[2] = {-1, -1};

/* Why bytes of the target were lost, 0 = they were not: a reader who left wanted no more of them.
 */
static int write_error;
/* Why the debugger's bytes could not be read, 0 = they could. */
static int read_error;

static void
restore_flags(void)
{
    for (int fd = STDIN_FILENO; fd <= STDOUT_FILENO; fd++) {
        if (saved_flags[fd] >= 0) {
            (void)fcntl(fd, F_SETFL, saved_flags[fd]);
        }
    }
}

static gboolean
make_nonblocking(int fd, GError **error)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags >= 0 && (flags & O_NONBLOCK)) {
        return TRUE;
    }
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        int code = errno;

        g_set_error(error, G_IO_ERROR, (gint)g_io_error_from_errno(code), "--stdio: %s: %s",
                    fd == STDIN_FILENO ? "stdin" : "stdout", g_strerror(code));
        return FALSE;
    }
    saved_flags[fd] = flags;
    return TRUE;
}

/* Two numbers of one file: the second was already made non-blocking through the first. */
static gboolean
prepare_files(GError **error)
{
    static gboolean is_registered;

    if (!is_registered) {
        is_registered = TRUE;
        (void)atexit(restore_flags);
    }
    return make_nonblocking(STDIN_FILENO, error) && make_nonblocking(STDOUT_FILENO, error);
}

/* ---- the stream ---- */

static gssize
stdio_read(KdStream *stream, void *buf, size_t len)
{
    gssize n;

    (void)stream;
    do {
        n = read(STDIN_FILENO, buf, len);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        int code = errno;

        /* A terminal that has hung up says EIO where others say end. */
        if (code == EIO) {
            return 0;
        }
        if (code != EAGAIN && code != ECONNRESET) {
            read_error = code;
        }
        return -code;
    }
    return n;
}

static gssize
stdio_write(KdStream *stream, const void *buf, size_t len)
{
    gssize n;

    (void)stream;
    do {
        n = write(STDOUT_FILENO, buf, len);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno != EAGAIN) {
        int code = errno;

        if (code != EPIPE && !kd_hangup_is_gone(STDOUT_FILENO)) {
            write_error = code;
        }
        kd_loop_ready(&stream->out, KD_READY_HUP);
        return -code;
    }
    if (n < 0) {
        kd_loop_await_out(&stream->out);
        return -EAGAIN;
    }
    return n;
}

static void
stdio_set_ready(KdStream *stream, KdReadyFunc fn, void *user)
{
    stream->ready = fn;
    stream->ready_user = user;
}

/* A socket is told; of anything else the reader sees the end when this was the last descriptor. */
static int
stdio_shutdown_write(KdStream *stream)
{
    int null;

    if (shutdown(STDOUT_FILENO, SHUT_WR) == 0) {
        return 0;
    }
    kd_loop_remove(&stream->out);
    null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null < 0) {
        return -errno;
    }
    if (saved_flags[STDOUT_FILENO] >= 0) {
        (void)fcntl(STDOUT_FILENO, F_SETFL, saved_flags[STDOUT_FILENO]);
        saved_flags[STDOUT_FILENO] = -1;
    }
    (void)dup2(null, STDOUT_FILENO);
    (void)close(null);
    return 0;
}

static void
stdio_destroy(KdStream *stream)
{
    stream->broken = NULL;
    stream->ready = NULL;
    kd_loop_remove(&stream->in);
    kd_loop_remove(&stream->out);
}

static const KdStreamOps stdio_ops = {
    .struct_size = sizeof(KdStreamOps),
    .read = stdio_read,
    .write = stdio_write,
    .set_ready = stdio_set_ready,
    .shutdown_write = stdio_shutdown_write,
    .destroy = stdio_destroy,
};

/* ---- readiness ---- */

static gboolean
on_in_run(KdLoopWatch *watch)
{
    KdStream *stream = (KdStream *)(void *)((char *)watch - offsetof(KdStream, in));

    watch->ready = 0;
    if (stream->ready != NULL) {
        stream->ready(stream->ready_user, KD_READY_IN);
    }
    return FALSE;
}

static gboolean
is_broken(const KdLoopWatch *watch, gboolean is_hup)
{
    return write_error != 0 || (is_hup && kd_hangup_is_gone(watch->fd));
}

static gboolean
on_out_run(KdLoopWatch *watch)
{
    KdStream *stream = (KdStream *)(void *)((char *)watch - offsetof(KdStream, out));
    gboolean is_hup = (watch->ready & KD_READY_HUP) != 0;
    KdStdioBrokenFunc broken = stream->broken;

    watch->ready = 0;
    if (stream->ready != NULL) {
        stream->ready(stream->ready_user, KD_READY_OUT);
    }
    /* The other half of a socket may be shut down, which is no reason to stop writing. */
    if (is_broken(watch, is_hup) && broken != NULL) {
        stream->broken = NULL;
        broken(stream->broken_user);
    }
    return FALSE;
}

static void
release_watch(KdStream *stream)
{
    if (--stream->n_watches == 0) {
        g_free(stream);
    }
}

static void
on_in_gone(KdLoopWatch *watch)
{
    release_watch((KdStream *)(void *)((char *)watch - offsetof(KdStream, in)));
}

static void
on_out_gone(KdLoopWatch *watch)
{
    release_watch((KdStream *)(void *)((char *)watch - offsetof(KdStream, out)));
}

static const KdLoopWatchFuncs in_funcs = {.run = on_in_run, .gone = on_in_gone, .is_pure = TRUE};
static const KdLoopWatchFuncs out_funcs = {.run = on_out_run, .gone = on_out_gone};

/* ---- for the owner ---- */

/**
 * kd_stdio_open:
 * @endpoint: (out caller-allocates): stdin and stdout
 * @broken: called once when stdout takes nothing any more
 * @user: for @broken
 * @error: return location
 *
 * Makes one endpoint of stdin and stdout, after kd_loop_start(). The files are made non-blocking,
 * and put back at exit.
 *
 * Returns: %FALSE with an error of %G_IO_ERROR
 */
gboolean
kd_stdio_open(KdEndpoint *endpoint, KdStdioBrokenFunc broken, void *user, GError **error)
{
    KdStream *stream = g_new0(KdStream, 1);

    stream->in = (KdLoopWatch){.funcs = &in_funcs, .fd = STDIN_FILENO};
    stream->out = (KdLoopWatch){.funcs = &out_funcs, .fd = STDOUT_FILENO};
    stream->broken = broken;
    stream->broken_user = user;
    if (!prepare_files(error) || !kd_loop_add(&stream->in, error)) {
        g_free(stream);
        return FALSE;
    }
    stream->n_watches = 1;
    if (!kd_loop_add(&stream->out, error)) {
        stdio_destroy(stream);
        return FALSE;
    }
    stream->n_watches = 2;
    kd_endpoint_take_stream(endpoint, &stdio_ops, stream, KD_ENDPOINT_HALF_CLOSE, NULL);
    return TRUE;
}

/**
 * kd_stdio_build_error:
 *
 * Tells why bytes were lost though somebody wants them: a write to stdout failed, as on a full
 * disk, or a read from stdin, as from a folder.
 *
 * Returns: (transfer full) (nullable): a sentence, %NULL when none were lost
 */
char *
kd_stdio_build_error(void)
{
    if (write_error != 0) {
        return g_strdup_printf("stdout: %s", g_strerror(write_error));
    }
    return read_error != 0 ? g_strdup_printf("stdin: %s", g_strerror(read_error)) : NULL;
}
