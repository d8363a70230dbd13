/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finding a file beneath a folder without following a symbolic link. */
#include "kd-open-beneath.h"

#include <kdsrv/kd-plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Both openers return a descriptor or -errno; a symbolic link anywhere is -ELOOP, a way out of the
 * folder -EXDEV. */

static gboolean
is_link(int fd)
{
    struct stat status = {0};
    return fstat(fd, &status) == 0 && S_ISLNK(status.st_mode);
}

static int
open_by_kernel(int folder, const char *rest)
{
    struct open_how how = {
        .flags = O_PATH | O_CLOEXEC | O_NOFOLLOW,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd = syscall(SYS_openat2, folder, rest, &how, sizeof how);
    if (fd < 0) {
        return -errno;
    }
    /* O_PATH with O_NOFOLLOW gives the link itself when it comes last. */
    if (is_link((int)fd)) {
        close((int)fd);
        return -ELOOP;
    }
    return (int)fd;
}

static int
open_by_steps(int folder, const char *rest)
{
    g_auto(GStrv) steps = g_strsplit(rest, "/", -1);
    int at = -1;
    for (char **step = steps; *step != NULL; step++) {
        if (**step == '\0' || strcmp(*step, ".") == 0) {
            continue;
        }
        int fd = -1;
        int code = EXDEV;
        if (strcmp(*step, "..") != 0) {
            fd = openat(at >= 0 ? at : folder, *step, O_PATH | O_CLOEXEC | O_NOFOLLOW);
            code = errno;
        }
        if (at >= 0) {
            close(at);
        }
        if (fd < 0) {
            return -code;
        }
        if (is_link(fd)) {
            close(fd);
            return -ELOOP;
        }
        at = fd;
    }
    return at >= 0 ? at : -ENOENT;
}

static void
set_error(GError **error, const char *folder, const char *rest, int code)
{
    const char *between = g_str_has_suffix(folder, "/") ? "" : "/";
    if (code == ELOOP) {
        g_set_error(error, KD_ERROR, KD_ERROR_POLICY,
                    "%s%s%s: a symbolic link, and none is followed beneath %s", folder, between,
                    rest, folder);
    } else if (code == EXDEV) {
        g_set_error(error, KD_ERROR, KD_ERROR_POLICY, "%s%s%s: leads out of %s", folder, between,
                    rest, folder);
    } else {
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(code), "%s%s%s: %s", folder, between,
                    rest, g_strerror(code));
    }
}

/**
 * kd_open_beneath:
 * @folder: absolute; may be a symbolic link itself
 * @rest: relative to it
 *
 * Finds a file beneath a folder, following no symbolic link beneath it. Opens nothing: a device is
 * not touched.
 *
 * Returns: (transfer full): an O_PATH descriptor, or -1: G_IO_ERROR_NOT_FOUND, KD_ERROR_POLICY
 */
int
kd_open_beneath(const char *folder, const char *rest, GError **error)
{
    int base = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (base < 0) {
        set_error(error, folder, rest, errno);
        return -1;
    }
    int fd = open_by_kernel(base, rest);
    /* An old kernel has no openat2(), an old container runtime forbids what it does not know. */
    if (fd == -ENOSYS || fd == -EPERM) {
        fd = open_by_steps(base, rest);
    }
    close(base);
    if (fd < 0) {
        set_error(error, folder, rest, -fd);
        return -1;
    }
    return fd;
}
