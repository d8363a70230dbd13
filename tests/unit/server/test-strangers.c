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

static char who[KD_STRANGERS_MAX + 64];

/* @n more of a source, who must find room without driving anybody out */
static guint
fill(KdStrangers *strangers, guint first, guint n, const char *source)
{
    gpointer surplus;

    for (guint i = first; i < first + n; i++) {
        g_assert_true(kd_strangers_make_room(strangers, source, &surplus));
        g_assert_null(surplus);
        kd_strangers_add(strangers, source, &who[i]);
    }
    return first + n;
}

static void
test_one_source(void)
{
    g_autoptr(KdStrangers) strangers = kd_strangers_new();
    gpointer surplus;
    guint n = fill(strangers, 0, KD_STRANGERS_MAX_PER_SOURCE, "a");

    g_assert_false(kd_strangers_make_room(strangers, "a", &surplus));
    g_assert_null(surplus);
    fill(strangers, n, 1, "b");
    g_assert_true(kd_strangers_remove(strangers, &who[3]));
    g_assert_true(kd_strangers_make_room(strangers, "a", &surplus));
}

static void
test_biggest_gives_way(void)
{
    g_autoptr(KdStrangers) strangers = kd_strangers_new();
    gpointer surplus;
    guint n = fill(strangers, 0, 60, "a");

    n = fill(strangers, n, 64, "b");
    n = fill(strangers, n, 64, "c");
    n = fill(strangers, n, 60, "d");
    n = fill(strangers, n, 8, "e");
    g_assert_cmpuint(n, ==, KD_STRANGERS_MAX);
    g_assert_true(kd_strangers_make_room(strangers, "new", &surplus));
    g_assert_true(surplus == &who[60]); /* the first of b */
    g_assert_cmpuint(kd_strangers_get_of_source(strangers, "b"), ==, 63);
    g_assert_null(kd_strangers_get_source(strangers, surplus));
    kd_strangers_add(strangers, "new", &who[n]);
    g_assert_cmpstr(kd_strangers_get_source(strangers, &who[n]), ==, "new");
    g_assert_true(kd_strangers_make_room(strangers, "e", &surplus));
    g_assert_true(surplus == &who[124]); /* now c has most */
    kd_strangers_add(strangers, "e", &who[n + 1]);
    g_assert_cmpuint(kd_strangers_get_count(strangers), ==, KD_STRANGERS_MAX);
}

/* Of a flood from many sources each gets its share, and none drives another out in turn. */
static void
test_biggest_is_refused(void)
{
    g_autoptr(KdStrangers) strangers = kd_strangers_new();
    gpointer surplus;
    guint n = 0;

    for (guint i = 0; i < 16; i++) {
        g_autofree char *source = g_strdup_printf("192.0.2.%u", i);

        n = fill(strangers, n, KD_STRANGERS_MAX / 16, source);
    }
    for (guint i = 0; i < 16; i++) {
        g_autofree char *source = g_strdup_printf("192.0.2.%u", i);

        g_assert_false(kd_strangers_make_room(strangers, source, &surplus));
        g_assert_null(surplus);
    }
    g_assert_true(kd_strangers_make_room(strangers, "new", &surplus));
    g_assert_true(surplus == &who[0]);
    kd_strangers_add(strangers, "new", &who[n]);
    /* One less than the others have is near enough. */
    g_assert_false(kd_strangers_make_room(strangers, "192.0.2.0", &surplus));
}

static void
test_all_alike(void)
{
    g_autoptr(KdStrangers) strangers = kd_strangers_new();
    gpointer surplus;

    for (guint i = 0; i < KD_STRANGERS_MAX; i++) {
        g_autofree char *source = g_strdup_printf("192.0.2.%u", i);

        fill(strangers, i, 1, source);
    }
    g_assert_true(kd_strangers_make_room(strangers, "new", &surplus));
    g_assert_true(surplus == &who[0]);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/server/strangers/are-counted-by-source", test_by_source);
    g_test_add_func("/server/strangers/are-not-counted-when-removed", test_removed);
    g_test_add_func("/server/strangers/of-one-source-are-so-many", test_one_source);
    g_test_add_func("/server/strangers/biggest-source-gives-way", test_biggest_gives_way);
    g_test_add_func("/server/strangers/of-the-biggest-sources-are-refused",
                    test_biggest_is_refused);
    g_test_add_func("/server/strangers/oldest-gives-way-where-all-are-alike", test_all_alike);
    return g_test_run();
}
