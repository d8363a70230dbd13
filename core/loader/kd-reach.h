/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What strings of a client may reach on this machine: a client names, the server decides. */
#pragma once

#include <gio/gio.h>

typedef struct KdReach KdReach;

KdReach *kd_reach_new(void);
KdReach *kd_reach_new_everything(void);
void kd_reach_free(KdReach *reach);
void kd_reach_add_defaults(KdReach *reach);
gboolean kd_reach_add_folder(KdReach *reach, const char *folder,
                             GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_reach_add_host(KdReach *reach, const char *host_and_port,
                           GError **error) G_GNUC_WARN_UNUSED_RESULT;
int kd_reach_open(const KdReach *reach, const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_reach_check_address(const KdReach *reach, const char *name, GSocketAddress *address,
                                GError **error) G_GNUC_WARN_UNUSED_RESULT;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdReach, kd_reach_free)
