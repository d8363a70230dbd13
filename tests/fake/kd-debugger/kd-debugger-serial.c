/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* KDCOM over descriptors: a socket, a terminal, or two pipes. */
#include "kd-debugger-carrier.h"
#include "kd-debugger.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

/* A packet that was begun must go on meanwhile, else it is damaged */
#define GAP_US (500 * 1000)
/* For what cannot be written */
#define WRITE_US (10 * G_USEC_PER_SEC)

typedef struct {
    KdDebuggerCarrier carrier;
    int in;
    int out;
    GByteArray *heard;
    gint64 heard_us; /* when the last of these bytes came */
} Serial;

/**
 * kd_debugger_carrier_poll:
 * @events: POLLIN or POLLOUT
 * @deadline_us: of the monotonic clock
 *
 * Returns: whether it is ready by then; an end and an error are ready, too
 */
gboolean
kd_debugger_carrier_poll(int fd, short events, gint64 deadline_us)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};

    for (;;) {
        gint64 left_us = deadline_us - g_get_monotonic_time();
        int n = poll(&poll_fd, 1, left_us > 0 ? (int)(left_us / 1000 + 1) : 0);

        if (n > 0 || (n == 0 && left_us <= 0)) {
            return n > 0;
        }
    }
}

static gboolean
fail_end(GError **error)
{
    g_set_error_literal(error, KD_DEBUGGER_ERROR, KD_DEBUGGER_ERROR_END, "the link has ended");
    return FALSE;
}

static gboolean
write_all(Serial *serial, const uint8_t *bytes, size_t len_bytes, GError **error)
{
    gint64 deadline_us = g_get_monotonic_time() + WRITE_US;

    while (len_bytes > 0) {
        ssize_t n = write(serial->out, bytes, len_bytes);

        if (n < 0 && (errno == EPIPE || errno == ECONNRESET || errno == EIO)) {
            return fail_end(error);
        }
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno), "write: %s",
                        g_strerror(errno));
            return FALSE;
        }
        if (n < 0 && !kd_debugger_carrier_poll(serial->out, POLLOUT, deadline_us)) {
            g_set_error_literal(error, KD_DEBUGGER_ERROR, KD_DEBUGGER_ERROR_TIMEOUT,
                                "the link takes no bytes");
            return FALSE;
        }
        bytes += n > 0 ? n : 0;
        len_bytes -= n > 0 ? (size_t)n : 0;
    }
    return TRUE;
}

static gboolean
send_packet(KdDebuggerCarrier *carrier, const KdDebuggerPacket *packet, GError **error)
{
    uint8_t frame[KD_DEBUGGER_FRAME_MAX_BYTES];

    return write_all((Serial *)carrier, frame, kd_debugger_packet_build(packet, TRUE, frame),
                     error);
}

static gboolean
send_break_in(KdDebuggerCarrier *carrier, GError **error)
{
    uint8_t byte = KD_DEBUGGER_BREAK_IN;

    return write_all((Serial *)carrier, &byte, 1, error);
}

/* Takes what there is; FALSE: end or error. */
static gboolean
read_some(Serial *serial, GError **error)
{
    uint8_t bytes[8192];
    ssize_t n = read(serial->in, bytes, sizeof bytes);

    if (n > 0) {
        g_byte_array_append(serial->heard, bytes, (guint)n);
        serial->heard_us = g_get_monotonic_time();
        return TRUE;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return TRUE;
    }
    if (n == 0 || errno == ECONNRESET || errno == EIO) {
        return fail_end(error);
    }
    g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno), "read: %s", g_strerror(errno));
    return FALSE;
}

static KdDebuggerHeard
receive(KdDebuggerCarrier *carrier, gint64 deadline_us, KdDebuggerPacket *packet, GError **error)
{
    Serial *serial = (Serial *)carrier;

    for (;;) {
        KdDebuggerHeard heard = kd_debugger_packet_hunt(serial->heard, packet);
        gint64 until_us = deadline_us;

        if (heard != KD_DEBUGGER_HEARD_NOTHING) {
            return heard;
        }
        if (serial->heard->len > 0) {
            until_us = MIN(until_us, serial->heard_us + GAP_US);
        }
        if (kd_debugger_carrier_poll(serial->in, POLLIN, until_us)) {
            if (!read_some(serial, error)) {
                return KD_DEBUGGER_HEARD_ERROR;
            }
        } else if (serial->heard->len > 0 && until_us == serial->heard_us + GAP_US) {
            gboolean was_packet = serial->heard->len >= 4;

            g_byte_array_set_size(serial->heard, 0);
            if (was_packet) {
                return KD_DEBUGGER_HEARD_DAMAGE;
            }
        } else {
            return KD_DEBUGGER_HEARD_NOTHING;
        }
    }
}

static void
free_serial(KdDebuggerCarrier *carrier)
{
    Serial *serial = (Serial *)carrier;

    close(serial->in);
    if (serial->out != serial->in) {
        close(serial->out);
    }
    g_byte_array_unref(serial->heard);
    g_free(serial);
}

static void
set_nonblocking(int fd)
{
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/**
 * kd_debugger_carrier_new_serial:
 * @in: (transfer full): to read from
 * @out: (transfer full): to write to, may be the same
 *
 * Returns: (transfer full): the carrier
 */
KdDebuggerCarrier *
kd_debugger_carrier_new_serial(int in, int out)
{
    Serial *serial = g_new0(Serial, 1);

    serial->carrier.is_serial = TRUE;
    serial->carrier.send = send_packet;
    serial->carrier.send_break_in = send_break_in;
    serial->carrier.receive = receive;
    serial->carrier.free = free_serial;
    serial->in = in;
    serial->out = out;
    serial->heard = g_byte_array_new();
    set_nonblocking(in);
    set_nonblocking(out);
    return &serial->carrier;
}
