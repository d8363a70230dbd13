/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A pseudo terminal for a debugger that wants a serial line. */
#include "kd-pty.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define SLAVE_PREFIX "/dev/pts/"

/**
 * KdPty:
 * @master: a duplicate: the kernel drops what is unread when the last one is closed
 * @slave: kept open, so that a debugger may close and open the terminal as it likes
 * @name: of the slave
 * @symlink_path: (nullable): ours to remove
 */
struct KdPty {
    int master;
    int slave;
    char *name;
    char *symlink_path;
};

static gboolean
set_errno_error(GError **error, const char *what)
{
    int code = errno;

    g_set_error(error, G_IO_ERROR, (gint)g_io_error_from_errno(code), "--pty: %s: %s", what,
                g_strerror(code));
    return FALSE;
}

/* A terminal carries bytes unchanged only in raw mode. */
static gboolean
make_raw(int fd, GError **error)
{
    struct termios mode;

    if (tcgetattr(fd, &mode) != 0) {
        return set_errno_error(error, "can't read the terminal's mode");
    }
    cfmakeraw(&mode);
    if (tcsetattr(fd, TCSANOW, &mode) != 0) {
        return set_errno_error(error, "can't set the terminal's mode");
    }
    return TRUE;
}

static gboolean
open_slave(KdPty *pty, int master, GError **error)
{
    char name[64];

    if (grantpt(master) != 0 || unlockpt(master) != 0 ||
        ptsname_r(master, name, sizeof name) != 0) {
        return set_errno_error(error, "can't unlock a pseudo terminal");
    }
    pty->name = g_strdup(name);
    pty->slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (pty->slave < 0) {
        return set_errno_error(error, name);
    }
    return make_raw(pty->slave, error);
}

/* A link to a terminal is what a kd that was killed has left behind. */
static gboolean
make_symlink(KdPty *pty, const char *path, GError **error)
{
    g_autofree char *target = g_file_read_link(path, NULL);

    if (target != NULL && g_str_has_prefix(target, SLAVE_PREFIX)) {
        (void)unlink(path);
    }
    if (symlink(pty->name, path) != 0) {
        return set_errno_error(error, path);
    }
    pty->symlink_path = g_strdup(path);
    return TRUE;
}

/* Another kd may have put its own link there. */
static void
remove_symlink(const KdPty *pty)
{
    g_autofree char *target = g_file_read_link(pty->symlink_path, NULL);

    if (g_strcmp0(target, pty->name) == 0) {
        (void)unlink(pty->symlink_path);
    }
}

/**
 * kd_pty_new:
 * @symlink_path: (nullable): shall point to the terminal
 * @endpoint: (out caller-allocates): the side that is ours
 * @error: return location
 *
 * Makes a pseudo terminal in raw mode.
 *
 * Returns: (transfer full): the terminal, or %NULL with an error of %G_IO_ERROR
 */
KdPty *
kd_pty_new(const char *symlink_path, KdEndpoint *endpoint, GError **error)
{
    g_autoptr(KdPty) pty = g_new0(KdPty, 1);
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);

    pty->master = -1;
    pty->slave = -1;
    if (master < 0) {
        (void)set_errno_error(error, "can't make a pseudo terminal");
        return NULL;
    }
    if (fcntl(master, F_SETFL, O_RDWR | O_NONBLOCK) != 0) {
        (void)set_errno_error(error, "can't make the terminal non-blocking");
        (void)close(master);
        return NULL;
    }
    if (!open_slave(pty, master, error) ||
        (symlink_path != NULL && !make_symlink(pty, symlink_path, error))) {
        (void)close(master);
        return NULL;
    }
    pty->master = fcntl(master, F_DUPFD_CLOEXEC, 0);
    kd_endpoint_take_fd(endpoint, master, 0, NULL);
    return g_steal_pointer(&pty);
}

/**
 * kd_pty_free:
 * @pty: (nullable): a terminal
 *
 * Lets go of the debugger's side, and removes the symbolic link if it still is ours.
 */
void
kd_pty_free(KdPty *pty)
{
    if (pty == NULL) {
        return;
    }
    if (pty->symlink_path != NULL) {
        remove_symlink(pty);
    }
    if (pty->slave >= 0) {
        (void)close(pty->slave);
    }
    if (pty->master >= 0) {
        (void)close(pty->master);
    }
    g_free(pty->symlink_path);
    g_free(pty->name);
    g_free(pty);
}

/**
 * kd_pty_get_name:
 * @pty: a terminal
 *
 * Returns: the path that a debugger opens
 */
const char *
kd_pty_get_name(const KdPty *pty)
{
    return pty->name;
}

/**
 * kd_pty_is_read:
 * @pty: a terminal
 *
 * What was not read is lost when the terminal is freed.
 *
 * Returns: whether the debugger has read all that it was given
 */
gboolean
kd_pty_is_read(const KdPty *pty)
{
    int n_waiting = 0;

    return ioctl(pty->slave, FIONREAD, &n_waiting) != 0 || n_waiting == 0;
}
