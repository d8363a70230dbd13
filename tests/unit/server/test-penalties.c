/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What wrong passwords cost, by a clock that the test moves. */
#include "kd-penalties.h"

#define S ((gint64)G_USEC_PER_SEC)

static void
test_enforced(void)
{
    g_autoptr(KdPenalties) penalties = kd_penalties_new();

    (void)kd_penalties_add(penalties, "a", 0);
    g_assert_cmpuint(kd_penalties_get_wait_s(penalties, "a", 0), ==, 0);
    (void)kd_penalties_add(penalties, "a", 0);
    g_assert_cmpuint(kd_penalties_get_wait_s(penalties, "a", 0), ==, 0);
    (void)kd_penalties_add(penalties, "a", 0);
    g_assert_cmpuint(kd_penalties_get_wait_s(penalties, "a", 0), ==, 15);
    g_assert_cmpuint(kd_penalties_get_wait_s(penalties, "b", 0), ==, 0);
    /* To its end, also below what it began at */
    g_assert_cmpuint(kd_penalties_get_wait_s(penalties, "a", S / 2), ==, 15);
    g_assert_cmpuint(kd_penalties_get_wait_s(penalties, "a", 14 * S), ==, 1);
    g_assert_cmpuint(kd_penalties_get_wait_s(penalties, "a", 15 * S), ==, 0);
}

static void
test_decays(void)
{
    g_autoptr(KdPenalties) penalties = kd_penalties_new();

    for (gint64 now = 0; now < 100; now++) {
        (void)kd_penalties_add(penalties, "a", now * 6 * S);
        g_assert_cmpuint(kd_penalties_get_wait_s(penalties, "a", now * 6 * S), ==, 0);
    }
    /* Four a second apart are 20 s less 3. */
    for (gint64 now = 0; now < 4; now++) {
        (void)kd_penalties_add(penalties, "b", (1000 + now) * S);
    }
    g_assert_cmpuint(kd_penalties_get_wait_s(penalties, "b", 1003 * S), ==, 17);
}

static void
test_begins_anew(void)
{
    g_autoptr(KdPenalties) penalties = kd_penalties_new();

    for (guint i = 0; i < 3; i++) {
        (void)kd_penalties_add(penalties, "a", 0);
    }
    (void)kd_penalties_add(penalties, "a", 16 * S);
    g_assert_cmpuint(kd_penalties_get_wait_s(penalties, "a", 16 * S), ==, 0);
}

static void
test_cap(void)
{
    g_autoptr(KdPenalties) penalties = kd_penalties_new();

    for (guint i = 0; i < 1000; i++) {
        (void)kd_penalties_add(penalties, "a", 7 * S);
    }
    g_assert_cmpuint(kd_penalties_get_wait_s(penalties, "a", 7 * S), ==, KD_PENALTIES_MAX_S);
}

static void
test_log(void)
{
    g_autoptr(KdPenalties) penalties = kd_penalties_new();

    g_assert_cmpuint(kd_penalties_add(penalties, "a", 0), ==, 1);
    g_assert_cmpuint(kd_penalties_add(penalties, "a", S), ==, 0);
    g_assert_cmpuint(kd_penalties_add(penalties, "b", S), ==, 1);
    g_assert_cmpuint(kd_penalties_add(penalties, "a", 9 * S), ==, 0);
    g_assert_cmpuint(kd_penalties_add(penalties, "a", 10 * S), ==, 3);
    /* Also where nothing is left of the penalty itself */
    g_assert_cmpuint(kd_penalties_add(penalties, "c", 100 * S), ==, 1);
    g_assert_cmpuint(kd_penalties_add(penalties, "c", 106 * S), ==, 0);
    g_assert_cmpuint(kd_penalties_add(penalties, "c", 110 * S), ==, 2);
}

static void
test_forgotten(void)
{
    g_autoptr(KdPenalties) penalties = kd_penalties_new();

    (void)kd_penalties_add(penalties, "a", 0);
    (void)kd_penalties_add(penalties, "b", 8 * S);
    g_assert_cmpuint(kd_penalties_get_n_sources(penalties), ==, 2);
    (void)kd_penalties_add(penalties, "b", 12 * S);
    g_assert_cmpuint(kd_penalties_get_n_sources(penalties), ==, 1);
}

static void
test_full(void)
{
    g_autoptr(KdPenalties) penalties = kd_penalties_new();

    for (guint i = 0; i < 10; i++) {
        (void)kd_penalties_add(penalties, "worst", 0);
    }
    for (guint i = 0; i < KD_PENALTIES_MAX_SOURCES + 1000; i++) {
        g_autofree char *source = g_strdup_printf("%u", i);

        (void)kd_penalties_add(penalties, source, i);
        g_assert_cmpuint(kd_penalties_get_n_sources(penalties), <=, KD_PENALTIES_MAX_SOURCES);
    }
    g_assert_cmpuint(kd_penalties_get_n_sources(penalties), ==, KD_PENALTIES_MAX_SOURCES);
    g_assert_cmpuint(kd_penalties_get_wait_s(penalties, "worst", S), ==, 49);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/server/penalties/are-enforced-from-15-s-on", test_enforced);
    g_test_add_func("/server/penalties/shrink-with-time", test_decays);
    g_test_add_func("/server/penalties/begin-anew-when-they-are-over", test_begins_anew);
    g_test_add_func("/server/penalties/end-at-600-s", test_cap);
    g_test_add_func("/server/penalties/are-told-each-10-s", test_log);
    g_test_add_func("/server/penalties/are-forgotten-when-they-are-over", test_forgotten);
    g_test_add_func("/server/penalties/forget-the-least-when-there-are-too-many", test_full);
    return g_test_run();
}
