/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A connection without a server: a link of this machine, opened by the same plugins. */
#pragma once

#include "kd-connection.h"

KdConnection *kd_direct_new(void);
gboolean kd_direct_check(const KdRegistry *registry, const char *trans,
                         GError **error) G_GNUC_WARN_UNUSED_RESULT;
