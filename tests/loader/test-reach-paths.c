/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which files a client's string may name. */
#include "kd-reach.h"

#include <kdsrv/kd-plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

/* root/allowed/sub/sock      a listening socket
 * root/allowed/link       -> ../outside/secret
 * root/allowed/inner      -> sub/sock
 * root/allowed/away       -> ../outside
 * root/alias              -> allowed
 * root/outside/secret        a file             */
typedef struct {
    char *root;
    GPtrArray *made;
    KdReach *reach; /* has root/allowed */
    int listener;
} Place;

static char *
in_root(const Place *place, const char *path)
{
    return g_build_filename(place->root, path, NULL);
}

static char *
remember(Place *place, const char *path)
{
    char *whole = in_root(place, path);
    g_ptr_array_insert(place->made, 0, whole);
    return whole;
}

static void
make_folder(Place *place, const char *path)
{
    g_assert_cmpint(g_mkdir(remember(place, path), 0755), ==, 0);
}

static void
make_link(Place *place, const char *path, const char *where)
{
    g_assert_cmpint(symlink(where, remember(place, path)), ==, 0);
}

static void
make_file(Place *place, const char *path)
{
    g_autoptr(GError) error = NULL;
    g_file_set_contents(remember(place, path), "", 0, &error);
    g_assert_no_error(error);
}

static int
make_socket(Place *place, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(fd, >=, 0);
    g_strlcpy(address.sun_path, remember(place, path), sizeof address.sun_path);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_cmpint(listen(fd, 1), ==, 0);
    return fd;
}

static void
add_folder(KdReach *reach, const char *folder)
{
    g_autoptr(GError) error = NULL;
    gboolean is_added = kd_reach_add_folder(reach, folder, &error);
    g_assert_no_error(error);
    g_assert_true(is_added);
}

static void
place_set_up(Place *place, gconstpointer unused)
{
    (void)unused;
    g_autoptr(GError) error = NULL;
    g_autofree char *root = g_dir_make_tmp("kdsrv-reach-XXXXXX", &error);
    g_assert_no_error(error);
    place->root = realpath(root, NULL);
    place->made = g_ptr_array_new_with_free_func(g_free);
    make_folder(place, "allowed");
    make_folder(place, "allowed/sub");
    place->listener = make_socket(place, "allowed/sub/sock");
    make_folder(place, "outside");
    make_file(place, "outside/secret");
    make_link(place, "allowed/link", "../outside/secret");
    make_link(place, "allowed/inner", "sub/sock");
    make_link(place, "allowed/away", "../outside");
    make_link(place, "alias", "allowed");
    place->reach = kd_reach_new();
    g_autofree char *allowed = in_root(place, "allowed");
    add_folder(place->reach, allowed);
}

static void
place_tear_down(Place *place, gconstpointer unused)
{
    (void)unused;
    kd_reach_free(place->reach);
    close(place->listener);
    for (guint i = 0; i < place->made->len; i++) {
        g_remove(place->made->pdata[i]);
    }
    g_ptr_array_unref(place->made);
    g_assert_cmpint(g_rmdir(place->root), ==, 0);
    free(place->root);
}

static void
assert_found(const KdReach *reach, const char *path, mode_t kind)
{
    g_autoptr(GError) error = NULL;
    struct stat status = {0};
    int fd = kd_reach_open(reach, path, &error);
    g_assert_no_error(error);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(fstat(fd, &status), ==, 0);
    g_assert_cmpuint(status.st_mode & S_IFMT, ==, kind);
    g_assert_cmpint(fcntl(fd, F_GETFD), ==, FD_CLOEXEC);
    g_assert_cmpint(fcntl(fd, F_GETFL) & O_PATH, ==, O_PATH);
    close(fd);
}

static void
assert_fails(const KdReach *reach, const char *path, GQuark domain, int code, const char *reason)
{
    g_autoptr(GError) error = NULL;
    g_assert_cmpint(kd_reach_open(reach, path, &error), ==, -1);
    g_assert_error(error, domain, code);
    if (strstr(error->message, reason) == NULL) {
        g_error("`%s` does not say `%s`", error->message, reason);
    }
}

static void
assert_policy(const KdReach *reach, const char *path, const char *reason)
{
    assert_fails(reach, path, KD_ERROR, KD_ERROR_POLICY, reason);
}

