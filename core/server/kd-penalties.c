/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who has given wrong passwords, and how long he has to wait for that. */
#include "kd-penalties.h"

/* A penalty is the moment at which it is over: so it shrinks by itself. */
typedef struct {
    char *source;
    gint64 over_us;
    gint64 told_us; /* of the last line in the log */
    guint n_untold; /* attempts since then         */
    gboolean is_enforced;
} KdPenalty;

#define SECONDS_US(s) ((gint64)(s)*G_USEC_PER_SEC)

struct KdPenalties {
    GHashTable *by_source; /* (element-type utf8 GSequenceIter) */
    GSequence *by_end;     /* (element-type KdPenalty): whose end is next comes first */
};

static void
penalty_free(gpointer pointer)
{
    KdPenalty *penalty = pointer;

    g_free(penalty->source);
    g_free(penalty);
}

/* Nothing is to be remembered of it from then on: also not when it was last told of. */
static gint64
get_end_us(const KdPenalty *penalty)
{
    return MAX(penalty->over_us, penalty->told_us + SECONDS_US(KD_PENALTIES_LOG_S));
}

static gint
compare_ends(gconstpointer a, gconstpointer b, gpointer user)
{
    gint64 a_us = get_end_us(a);
    gint64 b_us = get_end_us(b);

    (void)user;
    return a_us < b_us ? -1 : a_us > b_us;
}

/**
 * kd_penalties_new:
 *
 * Returns: (transfer full): nobody has to wait
 */
KdPenalties *
kd_penalties_new(void)
{
    KdPenalties *penalties = g_new0(KdPenalties, 1);

    penalties->by_source = g_hash_table_new(g_str_hash, g_str_equal);
    penalties->by_end = g_sequence_new(penalty_free);
    return penalties;
}

/**
 * kd_penalties_free:
 * @penalties: (nullable): a table
 *
 * Forgets everybody.
 */
void
kd_penalties_free(KdPenalties *penalties)
{
    if (penalties == NULL) {
        return;
    }
    g_hash_table_unref(penalties->by_source);
    g_sequence_free(penalties->by_end);
    g_free(penalties);
}

static void
forget_first(KdPenalties *penalties)
{
    GSequenceIter *first = g_sequence_get_begin_iter(penalties->by_end);
    const KdPenalty *penalty = g_sequence_get(first);

    g_hash_table_remove(penalties->by_source, penalty->source);
    g_sequence_remove(first);
}

static void
forget_ended(KdPenalties *penalties, gint64 now_us)
{
    while (!g_sequence_is_empty(penalties->by_end) &&
           get_end_us(g_sequence_get(g_sequence_get_begin_iter(penalties->by_end))) <= now_us) {
        forget_first(penalties);
    }
}

static GSequenceIter *
find_or_add(KdPenalties *penalties, const char *source, gint64 now_us)
{
    GSequenceIter *iter = g_hash_table_lookup(penalties->by_source, source);
    KdPenalty *penalty;

    if (iter != NULL) {
        return iter;
    }
    if (kd_penalties_get_n_sources(penalties) >= KD_PENALTIES_MAX_SOURCES) {
        forget_first(penalties);
    }
    penalty = g_new0(KdPenalty, 1);
    penalty->source = g_strdup(source);
    penalty->over_us = now_us;
    penalty->told_us = now_us - SECONDS_US(KD_PENALTIES_LOG_S);
    iter = g_sequence_insert_sorted(penalties->by_end, penalty, compare_ends, NULL);
    g_hash_table_insert(penalties->by_source, penalty->source, iter);
    return iter;
}

static guint
get_rest_s(const KdPenalty *penalty, gint64 now_us)
{
    gint64 rest_us = penalty->over_us - now_us;

    return rest_us > 0 ? (guint)((rest_us + G_USEC_PER_SEC - 1) / G_USEC_PER_SEC) : 0;
}

/**
 * kd_penalties_add:
 * @penalties: a table
 * @source: what limits are counted by
 * @now_us: monotonic
 *
 * Counts a wrong password, or whatever else was given in its place.
 *
 * Returns: how many were given since the last line of the log about that source; 0: it is too early
 * for another line
 */
guint
kd_penalties_add(KdPenalties *penalties, const char *source, gint64 now_us)
{
    GSequenceIter *iter;
    KdPenalty *penalty;
    guint n_told = 0;

    forget_ended(penalties, now_us);
    iter = find_or_add(penalties, source, now_us);
    penalty = g_sequence_get(iter);
    if (penalty->over_us <= now_us) {
        penalty->over_us = now_us;
        penalty->is_enforced = FALSE;
    }
    penalty->over_us = MIN(penalty->over_us + SECONDS_US(KD_PENALTIES_STEP_S),
                           now_us + SECONDS_US(KD_PENALTIES_MAX_S));
    if (get_rest_s(penalty, now_us) >= KD_PENALTIES_ENFORCED_S) {
        penalty->is_enforced = TRUE;
    }
    penalty->n_untold++;
    if (now_us - penalty->told_us >= SECONDS_US(KD_PENALTIES_LOG_S)) {
        penalty->told_us = now_us;
        n_told = penalty->n_untold;
        penalty->n_untold = 0;
    }
    g_sequence_sort_changed(iter, compare_ends, NULL);
    return n_told;
}

/**
 * kd_penalties_get_wait_s:
 * @penalties: a table
 * @source: what limits are counted by
 * @now_us: monotonic
 *
 * Returns: seconds that nobody from there is let in; once enforced, a penalty is so to its end
 */
guint
kd_penalties_get_wait_s(KdPenalties *penalties, const char *source, gint64 now_us)
{
    GSequenceIter *iter = g_hash_table_lookup(penalties->by_source, source);
    const KdPenalty *penalty = iter != NULL ? g_sequence_get(iter) : NULL;

    return penalty != NULL && penalty->is_enforced ? get_rest_s(penalty, now_us) : 0;
}

/**
 * kd_penalties_get_n_sources:
 * @penalties: a table
 *
 * Returns: how many are remembered
 */
guint
kd_penalties_get_n_sources(const KdPenalties *penalties)
{
    return g_hash_table_size(penalties->by_source);
}
