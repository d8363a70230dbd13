/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys that lie on the server, so that no client has to know them. */
#pragma once

#include "kdnet-key.h"

#include <kdsrv/kd-plugin.h>

gboolean kdnet_key_file_check_name(const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kdnet_key_file_read(const KdHost *host, const char *name, KdnetKey *key,
                             GError **error) G_GNUC_WARN_UNUSED_RESULT;