static void
assert_missing(const KdReach *reach, const char *path)
{
    assert_fails(reach, path, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, path);
}

static void
test_socket_beneath_is_found_and_can_be_dialled(Place *place, gconstpointer unused)
{
    (void)unused;
    g_autofree char *path = in_root(place, "allowed/sub/sock");
    assert_found(place->reach, path, S_IFSOCK);

    g_autoptr(GError) error = NULL;
    int fd = kd_reach_open(place->reach, path, &error);
    g_assert_no_error(error);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d", fd);
    int dialled = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(connect(dialled, (struct sockaddr *)&address, sizeof address), ==, 0);
    close(dialled);
    close(fd);
}

static void
check_beneath(const Place *place)
{
    g_autofree char *sock = in_root(place, "allowed/sub/sock");
    g_autofree char *missing = in_root(place, "allowed/sub/nothing");
    g_autofree char *through_file = in_root(place, "allowed/sub/sock/x");
    g_autofree char *link = in_root(place, "allowed/link");
    g_autofree char *inner = in_root(place, "allowed/inner");
    g_autofree char *away = in_root(place, "allowed/away/secret");
    assert_found(place->reach, sock, S_IFSOCK);
    assert_missing(place->reach, missing);
    assert_fails(place->reach, through_file, G_IO_ERROR, G_IO_ERROR_NOT_DIRECTORY, through_file);
    assert_policy(place->reach, link, "symbolic link");
    assert_policy(place->reach, inner, "symbolic link");
    assert_policy(place->reach, away, "symbolic link");
}

static void
test_links_beneath_are_refused(Place *place, gconstpointer unused)
{
    (void)unused;
    check_beneath(place);
}

/* The kernel says that it has no openat2(). */
static gboolean
take_openat2_away(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = G_N_ELEMENTS(filter), .filter = filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void
test_links_beneath_are_refused_without_openat2(Place *place, gconstpointer unused)
{
    (void)unused;
    if (!g_test_subprocess()) {
        g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_INHERIT_STDERR);
        g_test_trap_assert_passed();
        return;
    }
    if (!take_openat2_away()) {
        return; /* no seccomp here: nothing to try */
    }
    g_assert_cmpint(syscall(SYS_openat2, AT_FDCWD, "/", NULL, 0), ==, -1);
    g_assert_cmpint(errno, ==, ENOSYS);
    check_beneath(place);
}

static void
test_way_out_is_refused(Place *place, gconstpointer unused)
{
    (void)unused;
    static const char *const paths[] = {"outside/secret",
                                        "allowed/../outside/secret",
                                        "allowed/sub/../../outside/secret",
                                        "allowedtoo/x",
                                        "allowed",
                                        "allowed/",
                                        "allowed/sub/.."};
    for (gsize i = 0; i < G_N_ELEMENTS(paths); i++) {
        g_autofree char *path = g_strconcat(place->root, "/", paths[i], NULL);
        g_autofree char *reason = g_strdup_printf(
            "%s: not beneath a folder that this server was given (kdsrv --allow-path DIR)", path);
        assert_policy(place->reach, path, reason);
    }
    assert_policy(place->reach, "/", "not beneath");
}

static void
test_other_spellings_are_the_same_place(Place *place, gconstpointer unused)
{
    (void)unused;
    static const char *const paths[] = {"allowed/sub/../sub/./sock", "outside/../allowed/sub/sock",
                                        "/allowed//sub///sock"};
    for (gsize i = 0; i < G_N_ELEMENTS(paths); i++) {
        g_autofree char *path = g_strconcat(place->root, "/", paths[i], NULL);
        assert_found(place->reach, path, S_IFSOCK);
    }
    g_autofree char *from_root = g_strconcat("/", place->root, "/allowed/sub/sock", NULL);
    assert_found(place->reach, from_root, S_IFSOCK);

    g_autoptr(KdReach) reach = kd_reach_new();
    g_autofree char *folder = g_strconcat(place->root, "/outside/..//allowed/", NULL);
    g_autofree char *sock = in_root(place, "allowed/sub/sock");
    add_folder(reach, folder);
    assert_found(reach, sock, S_IFSOCK);
}

