/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A plugin's tables, checked and copied at the door: nobody behind it looks at sizes. */
#pragma once

#include <kdsrv/kd-plugin.h>

/**
 * KdTables:
 * @plugin: copy; its own lists are not to be used
 * @transports: (element-type KdTransport): copies, with the host's keys among their own
 * @targets: (element-type KdTarget): copies
 *
 * What strings and the rows of key tables point to stays the plugin's, which lives as long as the
 * process.
 */
typedef struct {
    KdPlugin plugin;
    GPtrArray *transports;
    GPtrArray *targets;
} KdTables;

KdTables *kd_tables_new(const KdPlugin *plugin, const char *path,
                        GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_tables_free(KdTables *tables);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdTables, kd_tables_free)
