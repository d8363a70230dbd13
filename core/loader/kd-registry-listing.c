/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What --list-plugins prints, as text and as JSON. */
#include "kd-registry.h"

#include <json-glib/json-glib.h>

#include <string.h>

#define COLUMNS 3u /* of varying width: kind and scheme, version, licence */

/* (transfer full) */
static char *
build_cell(const KdRegistryEntry *entry, guint column)
{
    switch (column) {
    case 0:
        return g_strdup_printf("%s %s", entry->kind, entry->scheme);
    case 1:
        return g_strdup(entry->version);
    default:
        return g_strdup(entry->license);
    }
}

static void
append_row(GString *table, const KdRegistryEntry *entry, const int *widths)
{
    g_autofree char *what = build_cell(entry, 0);
    g_string_append_printf(table, "%-*s  %-*s  ABI %u.%u  %-*s  %s\n", widths[0], what, widths[1],
                           entry->version, entry->abi_major, entry->abi_minor, widths[2],
                           entry->license, entry->path);
}

/**
 * kd_registry_build_table:
 *
 * Returns: (transfer full): one line for each transport and target, then one for each refused file
 *    with the reason
 */
char *
kd_registry_build_table(const KdRegistry *registry)
{
    int widths[COLUMNS] = {0};
    guint count = kd_registry_get_n_entries(registry);
    for (guint i = 0; i < count; i++) {
        const KdRegistryEntry *entry = kd_registry_get_entry(registry, i);
        for (guint column = 0; entry->refusal == NULL && column < COLUMNS; column++) {
            g_autofree char *cell = build_cell(entry, column);
            widths[column] = MAX(widths[column], (int)strlen(cell));
        }
    }
    g_autoptr(GString) table = g_string_new(NULL);
    for (guint i = 0; i < count; i++) {
        const KdRegistryEntry *entry = kd_registry_get_entry(registry, i);
        if (entry->refusal == NULL) {
            append_row(table, entry, widths);
        }
    }
    for (guint i = 0; i < count; i++) {
        const KdRegistryEntry *entry = kd_registry_get_entry(registry, i);
        if (entry->refusal != NULL) {
            g_string_append_printf(table, "refused  %s\n", entry->refusal);
        }
    }
    return g_string_free(g_steal_pointer(&table), FALSE);
}

static void
add_member(JsonBuilder *json, const char *name, const char *value)
{
    json_builder_set_member_name(json, name);
    json_builder_add_string_value(json, value);
}

static void
add_loaded(JsonBuilder *json, const KdRegistryEntry *entry)
{
    g_autofree char *abi = g_strdup_printf("%u.%u", entry->abi_major, entry->abi_minor);
    json_builder_begin_object(json);
    add_member(json, "kind", entry->kind);
    add_member(json, "scheme", entry->scheme);
    add_member(json, "summary", entry->summary);
    add_member(json, "name", entry->name);
    add_member(json, "version", entry->version);
    add_member(json, "license", entry->license);
    add_member(json, "abi", abi);
    add_member(json, "path", entry->path);
    json_builder_end_object(json);
}

static void
add_refused(JsonBuilder *json, const KdRegistryEntry *entry)
{
    json_builder_begin_object(json);
    add_member(json, "path", entry->path);
    add_member(json, "reason", entry->refusal);
    json_builder_end_object(json);
}

static void
add_list(JsonBuilder *json, const KdRegistry *registry, gboolean is_refused)
{
    json_builder_set_member_name(json, is_refused ? "refused" : "plugins");
    json_builder_begin_array(json);
    for (guint i = 0; i < kd_registry_get_n_entries(registry); i++) {
        const KdRegistryEntry *entry = kd_registry_get_entry(registry, i);
        if ((entry->refusal != NULL) == is_refused) {
            (is_refused ? add_refused : add_loaded)(json, entry);
        }
    }
    json_builder_end_array(json);
}

/**
 * kd_registry_build_json:
 *
 * Returns: (transfer full): an object with `abi` (what this host speaks), `plugins` and `refused`
 */
char *
kd_registry_build_json(const KdRegistry *registry)
{
    g_autoptr(JsonBuilder) json = json_builder_new();
    g_autofree char *abi = g_strdup_printf("%d.%d", KD_ABI_MAJOR, KD_ABI_MINOR);
    json_builder_begin_object(json);
    add_member(json, "abi", abi);
    add_list(json, registry, FALSE);
    add_list(json, registry, TRUE);
    json_builder_end_object(json);
    g_autoptr(JsonNode) root = json_builder_get_root(json);
    return json_to_string(root, TRUE);
}
