/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How those are counted who have not said yet who they are. */
#include "kd-strangers.h"

static void
test_by_source(void)
{
    g_autoptr(KdStrangers) strangers = kd_strangers_new();
    int who[3];

    kd_strangers_add(strangers, "192.0.2.1", &who[0]);
    kd_strangers_add(strangers, "192.0.2.1", &who[1]);
    kd_strangers_add(strangers, "2001:db8::/64", &who[2]);
    g_assert_cmpuint(kd_strangers_get_of_source(strangers, "192.0.2.1"), ==, 2);
    g_assert_cmpuint(kd_strangers_get_of_source(strangers, "2001:db8::/64"), ==, 1);
    g_assert_cmpuint(kd_strangers_get_of_source(strangers, "192.0.2.2"), ==, 0);
    g_assert_cmpuint(kd_strangers_get_count(strangers), ==, 3);
}

static void
test_removed(void)
{
    g_autoptr(KdStrangers) strangers = kd_strangers_new();
    int who[2];

    kd_strangers_add(strangers, "a", &who[0]);
    kd_strangers_add(strangers, "a", &who[1]);
    g_assert_true(kd_strangers_remove(strangers, &who[0]));
    g_assert_false(kd_strangers_remove(strangers, &who[0]));
    g_assert_cmpuint(kd_strangers_get_of_source(strangers, "a"), ==, 1);
    g_assert_true(kd_strangers_remove(strangers, &who[1]));
    g_assert_cmpuint(kd_strangers_get_of_source(strangers, "a"), ==, 0);
    g_assert_cmpuint(kd_strangers_get_count(strangers), ==, 0);
}

static void
test_surplus(void)
{
    g_autoptr(KdStrangers) strangers = kd_strangers_new();
    static char who[KD_STRANGERS_MAX + 2];

    for (guint i = 0; i < KD_STRANGERS_MAX; i++) {
        g_assert_null(kd_strangers_get_surplus(strangers));
        kd_strangers_add(strangers, "a", &who[i]);
    }
    g_assert_null(kd_strangers_get_surplus(strangers));
    g_assert_true(kd_strangers_remove(strangers, &who[0]));
    kd_strangers_add(strangers, "b", &who[KD_STRANGERS_MAX]);
    g_assert_null(kd_strangers_get_surplus(strangers));
    kd_strangers_add(strangers, "b", &who[KD_STRANGERS_MAX + 1]);
    g_assert_true(kd_strangers_get_surplus(strangers) == &who[1]);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/server/strangers/are-counted-by-source", test_by_source);
    g_test_add_func("/server/strangers/are-not-counted-when-removed", test_removed);
    g_test_add_func("/server/strangers/oldest-is-the-surplus", test_surplus);
    return g_test_run();
}
