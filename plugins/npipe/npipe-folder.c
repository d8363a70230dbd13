/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Folders in which pipes are: the machine's, and the user's own. */
#include "npipe-folder.h"

#include <kdsrv/kd-plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYSTEM_BASE "/run"
#define OWN_FOLDER  "kdsrv"
#define PIPE_FOLDER "pipe"
#define GROUP_NAME  "kdsrv"
#define GROUP_FILE  "/etc/group"

#define NO_GROUP ((gid_t)-1)

/**
 * Level:
 * @mode: of a folder that is made
 * @group: of a folder that is made, or NO_GROUP
 * @may_share: whether the folder's group may write to it
 *
 * What one folder on the way to the pipes has to be like.
 */
typedef struct {
    mode_t mode;
    gid_t group;
    gboolean may_share;
} Level;

static void
set_errno(GError **error, const char *path, int code)
{
    g_set_error(error, G_IO_ERROR, (gint)g_io_error_from_errno(code), NPIPE_SCHEME ": %s: %s", path,
                g_strerror(code));
}

/* ---- the group ---- */

/* From the file alone: a look-up by getgrnam() may wait for a server somewhere, and the group of a
 * service is always one of this machine. */
static gid_t
find_group(void)
{
    g_autofree char *text = NULL;
    if (!g_file_get_contents(GROUP_FILE, &text, NULL, NULL)) {
        return NO_GROUP;
    }
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (guint i = 0; lines[i] != NULL; i++) {
        guint64 number = 0;
        g_auto(GStrv) fields = g_strsplit(lines[i], ":", 4);
        if (g_strv_length(fields) >= 3 && strcmp(fields[0], GROUP_NAME) == 0 &&
            g_ascii_string_to_unsigned(fields[2], 10, 0, NO_GROUP - 1, &number, NULL)) {
            return (gid_t)number;
        }
    }
    return NO_GROUP;
}

/* ---- one folder ---- */

static gboolean
check_status(const struct stat *status, gboolean may_share, const char *path, GError **error)
{
    if (!S_ISDIR(status->st_mode)) {
        set_errno(error, path, ENOTDIR);
        return FALSE;
    }
    if ((status->st_mode & S_IWOTH) != 0 || (!may_share && (status->st_mode & S_IWGRP) != 0)) {
        g_set_error(error, KD_ERROR, KD_ERROR_POLICY,
                    NPIPE_SCHEME ": %s: others may write to this folder (mode %04o): chmod %s it",
                    path, (guint)(status->st_mode & 07777), may_share ? "o-w" : "go-w");
        return FALSE;
    }
    return TRUE;
}

static gboolean
check_owner(const struct stat *status, const char *path, GError **error)
{
    if (status->st_uid != 0 && status->st_uid != geteuid()) {
        g_set_error(error, KD_ERROR, KD_ERROR_POLICY,
                    NPIPE_SCHEME ": %s: this folder is neither root's nor this user's, but of uid "
                                 "%u",
                    path, (guint)status->st_uid);
        return FALSE;
    }
    return TRUE;
}