static void
test_folder_may_be_a_link_itself(Place *place, gconstpointer unused)
{
    (void)unused;
    g_autoptr(KdReach) reach = kd_reach_new();
    g_autofree char *alias = in_root(place, "alias");
    g_autofree char *by_alias = in_root(place, "alias/sub/sock");
    g_autofree char *by_real = in_root(place, "allowed/sub/sock");
    g_autofree char *link = in_root(place, "alias/link");
    add_folder(reach, alias);
    assert_found(reach, by_alias, S_IFSOCK);
    assert_found(reach, by_real, S_IFSOCK);
    assert_policy(reach, link, "symbolic link");
}

static void
test_folder_of_its_own_beneath_another_wins(Place *place, gconstpointer unused)
{
    (void)unused;
    g_autofree char *away = in_root(place, "allowed/away");
    g_autofree char *secret = in_root(place, "allowed/away/secret");
    assert_policy(place->reach, secret, "symbolic link");
    add_folder(place->reach, away);
    assert_found(place->reach, secret, S_IFREG);
}

static void
test_folder_may_appear_later(Place *place, gconstpointer unused)
{
    (void)unused;
    g_autofree char *later = in_root(place, "later");
    g_autofree char *path = in_root(place, "later/file");
    add_folder(place->reach, later);
    assert_missing(place->reach, path);
    make_folder(place, "later");
    make_file(place, "later/file");
    assert_found(place->reach, path, S_IFREG);
}

static void
test_relative_folder_is_made_absolute(Place *place, gconstpointer unused)
{
    (void)unused;
    g_autofree char *before = g_get_current_dir();
    g_autoptr(KdReach) reach = kd_reach_new();
    g_autofree char *sock = in_root(place, "allowed/sub/sock");
    g_assert_cmpint(g_chdir(place->root), ==, 0);
    add_folder(reach, "allowed");
    g_assert_cmpint(g_chdir(before), ==, 0);
    assert_found(reach, sock, S_IFSOCK);
}

