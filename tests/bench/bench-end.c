/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The client's end of a session: a plain stream, or the session protocol on it.
 *
 * Nothing is copied here: a frame is read into one buffer and its payload is shown where it lies;
 * what is sent goes out from where the caller has it, behind a header, in one writev(). So what a
 * framed run costs more than a plain one is the protocol's cost and not this file's. */
#include "bench-end.h"

#include "bench-pattern.h"
#include "bench-terminal.h"
#include "bench-tls.h"

#include <kd-credit.h>
#include <kd-frame.h>
#include <kd-message.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define SPACE_BYTES   (KD_HEADER_BYTES + KD_MAX_DATA_BYTES)
#define LIMIT_SECONDS 5u

struct BenchEnd {
    int fd;
    BenchTls *tls; /* (nullable): %NULL: in clear */
    gboolean is_framed;
    KdCredit credit;
    uint32_t peer_max_data_bytes;
    /* coming in */
    uint8_t *space;
    size_t at;
    size_t end;
    uint32_t payload_left; /* of the DATA frame that is being shown */
    /* going out */
    uint8_t header[KD_HEADER_BYTES];
    size_t header_left;
    uint32_t promised;  /* payload that the last header announced and that has not gone yet */
    uint8_t small[256]; /* whole small frames that go before the next DATA frame */
    size_t small_len;
};

/* Reads once; bytes, 0 at the end, or -errno. */
static ssize_t
receive(BenchEnd *end, uint8_t *bytes, size_t len)
{
    ssize_t n;

    if (end->tls != NULL) {
        return bench_tls_read(end->tls, bytes, len);
    }
    n = read(end->fd, bytes, len);
    return n < 0 ? -errno : n;
}

/* What of @head and then of @bytes goes at once; how many, or -errno. */
static ssize_t
transmit(BenchEnd *end, uint8_t *head, size_t head_len, const uint8_t *bytes, size_t len)
{
    struct iovec parts[] = {{.iov_base = head, .iov_len = head_len},
                            {.iov_base = (void *)bytes, .iov_len = len}};
    ssize_t n;

    if (end->tls != NULL) {
        return bench_tls_write(end->tls, head, head_len, bytes, len);
    }
    n = head_len > 0 ? writev(end->fd, parts, 2) : write(end->fd, bytes, len);
    return n < 0 ? -errno : n;
}

static ssize_t
fill(BenchEnd *end)
{
    ssize_t n;

    if (end->at > 0) {
        memmove(end->space, end->space + end->at, end->end - end->at);
        end->end -= end->at;
        end->at = 0;
    }
    n = receive(end, end->space + end->end, SPACE_BYTES - end->end);
    if (n > 0) {
        end->end += (size_t)n;
    }
    return n;
}

static void
append_small(BenchEnd *end, uint8_t type, const uint8_t *payload, uint32_t len)
{
    KdFrameHeader header = {.type = type, .length = len, .ack = kd_credit_report(&end->credit)};

    if (end->small_len + KD_HEADER_BYTES + len > sizeof end->small) {
        return; /* two PINGs unanswered at the most: the socket is full, the peer knows */
    }
    kd_frame_header_store(end->small + end->small_len, &header);
    end->small_len += KD_HEADER_BYTES;
    if (len > 0) {
        memcpy(end->small + end->small_len, payload, len);
        end->small_len += len;
    }
}

/* 0 when nothing small waits any more, else -errno. */
static int
flush_small(BenchEnd *end)
{
    while (end->small_len > 0) {
        ssize_t n = transmit(end, NULL, 0, end->small, end->small_len);

        if (n < 0) {
            return (int)n;
        }
        end->small_len -= (size_t)n;
        memmove(end->small, end->small + n, end->small_len);
    }
    return 0;
}

/* Only between two frames may another one go. */
static int
send_ack_if_due(BenchEnd *end)
{
    if (end->promised > 0 || end->header_left > 0) {
        return 0;
    }
    if (end->small_len == 0 && kd_credit_is_ack_due(&end->credit)) {
        append_small(end, KD_FRAME_ACK, NULL, 0);
    }
    return flush_small(end);
}

/* A whole frame that is not DATA; 0 or -errno. */
static int
take_small(BenchEnd *end, const KdFrameHeader *header, const uint8_t *payload)
{
    switch (header->type) {
    case KD_FRAME_PING:
        append_small(end, KD_FRAME_PONG, payload, header->length);
        return 0;
    case KD_FRAME_ACK:
    case KD_FRAME_PONG:
    case KD_FRAME_EVENT:
        return 0;
    case KD_FRAME_CLOSE:
    case KD_FRAME_FIN:
        return -ECONNRESET;
    default:
        return (header->flags & KD_FRAME_OPTIONAL) != 0 ? 0 : -EPROTO;
    }
}

