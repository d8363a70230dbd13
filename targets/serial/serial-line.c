/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A terminal device as eight clean bits at any speed, by the kernel's own termios2: the C library's
 * <termios.h> knows a list of speeds only, and the two headers exclude each other. */
#include "serial-line.h"

#include "serial-latency.h"
#include "serial-linger.h"

#include <kdsrv/kd-plugin.h>

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/serial.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Slaves of pseudo-terminals (Documentation/admin-guide/devices.txt) */
#define PTY_MAJOR_FIRST 136u
#define PTY_MAJOR_LAST  143u
/* Start, eight data bits, stop */
#define BITS_PER_CHAR 10u
/* What a device that does not say is taken for */
#define BAUD_UNKNOWN 9600u

struct SerialSettings {
    struct termios2 termios;
};

struct SerialLine {
    int fd; /* our own: the endpoint's belongs to the host */
    char *name;
    dev_t device;
    SerialSettings saved;
    gboolean is_set_up;
    SerialLatency latency;
    uint32_t saved_modem;
    uint32_t changed_modem; /* those of saved_modem that were set or cleared since */
    gboolean is_breaking;
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

/* The debug devices of Linux targets have no clock, and their driver leaves the speed as it was
 * (drivers/usb/serial/usb_debug.c). */
static gboolean
has_clock(dev_t device)
{
    g_autofree char *path =
        g_strdup_printf("/sys/dev/char/%u:%u/device/driver", major(device), minor(device));
    g_autofree char *target = g_file_read_link(path, NULL);
    g_autofree char *driver = target != NULL ? g_path_get_basename(target) : NULL;
    return g_strcmp0(driver, "xhci_dbc") != 0 && g_strcmp0(driver, "debug") != 0;
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
    if (baud != 0 && !is_near(got.c_ospeed, baud) && has_clock(line->device)) {
        g_set_error(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED, "%s cannot do %u baud", line->name,
                    baud);
        return FALSE;
    }
    return TRUE;
}

static gboolean
claim(SerialLine *line, GError **error)
{
    if (ioctl(line->fd, TCGETS2, &line->saved.termios) != 0 ||
        /* Before TIOCEXCL, which would lock out whoever has it now; and beside it, because that
         * does not stop root. */
        flock(line->fd, LOCK_EX | LOCK_NB) != 0 || ioctl(line->fd, TIOCEXCL) != 0) {
        set_errno_error(error, errno, line->name);
        return FALSE;
    }
    line->is_set_up = TRUE;
    return TRUE;
}

static dev_t
find_device(int fd)
{
    struct stat info = {0};
    return fstat(fd, &info) == 0 ? info.st_rdev : 0;
}

/**
 * serial_line_open:
 * @path_fd: O_PATH descriptor of a character device
 * @name: what messages call it
 * @baud: 0: leaves the speed as it is
 *
 * Opens a terminal for this process alone: raw, 8N1, no carrier needed, what arrives handed on at
 * once, and no drop of DTR when it is closed, which resets some boards.
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
    line->device = find_device(path_fd);
    line->fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (line->fd < 0) {
        set_errno_error(error, errno, name);
        return NULL;
    }
    if (!claim(line, error)) {
        return NULL;
    }
    struct termios2 raw = line->saved.termios;
    raw.c_iflag = IGNBRK; /* a break on the line is no byte */
    raw.c_oflag = 0;
    raw.c_lflag = 0;
    raw.c_cflag &= ~(tcflag_t)(CSIZE | CSTOPB | PARENB | PARODD | CMSPAR | CRTSCTS | HUPCL);
    raw.c_cflag |= CS8 | CREAD | CLOCAL;
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    if (!apply(line, &raw, baud, error)) {
        return NULL;
    }
    serial_latency_lower(&line->latency, line->fd, line->device);
    return g_steal_pointer(&line);
}

static void
restore(SerialLine *line)
{
    (void)serial_line_stop_break(line, NULL);
    (void)ioctl(line->fd, TCFLSH, TCOFLUSH);
    serial_latency_restore(&line->latency, line->fd);
    if (line->changed_modem != 0) {
        g_autoptr(GError) error = NULL;
        if (!serial_line_set_modem(line, line->changed_modem, line->saved_modem, &error)) {
            g_debug("%s", error->message);
        }
    }
    /* HUPCL stays away: the close that follows would drop DTR. */
    line->saved.termios.c_cflag &= ~(tcflag_t)HUPCL;
    (void)ioctl(line->fd, TCSETS2, &line->saved);
    (void)ioctl(line->fd, TIOCNXCL);
    (void)flock(line->fd, LOCK_UN);
}

