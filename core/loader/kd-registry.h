/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The loaded transports and targets; sealed before the first listener opens. */
#pragma once

#include "kd-params.h"

#include <kdsrv/kd-plugin.h>

typedef struct KdRegistry KdRegistry;

/**
 * KdRegistryEntry:
 * @path: absolute path of the file
 * @kind: `transport` or `target`; %NULL for a refused file
 * @scheme: %NULL for a refused file
 * @summary: %NULL for a refused file
 * @name: of the plugin; %NULL for a refused file
 * @version: of the plugin; %NULL for a refused file
 * @license: of the plugin; %NULL for a refused file
 * @abi_major: of the plugin
 * @abi_minor: of the plugin
 * @refusal: (nullable): why the file was refused, naming it
 *
 * One row of --list-plugins. Borrowed from the registry.
 */
typedef struct {
    const char *path;
    const char *kind;
    const char *scheme;
    const char *summary;
    const char *name;
    const char *version;
    const char *license;
    uint16_t abi_major;
    uint16_t abi_minor;
    const char *refusal;
} KdRegistryEntry;

KdRegistry *kd_registry_new(const KdHost *host);
void kd_registry_free(KdRegistry *registry);
gboolean kd_registry_load_folder(KdRegistry *registry, const char *folder,
                                 GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_registry_load_file(KdRegistry *registry, const char *path,
                               GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_registry_add(KdRegistry *registry, const KdPlugin *plugin, const char *path,
                         GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_registry_seal(KdRegistry *registry);
const KdHost *kd_registry_get_host(const KdRegistry *registry);
const KdTransport *kd_registry_find_transport(const KdRegistry *registry, const char *scheme,
                                              GError **error) G_GNUC_WARN_UNUSED_RESULT;
const KdTarget *kd_registry_find_target(const KdRegistry *registry, const char *scheme,
                                        GError **error) G_GNUC_WARN_UNUSED_RESULT;
const KdTarget *kd_registry_resolve_target(const KdRegistry *registry, const char *trans,
                                           const KdParamsSource *source, GVariant **params,
                                           GError **error) G_GNUC_WARN_UNUSED_RESULT;
guint kd_registry_get_n_entries(const KdRegistry *registry);
const KdRegistryEntry *kd_registry_get_entry(const KdRegistry *registry, guint index);
char *kd_registry_build_table(const KdRegistry *registry);
char *kd_registry_build_json(const KdRegistry *registry);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdRegistry, kd_registry_free)
