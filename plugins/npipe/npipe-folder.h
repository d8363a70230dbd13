/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Folders in which pipes are: the machine's, and the user's own. */
#pragma once

#include <glib.h>

#include <sys/types.h>

/**
 * NpipeFolder:
 * @path: absolute
 * @fd: the folder, open
 * @group: of the sockets in it, (gid_t)-1 = none: they are their owner's alone
 *
 * Where a server makes its pipes.
 */
typedef struct {
    char *path;
    int fd;
    gid_t group;
} NpipeFolder;

NpipeFolder *npipe_folder_open(GError **error) G_GNUC_WARN_UNUSED_RESULT;
void npipe_folder_free(NpipeFolder *folder);
char **npipe_folder_build_paths(void);
gboolean npipe_folder_check(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(NpipeFolder, npipe_folder_free)
