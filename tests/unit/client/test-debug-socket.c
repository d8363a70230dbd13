/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a debugger connects: addresses, stale sockets, one debugger at a time. */
#include "kd-debug-socket.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

typedef struct {
    char *folder;
    char *path;
    char *address;
    int accepted;
} Place;

static void
set_up(Place *place, gconstpointer unused)
{
    (void)unused;
    place->folder = g_dir_make_tmp("kd-socket-XXXXXX", NULL);
    g_assert_nonnull(place->folder);
    place->path = g_build_filename(place->folder, "s", NULL);
    place->address = g_strconcat("unix:", place->path, NULL);
    place->accepted = -1;
}

static void
tear_down(Place *place, gconstpointer unused)
{
    (void)unused;
    if (place->accepted >= 0) {
        close(place->accepted);
    }
    g_assert_cmpint(g_rmdir(place->folder), ==, 0);
    g_free(place->folder);
    g_free(place->path);
    g_free(place->address);
}

static int
dial(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_cmpuint(strlen(path), <, sizeof address.sun_path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    g_assert_cmpint(connect(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    return fd;
}

static void
test_private(Place *place, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KdDebugSocket) debug_socket = kd_debug_socket_new(place->address, &error);
    struct stat info;

    (void)unused;
    g_assert_no_error(error);
    g_assert_cmpint(stat(place->path, &info), ==, 0);
    g_assert_cmpuint(info.st_mode & 0777, ==, 0700);
    g_clear_pointer(&debug_socket, kd_debug_socket_free);
    g_assert_cmpint(stat(place->path, &info), ==, -1);
}

static void
test_stale(Place *place, gconstpointer unused)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_autoptr(GError) error = NULL;
    g_autoptr(KdDebugSocket) debug_socket = NULL;

    (void)unused;
    memcpy(address.sun_path, place->path, strlen(place->path) + 1);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    close(fd);
    debug_socket = kd_debug_socket_new(place->address, &error);
    g_assert_no_error(error);
    close(dial(place->path));
}

static void
test_live(Place *place, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KdDebugSocket) first = kd_debug_socket_new(place->address, &error);

    (void)unused;
    g_assert_no_error(error);
    g_assert_nonnull(first);
    g_assert_null(kd_debug_socket_new(place->address, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE);
    close(dial(place->path));
}

/* Somebody has removed the socket by hand, and another kd has made its own. */
static void
test_socket_of_another(Place *place, gconstpointer unused)
{
    g_autoptr(KdDebugSocket) first = kd_debug_socket_new(place->address, NULL);
    g_autoptr(KdDebugSocket) second = NULL;

    (void)unused;
    g_assert_cmpint(g_remove(place->path), ==, 0);
    second = kd_debug_socket_new(place->address, NULL);
    g_assert_nonnull(second);
    g_clear_pointer(&first, kd_debug_socket_free);
    close(dial(place->path));
}

static void
test_plain_file(Place *place, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;

    (void)unused;
    g_assert_true(g_file_set_contents(place->path, "precious", -1, NULL));
    g_assert_null(kd_debug_socket_new(place->address, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE);
    g_assert_cmpint(g_remove(place->path), ==, 0);
}

static void
on_accepted(int fd, void *user)
{
    Place *place = user;

    g_assert_cmpint(place->accepted, ==, -1);
    place->accepted = fd;
}

static void
test_one_at_a_time(Place *place, gconstpointer unused)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KdDebugSocket) debug_socket = kd_debug_socket_new(place->address, &error);
    int first = dial(place->path);
    int second = dial(place->path);

    (void)unused;
    kd_debug_socket_accept(debug_socket, on_accepted, place);
    while (place->accepted < 0) {
        g_main_context_iteration(NULL, TRUE);
    }
    for (int i = 0; i < 3; i++) {
        g_main_context_iteration(NULL, FALSE); /* a second one would fail the assertion */
    }
    close(place->accepted);
    place->accepted = -1;
    kd_debug_socket_accept(debug_socket, on_accepted, place);
    while (place->accepted < 0) {
        g_main_context_iteration(NULL, TRUE);
    }
    close(first);
    close(second);
}

static void
test_own_folder(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KdDebugSocket) debug_socket = kd_debug_socket_new_private(FALSE, &error);
    g_autofree char *folder = NULL;
    struct stat info;

    g_assert_no_error(error);
    folder = g_path_get_dirname(kd_debug_socket_get_address(debug_socket));
    g_assert_cmpint(stat(folder, &info), ==, 0);
    g_assert_cmpuint(info.st_mode & 0777, ==, 0700);
    g_clear_pointer(&debug_socket, kd_debug_socket_free);
    g_assert_cmpint(stat(folder, &info), ==, -1);
}

static void
test_real_port(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KdDebugSocket) debug_socket = kd_debug_socket_new("tcp:localhost:0", &error);

    g_assert_no_error(error);
    g_assert_true(kd_debug_socket_is_tcp(debug_socket));
    g_assert_false(kd_debug_socket_is_exposed(debug_socket));
    g_assert_true(g_str_has_prefix(kd_debug_socket_get_address(debug_socket), "127.0.0.1:"));
    g_assert_false(g_str_has_suffix(kd_debug_socket_get_address(debug_socket), ":0"));
}

static void
test_exposed(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KdDebugSocket) debug_socket = kd_debug_socket_new("tcp:0.0.0.0:0", &error);

    g_assert_no_error(error);
    g_assert_true(kd_debug_socket_is_exposed(debug_socket));
}

static void
test_bad_addresses(void)
{
    static const char *const addresses[] = {
        "",
        "unix:",
        "tcp:",
        "tcp:127.0.0.1",
        "tcp:127.0.0.1:",
        "tcp::1",
        "tcp:h.example:1",
        "tcp:127.0.0.1:65536",
        "tcp:127.0.0.1:-1",
        "udp:127.0.0.1:1",
        "/a/path",
        "tcp:127.0.0.1: 1",
    };

    for (gsize i = 0; i < G_N_ELEMENTS(addresses); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(kd_debug_socket_new(addresses[i], &error));
        g_assert_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(path, test) \
    g_test_add("/client/debug-socket/" path, Place, NULL, set_up, test, tear_down)
    ADD("is-for-its-owner-only-and-goes-away", test_private);
    ADD("replaces-a-stale-socket", test_stale);
    ADD("leaves-a-live-socket-alone", test_live);
    ADD("leaves-the-socket-of-another", test_socket_of_another);
    ADD("leaves-a-plain-file-alone", test_plain_file);
    ADD("lets-the-second-debugger-wait", test_one_at_a_time);
#undef ADD
    g_test_add_func("/client/debug-socket/has-a-private-folder-of-its-own", test_own_folder);
    g_test_add_func("/client/debug-socket/tells-the-real-port", test_real_port);
    g_test_add_func("/client/debug-socket/knows-when-others-reach-it", test_exposed);
    g_test_add_func("/client/debug-socket/refuses-wrong-addresses", test_bad_addresses);
    return g_test_run();
}
