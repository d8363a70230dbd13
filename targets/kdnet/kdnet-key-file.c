/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys that lie on the server, so that no client has to know them. */
#include "kdnet-key-file.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MACHINE_FOLDER "/etc/kdsrv/keys"
#define MAX_BYTES      128u /* of a key of 55 characters, with what an editor puts around it */
#define OPEN_FLAGS     (O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)

/**
 * kdnet_key_file_check_name:
 * @name: as the string had it
 *
 * Returns: %FALSE with %KD_ERROR_PARAM_INVALID: it is neither the name of a file in a folder of
 *    keys nor an absolute path
 */
gboolean
kdnet_key_file_check_name(const char *name, GError **error)
{
    if (g_path_is_absolute(name) ||
        (*name != '\0' && *name != '.' && strchr(name, G_DIR_SEPARATOR) == NULL)) {
        return TRUE;
    }
    g_set_error_literal(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                        "net: key-file= must be the name of a file in " MACHINE_FOLDER
                        ", or an absolute path");
    return FALSE;
}

static gboolean
set_why(const char *name, int code, const char *why, GError **error)
{
    g_set_error(error, KD_ERROR, code, "net: key file %s: %s", name, why);
    return FALSE;
}

/* Nobody but its owner may have been able to read it, for a key that others know is none. */
static gboolean
check_file(int fd, const char *name, GError **error)
{
    struct stat info;

    if (fstat(fd, &info) != 0) {
        return set_why(name, KD_ERROR_FAILED, g_strerror(errno), error);
    }
    if (!S_ISREG(info.st_mode)) {
        return set_why(name, KD_ERROR_PARAM_INVALID, "is not a regular file", error);
    }
    if (info.st_uid != 0 && info.st_uid != geteuid()) {
        return set_why(name, KD_ERROR_POLICY, "belongs to another user: chown it to the server's",
                       error);
    }
    if ((info.st_mode & 077) != 0) {
        return set_why(name, KD_ERROR_POLICY, "others can read it or write to it: chmod 600 it",
                       error);
    }
    return TRUE;
}

static gboolean
read_key(int fd, const char *name, KdnetKey *key, GError **error)
{
    char text[MAX_BYTES + 1] = {0};
    gssize len = read(fd, text, sizeof text);
    gboolean is_read = FALSE;

    if (len < 0) {
        (void)set_why(name, KD_ERROR_FAILED, g_strerror(errno), error);
    } else if ((size_t)len > MAX_BYTES || strlen(text) != (size_t)len) {
        (void)set_why(name, KD_ERROR_PARAM_INVALID, "has more in it than a key", error);
    } else {
        is_read = kdnet_key_parse(g_strstrip(text), key, error);
        g_prefix_error(error, "net: key file %s: ", name);
    }
    gnutls_memset(text, 0, sizeof text);
    return is_read;
}

/* Ours before the machine's */
static int
open_named(const char *name, GError **error)
{
    g_autofree char *own = g_build_filename(g_get_user_config_dir(), "kdsrv", "keys", name, NULL);
    g_autofree char *machine = g_build_filename(MACHINE_FOLDER, name, NULL);
    int fd = open(own, OPEN_FLAGS | O_NOFOLLOW);

    if (fd < 0 && errno == ENOENT) {
        fd = open(machine, OPEN_FLAGS | O_NOFOLLOW);
    }
    if (fd >= 0) {
        return fd;
    }
    if (errno == ENOENT) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                    "net: key file %s: is neither in " MACHINE_FOLDER
                    " nor in the server's ~/.config/kdsrv/keys",
                    name);
    } else if (errno == ELOOP) {
        (void)set_why(name, KD_ERROR_PARAM_INVALID, "is a symbolic link, not a regular file",
                      error);
    } else {
        (void)set_why(name, KD_ERROR_FAILED, g_strerror(errno), error);
    }
    return -1;
}

/* The host says whether a client may name this path. */
static int
open_absolute(const KdHost *host, const char *path, GError **error)
{
    char link[64];
    int handle = host->open_path(host, path, error);

    if (handle < 0) {
        g_prefix_error(error, "net: key file ");
        return -1;
    }
    (void)g_snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    int fd = check_file(handle, path, error) ? open(link, OPEN_FLAGS) : -1;
    if (fd < 0 && (error == NULL || *error == NULL)) {
        (void)set_why(path, KD_ERROR_FAILED, g_strerror(errno), error);
    }
    close(handle);
    return fd;
}

/**
 * kdnet_key_file_read:
 * @name: a file in a folder of keys, or an absolute path that the host allows
 * @key: (out caller-allocates): a secret
 *
 * Reads a key of one line. Its owner must be root or us, and nobody else may read it.
 *
 * Returns: %FALSE with an error that says nothing of what is in the file; a caller branches on
 *    %KD_ERROR_POLICY and %G_IO_ERROR_NOT_FOUND
 */
gboolean
kdnet_key_file_read(const KdHost *host, const char *name, KdnetKey *key, GError **error)
{
    GError *own = NULL;
    int fd = g_path_is_absolute(name) ? open_absolute(host, name, &own) : open_named(name, &own);
    gboolean is_read = FALSE;

    if (fd >= 0) {
        is_read = check_file(fd, name, &own) && read_key(fd, name, key, &own);
        close(fd);
    }
    if (own != NULL) {
        g_propagate_error(error, own);
    }
    return is_read;
}
