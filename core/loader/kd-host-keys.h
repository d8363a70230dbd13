/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys of a transport's string that are the host's business: no plugin has them or sees them. */
#pragma once

#include <kdsrv/kd-plugin.h>

gboolean kd_host_keys_check_own(const KdParamSpec *own, const char *owner,
                                GError **error) G_GNUC_WARN_UNUSED_RESULT;
KdParamSpec *kd_host_keys_build_table(const KdParamSpec *own, uint32_t caps,
                                      GError **error) G_GNUC_WARN_UNUSED_RESULT;
GVariant *kd_host_keys_strip(GVariant *params);
gboolean kd_host_keys_check_stripped(const KdTransport *transport, GVariant *params,
                                     GError **error) G_GNUC_WARN_UNUSED_RESULT;
