/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Clients that have not said yet who they are: how many there may be, of one source and in all. */
#include "kd-strangers.h"

typedef struct {
    gpointer who;
    char *source;
} KdStranger;

struct KdStrangers {
    GQueue oldest_first;   /* (element-type KdStranger) */
    GHashTable *by_source; /* (element-type utf8 guint) */
};

static void
stranger_free(gpointer pointer)
{
    KdStranger *stranger = pointer;

    g_free(stranger->source);
    g_free(stranger);
}

/**
 * kd_strangers_new:
 *
 * Returns: (transfer full): an empty set
 */
KdStrangers *
kd_strangers_new(void)
{
    KdStrangers *strangers = g_new0(KdStrangers, 1);

    g_queue_init(&strangers->oldest_first);
    strangers->by_source = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return strangers;
}

/**
 * kd_strangers_free:
 * @strangers: (nullable): a set
 *
 * Forgets them.
 */
void
kd_strangers_free(KdStrangers *strangers)
{
    if (strangers == NULL) {
        return;
    }
    g_queue_clear_full(&strangers->oldest_first, stranger_free);
    g_hash_table_unref(strangers->by_source);
    g_free(strangers);
}

/**
 * kd_strangers_get_of_source:
 * @strangers: a set
 * @source: what limits are counted by
 *
 * Returns: how many there are of that source
 */
guint
kd_strangers_get_of_source(const KdStrangers *strangers, const char *source)
{
    return GPOINTER_TO_UINT(g_hash_table_lookup(strangers->by_source, source));
}

/**
 * kd_strangers_add:
 * @strangers: a set
 * @source: what limits are counted by
 * @who: the stranger
 *
 * Counts one more.
 */
void
kd_strangers_add(KdStrangers *strangers, const char *source, gpointer who)
{
    guint n = kd_strangers_get_of_source(strangers, source);
    KdStranger *stranger = g_new0(KdStranger, 1);

    g_hash_table_insert(strangers->by_source, g_strdup(source), GUINT_TO_POINTER(n + 1));
    stranger->who = who;
    stranger->source = g_strdup(source);
    g_queue_push_tail(&strangers->oldest_first, stranger);
}

/**
 * kd_strangers_remove:
 * @strangers: a set
 * @who: authenticated, or gone
 *
 * Counts one less.
 *
 * Returns: whether @who was counted
 */
gboolean
kd_strangers_remove(KdStrangers *strangers, gpointer who)
{
    for (GList *l = strangers->oldest_first.head; l != NULL; l = l->next) {
        KdStranger *stranger = l->data;
        guint n;

        if (stranger->who != who) {
            continue;
        }
        n = kd_strangers_get_of_source(strangers, stranger->source);
        if (n > 1) {
            g_hash_table_insert(strangers->by_source, g_strdup(stranger->source),
                                GUINT_TO_POINTER(n - 1));
        } else {
            g_hash_table_remove(strangers->by_source, stranger->source);
        }
        g_queue_delete_link(&strangers->oldest_first, l);
        stranger_free(stranger);
        return TRUE;
    }
    return FALSE;
}

/* Of the sources that have most, the stranger who has been silent for longest */
static gpointer
find_oldest_of_most(const KdStrangers *strangers, guint most)
{
    for (GList *l = strangers->oldest_first.head; l != NULL; l = l->next) {
        const KdStranger *stranger = l->data;

        if (kd_strangers_get_of_source(strangers, stranger->source) == most) {
            return stranger->who;
        }
    }
    return NULL;
}

static guint
get_most(const KdStrangers *strangers)
{
    GHashTableIter iter;
    gpointer n;
    guint most = 0;

    g_hash_table_iter_init(&iter, strangers->by_source);
    while (g_hash_table_iter_next(&iter, NULL, &n)) {
        most = MAX(most, GPOINTER_TO_UINT(n));
    }
    return most;
}

/**
 * kd_strangers_make_room:
 * @strangers: a set
 * @source: of a newcomer, who is not in it yet
 * @surplus: (out) (nullable): who must go instead; is not counted any more
 *
 * Shares the places out among the sources: so a flood is the loss of those it comes from, and
 * somebody else who knows what to say still gets in. When all are taken, a newcomer gets the place
 * of the oldest stranger of the source with most, if his own has less even with him, or nobody. So
 * sources that are equal do not drive each other out in turn.
 *
 * Returns: whether the newcomer may come in
 */
gboolean
kd_strangers_make_room(KdStrangers *strangers, const char *source, gpointer *surplus)
{
    guint n = kd_strangers_get_of_source(strangers, source);
    guint most;

    *surplus = NULL;
    if (n >= KD_STRANGERS_MAX_PER_SOURCE) {
        return FALSE;
    }
    if (strangers->oldest_first.length < KD_STRANGERS_MAX) {
        return TRUE;
    }
    most = get_most(strangers);
    if (n > 0 && n + 1 >= most) {
        return FALSE;
    }
    *surplus = find_oldest_of_most(strangers, most);
    (void)kd_strangers_remove(strangers, *surplus);
    return TRUE;
}

/**
 * kd_strangers_get_source:
 * @strangers: a set
 * @who: a stranger
 *
 * Returns: (transfer none) (nullable): where he came from; %NULL: he is not counted
 */
const char *
kd_strangers_get_source(const KdStrangers *strangers, gpointer who)
{
    for (GList *l = strangers->oldest_first.head; l != NULL; l = l->next) {
        const KdStranger *stranger = l->data;

        if (stranger->who == who) {
            return stranger->source;
        }
    }
    return NULL;
}

/**
 * kd_strangers_get_count:
 * @strangers: a set
 *
 * Returns: how many there are
 */
guint
kd_strangers_get_count(const KdStrangers *strangers)
{
    return strangers->oldest_first.length;
}