/* Looks at the frame that begins at @at: 1 = taken, 0 = not yet whole, -errno. */
static int
take_frame(BenchEnd *end)
{
    g_autoptr(GError) error = NULL;
    KdFrameHeader header;
    int result;

    if (end->end - end->at < KD_HEADER_BYTES) {
        return 0;
    }
    kd_frame_header_load(&header, end->space + end->at);
    if (header.length > KD_MAX_DATA_BYTES ||
        !kd_credit_take_ack(&end->credit, header.ack, &error)) {
        return -EPROTO;
    }
    if (header.type == KD_FRAME_DATA) {
        if (!kd_credit_receive(&end->credit, header.length, &error)) {
            return -EPROTO;
        }
        end->at += KD_HEADER_BYTES;
        end->payload_left = header.length;
        return 1;
    }
    if (end->end - end->at < KD_HEADER_BYTES + header.length) {
        return 0;
    }
    result = take_small(end, &header, end->space + end->at + KD_HEADER_BYTES);
    end->at += KD_HEADER_BYTES + header.length;
    return result < 0 ? result : 1;
}

/**
 * bench_end_read:
 * @bytes: (out) (transfer none): what has come; valid until the next call, by when it is taken
 *
 * Shows the next bytes of the stream; reads at most as often as it must to find some.
 *
 * Returns: how many; 0 at the end; or -errno, -EAGAIN when there are none.
 */
ssize_t
bench_end_read(BenchEnd *end, const uint8_t **bytes)
{
    if (!end->is_framed) {
        *bytes = end->space;
        return receive(end, end->space, SPACE_BYTES);
    }
    for (;;) {
        ssize_t n;

        if (end->payload_left > 0 && end->end > end->at) {
            size_t len = MIN(end->payload_left, end->end - end->at);

            *bytes = end->space + end->at;
            end->at += len;
            end->payload_left -= (uint32_t)len;
            end->credit.taken += len;
            return (ssize_t)len;
        }
        n = end->payload_left == 0 ? take_frame(end) : 0;
        if (n < 0) {
            return n;
        }
        if (n > 0) {
            continue;
        }
        n = send_ack_if_due(end);
        if (n < 0 && n != -EAGAIN) {
            return n;
        }
        n = fill(end);
        if (n <= 0) {
            return n;
        }
    }
}

static gboolean
begin_frame(BenchEnd *end, size_t len_bytes)
{
    uint64_t room = kd_credit_get_available(&end->credit);
    KdFrameHeader header = {.type = KD_FRAME_DATA};

    room = MIN(room, end->peer_max_data_bytes);
    header.length = (uint32_t)MIN(room, len_bytes);
    if (header.length == 0) {
        return FALSE;
    }
    header.ack = kd_credit_report(&end->credit);
    kd_frame_header_store(end->header, &header);
    end->header_left = KD_HEADER_BYTES;
    end->promised = header.length;
    end->credit.sent += header.length;
    return TRUE;
}

/**
 * bench_end_write:
 * @bytes: the stream's next ones; after a short write the caller goes on with those that follow
 *
 * Sends what goes at once.
 *
 * Returns: how many bytes of the stream have gone, or -errno, -EAGAIN when none can.
 */
ssize_t
bench_end_write(BenchEnd *end, const uint8_t *bytes, size_t len_bytes)
{
    ssize_t n;

    if (!end->is_framed) {
        return transmit(end, NULL, 0, bytes, len_bytes);
    }
    if (end->promised == 0) {
        int result = send_ack_if_due(end);

        if (result < 0) {
            return result;
        }
        if (!begin_frame(end, len_bytes)) {
            return -EAGAIN;
        }
    }
    n = transmit(end, end->header + KD_HEADER_BYTES - end->header_left, end->header_left, bytes,
                 MIN(len_bytes, end->promised));
    if (n < 0) {
        return n;
    }
    if ((size_t)n <= end->header_left) {
        end->header_left -= (size_t)n;
        return -EAGAIN;
    }
    n -= (ssize_t)end->header_left;
    end->header_left = 0;
    end->promised -= (uint32_t)n;
    return n;
}

/**
 * bench_end_is_credit_low:
 *
 * Returns: whether a sender does well to look for acks before it runs out.
 */
gboolean
bench_end_is_credit_low(const BenchEnd *end)
{
    return end->is_framed && kd_credit_get_available(&end->credit) < end->credit.peer_window / 2;
}

/**
 * bench_end_get_poll_events:
 *
 * Returns: what poll() should wait for, so that a reader or a writer that got -EAGAIN can go on.
 */
