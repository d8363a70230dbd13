/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Options that every command has: where plugins come from, and what they offer. */
#pragma once

#include "kd-params.h"
#include "kd-registry.h"

const GOptionEntry *kd_plugin_options_get_entries(void);
gboolean kd_plugin_options_are_given(void);
gboolean kd_plugin_options_want_json(void);
gboolean kd_plugin_options_load(KdRegistry *registry, GError **error) G_GNUC_WARN_UNUSED_RESULT;
int kd_plugin_options_print(const KdRegistry *registry, KdForm form);
