/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stdin, stdout and stderr of a command: that they are there, and that all was written. */
#include "kd-standard-files.h"

#include "kd-log.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <stdio.h>
#include <unistd.h>

/**
 * kd_standard_files_reserve:
 *
 * Fills stdin, stdout and stderr where the caller of the program has closed them, so that no other
 * file gets their numbers. Called first of all.
 *
 * Returns: %FALSE when not even /dev/null can be opened
 */
gboolean
kd_standard_files_reserve(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) {
        (void)close(fd);
    }
    return fd >= 0;
}

/**
 * kd_standard_files_finish:
 * @status: exit status so far
 *
 * Writes what was printed and still waits; tells when that fails, as on a full disk.
 *
 * Returns: @status, or 1 when it was 0 and something printed is lost
 */
int
kd_standard_files_finish(int status)
{
    g_autoptr(GError) error = NULL;

    if (fflush(stdout) == 0 && !ferror(stdout)) {
        return status;
    }
    error = g_error_new(G_IO_ERROR, (gint)g_io_error_from_errno(errno), "stdout: %s",
                        g_strerror(errno));
    kd_log_error(error);
    return status == 0 ? 1 : status;
}
