/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A fake at the lowest edge: a driver behind one real pseudo-terminal, for what those lack. The
 * ioctl(), fstat() and close() of a test program take the place of the C library's also for the
 * module that it loads; on all other descriptors they are the kernel's. */
#include "kd-serial-driver.h"

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

KdSerialDriver kd_serial_driver;

/**
 * kd_serial_driver_attach:
 * @path: of a pseudo-terminal's slave
 *
 * Puts a driver that can do nothing behind it, and takes it from the one before.
 */
void
kd_serial_driver_attach(const char *path)
{
    struct stat status = {0};
    g_assert_no_errno(stat(path, &status));
    kd_serial_driver = (KdSerialDriver){.terminal = status.st_rdev};
}

static int
fail(int code)
{
    errno = code;
    return -1;
}

static int
start_break(void)
{
    KdSerialDriver *driver = &kd_serial_driver;
    if (!driver->has_break)
        return fail(ENOTTY);
    /* The kernel would sleep here. */
    g_assert_cmpint(driver->unsent, ==, 0);
    g_assert_false(driver->is_uart_busy);
    if (driver->n_interrupts > 0) {
        driver->n_interrupts--;
        return fail(EINTR);
    }
    driver->n_breaks++;
    driver->is_breaking = TRUE;
    driver->break_began_us = g_get_monotonic_time();
    return 0;
}

static int
stop_break(void)
{
    KdSerialDriver *driver = &kd_serial_driver;
    if (!driver->has_break)
        return fail(ENOTTY);
    driver->is_breaking = FALSE;
    driver->break_ended_us = g_get_monotonic_time();
    return 0;
}

static int
change_settings(const struct serial_struct *settings)
{
    kd_serial_driver.flags = settings->flags;
    if (!kd_serial_driver.has_low_latency)
        kd_serial_driver.flags &= ~(int)ASYNC_LOW_LATENCY;
    return 0;
}

static int
answer(int fd, unsigned long request, void *arg)
{
    KdSerialDriver *driver = &kd_serial_driver;
    int ours = (int)(TIOCM_DTR | TIOCM_RTS);
    if (driver->error != 0)
        return fail(driver->error);
    switch (request) {
    case TIOCSBRK:
        return start_break();
    case TIOCCBRK:
        return stop_break();
    case TIOCOUTQ:
        driver->n_unsent_looks++;
        *(int *)arg = driver->unsent;
        return 0;
    case TCFLSH:
        if (driver->has_flush)
            driver->unsent = 0;
        break;
    case TCGETS2:
        if (driver->open_error != 0) {
            driver->n_refusals++;
            return fail(driver->open_error);
        }
        break;
    case TIOCEXCL:
        driver->n_opens++;
        break;
    case TIOCSERGETLSR:
        *(unsigned *)arg = driver->is_uart_busy ? 0 : TIOCSER_TEMT;
        return driver->has_uart_status ? 0 : fail(ENOTTY);
    case TIOCMGET:
        *(unsigned *)arg = driver->modem;
        return driver->has_modem ? 0 : fail(ENOTTY);
    case TIOCMBIS:
        driver->modem |= (unsigned)(*(int *)arg & ours);
        return driver->has_modem ? 0 : fail(ENOTTY);
    case TIOCMBIC:
        driver->modem &= ~(unsigned)(*(int *)arg & ours);
        return driver->has_modem ? 0 : fail(ENOTTY);
    case TIOCGICOUNT:
        *(struct serial_icounter_struct *)arg = driver->counts;
        return driver->has_counts ? 0 : fail(ENOTTY);
    case TIOCGSERIAL:
        *(struct serial_struct *)arg = (struct serial_struct){.flags = driver->flags};
        return driver->has_settings ? 0 : fail(ENOTTY);
    case TIOCSSERIAL:
        return driver->has_settings ? change_settings(arg) : fail(ENOTTY);
    default:
        break;
    }
    return (int)syscall(SYS_ioctl, fd, request, arg);
}

static gboolean
is_driven(int fd)
{
    struct stat status = {0};
    return kd_serial_driver.terminal != 0 && fstatat(fd, "", &status, AT_EMPTY_PATH) == 0 &&
           S_ISCHR(status.st_mode) && status.st_rdev == kd_serial_driver.terminal;
}

__attribute__((visibility("default"))) int
ioctl(int fd, unsigned long request, ...)
{
    va_list args;
    va_start(args, request);
    void *arg = va_arg(args, void *);
    va_end(args);
    return is_driven(fd) ? answer(fd, request, arg) : (int)syscall(SYS_ioctl, fd, request, arg);
}

__attribute__((visibility("default"))) int
fstat(int fd, struct stat *status)
{
    int result = fstatat(fd, "", status, AT_EMPTY_PATH);
    if (result == 0 && kd_serial_driver.is_device && is_driven(fd))
        status->st_rdev = makedev(KD_SERIAL_DEVICE_MAJOR, KD_SERIAL_DEVICE_MINOR);
    return result;
}

__attribute__((visibility("default"))) int
close(int fd)
{
    if (is_driven(fd))
        kd_serial_driver.closed_by = gettid();
    return (int)syscall(SYS_close, fd);
}

/* ---- a link on it ---------------------------------------------------------------------------- */

/**
 * kd_serial_driven_prepare:
 * @line: (out caller-allocates)
 *
 * Makes the terminal, of which fstat() says that it is a device; what the driver can do is the
 * test's to say.
 */
void
kd_serial_driven_prepare(KdSerialDriven *line)
{
    *line = (KdSerialDriven){.master = -1};
    line->master = kd_serial_open_pty(&line->path);
    kd_serial_driver_attach(line->path);
    kd_serial_driver.is_device = TRUE;
}

/**
 * kd_serial_driven_open:
 * @keys: further keys, with a comma before each
 *
 * Opens it.
 */
void
kd_serial_driven_open(KdSerialDriven *line, const char *keys)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = g_strdup_printf("{'port': <'%s'>%s}", line->path, keys);
    gboolean is_open = kd_serial_open(&line->session, text, &error);
    g_assert_no_error(error);
    g_assert_true(is_open);
}

/**
 * kd_serial_driven_close:
 *
 * Closes link and terminal.
 */
void
kd_serial_driven_close(KdSerialDriven *line)
{
    kd_serial_end(&line->session);
    g_assert_false(kd_serial_driver.is_breaking);
    close(line->master);
    g_free(line->path);
}

static gboolean
has_looked(gpointer n_looks)
{
    return kd_serial_driver.n_unsent_looks >= *(const guint *)n_looks;
}

/**
 * kd_serial_driven_wait_for_looks:
 *
 * Turns the main context until the driver was asked so often more what is unsent.
 */
void
kd_serial_driven_wait_for_looks(guint n_looks)
{
    guint wanted = kd_serial_driver.n_unsent_looks + n_looks;
    kd_test_wait_until(has_looked, &wanted);
}
