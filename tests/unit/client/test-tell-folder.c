/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The folder of the sockets: nobody else can have put anything into it. */
#include "kd-tell-folder.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

typedef struct {
    char *base;
    char *outer;
    char *path;
} Place;

static void
set_up(Place *place, gconstpointer unused)
{
    (void)unused;
    place->base = g_dir_make_tmp("kd-tell-XXXXXX", NULL);
    g_assert_nonnull(place->base);
    g_assert_true(g_setenv("XDG_RUNTIME_DIR", place->base, TRUE));
    place->outer = g_build_filename(place->base, "kdsrv", NULL);
    place->path = g_build_filename(place->outer, "kd", NULL);
}

static void
tear_down(Place *place, gconstpointer unused)
{
    (void)unused;
    (void)g_unlink(place->path);
    (void)g_rmdir(place->path);
    (void)g_rmdir(place->outer);
    g_assert_cmpint(g_rmdir(place->base), ==, 0);
    g_free(place->base);
    g_free(place->outer);
    g_free(place->path);
}

static void
test_made(Place *place, gconstpointer unused)
{
    g_autoptr(GPtrArray) paths = kd_tell_folder_list(geteuid());
    g_autoptr(GError) error = NULL;
    mode_t mask = umask(0777);
    struct stat info;
    int fd = kd_tell_folder_open(place->path, geteuid(), TRUE, &error);

    (void)unused;
    (void)umask(mask);
    g_assert_no_error(error);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpuint(paths->len, ==, 1);
    g_assert_cmpstr(paths->pdata[0], ==, place->path);
    g_assert_cmpint(fstat(fd, &info), ==, 0);
    g_assert_cmpuint(info.st_mode & 07777, ==, 0700);
    close(fd);
    fd = kd_tell_folder_open(place->path, geteuid(), FALSE, &error);
    g_assert_cmpint(fd, >=, 0);
    close(fd);
}

static void
expect_refused(Place *place, uid_t owner, gboolean is_made)
{
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(kd_tell_folder_open(place->path, owner, is_made, &error), ==, -1);
    g_assert_nonnull(error);
    g_assert_true(g_str_has_prefix(error->message, place->path));
}

static void
test_refused(Place *place, gconstpointer unused)
{
    (void)unused;
    expect_refused(place, geteuid(), FALSE); /* is not there */
    g_assert_cmpint(g_mkdir(place->outer, 0700), ==, 0);
    g_assert_cmpint(g_mkdir(place->path, 0700), ==, 0);
    g_assert_cmpint(chmod(place->path, 0750), ==, 0);
    expect_refused(place, geteuid(), TRUE); /* others can look into it */
    g_assert_cmpint(chmod(place->path, 0700), ==, 0);
    expect_refused(place, geteuid() + 1, TRUE); /* another's */
    g_assert_cmpint(chmod(place->outer, 0770), ==, 0);
    expect_refused(place, geteuid(), TRUE); /* others can exchange it */
    g_assert_cmpint(chmod(place->outer, 0755), ==, 0);
    g_assert_cmpint(chmod(place->base, 0777), ==, 0);
    expect_refused(place, geteuid(), TRUE); /* others can exchange the one around it */
    g_assert_cmpint(chmod(place->base, 0700), ==, 0);
    g_assert_cmpint(g_rmdir(place->path), ==, 0);
    g_assert_cmpint(symlink("/tmp", place->path), ==, 0);
    expect_refused(place, geteuid(), TRUE); /* leads elsewhere */
}

static int
listen_at(int folder, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)g_snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", folder,
                     name);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_cmpint(listen(fd, 8), ==, 0);
    return fd;
}

static void
test_dead(Place *place, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) pids = NULL;
    int folder = kd_tell_folder_open(place->path, geteuid(), TRUE, &error);
    int alive;
    int second;

    (void)unused;
    g_assert_no_error(error);
    close(listen_at(folder, "123"));
    alive = listen_at(folder, "4567");
    second = listen_at(folder, "89");
    close(listen_at(folder, "name"));
    pids = kd_tell_folder_find_pids(folder);
    g_assert_cmpuint(pids->len, ==, 2);
    g_assert_cmpuint(g_array_index(pids, guint, 0), ==, 89);
    g_assert_cmpuint(g_array_index(pids, guint, 1), ==, 4567);
    g_assert_cmpint(unlinkat(folder, "123", 0), ==, -1);
    g_assert_cmpint(unlinkat(folder, "4567", 0), ==, 0);
    g_assert_cmpint(unlinkat(folder, "89", 0), ==, 0);
    g_assert_cmpint(unlinkat(folder, "name", 0), ==, 0);
    close(alive);
    close(second);
    close(folder);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, test) \
    g_test_add("/client/tell-folder/" path, Place, NULL, set_up, test, tear_down)
    ADD("is-made-for-its-owner-alone", test_made);
    ADD("is-refused-when-others-could-change-it", test_refused);
    ADD("forgets-the-dead", test_dead);
#undef ADD
    return g_test_run();
}
