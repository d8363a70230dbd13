/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which replies the target still owes, and whether anybody wants them. */
#include "kd-reply-list.h"

/* A reply that did not come for so long never will; the next of its kind is another request's. */
#define OLD_US (3 * G_TIME_SPAN_SECOND)

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
 * @key: of the request
 * @is_stale: whether nobody wants its reply any more
 *
 * The target has taken a request that it replies to.
 */
void
kd_reply_list_add(KdReplyList *list, KdReplyKey key, gboolean is_stale, gint64 now_us)
{
    if (list->n == KD_REPLY_LIST_MAX) {
        drop_first(list, 1);
    }
    list->replies[list->n].key = key;
    list->replies[list->n].is_stale = is_stale;
    list->replies[list->n].taken_us = now_us;
    list->n++;
}

/**
 * kd_reply_list_expect_double:
 *
 * The target may reply twice to the same request: what does not fit a request is such a reply for a
 * while.
 */
void
kd_reply_list_expect_double(KdReplyList *list, gint64 now_us)
{
    list->doubled_us = now_us + OLD_US;
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

static gboolean
is_awaited(const KdReplyList *list, unsigned i, KdReplyKey key, gint64 now_us)
{
    return list->replies[i].key.api == key.api &&
           (!list->replies[i].is_stale || now_us - list->replies[i].taken_us < OLD_US);
}

/* Returns: the place of a reply that may come yet; the list's length: there is none. Targets repeat
 * the address in their reply; whether all do is not known, so that of one that does not the first
 * that may come is meant. */
static unsigned
find(const KdReplyList *list, KdReplyKey key, gint64 now_us)
{
    unsigned first = list->n;

    for (unsigned i = list->n; i-- > 0;) {
        if (is_awaited(list, i, key, now_us)) {
            first = i;
        }
    }
    for (unsigned i = first; i < list->n; i++) {
        if (is_awaited(list, i, key, now_us) && list->replies[i].key.where == key.where) {
            return i;
        }
    }
    return kd_reply_list_is_double(list, now_us) ? list->n : first;
}

/**
 * kd_reply_list_has:
 *
 * Returns: whether the target owes such a reply
 */
gboolean
kd_reply_list_has(const KdReplyList *list, KdReplyKey key, gint64 now_us)
{
    return find(list, key, now_us) < list->n;
}

/**
 * kd_reply_list_is_double:
 *
 * Returns: whether a reply that fits no request is one too many
 */
gboolean
kd_reply_list_is_double(const KdReplyList *list, gint64 now_us)
{
    return now_us < list->doubled_us;
}

/**
 * kd_reply_list_take:
 * @key: of a reply
 *
 * A reply has come. Those to earlier requests will not come any more.
 *
 * Returns: whether somebody may want it: %FALSE if it is known to be stale
 */
gboolean
kd_reply_list_take(KdReplyList *list, KdReplyKey key, gint64 now_us)
{
    unsigned i = find(list, key, now_us);

    if (i == list->n) {
        return !kd_reply_list_is_double(list, now_us);
    }
    gboolean is_stale = list->replies[i].is_stale;
    drop_first(list, i + 1);
    return !is_stale;
}
