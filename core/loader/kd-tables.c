/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A plugin's tables, checked and copied at the door: nobody behind it looks at sizes. */
#include "kd-tables.h"

#include "kd-host-keys.h"
#include "kd-key-table.h"

#include <string.h>

#define SCHEME_MAX_BYTES 31u
#define LIST_MAX         16u      /* transports or targets of one file */
#define STRUCT_MAX_BYTES 0x10000u /* beyond it the size is no size     */
#define CONTROL_BITS     0xfffeu  /* 1u << op of every control operation there may be */

/* What each table had in minor 0: no plugin of this major can have less. */
#define END_OF(type, member) (offsetof(type, member) + sizeof(((type *)NULL)->member))
#define PLUGIN_MIN_BYTES     END_OF(KdPlugin, init)
#define TRANSPORT_MIN_BYTES  END_OF(KdTransport, connect_finish)
#define TARGET_MIN_BYTES     END_OF(KdTarget, close_finish)

static gboolean
refuse(GError **error, const char *owner, const char *reason)
{
    g_set_error(error, KD_ERROR, KD_ERROR_ABI, "%s: %s", owner, reason);
    return FALSE;
}

static gboolean
check_size(uint32_t size, size_t least, const char *owner, GError **error)
{
    if (size >= least && size <= STRUCT_MAX_BYTES) {
        return TRUE;
    }
    g_set_error(error, KD_ERROR, KD_ERROR_ABI,
                "%s: its table says struct_size %u, plugin ABI %d has %" G_GSIZE_FORMAT " at least",
                owner, size, KD_ABI_MAJOR, least);
    return FALSE;
}

/* The only reader of a plugin before it is accepted. */
static gboolean
check_abi(const KdAbi *abi, const char *path, GError **error)
{
    if (abi->magic != KD_ABI_MAGIC) {
        g_set_error(error, KD_ERROR, KD_ERROR_ABI,
                    "%s: its plugin table starts with 0x%08x, not with the magic 0x%08x", path,
                    abi->magic, KD_ABI_MAGIC);
        return FALSE;
    }
    if (abi->major != KD_ABI_MAJOR) {
        g_set_error(error, KD_ERROR, KD_ERROR_ABI,
                    "%s: built for plugin ABI %u, this kdsrv speaks %d", path, abi->major,
                    KD_ABI_MAJOR);
        return FALSE;
    }
    if (abi->minor_needed > KD_ABI_MINOR) {
        g_set_error(error, KD_ERROR, KD_ERROR_ABI,
                    "%s: needs plugin ABI %u.%u or newer, this kdsrv speaks %d.%d", path,
                    abi->major, abi->minor_needed, KD_ABI_MAJOR, KD_ABI_MINOR);
        return FALSE;
    }
    return check_size(abi->struct_size, PLUGIN_MIN_BYTES, path, error);
}

static gboolean
check_scheme(const char *scheme, const char *path, const char *kind, GError **error)
{
    size_t len = scheme != NULL ? strnlen(scheme, SCHEME_MAX_BYTES + 1) : 0;
    gboolean is_good = len >= 1 && len <= SCHEME_MAX_BYTES;
    for (size_t i = 0; is_good && i < len; i++) {
        is_good = g_ascii_isdigit(scheme[i]) || g_ascii_islower(scheme[i]);
    }
    if (!is_good) {
        g_set_error(error, KD_ERROR, KD_ERROR_ABI,
                    "%s: a %s's scheme is not 1 to %u lower case letters and digits", path, kind,
                    SCHEME_MAX_BYTES);
    }
    return is_good;
}

static gboolean
check_transport(const KdTransport *own, const char *owner, GError **error)
{
    if ((own->caps & (KD_TRANSPORT_LISTEN | KD_TRANSPORT_CONNECT)) == 0) {
        return refuse(error, owner,
                      "caps has neither KD_TRANSPORT_LISTEN nor KD_TRANSPORT_CONNECT");
    }
    if ((own->caps & KD_TRANSPORT_LISTEN) != 0 &&
        (own->listen_async == NULL || own->listen_finish == NULL)) {
        return refuse(error, owner, "KD_TRANSPORT_LISTEN needs listen_async and listen_finish");
    }
    if ((own->accept_async == NULL) != (own->accept_finish == NULL)) {
        return refuse(error, owner, "accept_async and accept_finish go together");
    }
    if ((own->caps & KD_TRANSPORT_CONNECT) != 0 &&
        (own->connect_async == NULL || own->connect_finish == NULL)) {
        return refuse(error, owner, "KD_TRANSPORT_CONNECT needs connect_async and connect_finish");
    }
    return TRUE;
}

static gboolean
check_target(const KdTarget *own, const char *owner, GError **error)
{
    if (own->open_async == NULL || own->open_finish == NULL) {
        return refuse(error, owner, "a target needs open_async and open_finish");
    }
    if (own->close_async == NULL || own->close_finish == NULL) {
        return refuse(error, owner, "a target needs close_async and close_finish");
    }
    if ((own->enumerate_async == NULL) != (own->enumerate_finish == NULL)) {
        return refuse(error, owner, "enumerate_async and enumerate_finish go together");
    }
    if ((own->caps & CONTROL_BITS) != 0 &&
        (own->control_async == NULL || own->control_finish == NULL)) {
        return refuse(error, owner, "control bits in caps need control_async and control_finish");
    }
    if ((own->caps & KD_TARGET_REOPEN) != 0 &&
        (own->reopen_async == NULL || own->reopen_finish == NULL)) {
        return refuse(error, owner, "KD_TARGET_REOPEN needs reopen_async and reopen_finish");
    }
    return TRUE;
}

