/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One HOST[:PORT] that strings of a client may dial. */
#pragma once

#include <gio/gio.h>

typedef struct KdAllowedHost KdAllowedHost;

KdAllowedHost *kd_allowed_host_new(const char *host_and_port,
                                   GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_allowed_host_free(KdAllowedHost *host);
gboolean kd_allowed_host_matches(const KdAllowedHost *host, const char *name,
                                 GInetSocketAddress *address);
gboolean kd_allowed_host_may_be(const KdAllowedHost *host, const char *name);
GInetAddress *kd_allowed_host_dup_plain(GInetAddress *address);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdAllowedHost, kd_allowed_host_free)