short
bench_end_get_poll_events(const BenchEnd *end, gboolean reads, gboolean writes)
{
    /* asked now and not when writing failed: reading may have brought credit since */
    gboolean is_starved =
        end->is_framed && end->promised == 0 && kd_credit_get_available(&end->credit) == 0;
    short events = 0;

    if (reads || (writes && is_starved)) {
        events |= POLLIN;
    }
    if ((writes && !is_starved) || end->small_len > 0 ||
        (end->tls != NULL && bench_tls_has_unsent(end->tls))) {
        events |= POLLOUT;
    }
    return events;
}

/* ---- the first words of the session protocol ------------------------------------------------ */

static gboolean
write_all(BenchEnd *end, const void *bytes, size_t len, GError **error)
{
    ssize_t n = transmit(end, NULL, 0, bytes, len);

    if (n != (ssize_t)len) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "cannot send: %s",
                    n < 0 ? g_strerror((int)-n) : "short write");
        return FALSE;
    }
    return TRUE;
}

static gboolean
send_frame(BenchEnd *end, uint8_t type, GBytes *payload, GError **error)
{
    gsize len = 0;
    const void *bytes = g_bytes_get_data(payload, &len);
    KdFrameHeader header = {.type = type, .length = (uint32_t)len};
    uint8_t frame[KD_HEADER_BYTES + KD_MAX_PREAUTH_BYTES];

    g_return_val_if_fail(len <= KD_MAX_PREAUTH_BYTES, FALSE);
    kd_frame_header_store(frame, &header);
    if (len > 0) {
        memcpy(frame + KD_HEADER_BYTES, bytes, len);
    }
    return write_all(end, frame, KD_HEADER_BYTES + len, error);
}

static gboolean
await_bytes(BenchEnd *end, size_t len, GError **error)
{
    while (end->end - end->at < len) {
        ssize_t n = fill(end);

        if (n <= 0) {
            g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "the server says nothing: %s",
                        n < 0 ? g_strerror((int)-n) : "it closed the connection");
            return FALSE;
        }
    }
    return TRUE;
}

/* The payload of the next frame, which has to be a @type. */
static const uint8_t *
await_frame(BenchEnd *end, uint8_t type, size_t *len, GError **error)
{
    for (;;) {
        KdFrameHeader header;
        const uint8_t *payload;

        if (!await_bytes(end, KD_HEADER_BYTES, error)) {
            return NULL;
        }
        kd_frame_header_load(&header, end->space + end->at);
        if (header.length > KD_MAX_LISTED_BYTES ||
            !await_bytes(end, KD_HEADER_BYTES + header.length, error)) {
            g_prefix_error(error, "%s: ", kd_frame_get_name(header.type));
            return NULL;
        }
        payload = end->space + end->at + KD_HEADER_BYTES;
        end->at += KD_HEADER_BYTES + header.length;
        *len = header.length;
        if (header.type == type) {
            return payload;
        }
        if (header.type == KD_FRAME_CLOSE) {
            g_autoptr(KdClose) close_frame = kd_close_parse(payload, *len, error);

            if (close_frame != NULL) {
                g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "the server closes, code %u: %s",
                            close_frame->code, close_frame->text);
            }
            return NULL;
        }
    }
}

static gboolean
greet(BenchEnd *end, GError **error)
{
    char *no_words[] = {NULL};
    KdHello hello = {.window = KD_WINDOW_BYTES,
                     .max_data_bytes = KD_MAX_DATA_BYTES,
                     .features = no_words,
                     .mechanisms = no_words,
                     .software = (char *)"kd-bench"};
    g_autoptr(GBytes) ours = kd_hello_build(&hello);
    g_autoptr(KdHello) theirs = NULL;
    uint8_t preamble[KD_PREAMBLE_BYTES];
    const uint8_t *payload;
    uint16_t major;
    uint16_t minor;
    size_t len;

    kd_preamble_store(preamble, KD_ROLE_CLIENT, KD_PROTOCOL_MAJOR, KD_PROTOCOL_MINOR);
    if (!write_all(end, preamble, sizeof preamble, error) ||
        !send_frame(end, KD_FRAME_HELLO, ours, error) ||
        !await_bytes(end, KD_PREAMBLE_BYTES, error) ||
        !kd_preamble_load(end->space + end->at, KD_ROLE_SERVER, &major, &minor, error)) {
        return FALSE;
    }
    end->at += KD_PREAMBLE_BYTES;
    payload = await_frame(end, KD_FRAME_HELLO, &len, error);
    theirs = payload != NULL ? kd_hello_parse(payload, len, error) : NULL;
    if (theirs == NULL) {
        return FALSE;
    }
    end->credit.window = hello.window;
    end->credit.peer_window = theirs->window;
    end->peer_max_data_bytes = theirs->max_data_bytes;
    return TRUE;
}

