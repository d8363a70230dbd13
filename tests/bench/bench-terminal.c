/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pseudo-terminals of the harness: a line with the target at its far end. */
#include "bench-terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

static int
close_keeping_errno(int fd)
{
    int saved = errno;

    close(fd);
    errno = saved;
    return -1;
}

/**
 * bench_terminal_listen:
 * @path: where a symbolic link to the line is put
 *
 * Makes a line. Nobody but the relay opens it: it has to be the only one there.
 *
 * Returns: the far end, which doesn't wait; or -1 with errno.
 */
int
bench_terminal_listen(const char *path)
{
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0) {
        return -1;
    }
    if (grantpt(fd) != 0 || unlockpt(fd) != 0 || symlink(ptsname(fd), path) != 0) {
        return close_keeping_errno(fd);
    }
    return fd;
}

/**
 * bench_terminal_connect:
 * @deadline_s: at most 25; reading ends after that
 *
 * Opens a line as a relay does: clean bytes, and no others than those that were written.
 *
 * Returns: a blocking descriptor, or -1 with errno.
 */
int
bench_terminal_connect(const char *path, unsigned deadline_s)
{
    int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios settings;

    if (fd < 0) {
        return -1;
    }
    if (tcgetattr(fd, &settings) != 0) {
        return close_keeping_errno(fd);
    }
    cfmakeraw(&settings);
    settings.c_cc[VMIN] = 0;
    settings.c_cc[VTIME] = (cc_t)(deadline_s * 10u);
    return tcsetattr(fd, TCSANOW, &settings) == 0 ? fd : close_keeping_errno(fd);
}
