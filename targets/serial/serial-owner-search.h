/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looking through /proc for the programs that have terminal devices open. */
#pragma once

#include <gio/gio.h>

#include <sys/types.h>

/**
 * SerialSearched:
 * @path: of the node, for the names of lock files
 * @number: of the device
 * @node_system: of the file system that the node is in; 0: not known
 * @node_inode: of the node
 * @owner: (nullable): what was found: `minicom (pid 4711)`
 *
 * A device whose owner is looked for.
 */
typedef struct {
    char *path;
    dev_t number;
    dev_t node_system;
    ino_t node_inode;
    char *owner;
} SerialSearched;

SerialSearched *serial_searched_new(int path_fd);
void serial_searched_free(SerialSearched *searched);
gboolean serial_owner_search(GPtrArray *devices, GCancellable *cancellable);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(SerialSearched, serial_searched_free)