static gboolean
log_in_and_open(BenchEnd *end, const char *trans, GError **error)
{
    KdAuth auth = {.mechanism = (char *)"none"};
    KdOpen open_request = {.trans = (char *)trans};
    g_autoptr(GBytes) auth_bytes = kd_auth_build(&auth);
    g_autoptr(GBytes) open_bytes = kd_open_build(&open_request);
    size_t len;

    return send_frame(end, KD_FRAME_AUTH, auth_bytes, error) &&
           await_frame(end, KD_FRAME_AUTH, &len, error) != NULL &&
           send_frame(end, KD_FRAME_OPEN, open_bytes, error) &&
           await_frame(end, KD_FRAME_OPENED, &len, error) != NULL;
}

static gboolean
begin_tls(BenchEnd *end, GError **error)
{
    int result;

    end->tls = bench_tls_new_client(end->fd);
    result = bench_tls_shake_hands(end->tls);
    if (result < 0) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "no TLS: %s", g_strerror(-result));
    }
    return result == 0;
}

/**
 * bench_end_open:
 * @is_tls: whether the relay takes nothing but TLS
 * @trans: (nullable): the link to open with the session protocol; %NULL: a plain stream
 *
 * Connects. The end waits in reads and writes, for 5 s at the most, until told otherwise.
 *
 * Returns: (transfer full): the end, past the link's opening.
 */
BenchEnd *
bench_end_open(const BenchAddress *address, gboolean is_tls, const char *trans, GError **error)
{
    g_autoptr(BenchEnd) end = g_new0(BenchEnd, 1);

    end->space = g_malloc(SPACE_BYTES);
    end->fd = bench_socket_connect(address);
    if (end->fd < 0) {
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno), "cannot connect: %s",
                    g_strerror(errno));
        return NULL;
    }
    bench_socket_set_deadline(end->fd, LIMIT_SECONDS);
    if (is_tls && !begin_tls(end, error)) {
        return NULL;
    }
    if (trans != NULL) {
        if (!greet(end, error) || !log_in_and_open(end, trans, error)) {
            g_prefix_error(error, "%s: ", trans);
            return NULL;
        }
        end->is_framed = TRUE;
    }
    return g_steal_pointer(&end);
}

/**
 * bench_end_open_terminal:
 *
 * Opens a line itself: no relay is between it and the target.
 *
 * Returns: (transfer full): a plain end, which waits in reads and writes.
 */
BenchEnd *
bench_end_open_terminal(const char *path, GError **error)
{
    g_autoptr(BenchEnd) end = g_new0(BenchEnd, 1);

    end->space = g_malloc(SPACE_BYTES);
    end->fd = bench_terminal_connect(path, LIMIT_SECONDS);
    if (end->fd < 0) {
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno), "cannot open %s: %s", path,
                    g_strerror(errno));
        return NULL;
    }
    return g_steal_pointer(&end);
}

/**
 * bench_end_free:
 *
 * Says good-bye where the protocol has a word for it, and disconnects.
 */
void
bench_end_free(BenchEnd *end)
{
    if (end->is_framed && end->promised == 0 && end->small_len == 0) {
        KdClose normal = {.code = KD_CLOSE_NORMAL, .text = (char *)"done"};
        g_autoptr(GBytes) payload = kd_close_build(&normal);

        /* the connection ends in the next line, whether this went or not */
        (void)send_frame(end, KD_FRAME_CLOSE, payload, NULL);
    }
    if (end->tls != NULL) {
        bench_tls_say_bye(end->tls);
        bench_tls_free(end->tls);
    }
    if (end->fd >= 0) {
        close(end->fd);
    }
    g_free(end->space);
    g_free(end);
}

/**
 * bench_end_describe_tls:
 *
 * Returns: (transfer full) (nullable): what was agreed upon; %NULL: in clear.
 */
char *
bench_end_describe_tls(const BenchEnd *end)
{
    return end->tls != NULL ? bench_tls_describe(end->tls) : NULL;
}

/**
 * bench_end_get_fd:
 *
 * Returns: the descriptor, to wait for.
 */
int
bench_end_get_fd(const BenchEnd *end)
{
    return end->fd;
}

/**
 * bench_end_set_blocking:
 *
 * Says whether reads and writes wait.
 */
void
bench_end_set_blocking(BenchEnd *end, gboolean is_blocking)
{
    bench_socket_set_blocking(end->fd, is_blocking);
}
