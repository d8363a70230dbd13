/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which replies the target still owes, and whether anybody wants them. */
#pragma once

#include <glib.h>

#include <stdint.h>

#define KD_REPLY_LIST_MAX 8u

/**
 * KdReplyList:
 *
 * In the order in which the target has taken the requests. All zero: it owes none.
 */
typedef struct {
    struct {
        uint32_t api;
        gint64 taken_us;
        gboolean is_stale;
    } replies[KD_REPLY_LIST_MAX];
    unsigned n;
} KdReplyList;

void kd_reply_list_add(KdReplyList *list, uint32_t api, gboolean is_stale, gint64 now_us);
void kd_reply_list_set_stale(KdReplyList *list);
gboolean kd_reply_list_has(const KdReplyList *list, uint32_t api, gint64 now_us);
gboolean kd_reply_list_take(KdReplyList *list, uint32_t api, gint64 now_us);
