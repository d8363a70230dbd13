/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The loaded transports and targets; sealed before the first listener opens. */
#include "kd-registry.h"

#include "kd-module.h"
#include "kd-tables.h"
#include "kd-trust.h"

#include <string.h>

/* What --list-plugins shows where a plugin has no file */
#define BUILT_IN "(built in)"

typedef struct {
    KdRegistryEntry entry;
    char *path;
    char *refusal;
    const KdTransport *transport;
    const KdTarget *target;
} KdRegistryRow;

struct KdRegistry {
    const KdHost *host;
    gboolean is_sealed;
    GPtrArray *tables; /* KdTables */
    GPtrArray *rows;   /* KdRegistryRow; the array moves, the rows do not */
};

static void
free_row(gpointer row_pointer)
{
    KdRegistryRow *row = row_pointer;
    g_free(row->path);
    g_free(row->refusal);
    g_free(row);
}

static void
free_tables(gpointer tables)
{
    kd_tables_free(tables);
}

/**
 * kd_registry_new:
 * @host: given to every plugin's init; outlives the registry
 *
 * Returns: (transfer full): a registry that has nothing and takes plugins until it is sealed
 */
KdRegistry *
kd_registry_new(const KdHost *host)
{
    KdRegistry *registry = g_new0(KdRegistry, 1);
    registry->host = host;
    registry->tables = g_ptr_array_new_with_free_func(free_tables);
    registry->rows = g_ptr_array_new_with_free_func(free_row);
    return registry;
}

/**
 * kd_registry_free:
 * @registry: (transfer full)
 *
 * Frees the tables it gave out. Modules stay loaded: they are resident.
 */
void
kd_registry_free(KdRegistry *registry)
{
    g_ptr_array_unref(registry->rows);
    g_ptr_array_unref(registry->tables);
    g_free(registry);
}

static KdRegistryRow *
add_row(KdRegistry *registry, const char *path)
{
    KdRegistryRow *row = g_new0(KdRegistryRow, 1);
    row->path = g_strdup(path);
    row->entry.path = row->path;
    g_ptr_array_add(registry->rows, row);
    return row;
}

static void
add_refusal(KdRegistry *registry, const char *path, const char *reason)
{
    KdRegistryRow *row = add_row(registry, path);
    row->refusal =
        g_str_has_prefix(reason, path) ? g_strdup(reason) : g_strdup_printf("%s: %s", path, reason);
    row->entry.refusal = row->refusal;
}

static KdRegistryRow *
add_loaded(KdRegistry *registry, const char *path, const KdPlugin *plugin)
{
    KdRegistryRow *row = add_row(registry, path);
    row->entry.name = plugin->name;
    row->entry.version = plugin->version;
    row->entry.license = plugin->license;
    row->entry.abi_major = plugin->abi.major;
    row->entry.abi_minor = plugin->abi.minor;
    return row;
}

static void
add_tables(KdRegistry *registry, KdTables *tables, const char *path)
{
    for (guint i = 0; i < tables->transports->len; i++) {
        KdRegistryRow *row = add_loaded(registry, path, &tables->plugin);
        row->transport = tables->transports->pdata[i];
        row->entry.kind = "transport";
        row->entry.scheme = row->transport->scheme;
        row->entry.summary = row->transport->summary;
    }
    for (guint i = 0; i < tables->targets->len; i++) {
        KdRegistryRow *row = add_loaded(registry, path, &tables->plugin);
        row->target = tables->targets->pdata[i];
        row->entry.kind = "target";
        row->entry.scheme = row->target->scheme;
        row->entry.summary = row->target->summary;
    }
    g_ptr_array_add(registry->tables, tables);
}

static const KdRegistryRow *
find_row(const KdRegistry *registry, const char *kind, const char *scheme)
{
    for (guint i = 0; i < registry->rows->len; i++) {
        const KdRegistryRow *row = registry->rows->pdata[i];
        if (row->entry.kind != NULL && strcmp(row->entry.kind, kind) == 0 &&
            g_ascii_strcasecmp(row->entry.scheme, scheme) == 0) {
            return row;
        }
    }
    return NULL;
}

