/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which replies the target still owes, and whether anybody wants them. */
#include "kd-reply-list.h"

/* A reply that did not come for so long never will; the next of its kind is another request's. */
#define OLD_US (3 * G_USEC_PER_SEC)

static void
drop_first(KdReplyList *list, unsigned n)
{
    for (unsigned i = n; i < list->n; i++) {
        list->replies[i - n] = list->replies[i];
    }
    list->n -= n;
}

/**
 * kd_reply_list_add:
 * @api: of the request, and of its reply
 * @is_stale: whether nobody wants it any more
 *
 * The target has taken a request that it replies to.
 */
void
kd_reply_list_add(KdReplyList *list, uint32_t api, gboolean is_stale, gint64 now_us)
{
    if (list->n == KD_REPLY_LIST_MAX) {
        drop_first(list, 1);
    }
    list->replies[list->n].api = api;
    list->replies[list->n].is_stale = is_stale;
    list->replies[list->n].taken_us = now_us;
    list->n++;
}

/**
 * kd_reply_list_set_stale:
 *
 * Who has sent the requests has gone, or has gone on to others.
 */
void
kd_reply_list_set_stale(KdReplyList *list)
{
    for (unsigned i = 0; i < list->n; i++) {
        list->replies[i].is_stale = TRUE;
    }
}

/* Returns: the place of a reply that may come yet; the list's length: there is none */
static unsigned
find(const KdReplyList *list, uint32_t api, gint64 now_us)
{
    unsigned i = 0;

    while (i < list->n &&
           (list->replies[i].api != api ||
            (list->replies[i].is_stale && now_us - list->replies[i].taken_us >= OLD_US))) {
        i++;
    }
    return i;
}

/**
 * kd_reply_list_has:
 *
 * Returns: whether the target owes such a reply
 */
gboolean
kd_reply_list_has(const KdReplyList *list, uint32_t api, gint64 now_us)
{
    return find(list, api, now_us) < list->n;
}

/**
 * kd_reply_list_take:
 * @api: of a reply
 *
 * A reply has come. Those to earlier requests will not come any more.
 *
 * Returns: whether somebody may want it: %FALSE if it is known to be stale
 */
gboolean
kd_reply_list_take(KdReplyList *list, uint32_t api, gint64 now_us)
{
    unsigned i = find(list, api, now_us);

    if (i == list->n) {
        return TRUE;
    }
    gboolean is_stale = list->replies[i].is_stale;
    drop_first(list, i + 1);
    return !is_stale;
}