static void
test_file_is_no_folder(Place *place, gconstpointer unused)
{
    (void)unused;
    g_autofree char *file = in_root(place, "outside/secret");
    g_autoptr(GError) error = NULL;
    g_assert_false(kd_reach_add_folder(place->reach, file, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID);
    g_assert_nonnull(strstr(error->message, file));
    g_clear_error(&error);
    g_assert_false(kd_reach_add_folder(place->reach, "", &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID);
}

static void
test_path_is_absolute_and_printable(Place *place, gconstpointer unused)
{
    (void)unused;
    g_autoptr(KdReach) everything = kd_reach_new_everything();
    g_autofree char *endless = g_strnfill(5000, '/');
    const KdReach *const reaches[] = {place->reach, everything};
    for (gsize i = 0; i < G_N_ELEMENTS(reaches); i++) {
        assert_fails(reaches[i], "", KD_ERROR, KD_ERROR_PARAM_INVALID, "not absolute");
        assert_fails(reaches[i], "sub/sock", KD_ERROR, KD_ERROR_PARAM_INVALID, "not absolute");
        assert_fails(reaches[i], "/a\nb", KD_ERROR, KD_ERROR_PARAM_INVALID, "control character");
        assert_fails(reaches[i], endless, KD_ERROR, KD_ERROR_PARAM_INVALID, "too long");
    }
}

static void
test_everything_follows_links(Place *place, gconstpointer unused)
{
    (void)unused;
    g_autoptr(KdReach) everything = kd_reach_new_everything();
    g_autofree char *link = in_root(place, "allowed/link");
    g_autofree char *missing = in_root(place, "nothing");
    assert_found(everything, link, S_IFREG);
    assert_found(everything, "/dev/null", S_IFCHR);
    assert_missing(everything, missing);
}

static void
test_defaults_have_the_users_own_folder(Place *place, gconstpointer unused)
{
    (void)unused;
    g_autoptr(KdReach) without = kd_reach_new();
    g_autoptr(KdReach) with = kd_reach_new();
    g_autofree char *path = in_root(place, "kdsrv/targets/vm");
    g_unsetenv("XDG_RUNTIME_DIR");
    kd_reach_add_defaults(without);
    g_setenv("XDG_RUNTIME_DIR", place->root, TRUE);
    kd_reach_add_defaults(with);
    assert_policy(without, path, "--allow-path");
    assert_missing(with, path);
    make_folder(place, "kdsrv");
    make_folder(place, "kdsrv/targets");
    make_file(place, "kdsrv/targets/vm");
    assert_found(with, path, S_IFREG);
    assert_missing(without, "/run/kdsrv/targets/kdsrv-test-has-no-such-target");
}

static void
test_defaults_have_serial_ports_only(Place *place, gconstpointer unused)
{
    (void)place, (void)unused;
    g_autoptr(KdReach) reach = kd_reach_new();
    kd_reach_add_defaults(reach);
    assert_policy(reach, "/dev/null", "not a serial port");
    assert_policy(reach, "/dev/tty", "not a serial port");
    assert_policy(reach, "/dev/stdin", "a symbolic link that leads out of /dev");
    assert_policy(reach, "/dev", "not beneath");
    assert_policy(reach, "/dev/fd/0", "/dev/fd: a symbolic link that leads out of /dev");
    assert_policy(reach, "/dev/pts", "not a serial port");
    assert_policy(reach, "/dev/../etc/passwd", "not beneath");
    assert_missing(reach, "/dev/ttyUSB4711");
}

/* Any serial port of this machine; only looked at. */
static char *
find_serial_port(void)
{
    g_autoptr(GDir) dev = g_dir_open("/dev", 0, NULL);
    for (const char *name = dev != NULL ? g_dir_read_name(dev) : NULL; name != NULL;
         name = g_dir_read_name(dev)) {
        g_autofree char *path = g_build_filename("/dev", name, NULL);
        struct stat status = {0};
        if (lstat(path, &status) == 0 && S_ISCHR(status.st_mode) &&
            ((major(status.st_rdev) == 4 && minor(status.st_rdev) >= 64) ||
             major(status.st_rdev) == 166 || major(status.st_rdev) == 188)) {
            return g_steal_pointer(&path);
        }
    }
    return NULL;
}

static void
test_serial_port_is_a_default(Place *place, gconstpointer unused)
{
    g_autofree char *port = find_serial_port();
    (void)unused;
    if (port == NULL) {
        g_test_skip("this machine has no serial port");
        return;
    }
    g_autoptr(KdReach) reach = kd_reach_new();
    kd_reach_add_defaults(reach);
    assert_found(reach, port, S_IFCHR);
    assert_policy(place->reach, port, "not beneath");
}

static void
test_pty_needs_its_folder(Place *place, gconstpointer unused)
{
    (void)place, (void)unused;
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    char path[64];
    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0 ||
        ptsname_r(master, path, sizeof path) != 0) {
        g_test_skip("no pty here");
        return;
    }
    g_autoptr(KdReach) reach = kd_reach_new();
    kd_reach_add_defaults(reach);
    assert_policy(reach, path,
                  "not a serial port, nor beneath a folder that this server was given");
    add_folder(reach, "/dev/pts");
    assert_found(reach, path, S_IFCHR);
    close(master);
}

#define ADD(path, function) \
    g_test_add("/loader/reach/" path, Place, NULL, place_set_up, function, place_tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("socket-beneath-is-found-and-can-be-dialled",
        test_socket_beneath_is_found_and_can_be_dialled);
    ADD("links-beneath-are-refused", test_links_beneath_are_refused);
    ADD("links-beneath-are-refused-without-openat2",
        test_links_beneath_are_refused_without_openat2);
    ADD("way-out-is-refused", test_way_out_is_refused);
    ADD("other-spellings-are-the-same-place", test_other_spellings_are_the_same_place);
    ADD("folder-may-be-a-link-itself", test_folder_may_be_a_link_itself);
    ADD("folder-of-its-own-beneath-another-wins", test_folder_of_its_own_beneath_another_wins);
    ADD("folder-may-appear-later", test_folder_may_appear_later);
    ADD("relative-folder-is-made-absolute", test_relative_folder_is_made_absolute);
    ADD("file-is-no-folder", test_file_is_no_folder);
    ADD("path-is-absolute-and-printable", test_path_is_absolute_and_printable);
    ADD("everything-follows-links", test_everything_follows_links);
    ADD("defaults-have-the-users-own-folder", test_defaults_have_the_users_own_folder);
    ADD("defaults-have-serial-ports-only", test_defaults_have_serial_ports_only);
    ADD("serial-port-is-a-default", test_serial_port_is_a_default);
    ADD("pty-needs-its-folder", test_pty_needs_its_folder);
    return g_test_run();
}
