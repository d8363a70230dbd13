/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which links to serial ports a client's string may name: a /dev of our own, in which the links and
 * folders belong to whom we like. The devices are never opened, so there need be none. */
#include "kd-reach.h"

#include <kdsrv/kd-plugin.h>

#include <fcntl.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANYBODY 4711u

/* A private /dev with
 * ttyUSB0   c 188 0          null   c 1 3
 * serial/by-id/usb-lab    -> ../../ttyUSB0 */
typedef struct {
    KdReach *reach;
} Dev;

static gboolean
make_dev(void)
{
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", "/dev", "tmpfs", 0, "mode=0755") == 0 &&
           mknod("/dev/ttyUSB0", S_IFCHR | 0660, makedev(188, 0)) == 0 &&
           mknod("/dev/null", S_IFCHR | 0666, makedev(1, 3)) == 0;
}

/* Whether this user may make one; tried in a child, which it does not outlive. */
static gboolean
may_make_dev(void)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        _exit(make_dev() ? 0 : 1);
    }
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    return status == 0;
}

static void
make_folder(const char *path)
{
    g_assert_cmpint(mkdir(path, 0755), ==, 0);
    g_assert_cmpint(chmod(path, 0755), ==, 0);
}

static void
make_link(const char *path, const char *target)
{
    g_assert_cmpint(symlink(target, path), ==, 0);
}

static void
dev_set_up(Dev *dev, gconstpointer unused)
{
    (void)unused;
    dev->reach = NULL;
    if (!may_make_dev()) {
        return;
    }
    g_assert_true(make_dev());
    make_folder("/dev/serial");
    make_folder("/dev/serial/by-id");
    make_link("/dev/serial/by-id/usb-lab", "../../ttyUSB0");
    dev->reach = kd_reach_new();
    kd_reach_add_defaults(dev->reach);
}

static void
dev_tear_down(Dev *dev, gconstpointer unused)
{
    (void)unused;
    if (dev->reach != NULL) {
        kd_reach_free(dev->reach);
        g_assert_cmpint(umount2("/dev", MNT_DETACH), ==, 0);
    }
}

static gboolean
is_skipped(const Dev *dev)
{
    if (dev->reach == NULL) {
        g_test_skip("this user may not make a /dev of its own");
    }
    return dev->reach == NULL;
}

static void
assert_port(const KdReach *reach, const char *path, unsigned minor_number)
{
    g_autoptr(GError) error = NULL;
    struct stat status = {0};
    int fd = kd_reach_open(reach, path, &error);
    g_assert_no_error(error);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(fstat(fd, &status), ==, 0);
    g_assert_true(S_ISCHR(status.st_mode));
    g_assert_cmpuint(status.st_rdev, ==, makedev(188, minor_number));
    g_assert_cmpint(fcntl(fd, F_GETFD), ==, FD_CLOEXEC);
    g_assert_cmpint(fcntl(fd, F_GETFL) & O_PATH, ==, O_PATH);
    close(fd);
}

static guint
count_fds(void)
{
    g_autoptr(GDir) folder = g_dir_open("/proc/self/fd", 0, NULL);
    guint n = 0;
    while (g_dir_read_name(folder) != NULL) {
        n++;
    }
    return n;
}

static void
assert_fails(const KdReach *reach, const char *path, GQuark domain, int code, const char *message)
{
    g_autoptr(GError) error = NULL;
    guint before = count_fds();
    g_assert_cmpint(kd_reach_open(reach, path, &error), ==, -1);
    g_assert_error(error, domain, code);
    g_assert_cmpstr(error->message, ==, message);
    g_assert_cmpuint(count_fds(), ==, before);
}

static void
assert_policy(const KdReach *reach, const char *path, const char *why)
{
    g_autofree char *message = g_strconcat(path, ": ", why, NULL);
    assert_fails(reach, path, KD_ERROR, KD_ERROR_POLICY, message);
}

#define NO_PORT \
    "not a serial port, nor beneath a folder that this server was given (kdsrv --allow-path DIR)"

static void
test_links_of_root(Dev *dev, gconstpointer unused)
{
    (void)unused;
    if (is_skipped(dev)) {
        return;
    }
    guint before = count_fds();
    make_folder("/dev/kd");
    make_link("/dev/lab1", "ttyUSB0");
    make_link("/dev/kd/lab1", "/dev/ttyUSB0");
    make_link("/dev/kd/lab2", "//dev//./serial/by-id/usb-lab");
    make_link("/dev/by-id", "serial/by-id");
    g_assert_cmpint(mknod("/dev/kd/own", S_IFCHR | 0600, makedev(188, 7)), ==, 0);
    assert_port(dev->reach, "/dev/ttyUSB0", 0);
    assert_port(dev->reach, "/dev/serial/by-id/usb-lab", 0);
    assert_port(dev->reach, "/dev/lab1", 0);
    assert_port(dev->reach, "/dev/kd/lab1", 0);
    assert_port(dev->reach, "/dev/kd/lab2", 0);
    assert_port(dev->reach, "/dev/kd/own", 7);
    assert_port(dev->reach, "/dev/by-id/usb-lab", 0);
    assert_port(dev->reach, "/dev//serial/../serial/by-id/./usb-lab", 0);
    g_assert_cmpuint(count_fds(), ==, before);
}

