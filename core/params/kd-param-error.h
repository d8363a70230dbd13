/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One-line errors about parameters; for this room only. */
#pragma once

#include <kdsrv/kd-plugin.h>

void kd_param_set_error(GError **error, KdError code, const char *format, ...) G_GNUC_PRINTF(3, 4);
char *kd_param_build_shown(const char *text);
gboolean kd_param_is_control(gunichar letter);
