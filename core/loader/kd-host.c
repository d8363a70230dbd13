/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host table that plugins are given. */
#include "kd-host.h"

#include "kd-watch.h"

/* Plugins see the first member alone. */
typedef struct {
    KdHost table;
    const KdReach *reach;
} KdHostWithReach;

static int
on_open_path(const KdHost *host, const char *path, GError **error)
{
    return kd_reach_open(((const KdHostWithReach *)host)->reach, path, error);
}

static gboolean
on_may_dial(const KdHost *host, const char *name, GSocketAddress *address, GError **error)
{
    return kd_reach_check_address(((const KdHostWithReach *)host)->reach, name, address, error);
}

/**
 * kd_host_new:
 * @reach: what plugins may open and dial for a client; outlives the table
 *
 * Returns: (transfer full): the table of this process's services
 */
const KdHost *
kd_host_new(const KdReach *reach)
{
    KdHostWithReach *host = g_new0(KdHostWithReach, 1);
    host->table = (KdHost){
        .struct_size = sizeof host->table,
        .abi_major = KD_ABI_MAJOR,
        .abi_minor = KD_ABI_MINOR,
        .watch_add = kd_watch_add,
        .watch_set = kd_watch_set,
        .watch_remove = kd_watch_remove,
        .open_path = on_open_path,
        .may_dial = on_may_dial,
    };
    host->reach = reach;
    return &host->table;
}

/**
 * kd_host_free:
 * @host: (transfer full): no plugin is called any more
 */
void
kd_host_free(const KdHost *host)
{
    g_free((gpointer)host);
}