/* Both kinds start with the same members; %NULL where a list's element is not acceptable. */
static KdTransport *
copy_transport(const KdTransport *theirs, const char *path, GError **error)
{
    if (!check_size(theirs->struct_size, TRANSPORT_MIN_BYTES, path, error)) {
        return NULL;
    }
    KdTransport own = {0};
    memcpy(&own, theirs, MIN(theirs->struct_size, sizeof own));
    own.struct_size = sizeof own;
    if (!check_scheme(own.scheme, path, "transport", error)) {
        return NULL;
    }
    g_autofree char *owner = g_strdup_printf("%s: transport `%s`", path, own.scheme);
    if (!kd_key_table_is_text(own.summary)) {
        refuse(error, owner, "it has no summary of one printable line");
        return NULL;
    }
    if (!kd_key_table_check(own.params, owner, error) ||
        !kd_host_keys_check_own(own.params, owner, error) || !check_transport(&own, owner, error)) {
        return NULL;
    }
    own.params = kd_host_keys_build_table(own.params, own.caps, error);
    return own.params != NULL ? g_memdup2(&own, sizeof own) : NULL;
}

static KdTarget *
copy_target(const KdTarget *theirs, const char *path, GError **error)
{
    if (!check_size(theirs->struct_size, TARGET_MIN_BYTES, path, error)) {
        return NULL;
    }
    KdTarget own = {0};
    memcpy(&own, theirs, MIN(theirs->struct_size, sizeof own));
    own.struct_size = sizeof own;
    if (!check_scheme(own.scheme, path, "target", error)) {
        return NULL;
    }
    g_autofree char *owner = g_strdup_printf("%s: target `%s`", path, own.scheme);
    if (!kd_key_table_is_text(own.summary)) {
        refuse(error, owner, "it has no summary of one printable line");
        return NULL;
    }
    if (!kd_key_table_check(own.params, owner, error) || !check_target(&own, owner, error)) {
        return NULL;
    }
    return g_memdup2(&own, sizeof own);
}

static void
free_transport(gpointer pointer)
{
    KdTransport *own = pointer;

    g_free((gpointer)own->params);
    g_free(own);
}

static gboolean
copy_transports(KdTables *tables, const char *path, GError **error)
{
    const KdTransport *const *list = tables->plugin.transports;
    for (size_t i = 0; list != NULL && list[i] != NULL; i++) {
        if (i == LIST_MAX) {
            return refuse(error, path, "the list of transports has no end");
        }
        KdTransport *own = copy_transport(list[i], path, error);
        if (own == NULL) {
            return FALSE;
        }
        g_ptr_array_add(tables->transports, own);
    }
    return TRUE;
}

static gboolean
copy_targets(KdTables *tables, const char *path, GError **error)
{
    const KdTarget *const *list = tables->plugin.targets;
    for (size_t i = 0; list != NULL && list[i] != NULL; i++) {
        if (i == LIST_MAX) {
            return refuse(error, path, "the list of targets has no end");
        }
        KdTarget *own = copy_target(list[i], path, error);
        if (own == NULL) {
            return FALSE;
        }
        g_ptr_array_add(tables->targets, own);
    }
    return TRUE;
}

static gboolean
check_plugin(const KdPlugin *own, const char *path, GError **error)
{
    if (!kd_key_table_is_text(own->name)) {
        return refuse(error, path, "the plugin has no name of one printable line");
    }
    if (!kd_key_table_is_text(own->version)) {
        return refuse(error, path, "the plugin has no version of one printable line");
    }
    if (!kd_key_table_is_text(own->license)) {
        return refuse(error, path, "the plugin has no licence of one printable line");
    }
    return TRUE;
}

static gboolean
fill_tables(KdTables *tables, const char *path, GError **error)
{
    if (!check_plugin(&tables->plugin, path, error) || !copy_transports(tables, path, error) ||
        !copy_targets(tables, path, error)) {
        return FALSE;
    }
    if (tables->transports->len == 0 && tables->targets->len == 0) {
        return refuse(error, path, "it offers neither a transport nor a target");
    }
    return TRUE;
}

/**
 * kd_tables_new:
 * @plugin: of a module or linked in; nothing beyond its #KdAbi is read before that is accepted
 * @path: for the message
 *
 * Checks a plugin's tables and copies each into a zeroed one of ours, so that members which the
 * plugin's header did not have are %NULL, which is: not offered. A transport's key table becomes
 * one that has the host's keys, too.
 *
 * Returns: (transfer full): or %NULL with KD_ERROR_ABI, naming @path
 */
KdTables *
kd_tables_new(const KdPlugin *plugin, const char *path, GError **error)
{
    KdAbi abi;
    memcpy(&abi, plugin, sizeof abi);
    if (!check_abi(&abi, path, error)) {
        return NULL;
    }
    KdTables *tables = g_new0(KdTables, 1);
    tables->transports = g_ptr_array_new_with_free_func(free_transport);
    tables->targets = g_ptr_array_new_with_free_func(g_free);
    memcpy(&tables->plugin, plugin, MIN(abi.struct_size, sizeof tables->plugin));
    if (!fill_tables(tables, path, error)) {
        kd_tables_free(tables);
        return NULL;
    }
    return tables;
}

/**
 * kd_tables_free:
 * @tables: (transfer full)
 *
 * Drops the copies; the plugin stays.
 */
void
kd_tables_free(KdTables *tables)
{
    g_ptr_array_unref(tables->transports);
    g_ptr_array_unref(tables->targets);
    g_free(tables);
}