static void
test_links_of_others(Dev *dev, gconstpointer unused)
{
    (void)unused;
    if (is_skipped(dev)) {
        return;
    }
    make_link("/dev/mine", "ttyUSB0");
    g_assert_cmpint(lchown("/dev/mine", ANYBODY, 0), ==, 0);
    assert_policy(dev->reach, "/dev/mine", "a symbolic link that does not belong to root");
    /* One of root's that leads to it does not make it better. */
    make_link("/dev/lab1", "mine");
    assert_policy(dev->reach, "/dev/lab1",
                  "/dev/mine: a symbolic link that does not belong to root");
}

static void
test_folders_of_others(Dev *dev, gconstpointer unused)
{
    static const char belongs[] = "/dev/serial: a folder that does not belong to root";
    static const char written[] = "/dev/serial: a folder that others than root can write to";
    static const mode_t modes[] = {0775, 0757, 01777};
    (void)unused;
    if (is_skipped(dev)) {
        return;
    }
    make_link("/dev/lab1", "serial/by-id/usb-lab");
    g_assert_cmpint(chown("/dev/serial", ANYBODY, 0), ==, 0);
    assert_policy(dev->reach, "/dev/serial/by-id/usb-lab", belongs);
    assert_policy(dev->reach, "/dev/lab1", belongs);
    g_assert_cmpint(chown("/dev/serial", 0, ANYBODY), ==, 0);
    assert_port(dev->reach, "/dev/lab1", 0);
    for (gsize i = 0; i < G_N_ELEMENTS(modes); i++) {
        g_assert_cmpint(chmod("/dev/serial", modes[i]), ==, 0);
        assert_policy(dev->reach, "/dev/serial/by-id/usb-lab", written);
        assert_policy(dev->reach, "/dev/lab1", written);
    }
}

/* A device beside no link needs no such trust: nobody else can make one. */
static void
test_dev_itself(Dev *dev, gconstpointer unused)
{
    (void)unused;
    if (is_skipped(dev)) {
        return;
    }
    make_link("/dev/lab1", "ttyUSB0");
    g_assert_cmpint(chmod("/dev", 0777), ==, 0);
    assert_port(dev->reach, "/dev/ttyUSB0", 0);
    assert_policy(dev->reach, "/dev/lab1", "/dev: a folder that others than root can write to");
}

static void
test_way_out(Dev *dev, gconstpointer unused)
{
    static const char *const targets[] = {"/proc/self/fd/0", "/etc/passwd",         "/",
                                          "//devil/x",       "/run/../dev/ttyUSB0", "/dev"};
    static const char *const climbing[] = {"../etc/passwd", "../dev/ttyUSB0",
                                           "serial/../../dev/ttyUSB0"};
    (void)unused;
    if (is_skipped(dev)) {
        return;
    }
    for (gsize i = 0; i < G_N_ELEMENTS(targets); i++) {
        make_link("/dev/lab1", targets[i]);
        assert_policy(dev->reach, "/dev/lab1", "a symbolic link that leads out of /dev");
        g_assert_cmpint(unlink("/dev/lab1"), ==, 0);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(climbing); i++) {
        make_link("/dev/lab1", climbing[i]);
        assert_policy(dev->reach, "/dev/lab1", "/dev: the way leads out of it");
        g_assert_cmpint(unlink("/dev/lab1"), ==, 0);
    }
}

static void
test_rings(Dev *dev, gconstpointer unused)
{
    (void)unused;
    if (is_skipped(dev)) {
        return;
    }
    make_link("/dev/a", "b");
    make_link("/dev/b", "a");
    make_link("/dev/c", "c/c/c");
    assert_policy(dev->reach, "/dev/a", "too many symbolic links");
    assert_policy(dev->reach, "/dev/c", "too many symbolic links");
    make_link("/dev/l0", "ttyUSB0");
    for (guint i = 0; i < 8; i++) {
        g_autofree char *path = g_strdup_printf("/dev/l%u", i + 1);
        g_autofree char *target = g_strdup_printf("l%u", i);
        make_link(path, target);
    }
    assert_port(dev->reach, "/dev/l7", 0);
    assert_policy(dev->reach, "/dev/l8", "/dev/l0: too many symbolic links");
}