static int
open_existing(int at, const char *name)
{
    return openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Opens a folder, and makes it if it is not there. */
static int
open_level(int at, const char *name, const Level *level, const char *path, GError **error)
{
    int fd = open_existing(at, name);
    if (fd < 0 && errno == ENOENT) {
        gboolean is_made = mkdirat(at, name, 0700) == 0;
        if (!is_made && errno != EEXIST) {
            set_errno(error, path, errno);
            return -1;
        }
        fd = open_existing(at, name);
        /* Whatever the umask; and only of what is new: the rest is as its owner wants it. */
        if (fd >= 0 && is_made &&
            ((level->group != NO_GROUP && fchown(fd, (uid_t)-1, level->group) != 0) ||
             fchmod(fd, level->mode) != 0)) {
            set_errno(error, path, errno);
            close(fd);
            return -1;
        }
    }
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0) {
        set_errno(error, path, errno);
    } else if (check_status(&status, level->may_share, path, error) &&
               check_owner(&status, path, error)) {
        return fd;
    }
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

/* ---- both folders ---- */

/* Opens BASE/kdsrv/pipe. */
static int
open_pipes(const char *base, const Level *own, const Level *pipes, GError **error)
{
    g_autofree char *own_path = g_build_filename(base, OWN_FOLDER, NULL);
    g_autofree char *pipe_path = g_build_filename(own_path, PIPE_FOLDER, NULL);
    int base_fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (base_fd < 0) {
        set_errno(error, base, errno);
        return -1;
    }
    int own_fd = open_level(base_fd, OWN_FOLDER, own, own_path, error);
    close(base_fd);
    if (own_fd < 0) {
        return -1;
    }
    int fd = open_level(own_fd, PIPE_FOLDER, pipes, pipe_path, error);
    close(own_fd);
    return fd;
}

static gboolean
may_use_system(void)
{
    static const char own[] = SYSTEM_BASE "/" OWN_FOLDER;
    static const char pipes[] = SYSTEM_BASE "/" OWN_FOLDER "/" PIPE_FOLDER;
    if (geteuid() == 0) {
        return TRUE;
    }
    if (faccessat(AT_FDCWD, pipes, W_OK | X_OK, AT_EACCESS) == 0) {
        return TRUE;
    }
    return errno == ENOENT && faccessat(AT_FDCWD, own, W_OK | X_OK, AT_EACCESS) == 0;
}

static NpipeFolder *
open_system(GError **error)
{
    gid_t group = find_group();
    gboolean is_shared = group != NO_GROUP;
    Level own = {.mode = 0755, .group = NO_GROUP, .may_share = TRUE};
    /* Sticky: who is let in to reach the pipes of others must not put own ones in their place. */
    Level pipes = {.mode = is_shared ? 03775 : 0755, .group = group, .may_share = TRUE};
    int fd = open_pipes(SYSTEM_BASE, &own, &pipes, error);
    if (fd < 0) {
        return NULL;
    }
    NpipeFolder *folder = g_new0(NpipeFolder, 1);
    folder->path = g_build_filename(SYSTEM_BASE, OWN_FOLDER, PIPE_FOLDER, NULL);
    folder->fd = fd;
    folder->group = group;
    return folder;
}

static const char *
get_user_base(void)
{
    const char *base = g_getenv("XDG_RUNTIME_DIR");
    return base != NULL && g_path_is_absolute(base) ? base : NULL;
}

static NpipeFolder *
open_user(GError **error)
{
    const char *base = get_user_base();
    Level level = {.mode = 0700, .group = NO_GROUP, .may_share = FALSE};
    if (base == NULL) {
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                            NPIPE_SCHEME
                            ": no folder for pipes: " SYSTEM_BASE "/" OWN_FOLDER "/" PIPE_FOLDER
                            " is for root and those it lets in, and XDG_RUNTIME_DIR is not set");
        return NULL;
    }
    int fd = open_pipes(base, &level, &level, error);
    if (fd < 0) {
        return NULL;
    }
    NpipeFolder *folder = g_new0(NpipeFolder, 1);
    folder->path = g_build_filename(base, OWN_FOLDER, PIPE_FOLDER, NULL);
    folder->fd = fd;
    folder->group = NO_GROUP;
    return folder;
}

/**
 * npipe_folder_open:
 * @error: %KD_ERROR_POLICY: others may write to it, or it is somebody else's; else of %G_IO_ERROR
 *
 * Opens, and makes if needed, the folder in which a server of this user has its pipes:
 * `/run/kdsrv/pipe` of root and of those who may write there, else `$XDG_RUNTIME_DIR/kdsrv/pipe`.
 *
 * Returns: (transfer full) (nullable): the folder
 */
NpipeFolder *
npipe_folder_open(GError **error)
{
    return may_use_system() ? open_system(error) : open_user(error);
}

/**
 * npipe_folder_free:
 * @folder: (transfer full)
 *
 * Closes it; what is in it stays.
 */
void
npipe_folder_free(NpipeFolder *folder)
{
    close(folder->fd);
    g_free(folder->path);
    g_free(folder);
}

/**
 * npipe_folder_build_paths:
 *
 * Returns: (transfer full) (array zero-terminated=1): where a client looks for a pipe, in this
 *    order
 */
char **
npipe_folder_build_paths(void)
{
    const char *base = get_user_base();
    g_autoptr(GPtrArray) paths = g_ptr_array_new();
    g_ptr_array_add(paths, g_build_filename(SYSTEM_BASE, OWN_FOLDER, PIPE_FOLDER, NULL));
    if (base != NULL) {
        g_ptr_array_add(paths, g_build_filename(base, OWN_FOLDER, PIPE_FOLDER, NULL));
    }
    g_ptr_array_add(paths, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&paths), FALSE);
}

/**
 * npipe_folder_check:
 * @path: one of npipe_folder_build_paths()
 * @error: %KD_ERROR_POLICY: everybody may write to it, so that a pipe in it can be anybody's; else
 *    of %G_IO_ERROR, such as %G_IO_ERROR_NOT_FOUND
 *
 * Returns: whether a client can trust the names in a folder
 */
gboolean
npipe_folder_check(const char *path, GError **error)
{
    g_autofree char *parent = g_path_get_dirname(path);
    const char *const chain[] = {parent, path};
    gboolean is_system = g_str_has_prefix(path, SYSTEM_BASE "/" OWN_FOLDER "/");
    for (size_t i = 0; i < G_N_ELEMENTS(chain); i++) {
        struct stat status;
        if (lstat(chain[i], &status) != 0) {
            set_errno(error, chain[i], errno);
            return FALSE;
        }
        /* Whoever has a folder right below /run has it from root. */
        if (!check_status(&status, is_system, chain[i], error) ||
            (!is_system && !check_owner(&status, chain[i], error))) {
            return FALSE;
        }
    }
    return TRUE;
}
