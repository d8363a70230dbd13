/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A terminal device as eight clean bits at any speed, by the kernel's own termios2: the C library's
 * <termios.h> knows a list of speeds only, and the two headers exclude each other. */
#include "serial-line.h"

#include <kdsrv/kd-plugin.h>

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct SerialLine {
    int fd; /* our own: the endpoint's belongs to the host */
    char *name;
    struct termios2 saved;
    gboolean is_set_up;
};

static void
set_errno_error(GError **error, int code, const char *name)
{
    /* An adapter that was pulled out may come back, like a file that is missing. */
    int kind =
        code == ENXIO || code == ENODEV ? G_IO_ERROR_NOT_FOUND : (int)g_io_error_from_errno(code);
    if (code == EBUSY || code == EWOULDBLOCK) {
        g_set_error(error, KD_ERROR, KD_ERROR_BUSY, "%s is in use by another program", name);
    } else if (code == ENOTTY) {
        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID, "%s is not a terminal", name);
    } else {
        g_set_error(error, G_IO_ERROR, kind, "cannot open %s: %s", name, g_strerror(code));
    }
}

/* Real clocks divide down to something near the speed that was asked for; a receiver bears about
 * one bit in twenty over a whole byte. */
static gboolean
is_near(uint32_t got, uint32_t wanted)
{
    uint32_t apart = got > wanted ? got - wanted : wanted - got;
    return apart <= wanted / 40;
}

static gboolean
apply(SerialLine *line, struct termios2 *settings, uint32_t baud, GError **error)
{
    if (baud != 0) {
        settings->c_cflag &= ~(tcflag_t)(CBAUD | (CBAUD << IBSHIFT));
        settings->c_cflag |= BOTHER | (BOTHER << IBSHIFT);
        settings->c_ispeed = baud;
        settings->c_ospeed = baud;
    }
    struct termios2 got = {0};
    if (ioctl(line->fd, TCSETS2, settings) != 0 || ioctl(line->fd, TCGETS2, &got) != 0) {
        set_errno_error(error, errno, line->name);
        return FALSE;
    }
    if (baud != 0 && !is_near(got.c_ospeed, baud)) {
        g_set_error(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED, "%s cannot do %u baud", line->name,
                    baud);
        return FALSE;
    }
    return TRUE;
}

static gboolean
claim(SerialLine *line, GError **error)
{
    if (ioctl(line->fd, TCGETS2, &line->saved) != 0 ||
        /* Before TIOCEXCL, which would lock out whoever has it now; and beside it, because that
         * does not stop root. */
        flock(line->fd, LOCK_EX | LOCK_NB) != 0 || ioctl(line->fd, TIOCEXCL) != 0) {
        set_errno_error(error, errno, line->name);
        return FALSE;
    }
    line->is_set_up = TRUE;
    return TRUE;
}

/**
 * serial_line_open:
 * @path_fd: O_PATH descriptor of a character device
 * @name: what messages call it
 * @baud: 0: leaves the speed as it is
 *
 * Opens a terminal for this process alone: raw, 8N1, no carrier needed, and no drop of DTR when it
 * is closed, which resets some boards.
 *
 * Returns: (transfer full) (nullable): errors a caller branches on: %G_IO_ERROR_NOT_FOUND (the
 *    device has gone), %KD_ERROR_BUSY
 */
SerialLine *
serial_line_open(int path_fd, const char *name, uint32_t baud, GError **error)
{
    g_autoptr(SerialLine) line = g_new0(SerialLine, 1);
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", path_fd);
    line->name = g_strdup(name);
    line->fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (line->fd < 0) {
        set_errno_error(error, errno, name);
        return NULL;
    }
    if (!claim(line, error)) {
        return NULL;
    }
    struct termios2 raw = line->saved;
    raw.c_iflag = IGNBRK; /* a break on the line is no byte */
    raw.c_oflag = 0;
    raw.c_lflag = 0;
    raw.c_cflag &= ~(tcflag_t)(CSIZE | CSTOPB | PARENB | PARODD | CMSPAR | CRTSCTS | HUPCL);
    raw.c_cflag |= CS8 | CREAD | CLOCAL;
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    return apply(line, &raw, baud, error) ? g_steal_pointer(&line) : NULL;
}

/**
 * serial_line_free:
 * @line: (transfer full) (nullable)
 *
 * Restores what the terminal was before and lets others open it, though the endpoint's descriptor
 * may be open still. Bytes that are unsent now are dropped: closing would wait for them, for as
 * long as half a minute.
 */
void
serial_line_free(SerialLine *line)
{
    if (line == NULL) {
        return;
    }
    if (line->is_set_up) {
        /* HUPCL stays away: the close that follows would drop DTR. */
        line->saved.c_cflag &= ~(tcflag_t)HUPCL;
        (void)ioctl(line->fd, TCFLSH, TCOFLUSH);
        (void)ioctl(line->fd, TCSETS2, &line->saved);
        (void)ioctl(line->fd, TIOCNXCL);
        (void)flock(line->fd, LOCK_UN);
    }
    if (line->fd >= 0) {
        close(line->fd);
    }
    g_free(line->name);
    g_free(line);
}

/**
 * serial_line_dup_fd:
 *
 * Returns: (transfer full): one more descriptor of the open line, or -1
 */
int
serial_line_dup_fd(const SerialLine *line, GError **error)
{
    int fd = fcntl(line->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        set_errno_error(error, errno, line->name);
    }
    return fd;
}

/**
 * serial_line_get_baud:
 *
 * Returns: the speed in effect; 0 when the device does not say
 */
uint32_t
serial_line_get_baud(const SerialLine *line)
{
    struct termios2 now = {0};
    return ioctl(line->fd, TCGETS2, &now) == 0 ? now.c_ospeed : 0;
}

/**
 * serial_line_set_baud:
 * @error: %KD_ERROR_NOT_SUPPORTED: not a speed that the hardware can do; the old one stays
 *
 * Changes the speed; what is unsent goes out at the new one.
 */
gboolean
serial_line_set_baud(SerialLine *line, uint32_t baud, GError **error)
{
    struct termios2 before = {0};
    if (ioctl(line->fd, TCGETS2, &before) != 0) {
        set_errno_error(error, errno, line->name);
        return FALSE;
    }
    struct termios2 settings = before;
    if (apply(line, &settings, baud, error)) {
        return TRUE;
    }
    (void)ioctl(line->fd, TCSETS2, &before);
    return FALSE;
}

/**
 * serial_line_is_sent:
 *
 * Returns: whether the driver has no more bytes to send; also when the device has gone
 */
gboolean
serial_line_is_sent(const SerialLine *line)
{
    int left = 0;
    return ioctl(line->fd, TIOCOUTQ, &left) != 0 || left == 0;
}
