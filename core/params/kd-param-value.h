/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One value: from the user's spelling to a GVariant and back; for this room only. */
#pragma once

#include "kd-params.h"

GVariant *kd_param_value_parse(const char *scheme, const KdParamSpec *spec, KdForm form,
                               const char *text, const char *origin,
                               GError **error) G_GNUC_WARN_UNUSED_RESULT;
char *kd_param_value_build_text(const KdParamSpec *spec, GVariant *value);
uint64_t kd_param_value_get_min(const KdParamSpec *spec);
uint64_t kd_param_value_get_max(const KdParamSpec *spec);
gsize kd_param_value_get_max_len(const KdParamSpec *spec);
gboolean kd_param_value_is_password(const KdParamSpec *spec);
char *kd_param_value_build_range(const KdParamSpec *spec);