static void
test_depth(Dev *dev, gconstpointer unused)
{
    g_autoptr(GString) path = g_string_new("/dev");
    (void)unused;
    if (is_skipped(dev)) {
        return;
    }
    for (guint i = 0; i < 16; i++) {
        g_string_append(path, "/x");
        make_folder(path->str);
    }
    g_string_append(path, "/ttyUSB0");
    g_autoptr(GError) error = NULL;
    g_assert_cmpint(kd_reach_open(dev->reach, path->str, &error), ==, -1);
    g_assert_error(error, KD_ERROR, KD_ERROR_POLICY);
    g_assert_true(g_str_has_suffix(error->message, "too many folders"));
}

static void
test_no_port(Dev *dev, gconstpointer unused)
{
    static const char *const paths[] = {"/dev/null", "/dev/console", "/dev/pts0", "/dev/serial",
                                        "/dev/file", "/dev/lab1",    "/dev/disk"};
    (void)unused;
    if (is_skipped(dev)) {
        return;
    }
    make_link("/dev/lab1", "null");
    g_assert_cmpint(mknod("/dev/console", S_IFCHR | 0600, makedev(4, 63)), ==, 0);
    g_assert_cmpint(mknod("/dev/pts0", S_IFCHR | 0600, makedev(136, 0)), ==, 0);
    g_assert_cmpint(mknod("/dev/disk", S_IFBLK | 0600, makedev(188, 0)), ==, 0);
    g_assert_cmpint(mknod("/dev/file", S_IFREG | 0600, 0), ==, 0);
    for (gsize i = 0; i < G_N_ELEMENTS(paths); i++) {
        assert_policy(dev->reach, paths[i], NO_PORT);
    }
    assert_fails(dev->reach, "/dev/ttyUSB0/x", G_IO_ERROR, G_IO_ERROR_NOT_DIRECTORY,
                 "/dev/ttyUSB0/x: Not a directory");
}

static void
test_missing(Dev *dev, gconstpointer unused)
{
    static const char *const paths[] = {"/dev/ttyUSB1", "/dev/serial/by-id/usb-other",
                                        "/dev/serial/by-path/x", "/dev/lab1"};
    (void)unused;
    if (is_skipped(dev)) {
        return;
    }
    make_link("/dev/lab1", "ttyUSB1"); /* as it is between two events */
    for (gsize i = 0; i < G_N_ELEMENTS(paths); i++) {
        g_autofree char *message = g_strconcat(paths[i], ": No such file or directory", NULL);
        assert_fails(dev->reach, paths[i], G_IO_ERROR, G_IO_ERROR_NOT_FOUND, message);
    }
    g_assert_cmpint(mknod("/dev/ttyUSB1", S_IFCHR | 0660, makedev(188, 1)), ==, 0);
    assert_port(dev->reach, "/dev/lab1", 1);
}

/* A folder that was given beside it takes nothing away. */
static void
test_folder_given_too(Dev *dev, gconstpointer unused)
{
    (void)unused;
    if (is_skipped(dev)) {
        return;
    }
    g_autoptr(GError) error = NULL;
    gboolean is_added = kd_reach_add_folder(dev->reach, "/dev", &error);
    g_assert_no_error(error);
    g_assert_true(is_added);
    assert_port(dev->reach, "/dev/serial/by-id/usb-lab", 0);
    make_link("/dev/lab1", "/etc/passwd");
    assert_policy(dev->reach, "/dev/lab1", "a symbolic link, and none is followed beneath /dev");
    make_link("/dev/lab2", "ttyUSB1");
    assert_fails(dev->reach, "/dev/lab2", G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                 "/dev/lab2: No such file or directory");
    /* And without the rule for serial ports no link is followed. */
    g_autoptr(KdReach) folder_only = kd_reach_new();
    is_added = kd_reach_add_folder(folder_only, "/dev", &error);
    g_assert_no_error(error);
    g_assert_true(is_added);
    assert_port(folder_only, "/dev/ttyUSB0", 0);
    assert_policy(folder_only, "/dev/serial/by-id/usb-lab",
                  "a symbolic link, and none is followed beneath /dev");
}

#define ADD(name, function) \
    g_test_add("/loader/reach/device/" name, Dev, NULL, dev_set_up, function, dev_tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("links-of-root-are-followed", test_links_of_root);
    ADD("links-of-others-are-refused", test_links_of_others);
    ADD("folders-of-others-are-refused", test_folders_of_others);
    ADD("beside-no-link-needs-no-trust", test_dev_itself);
    ADD("link-out-of-dev-is-refused", test_way_out);
    ADD("rings-of-links-end", test_rings);
    ADD("depth-has-a-bound", test_depth);
    ADD("what-is-no-serial-port-is-refused", test_no_port);
    ADD("missing-one-may-appear", test_missing);
    ADD("folder-given-too-takes-nothing-away", test_folder_given_too);
    return g_test_run();
}
