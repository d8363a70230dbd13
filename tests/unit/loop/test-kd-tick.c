/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ticks: one timeout for all, and a list that may change while it is called. */
#include "kd-tick.h"

#define SOURCES_MAX 1000

typedef struct Beat Beat;

struct Beat {
    KdTick tick;
    void (*fn)(Beat *beat);
    Beat *other;
    guint n_calls;
};

static void
on_tick(KdTick *tick)
{
    Beat *beat = (Beat *)tick;

    beat->n_calls++;
    if (beat->fn != NULL) {
        beat->fn(beat);
    }
}

/* Returns: (nullable): the one timeout; there must be no second one */
static GSource *
find_source(void)
{
    GSource *found = NULL;

    for (guint id = 1; id <= SOURCES_MAX; id++) {
        GSource *source = g_main_context_find_source_by_id(NULL, id);

        if (source != NULL && g_strcmp0(g_source_get_name(source), "kd-tick") == 0) {
            g_assert_null(found);
            found = source;
        }
    }
    return found;
}

/* The next second comes at once. */
static void
fire(void)
{
    GSource *source = find_source();

    g_assert_nonnull(source);
    g_source_set_ready_time(source, 0);
    g_main_context_iteration(NULL, FALSE);
}

static void
test_source(void)
{
    Beat first = {0};
    Beat second = {0};
    gint64 left_us;

    g_assert_null(find_source());
    kd_tick_remove(&first.tick);
    kd_tick_add(&first.tick, on_tick);
    kd_tick_add(&second.tick, on_tick);
    g_assert_nonnull(find_source());
    left_us = g_source_get_ready_time(find_source()) - g_get_monotonic_time();
    g_assert_cmpint(left_us, <=, G_TIME_SPAN_SECOND);
    fire();
    left_us = g_source_get_ready_time(find_source()) - g_get_monotonic_time();
    g_assert_cmpint(left_us, <=, G_TIME_SPAN_SECOND);
    kd_tick_remove(&first.tick);
    g_assert_nonnull(find_source());
    kd_tick_remove(&second.tick);
    kd_tick_remove(&second.tick);
    g_assert_null(find_source());
}

static void
test_now(void)
{
    guint32 start = kd_tick_get_now();
    Beat first = {0};
    Beat second = {0};

    kd_tick_add(&first.tick, on_tick);
    kd_tick_add(&second.tick, on_tick);
    kd_tick_add(&second.tick, on_tick);
    for (guint i = 1; i <= 3; i++) {
        fire();
        g_assert_cmpuint(kd_tick_get_now() - start, ==, i);
        g_assert_cmpuint(first.n_calls, ==, i);
        g_assert_cmpuint(second.n_calls, ==, i);
    }
    kd_tick_remove(&first.tick);
    kd_tick_remove(&second.tick);
    g_main_context_iteration(NULL, FALSE);
    g_assert_cmpuint(kd_tick_get_now() - start, ==, 3);
}

static void
remove_itself(Beat *beat)
{
    kd_tick_remove(&beat->tick);
}

static void
test_remove_itself(void)
{
    Beat beats[3] = {0};

    for (guint i = 0; i < G_N_ELEMENTS(beats); i++) {
        beats[i].fn = remove_itself;
        kd_tick_add(&beats[i].tick, on_tick);
    }
    fire();
    for (guint i = 0; i < G_N_ELEMENTS(beats); i++) {
        g_assert_cmpuint(beats[i].n_calls, ==, 1);
    }
    g_assert_null(find_source());
}

static void
remove_other(Beat *beat)
{
    kd_tick_remove(&beat->other->tick);
}

/* Each removes the other: whoever is called first remains, whichever way the list goes. */
static void
test_remove_other(void)
{
    Beat beats[4] = {0};

    for (guint i = 0; i < G_N_ELEMENTS(beats); i++) {
        beats[i].fn = remove_other;
        beats[i].other = &beats[i ^ 1];
        kd_tick_add(&beats[i].tick, on_tick);
    }
    fire();
    fire();
    for (guint i = 0; i < G_N_ELEMENTS(beats); i += 2) {
        g_assert_cmpuint(beats[i].n_calls + beats[i + 1].n_calls, ==, 2);
        g_assert_cmpuint(MAX(beats[i].n_calls, beats[i + 1].n_calls), ==, 2);
    }
    for (guint i = 0; i < G_N_ELEMENTS(beats); i++) {
        kd_tick_remove(&beats[i].tick);
    }
    g_assert_null(find_source());
}

static void
add_other(Beat *beat)
{
    kd_tick_add(&beat->other->tick, on_tick);
}

static void
add_again(Beat *beat)
{
    kd_tick_remove(&beat->tick);
    kd_tick_add(&beat->tick, on_tick);
}

static void
test_add_within(void)
{
    Beat late = {0};
    Beat adds = {.fn = add_other, .other = &late};
    Beat again = {.fn = add_again};

    kd_tick_add(&adds.tick, on_tick);
    kd_tick_add(&again.tick, on_tick);
    fire();
    g_assert_cmpuint(late.n_calls, ==, 0);
    g_assert_cmpuint(again.n_calls, ==, 1);
    fire();
    g_assert_cmpuint(late.n_calls, ==, 1);
    g_assert_cmpuint(again.n_calls, ==, 2);
    kd_tick_remove(&adds.tick);
    kd_tick_remove(&again.tick);
    kd_tick_remove(&late.tick);

    /* the only one: its timeout ends and begins anew while it is dispatched */
    again.n_calls = 0;
    kd_tick_add(&again.tick, on_tick);
    fire();
    fire();
    g_assert_cmpuint(again.n_calls, ==, 2);
    kd_tick_remove(&again.tick);
    g_assert_null(find_source());
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/loop/tick/has-one-timeout-while-any-is-linked", test_source);
    g_test_add_func("/loop/tick/now-counts-seconds", test_now);
    g_test_add_func("/loop/tick/may-remove-itself", test_remove_itself);
    g_test_add_func("/loop/tick/may-remove-others", test_remove_other);
    g_test_add_func("/loop/tick/added-within-waits-for-the-next-second", test_add_within);
    return g_test_run();
}
