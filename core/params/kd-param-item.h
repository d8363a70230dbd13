/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The items of a parameter text, before any table is asked; for this room only. */
#pragma once

#include "kd-params.h"

/**
 * KdParamItem:
 * @key: as typed, not empty
 * @value: (nullable): without the outer braces; %NULL for a bare word
 *
 * One item of `key=value,flag`.
 */
typedef struct {
    char *key;
    char *value;
} KdParamItem;

gboolean kd_param_text_check(const char *where, const char *text,
                             GError **error) G_GNUC_WARN_UNUSED_RESULT;
GPtrArray *kd_param_items_parse(const char *scheme, const char *items,
                                GError **error) G_GNUC_WARN_UNUSED_RESULT;
const char *kd_param_text_find_close(const char *open);
