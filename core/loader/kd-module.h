/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A plugin's file, opened for good. */
#pragma once

#include <kdsrv/kd-plugin.h>

const KdPlugin *kd_module_open(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;
