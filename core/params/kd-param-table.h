/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Questions to a table of keys; for this room only. */
#pragma once

#include "kd-params.h"

gboolean kd_param_table_is_allowed(const KdParamSpec *spec, KdForm form);
const KdParamSpec *kd_param_table_find(const KdParamSpec *table, KdForm form, const char *key);
const KdParamSpec *kd_param_table_find_any(const KdParamSpec *table, const char *key);
gboolean kd_param_table_is_visible(const KdParamSpec *table, const KdParamSpec *spec, KdForm form);
gboolean kd_param_table_is_required(const KdParamSpec *table, const KdParamSpec *spec, KdForm form);
KdForm kd_param_table_get_clicon_form(const KdParamSpec *table, KdForm form);
const char *kd_param_table_find_similar(const KdParamSpec *table, KdForm form, const char *key);
