/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who has a pipe's name: a file that is locked as long as its server lives. */
#include "npipe-lock.h"

#include <kdsrv/kd-plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file that others remove as fast as we open it is no use. */
#define MAX_TRIES 100u

static char *
build_file_name(const char *name)
{
    return g_strconcat(".", name, ".lock", NULL);
}

/* In two steps: in a sticky folder the kernel lets nobody open the file of another user with
 * O_CREAT, not even root; proc_sys_fs(5), protected_regular. */
static int
open_file(const NpipeFolder *folder, const char *file)
{
    int fd = openat(folder->fd, file, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 || errno != ENOENT) {
        return fd;
    }
    return openat(folder->fd, file, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

/* What the holder has written: for people, and not always there. */
static void
refuse_taken(int fd, const char *name, GError **error)
{
    char text[32] = "";
    guint64 process = 0;
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    if (n > 0 && text[n - 1] == '\n') {
        text[n - 1] = '\0';
    }
    if (n > 0 && g_ascii_string_to_unsigned(text, 10, 1, G_MAXINT32, &process, NULL)) {
        g_set_error(error, KD_ERROR, KD_ERROR_BUSY,
                    NPIPE_SCHEME ": the pipe name %s is in use by process %u", name,
                    (guint)process);
    } else {
        g_set_error(error, KD_ERROR, KD_ERROR_BUSY, NPIPE_SCHEME ": the pipe name %s is in use",
                    name);
    }
}

/* Whether the file that was locked is the one of that name: the last holder removes it. */
static gboolean
is_in_place(const NpipeFolder *folder, const char *file, int fd)
{
    struct stat ours;
    struct stat there;
    return fstat(fd, &ours) == 0 && fstatat(folder->fd, file, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
           ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

/* Not another file that somebody of the group has given this name as well, to have it emptied and
 * opened to the group by a server of root's. */
static gboolean
is_ours_alone(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink <= 1;
}

/* Others of the group may want the name after us, whoever made the file. */
static void
note_holder(const NpipeFolder *folder, int fd)
{
    char text[32];
    int len = g_snprintf(text, sizeof(text), "%d\n", (int)getpid());
    if (folder->group != (gid_t)-1 && fchown(fd, (uid_t)-1, folder->group) == 0) {
        (void)fchmod(fd, 0660);
    }
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)len, 0) != len) {
        g_debug("the holder of a pipe's lock could not be noted: %s", g_strerror(errno));
    }
}

/**
 * npipe_lock_take:
 * @name: of a pipe
 * @error: %KD_ERROR_BUSY: somebody who lives has it; %KD_ERROR_POLICY: another file has the name of
 *    the lock; else of %G_IO_ERROR
 *
 * Locks the file that goes with a pipe's name. The lock goes with this process, the file may stay.
 *
 * Returns: (transfer full): for npipe_lock_release(), or -1
 */
int
npipe_lock_take(const NpipeFolder *folder, const char *name, GError **error)
{
    g_autofree char *file = build_file_name(name);
    for (guint i = 0; i < MAX_TRIES; i++) {
        int fd = open_file(folder, file);
        if (fd < 0 && errno == EEXIST) {
            continue; /* just made by another one */
        }
        if (fd < 0) {
            int code = errno;
            g_set_error(error, G_IO_ERROR, (gint)g_io_error_from_errno(code),
                        NPIPE_SCHEME ": %s/%s: %s", folder->path, file, g_strerror(code));
            return -1;
        }
        if (!is_ours_alone(fd)) {
            g_set_error(error, KD_ERROR, KD_ERROR_POLICY,
                        NPIPE_SCHEME ": %s/%s is no lock file of ours: remove it", folder->path,
                        file);
            close(fd);
            return -1;
        }
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            if (errno == EWOULDBLOCK) {
                refuse_taken(fd, name, error);
            } else {
                int code = errno;
                g_set_error(error, G_IO_ERROR, (gint)g_io_error_from_errno(code),
                            NPIPE_SCHEME ": cannot lock %s/%s: %s", folder->path, file,
                            g_strerror(code));
            }
            close(fd);
            return -1;
        }
        if (is_in_place(folder, file, fd)) {
            note_holder(folder, fd);
            return fd;
        }
        close(fd);
    }
    g_set_error(error, KD_ERROR, KD_ERROR_BUSY,
                NPIPE_SCHEME ": the pipe name %s is taken and given up all the time", name);
    return -1;
}

/**
 * npipe_lock_release:
 * @name: of a pipe
 * @fd: (transfer full): of npipe_lock_take()
 *
 * Removes the file while it is still locked, then gives the name up.
 */
void
npipe_lock_release(const NpipeFolder *folder, const char *name, int fd)
{
    g_autofree char *file = build_file_name(name);
    if (is_in_place(folder, file, fd)) {
        (void)unlinkat(folder->fd, file, 0);
    }
    close(fd);
}
