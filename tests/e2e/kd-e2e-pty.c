/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pseudo-terminals as targets: the far side of a line, its bytes and its end. */
#include "kd-e2e-pty.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

/**
 * kd_e2e_pty_new:
 * @name: (out) (transfer full): of the line
 *
 * Returns: (transfer full): the far side of a new line
 */
int
kd_e2e_pty_new(char **name)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

    g_assert_cmpint(master, >=, 0);
    g_assert_cmpint(grantpt(master), ==, 0);
    g_assert_cmpint(unlockpt(master), ==, 0);
    *name = g_strdup(ptsname(master));
    return master;
}

/**
 * kd_e2e_pty_hang_up:
 *
 * Ends a line for all that have it open, as the kernel does when an adapter is pulled out. It can
 * be opened again at once.
 *
 * Returns: whether this user may do that
 */
gboolean
kd_e2e_pty_hang_up(const char *name)
{
    int slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    gboolean is_done = slave >= 0 && ioctl(slave, TIOCVHANGUP) == 0;

    if (slave >= 0) {
        close(slave);
    }
    return is_done;
}
