/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The private folders in which running kds have a socket, each named after its process. */
#include "kd-tell-folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define FOLDER_MODE  0700
#define OTHERS_WRITE 0022
#define OTHERS       0077
#define MOST_DIAL_S  5

/**
 * kd_tell_folder_list:
 * @owner: whose
 *
 * XDG_RUNTIME_DIR, where it is set, is the one place: who points it elsewhere wants to be apart
 * from the kds that are there already.
 *
 * Returns: (transfer full) (element-type utf8): paths of the folders that may be there, best first.
 *    The last part but one of each is made by kd as well
 */
GPtrArray *
kd_tell_folder_list(uid_t owner)
{
    GPtrArray *paths = g_ptr_array_new_with_free_func(g_free);
    /* not g_get_user_runtime_dir(): without the variable that is a cache folder */
    const char *own = g_getenv("XDG_RUNTIME_DIR");

    if (own != NULL && g_path_is_absolute(own) && owner == geteuid()) {
        g_ptr_array_add(paths, g_build_filename(own, "kdsrv", "kd", NULL));
        return paths;
    }
    g_ptr_array_add(paths, g_strdup_printf("/run/user/%u/kdsrv/kd", (guint)owner));
    g_ptr_array_add(paths, g_strdup_printf("%s/kdsrv-%u/kd", g_get_tmp_dir(), (guint)owner));
    return paths;
}

static int
set_errno_error(GError **error, const char *path, int code)
{
    g_set_error(error, G_IO_ERROR, (gint)g_io_error_from_errno(code), "%s: %s", path,
                g_strerror(code));
    return -1;
}

/* Enters a folder that is @owner's, and in which nobody else can change anything (@forbidden). */
static int
enter(int parent, const char *name, uid_t owner, mode_t forbidden, gboolean is_made)
{
    gboolean is_new = is_made && mkdirat(parent, name, FOLDER_MODE) == 0;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat info;

    if (fd < 0) {
        return -1;
    }
    if (is_new) {
        (void)fchmod(fd, FOLDER_MODE); /* whatever the umask is */
    }
    if (fstat(fd, &info) != 0 || info.st_uid != owner || (info.st_mode & forbidden) != 0) {
        (void)close(fd);
        errno = EPERM;
        return -1;
    }
    return fd;
}

/* The folder in which the two of ours are: anybody's, as /tmp, or the owner's. */
static int
enter_base(const char *path, uid_t owner)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat info;

    if (fd >= 0 && (fstat(fd, &info) != 0 || (info.st_uid != owner && info.st_uid != 0) ||
                    ((info.st_mode & OTHERS_WRITE) != 0 && (info.st_mode & S_ISVTX) == 0))) {
        (void)close(fd);
        errno = EPERM;
        return -1;
    }
    return fd;
}

/**
 * kd_tell_folder_open:
 * @path: as kd_tell_folder_list() has it
 * @owner: whose it must be
 * @is_made: make it if it is not there
 * @error: return location
 *
 * Opens such a folder. No other user can have put anything into it.
 *
 * Returns: a descriptor (transfer full), or -1 with an error of %G_IO_ERROR
 */
int
kd_tell_folder_open(const char *path, uid_t owner, gboolean is_made, GError **error)
{
    g_autofree char *outer = g_path_get_dirname(path);
    g_autofree char *base = g_path_get_dirname(outer);
    g_autofree char *outer_name = g_path_get_basename(outer);
    g_autofree char *name = g_path_get_basename(path);
    int base_fd = enter_base(base, owner);
    int outer_fd = -1;
    int fd = -1;
    int code;

    if (base_fd >= 0) {
        outer_fd = enter(base_fd, outer_name, owner, OTHERS_WRITE, is_made);
    }
    if (outer_fd >= 0) {
        fd = enter(outer_fd, name, owner, OTHERS, is_made);
    }
    code = errno;
    if (outer_fd >= 0) {
        (void)close(outer_fd);
    }
    if (base_fd >= 0) {
        (void)close(base_fd);
    }
    return fd >= 0 ? fd : set_errno_error(error, path, code);
}

/**
 * kd_tell_folder_dial:
 * @folder: open
 * @name: of a socket in it
 * @error: return location
 *
 * Connects to a kd; waits at most 5 s for its turn.
 *
 * Returns: a descriptor (transfer full), or -1; %G_IO_ERROR_CONNECTION_REFUSED when the kd is dead
 */
int
kd_tell_folder_dial(int folder, const char *name, GError **error)
{
    const struct timeval limit = {.tv_sec = MOST_DIAL_S};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    /* By way of the descriptor: no path is too long, and none is exchanged meanwhile. */
    (void)g_snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", folder,
                     name);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0 ||
        connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        int code = errno;

        if (fd >= 0) {
            (void)close(fd);
        }
        return set_errno_error(error, name, code);
    }
    return fd;
}

static gboolean
is_dead(int folder, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    gboolean is_refused;

    (void)g_snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", folder,
                     name);
    is_refused = fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) != 0 &&
                 errno == ECONNREFUSED;
    if (fd >= 0) {
        (void)close(fd);
    }
    return is_refused;
}

static int
compare_pids(const void *a, const void *b)
{
    return *(const guint *)a < *(const guint *)b ? -1 : 1;
}

/**
 * kd_tell_folder_find_pids:
 * @folder: open
 *
 * Finds the sockets of running kds, and removes those of dead ones. A kd gives its socket the name
 * when it listens already, so one that refuses is dead.
 *
 * Returns: (transfer full) (element-type guint): process numbers, rising
 */
GArray *
kd_tell_folder_find_pids(int folder)
{
    GArray *pids = g_array_new(FALSE, FALSE, sizeof(guint));
    int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    const struct dirent *entry;

    if (dir == NULL && copy >= 0) {
        (void)close(copy);
    }
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        guint64 number = 0;
        guint pid;

        if (!g_ascii_string_to_unsigned(entry->d_name, 10, 1, G_MAXINT32, &number, NULL)) {
            continue;
        }
        pid = (guint)number;
        if (is_dead(folder, entry->d_name)) {
            (void)unlinkat(folder, entry->d_name, 0);
        } else {
            g_array_append_val(pids, pid);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    if (pids->len > 1) {
        qsort(pids->data, pids->len, sizeof(guint), compare_pids);
    }
    return pids;
}