/**
 * serial_line_free:
 * @line: (transfer full) (nullable)
 *
 * Ends a break, restores what the terminal was before and lets others open it, though the
 * endpoint's descriptor may be open still. Bytes that are unsent now are dropped: closing would
 * wait for them, for as long as half a minute.
 */
void
serial_line_free(SerialLine *line)
{
    if (line == NULL) {
        return;
    }
    if (line->is_set_up) {
        restore(line);
    }
    if (line->fd >= 0 && serial_line_is_pty(line)) {
        close(line->fd);
    } else if (line->fd >= 0) {
        serial_linger_close(line->fd);
    }
    g_free(line->name);
    g_free(line);
}

/**
 * serial_line_dup_saved:
 *
 * Returns: (transfer full): what freeing the line restores
 */
SerialSettings *
serial_line_dup_saved(const SerialLine *line)
{
    return g_memdup2(&line->saved, sizeof line->saved);
}

/**
 * serial_line_set_saved:
 * @saved: of the line before
 *
 * Restores that when it is freed: of a device that went and came back the kernel keeps, by its
 * number, what we had set.
 */
void
serial_line_set_saved(SerialLine *line, const SerialSettings *saved)
{
    line->saved = *saved;
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
 * serial_line_get_name:
 *
 * Returns: (transfer none): what messages call it
 */
const char *
serial_line_get_name(const SerialLine *line)
{
    return line->name;
}

/**
 * serial_line_get_device:
 *
 * Returns: the device's number
 */
dev_t
serial_line_get_device(const SerialLine *line)
{
    return line->device;
}

/**
 * serial_line_is_pty:
 *
 * Returns: whether it is no device but the slave of a pseudo-terminal
 */
gboolean
serial_line_is_pty(const SerialLine *line)
{
    return major(line->device) >= PTY_MAJOR_FIRST && major(line->device) <= PTY_MAJOR_LAST;
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

static void
set_control_error(GError **error, const SerialLine *line, int code, const char *what)
{
    switch (code) {
    case ENOTTY:
    case EINVAL:
    case EOPNOTSUPP:
    case EPIPE: /* how a USB device refuses what it does not know */
        g_set_error(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED, "%s has no %s", line->name, what);
        break;
    case EIO:
    case ENXIO:
    case ENODEV:
        g_set_error(error, KD_ERROR, KD_ERROR_LINK_LOST, "%s does not answer: %s", line->name,
                    g_strerror(code));
        break;
    default:
        g_set_error(error, G_IO_ERROR, (int)g_io_error_from_errno(code), "%s: %s: %s", line->name,
                    what, g_strerror(code));
    }
}

/**
 * serial_line_set_baud:
 * @error: %KD_ERROR_NOT_SUPPORTED: not a speed that the hardware can do; the old one stays;
 *    %KD_ERROR_LINK_LOST: the device has gone
 *
 * Changes the speed; what is unsent goes out at the new one.
 */
gboolean
serial_line_set_baud(SerialLine *line, uint32_t baud, GError **error)
{
    struct termios2 before = {0};
    if (ioctl(line->fd, TCGETS2, &before) != 0) {
        set_control_error(error, line, errno, "speed");
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
 * serial_line_get_char_us:
 *
 * Returns: how long one byte is on the wire, in microseconds
 */
uint32_t
serial_line_get_char_us(const SerialLine *line)
{
    uint32_t baud = serial_line_get_baud(line);
    return (uint32_t)(BITS_PER_CHAR * G_USEC_PER_SEC / (baud != 0 ? baud : BAUD_UNKNOWN)) + 1;
}

/**
 * serial_line_count_unsent:
 *
 * Returns: the bytes that the driver has still to give to the hardware; 0 also when the device has
 *    gone
 */
uint32_t
serial_line_count_unsent(const SerialLine *line)
{
    int left = 0;
    return ioctl(line->fd, TIOCOUTQ, &left) == 0 && left > 0 ? (uint32_t)left : 0;
}

/**
 * serial_line_has_uart_sent:
 * @is_sent: (out): whether the hardware's FIFO and its shift register are empty
 *
 * Returns: whether the driver tells that
 */
gboolean
serial_line_has_uart_sent(const SerialLine *line, gboolean *is_sent)
{
    unsigned status = 0;
    if (ioctl(line->fd, TIOCSERGETLSR, &status) != 0) {
        return FALSE;
    }
    *is_sent = (status & TIOCSER_TEMT) != 0;
    return TRUE;
}

/* What a flush takes away can't be known but by looking before and after; what leaves by itself in
 * between, a few bytes at most, counts too. */
static uint64_t
flush(SerialLine *line, int queue)
{
    uint32_t before = serial_line_count_unsent(line);
    (void)ioctl(line->fd, TCFLSH, queue);
    uint32_t after = serial_line_count_unsent(line);
    return before > after ? before - after : 0;
}

/**
 * serial_line_drop_unsent:
 *
 * Drops what the driver has not sent. USB adapters' drivers keep theirs.
 *
 * Returns: how many bytes
 */
uint64_t
serial_line_drop_unsent(SerialLine *line)
{
    return flush(line, TCOFLUSH);
}

/**
 * serial_line_purge:
 *
 * Drops what the driver has not sent, and what it has received and nobody has read.
 *
 * Returns: how many bytes were not sent
 */
uint64_t
serial_line_purge(SerialLine *line)
{
    return flush(line, TCIOFLUSH);
}

/**
 * serial_line_get_modem:
 * @lines: (out): TIOCM_* bits
 * @error: %KD_ERROR_NOT_SUPPORTED: there are no modem lines
 *
 * Reads the modem lines.
 */
gboolean
serial_line_get_modem(const SerialLine *line, uint32_t *lines, GError **error)
{
    int got = 0;
    if (ioctl(line->fd, TIOCMGET, &got) != 0) {
        set_control_error(error, line, errno, "modem lines");
        return FALSE;
    }
    *lines = (uint32_t)got;
    return TRUE;
}

/**
 * serial_line_set_modem:
 * @mask: of TIOCM_DTR and TIOCM_RTS, those to change
 * @value: those to raise; the others are dropped
 * @error: %KD_ERROR_NOT_SUPPORTED: there are no modem lines
 *
 * Changes modem lines; freeing the line undoes it.
 */
gboolean
serial_line_set_modem(SerialLine *line, uint32_t mask, uint32_t value, GError **error)
{
    uint32_t before = 0;
    int raised = (int)(mask & value);
    int dropped = (int)(mask & ~value);
    if (!serial_line_get_modem(line, &before, error)) {
        return FALSE;
    }
    uint32_t first = mask & ~line->changed_modem;
    line->saved_modem = (line->saved_modem & ~first) | (before & first);
    line->changed_modem |= first;
    if ((raised != 0 && ioctl(line->fd, TIOCMBIS, &raised) != 0) ||
        (dropped != 0 && ioctl(line->fd, TIOCMBIC, &dropped) != 0)) {
        set_control_error(error, line, errno, "modem lines");
        return FALSE;
    }
    return TRUE;
}

/**
 * serial_line_start_break:
 * @error: %KD_ERROR_NOT_SUPPORTED: the line has no BREAK; %G_IO_ERROR_WOULD_BLOCK: a signal came,
 *    try again
 *
 * Holds the line in the spacing state. The kernel waits here for bytes that are unsent, without a
 * limit: there must be none.
 */
gboolean
serial_line_start_break(SerialLine *line, GError **error)
{
    if (ioctl(line->fd, TIOCSBRK) == 0) {
        line->is_breaking = TRUE;
        return TRUE;
    }
    if (errno == EINTR) {
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK, "interrupted");
    } else {
        set_control_error(error, line, errno, "BREAK");
    }
    return FALSE;
}

/**
 * serial_line_stop_break:
 *
 * Lets the line go back to its mark, if it is held.
 */
gboolean
serial_line_stop_break(SerialLine *line, GError **error)
{
    if (!line->is_breaking) {
        return TRUE;
    }
    line->is_breaking = FALSE;
    if (ioctl(line->fd, TIOCCBRK) != 0) {
        set_control_error(error, line, errno, "BREAK");
        return FALSE;
    }
    return TRUE;
}

/**
 * serial_line_read_counts:
 * @counts: (out): untouched when there are none
 *
 * Returns: whether the driver counts
 */
gboolean
serial_line_read_counts(const SerialLine *line, SerialCounts *counts)
{
    struct serial_icounter_struct got = {0};
    if (ioctl(line->fd, TIOCGICOUNT, &got) != 0) {
        return FALSE;
    }
    *counts = (SerialCounts){
        .rx = (uint32_t)got.rx,
        .tx = (uint32_t)got.tx,
        .frame = (uint32_t)got.frame,
        .overrun = (uint32_t)got.overrun,
        .parity = (uint32_t)got.parity,
        .brk = (uint32_t)got.brk,
        .buf_overrun = (uint32_t)got.buf_overrun,
    };
    return TRUE;
}
