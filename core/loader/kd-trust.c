/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether code may be loaded from a path: nobody else may have had a hand in it. */
#include "kd-trust.h"

#include <kdsrv/kd-plugin.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static gboolean
check_component(const char *path, const struct stat *status, GError **error)
{
    if (status->st_uid != 0 && status->st_uid != geteuid()) {
        g_set_error(error, KD_ERROR, KD_ERROR_PLUGIN_PATH,
                    "%s: belongs to user %u, neither to root nor to the user that runs this", path,
                    (unsigned)status->st_uid);
        return FALSE;
    }
    /* In a sticky folder others can add files but not replace ours: each next component is
     * checked for its owner. */
    gboolean is_sticky = S_ISDIR(status->st_mode) && (status->st_mode & S_ISVTX) != 0;
    if ((status->st_mode & (S_IWGRP | S_IWOTH)) != 0 && !is_sticky) {
        g_set_error(error, KD_ERROR, KD_ERROR_PLUGIN_PATH,
                    "%s: writable by others than its owner; run chmod go-w %s", path, path);
        return FALSE;
    }
    return TRUE;
}

static gboolean
check_kind(const char *path, KdTrustKind kind, const struct stat *status, GError **error)
{
    if (kind == KD_TRUST_FOLDER && !S_ISDIR(status->st_mode)) {
        g_set_error(error, KD_ERROR, KD_ERROR_PLUGIN_PATH, "%s: not a folder", path);
        return FALSE;
    }
    if (kind == KD_TRUST_FILE && !S_ISREG(status->st_mode)) {
        g_set_error(error, KD_ERROR, KD_ERROR_PLUGIN_PATH, "%s: not a regular file", path);
        return FALSE;
    }
    return TRUE;
}

/**
 * kd_trust_resolve:
 * @path: absolute
 *
 * Resolves every symbolic link of a path and checks each component from `/` on: it belongs to root
 * or to us, and is writable by its owner alone (a sticky folder passes).
 *
 * Returns: (transfer full): the real path, or %NULL: G_IO_ERROR_NOT_FOUND when there is nothing,
 *    KD_ERROR_PLUGIN_PATH naming the component that is not trusted
 */
char *
kd_trust_resolve(const char *path, KdTrustKind kind, GError **error)
{
    if (!g_path_is_absolute(path)) {
        g_set_error(error, KD_ERROR, KD_ERROR_PLUGIN_PATH,
                    "%s: plugins are loaded from absolute paths only", path);
        return NULL;
    }
    /* from the C library, not g_malloc() */
    char *resolved = realpath(path, NULL);
    if (resolved == NULL) {
        int code = errno;
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(code), "%s: %s", path,
                    g_strerror(code));
        return NULL;
    }
    g_autofree char *real = g_strdup(resolved);
    free(resolved);

    size_t len = strlen(real);
    struct stat status = {0};
    for (size_t end = 1; end <= len; end++) {
        if (end > 1 && end < len && real[end] != '/') {
            continue;
        }
        g_autofree char *component = g_strndup(real, end);
        if (lstat(component, &status) < 0) {
            int code = errno;
            g_set_error(error, G_IO_ERROR, g_io_error_from_errno(code), "%s: %s", component,
                        g_strerror(code));
            return NULL;
        }
        /* of what is to be loaded, first say when it is something else altogether */
        if (end == len && !check_kind(component, kind, &status, error)) {
            return NULL;
        }
        if (!check_component(component, &status, error)) {
            return NULL;
        }
    }
    return g_steal_pointer(&real);
}