static gboolean
is_loaded_path(const KdRegistry *registry, const char *path)
{
    for (guint i = 0; i < registry->rows->len; i++) {
        const KdRegistryRow *row = registry->rows->pdata[i];
        if (row->entry.kind != NULL && strcmp(row->path, path) == 0) {
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean
check_scheme_is_free(const KdRegistry *registry, const char *kind, const char *scheme,
                     const char *path, GError **error)
{
    const KdRegistryRow *other = find_row(registry, kind, scheme);
    if (other == NULL) {
        return TRUE;
    }
    g_set_error(error, KD_ERROR, KD_ERROR_ABI, "%s: %s `%s` is there already, from %s", path, kind,
                scheme, other->path);
    return FALSE;
}

static gboolean
check_name_is_free(const KdRegistry *registry, const char *name, const char *path, GError **error)
{
    for (guint i = 0; i < registry->rows->len; i++) {
        const KdRegistryRow *row = registry->rows->pdata[i];
        if (row->entry.name != NULL && strcmp(row->entry.name, name) == 0) {
            g_set_error(error, KD_ERROR, KD_ERROR_ABI,
                        "%s: a plugin named `%s` is there already, from %s", path, name, row->path);
            return FALSE;
        }
    }
    return TRUE;
}

/* A plugin that offers one scheme twice is refused as well: its second table is the later one. */
static gboolean
check_schemes_are_free(const KdRegistry *registry, const KdTables *tables, const char *path,
                       GError **error)
{
    for (guint i = 0; i < tables->transports->len; i++) {
        const KdTransport *own = tables->transports->pdata[i];
        if (!check_scheme_is_free(registry, "transport", own->scheme, path, error)) {
            return FALSE;
        }
        for (guint j = 0; j < i; j++) {
            const KdTransport *twin = tables->transports->pdata[j];
            if (strcmp(twin->scheme, own->scheme) == 0) {
                g_set_error(error, KD_ERROR, KD_ERROR_ABI, "%s: it offers transport `%s` twice",
                            path, own->scheme);
                return FALSE;
            }
        }
    }
    for (guint i = 0; i < tables->targets->len; i++) {
        const KdTarget *own = tables->targets->pdata[i];
        if (!check_scheme_is_free(registry, "target", own->scheme, path, error)) {
            return FALSE;
        }
        for (guint j = 0; j < i; j++) {
            const KdTarget *twin = tables->targets->pdata[j];
            if (strcmp(twin->scheme, own->scheme) == 0) {
                g_set_error(error, KD_ERROR, KD_ERROR_ABI, "%s: it offers target `%s` twice", path,
                            own->scheme);
                return FALSE;
            }
        }
    }
    return TRUE;
}

static gboolean
start_plugin(const KdRegistry *registry, const KdPlugin *plugin, const char *path, GError **error)
{
    if (plugin->init == NULL) {
        return TRUE;
    }
    g_autoptr(GError) reason = NULL;
    if (plugin->init(registry->host, &reason)) {
        return TRUE;
    }
    if (reason == NULL) {
        g_set_error(error, KD_ERROR, KD_ERROR_FAILED, "%s: its init failed without a reason", path);
        return FALSE;
    }
    g_propagate_prefixed_error(error, g_steal_pointer(&reason), "%s: ", path);
    return FALSE;
}

static gboolean
take_plugin(KdRegistry *registry, const KdPlugin *plugin, const char *path, GError **error)
{
    g_autoptr(KdTables) tables = kd_tables_new(plugin, path, error);
    if (tables == NULL || !check_schemes_are_free(registry, tables, path, error) ||
        !check_name_is_free(registry, tables->plugin.name, path, error) ||
        !start_plugin(registry, &tables->plugin, path, error)) {
        return FALSE;
    }
    add_tables(registry, g_steal_pointer(&tables), path);
    return TRUE;
}

static gboolean
check_is_open(const KdRegistry *registry, const char *path, GError **error)
{
    if (registry->is_sealed) {
        g_set_error(error, KD_ERROR, KD_ERROR_POLICY,
                    "%s: too late, no plugin is loaded after the first listener opened", path);
        return FALSE;
    }
    return TRUE;
}

/**
 * kd_registry_add:
 * @plugin: lives as long as the process
 * @path: (nullable): the file it came from
 *
 * Takes a plugin that is linked in, by the same rules as one from a file.
 *
 * Returns: %FALSE when it is refused, which is recorded: KD_ERROR_ABI, what its init said, or
 *    KD_ERROR_POLICY after the registry was sealed
 */
gboolean
kd_registry_add(KdRegistry *registry, const KdPlugin *plugin, const char *path, GError **error)
{
    const char *shown = path != NULL ? path : BUILT_IN;
    if (!check_is_open(registry, shown, error)) {
        return FALSE;
    }
    g_autoptr(GError) reason = NULL;
    if (take_plugin(registry, plugin, shown, &reason)) {
        return TRUE;
    }
    add_refusal(registry, shown, reason->message);
    g_propagate_error(error, g_steal_pointer(&reason));
    return FALSE;
}

static gboolean
open_file(KdRegistry *registry, const char *path, GError **error)
{
    g_autofree char *real = kd_trust_resolve(path, KD_TRUST_FILE, error);
    if (real == NULL) {
        return FALSE;
    }
    if (is_loaded_path(registry, real)) {
        return TRUE;
    }
    const KdPlugin *plugin = kd_module_open(real, error);
    return plugin != NULL && take_plugin(registry, plugin, real, error);
}

/**
 * kd_registry_load_file:
 * @path: absolute
 *
 * Loads one plugin if its path and its tables can be trusted. A file that is loaded already is
 * fine.
 *
 * Returns: %FALSE when it is refused, which is recorded: G_IO_ERROR_NOT_FOUND,
 *    KD_ERROR_PLUGIN_PATH, KD_ERROR_ABI, what its init said, or KD_ERROR_POLICY after the registry
 *    was sealed
 */
gboolean
kd_registry_load_file(KdRegistry *registry, const char *path, GError **error)
{
    if (!check_is_open(registry, path, error)) {
        return FALSE;
    }
    g_autoptr(GError) reason = NULL;
    if (open_file(registry, path, &reason)) {
        return TRUE;
    }
    add_refusal(registry, path, reason->message);
    g_propagate_error(error, g_steal_pointer(&reason));
    return FALSE;
}

/* kdsrv-(transport|target)-SCHEME.so; what it offers is the descriptor's to say. */
static gboolean
is_plugin_name(const char *name)
{
    const char *scheme = NULL;
    if (g_str_has_prefix(name, "kdsrv-transport-")) {
        scheme = name + strlen("kdsrv-transport-");
    } else if (g_str_has_prefix(name, "kdsrv-target-")) {
        scheme = name + strlen("kdsrv-target-");
    } else {
        return FALSE;
    }
    size_t len = strspn(scheme, "abcdefghijklmnopqrstuvwxyz0123456789");
    return len > 0 && strcmp(scheme + len, ".so") == 0;
}

static int
compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static GPtrArray *
list_folder(const char *folder, GError **error)
{
    g_autoptr(GDir) dir = g_dir_open(folder, 0, error);
    if (dir == NULL) {
        g_prefix_error(error, "%s: ", folder);
        return NULL;
    }
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    for (const char *name = g_dir_read_name(dir); name != NULL; name = g_dir_read_name(dir)) {
        if (is_plugin_name(name)) {
            g_ptr_array_add(names, g_strdup(name));
        }
    }
    g_ptr_array_sort(names, compare_names);
    return g_steal_pointer(&names);
}

/**
 * kd_registry_load_folder:
 * @folder: absolute
 *
 * Loads the files of a folder that are named kdsrv-(transport|target)-SCHEME.so, in the order of
 * their names. A file that is refused is recorded with its reason and does not stop the others.
 *
 * Returns: %FALSE for the folder itself: G_IO_ERROR_NOT_FOUND, KD_ERROR_PLUGIN_PATH, or
 *    KD_ERROR_POLICY after the registry was sealed
 */
gboolean
kd_registry_load_folder(KdRegistry *registry, const char *folder, GError **error)
{
    if (!check_is_open(registry, folder, error)) {
        return FALSE;
    }
    g_autofree char *real = kd_trust_resolve(folder, KD_TRUST_FOLDER, error);
    if (real == NULL) {
        return FALSE;
    }
    g_autoptr(GPtrArray) names = list_folder(real, error);
    if (names == NULL) {
        return FALSE;
    }
    for (guint i = 0; i < names->len; i++) {
        g_autofree char *path = g_build_filename(real, (const char *)names->pdata[i], NULL);
        g_autoptr(GError) reason = NULL;
        if (!kd_registry_load_file(registry, path, &reason)) {
            g_debug("refused: %s", reason->message);
        }
    }
    return TRUE;
}

/**
 * kd_registry_seal:
 *
 * From now on nothing is loaded, whoever asks: called before the first listener opens.
 */
void
kd_registry_seal(KdRegistry *registry)
{
    registry->is_sealed = TRUE;
}

/**
 * kd_registry_get_host:
 *
 * Returns: (transfer none): the table to call plugins with
 */
const KdHost *
kd_registry_get_host(const KdRegistry *registry)
{
    return registry->host;
}

static const KdRegistryRow *
find_or_explain(const KdRegistry *registry, const char *kind, const char *scheme, GError **error)
{
    const KdRegistryRow *found = find_row(registry, kind, scheme);
    if (found != NULL) {
        return found;
    }
    g_autoptr(GString) there = g_string_new(NULL);
    for (guint i = 0; i < registry->rows->len; i++) {
        const KdRegistryRow *row = registry->rows->pdata[i];
        if (row->entry.kind != NULL && strcmp(row->entry.kind, kind) == 0) {
            g_string_append_printf(there, "%s%s", there->len > 0 ? ", " : "", row->entry.scheme);
        }
    }
    g_autofree char *asked = g_strescape(scheme, NULL);
    g_set_error(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED, "no %s `%s`; loaded: %s", kind, asked,
                there->len > 0 ? there->str : "none");
    return NULL;
}

/**
 * kd_registry_find_transport:
 * @scheme: in any case
 *
 * Returns: (transfer none): valid until the registry is freed; or %NULL with
 *    KD_ERROR_NOT_SUPPORTED, which lists what is there
 */
const KdTransport *
kd_registry_find_transport(const KdRegistry *registry, const char *scheme, GError **error)
{
    const KdRegistryRow *row = find_or_explain(registry, "transport", scheme, error);
    return row != NULL ? row->transport : NULL;
}

/**
 * kd_registry_find_target:
 * @scheme: in any case
 *
 * Returns: (transfer none): valid until the registry is freed; or %NULL with
 *    KD_ERROR_NOT_SUPPORTED, which lists what is there
 */
const KdTarget *
kd_registry_find_target(const KdRegistry *registry, const char *scheme, GError **error)
{
    const KdRegistryRow *row = find_or_explain(registry, "target", scheme, error);
    return row != NULL ? row->target : NULL;
}

/**
 * kd_registry_resolve_target:
 * @trans: a link's string
 * @source: what supplies the keys that it leaves out
 * @params: (out) (transfer full): a{sv}: what it says, and what @source adds; untouched on error
 *
 * Finds out what a string means here.
 *
 * Returns: (transfer none) (nullable): the kind of the link; else one of the KD_ERROR_PARAM_ codes,
 *    or KD_ERROR_NOT_SUPPORTED
 */
const KdTarget *
kd_registry_resolve_target(const KdRegistry *registry, const char *trans,
                           const KdParamsSource *source, GVariant **params, GError **error)
{
    g_autofree char *scheme = NULL;
    g_autofree char *items = NULL;
    if (!kd_params_split(trans, &scheme, &items, error)) {
        return NULL;
    }
    const KdTarget *target = kd_registry_find_target(registry, scheme, error);
    if (target == NULL) {
        return NULL;
    }
    g_autoptr(GVariant) parsed =
        kd_params_parse(scheme, target->params, KD_FORM_TARGET, items, source, error);
    if (parsed == NULL || (target->check != NULL && !target->check(parsed, error))) {
        return NULL;
    }
    *params = g_steal_pointer(&parsed);
    return target;
}

/**
 * kd_registry_get_n_entries:
 *
 * Returns: how many rows there are: one for each transport and target, one for each refused file
 */
guint
kd_registry_get_n_entries(const KdRegistry *registry)
{
    return registry->rows->len;
}

/**
 * kd_registry_get_entry:
 * @index: below kd_registry_get_n_entries()
 *
 * Returns: (transfer none): valid until the registry is freed
 */
const KdRegistryEntry *
kd_registry_get_entry(const KdRegistry *registry, guint index)
{
    g_return_val_if_fail(index < registry->rows->len, NULL);
    const KdRegistryRow *row = registry->rows->pdata[index];
    return &row->entry;
}
