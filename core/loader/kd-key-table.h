/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether a plugin's table of keys can be trusted to be one. */
#pragma once

#include <kdsrv/kd-plugin.h>

#define KD_KEY_TABLE_MAX     128u /* entries, with the one that ends the table */
#define KD_KEY_TABLE_CHOICES 64u  /* words of one key, with the NULL           */

gboolean kd_key_table_check(const KdParamSpec *table, const char *owner,
                            GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_key_table_is_text(const char *text);
