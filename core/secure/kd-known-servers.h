/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Certificates of servers that the user has confirmed: $XDG_CONFIG_HOME/kdsrv/known_servers. */
#pragma once

#include <gio/gio.h>

gboolean kd_known_servers_find(const char *place, char **sha256,
                               GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_known_servers_add(const char *place, const char *sha256,
                              GError **error) G_GNUC_WARN_UNUSED_RESULT;
char *kd_known_servers_build_path(void);
