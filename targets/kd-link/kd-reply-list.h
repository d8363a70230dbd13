/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which replies the target still owes, and whether anybody wants them. */
#pragma once

#include <glib.h>

#include <stdint.h>

#define KD_REPLY_LIST_MAX 8u

/**
 * KdReplyKey:
 * @api: of a request and of its reply
 * @where: what else both have in common, such as an address; 0 where that is nothing
 */
typedef struct {
    uint32_t api;
    uint64_t where;
} KdReplyKey;

/**
 * KdReplyList:
 *
 * In the order in which the target has taken the requests. All zero: it owes none.
 */
typedef struct {
    struct {
        KdReplyKey key;
        gint64 taken_us;
        gboolean is_stale;
    } replies[KD_REPLY_LIST_MAX];
    unsigned n;
    gint64 doubled_us; /* until then there may be more replies than these */
} KdReplyList;

void kd_reply_list_add(KdReplyList *list, KdReplyKey key, gboolean is_stale, gint64 now_us);
void kd_reply_list_expect_double(KdReplyList *list, gint64 now_us);
void kd_reply_list_set_stale(KdReplyList *list);
gboolean kd_reply_list_has(const KdReplyList *list, KdReplyKey key, gint64 now_us);
gboolean kd_reply_list_is_double(const KdReplyList *list, gint64 now_us);
gboolean kd_reply_list_take(KdReplyList *list, KdReplyKey key, gint64 now_us);
