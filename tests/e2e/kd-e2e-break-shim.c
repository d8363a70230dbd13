/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loaded into kdsrv with LD_PRELOAD: a break that it sends on a pseudo terminal reaches the
 * emulated serial port behind that. Terminals of that kind carry none, TIOCSBRK succeeds and does
 * nothing; so QEMU's monitor is told to send it. Everything else is as it was. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

/* Linux's Documentation/admin-guide/devices.txt */
#define FIRST_PTS_MAJOR 136u
#define LAST_PTS_MAJOR  143u

static const char order[] = "chardev-send-break link\n";

static int
is_pseudo_terminal(int fd)
{
    struct stat info;

    return fstat(fd, &info) == 0 && S_ISCHR(info.st_mode) &&
           major(info.st_rdev) >= FIRST_PTS_MAJOR && major(info.st_rdev) <= LAST_PTS_MAJOR;
}

/* Nothing here waits: the caller is an event loop. Returns: -1: there is no monitor */
static int
dial_monitor(void)
{
    const char *path = getenv("KD_E2E_BREAKS");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (path == NULL || strlen(path) >= sizeof address.sun_path) {
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static int
send_break(void)
{
    static int monitor = -1;
    char heard[4096];

    if (monitor < 0) {
        monitor = dial_monitor();
    }
    /* its answers are of no interest, but must not pile up */
    while (monitor >= 0 && recv(monitor, heard, sizeof heard, MSG_DONTWAIT) > 0) {
    }
    if (monitor < 0 || send(monitor, order, sizeof order - 1, MSG_DONTWAIT | MSG_NOSIGNAL) !=
                           (ssize_t)(sizeof order - 1)) {
        errno = EIO;
        return -1;
    }
    return 0;
}

/* One letter for each, for the test to count. */
static void
note(char letter)
{
    const char *path = getenv("KD_E2E_BREAKS_LOG");
    int fd = path != NULL ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;

    if (fd >= 0) {
        (void)!write(fd, &letter, 1);
        close(fd);
    }
}

__attribute__((visibility("default"))) int
ioctl(int fd, unsigned long request, ...)
{
    va_list more;
    void *argument;

    va_start(more, request);
    argument = va_arg(more, void *);
    va_end(more);
    if ((request == TIOCSBRK || request == TIOCCBRK) && is_pseudo_terminal(fd)) {
        note(request == TIOCSBRK ? 'B' : 'e');
        if (request == TIOCSBRK && send_break() != 0) {
            return -1;
        }
    }
    /* not by a look-up of the next ioctl(): a sanitizer's has called this one */
    return (int)syscall(SYS_ioctl, fd, request, argument);
}
