/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What plugins get through the host table. */
#include "kd-host.h"

#include <unistd.h>

static void
test_table_says_what_it_is(void)
{
    g_autoptr(KdReach) reach = kd_reach_new();
    const KdHost *host = kd_host_new(reach);
    g_assert_cmpuint(host->struct_size, ==, sizeof(KdHost));
    g_assert_cmpuint(host->abi_major, ==, KD_ABI_MAJOR);
    g_assert_cmpuint(host->abi_minor, ==, KD_ABI_MINOR);
    g_assert_nonnull(host->watch_add);
    g_assert_nonnull(host->watch_set);
    g_assert_nonnull(host->watch_remove);
    kd_host_free(host);
}

static void
test_paths_are_decided_by_the_reach(void)
{
    g_autoptr(KdReach) nothing = kd_reach_new();
    g_autoptr(KdReach) everything = kd_reach_new_everything();
    const KdHost *strict = kd_host_new(nothing);
    const KdHost *open = kd_host_new(everything);
    g_autoptr(GError) error = NULL;
    g_assert_cmpint(strict->open_path(strict, "/dev/null", &error), ==, -1);
    g_assert_error(error, KD_ERROR, KD_ERROR_POLICY);
    g_clear_error(&error);
    int fd = open->open_path(open, "/dev/null", &error);
    g_assert_no_error(error);
    g_assert_cmpint(fd, >=, 0);
    close(fd);
    kd_host_free(strict);
    kd_host_free(open);
}

static void
test_addresses_are_decided_by_the_reach(void)
{
    g_autoptr(KdReach) reach = kd_reach_new();
    kd_reach_add_defaults(reach);
    const KdHost *host = kd_host_new(reach);
    g_autoptr(GSocketAddress) near = g_inet_socket_address_new_from_string("::1", 5000);
    g_autoptr(GSocketAddress) far = g_inet_socket_address_new_from_string("10.0.0.1", 5000);
    g_autoptr(GError) error = NULL;
    g_assert_true(host->may_dial(host, "localhost", near, &error));
    g_assert_no_error(error);
    g_assert_false(host->may_dial(host, "lab-pc", far, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_POLICY);
    kd_host_free(host);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/loader/host/table-says-what-it-is", test_table_says_what_it_is);
    g_test_add_func("/loader/host/paths-are-decided-by-the-reach",
                    test_paths_are_decided_by_the_reach);
    g_test_add_func("/loader/host/addresses-are-decided-by-the-reach",
                    test_addresses_are_decided_by_the_reach);
    return g_test_run();
}
