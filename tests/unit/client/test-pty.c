/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The symbolic link to a pseudo terminal: whose it is, and who takes it away. */
#include "kd-end.h"
#include "kd-pty.h"

#include <glib/gstdio.h>
#include <unistd.h>

static char *
build_link(char **folder)
{
    *folder = g_dir_make_tmp("kd-pty-XXXXXX", NULL);
    g_assert_nonnull(*folder);
    return g_build_filename(*folder, "link", NULL);
}

static void
test_own_link_goes(void)
{
    g_autofree char *folder = NULL;
    g_autofree char *path = build_link(&folder);
    g_autoptr(GError) error = NULL;
    KdEndpoint endpoint;
    KdPty *pty;

    kd_endpoint_init(&endpoint);
    pty = kd_pty_new(path, &endpoint, &error);
    g_assert_no_error(error);
    g_assert_true(g_file_test(path, G_FILE_TEST_IS_SYMLINK));
    kd_pty_free(pty);
    kd_endpoint_clear(&endpoint);
    g_assert_false(g_file_test(path, G_FILE_TEST_IS_SYMLINK));
    g_assert_cmpint(g_rmdir(folder), ==, 0);
}

/* /dev/pts/1 and /dev/pts/10 */
static void
test_link_of_another_stays(void)
{
    g_autofree char *folder = NULL;
    g_autofree char *path = build_link(&folder);
    g_autofree char *other = NULL;
    g_autoptr(GError) error = NULL;
    KdEndpoint endpoint;
    KdPty *pty;

    kd_endpoint_init(&endpoint);
    pty = kd_pty_new(path, &endpoint, &error);
    g_assert_no_error(error);
    other = g_strconcat(kd_pty_get_name(pty), "0", NULL);
    g_assert_cmpint(g_unlink(path), ==, 0);
    g_assert_cmpint(symlink(other, path), ==, 0);
    kd_pty_free(pty);
    kd_endpoint_clear(&endpoint);
    g_assert_true(g_file_test(path, G_FILE_TEST_IS_SYMLINK));
    g_assert_cmpint(g_unlink(path), ==, 0);
    g_assert_cmpint(g_rmdir(folder), ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/client/pty/takes-its-own-link-away", test_own_link_goes);
    g_test_add_func("/client/pty/leaves-the-link-of-another", test_link_of_another_stays);
    return g_test_run();
}
