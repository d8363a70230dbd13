/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The npipe transport as a host sees it: folders, names, sockets, who is at the other end. */
#include "kd-test-pipes.h"

#include <glib/gstdio.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const KdTransport *npipe;
static const KdTransport *spipe;

static guint
get_mode(const char *path)
{
    struct stat status;
    g_assert_cmpint(lstat(path, &status), ==, 0);
    return status.st_mode & 07777;
}

static gboolean
exists(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

/* A socket as another program would make it. */
static int
make_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    g_assert_cmpuint(g_strlcpy(address.sun_path, path, sizeof(address.sun_path)), <,
                     sizeof(address.sun_path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
    g_assert_cmpint(listen(fd, 4), ==, 0);
    return fd;
}

static void
expect_busy(const char *name, const char *text)
{
    g_autoptr(GError) error = NULL;
    KdListening listening;
    g_assert_false(kd_test_pipes_listen(npipe, name, &listening, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_BUSY);
    g_assert_nonnull(strstr(error->message, name));
    g_assert_nonnull(strstr(error->message, text));
}

/* ---- listening ---- */

static void
test_files(KdTestPipes *pipes, gconstpointer unused)
{
    g_autofree char *path = kd_test_pipes_build_path(pipes, "lab");
    g_autofree char *lock = kd_test_pipes_build_path(pipes, ".lab.lock");
    KdListening listening;
    g_autoptr(GError) error = NULL;
    mode_t mask = umask(0);
    (void)unused;
    g_assert_true(kd_test_pipes_listen(npipe, "lab", &listening, &error));
    g_assert_no_error(error);
    umask(mask);
    g_assert_cmpuint(listening.n_fds, ==, 1);
    g_assert_cmpuint(get_mode(path), ==, 0600);
    g_assert_cmpuint(get_mode(lock), ==, 0600);
    g_assert_cmpuint(get_mode(pipes->folder), ==, geteuid() == 0 ? 0755 : 0700);
    kd_test_pipes_unlisten(npipe, &listening);
    g_assert_false(exists(path));
    g_assert_false(exists(lock));
}

static void
test_codes(KdTestPipes *pipes, gconstpointer unused)
{
    g_autofree char *expected = g_strdup_printf("k_%x_%d", (guint)getpid(), (int)gettid());
    g_autofree char *path = kd_test_pipes_build_path(pipes, expected);
    const char *name = NULL;
    KdListening listening;
    (void)unused;
    g_assert_true(kd_test_pipes_listen(npipe, "\\\\.\\pipe\\k_%x_%d", &listening, NULL));
    g_assert_true(g_variant_lookup(listening.bound, "pipe", "&s", &name));
    g_assert_cmpstr(name, ==, expected);
    g_assert_true(exists(path));
    kd_test_pipes_unlisten(npipe, &listening);
}

/* The two transports have one set of names. */
static void
test_in_use(KdTestPipes *pipes, gconstpointer unused)
{
    g_autofree char *expected = g_strdup_printf("process %d", (int)getpid());
    KdListening listening;
    (void)pipes;
    (void)unused;
    g_assert_true(kd_test_pipes_listen(spipe, "lab", &listening, NULL));
    expect_busy("lab", expected);
    g_assert_true(kd_test_pipes_is_reached(npipe, "lab"));
    kd_test_pipes_unlisten(spipe, &listening);
    g_assert_true(kd_test_pipes_listen(npipe, "lab", &listening, NULL));
    kd_test_pipes_unlisten(npipe, &listening);
}

static void
test_stale(KdTestPipes *pipes, gconstpointer unused)
{
    g_autofree char *path = kd_test_pipes_build_path(pipes, "lab");
    g_autofree char *lock = kd_test_pipes_build_path(pipes, ".lab.lock");
    KdListening listening;
    g_autoptr(GError) error = NULL;
    (void)unused;
    kd_test_pipes_make_folder(pipes);
    close(make_socket(path));
    g_assert_true(g_file_set_contents(lock, "1\n", -1, NULL));
    g_assert_true(kd_test_pipes_listen(npipe, "lab", &listening, &error));
    g_assert_no_error(error);
    g_assert_true(kd_test_pipes_is_reached(npipe, "lab"));
    kd_test_pipes_unlisten(npipe, &listening);
}

/* Whoever has locked the name has it, before there is a socket as well. */
static void
test_lock(KdTestPipes *pipes, gconstpointer unused)
{
    g_autofree char *path = kd_test_pipes_build_path(pipes, "lab");
    g_autofree char *lock = kd_test_pipes_build_path(pipes, ".lab.lock");
    (void)unused;
    kd_test_pipes_make_folder(pipes);
    close(make_socket(path));
    int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    g_assert_cmpint(flock(fd, LOCK_EX), ==, 0);
    expect_busy("lab", "in use");
    g_assert_true(exists(path));
    close(fd);
}

static void
test_unlocked_server(KdTestPipes *pipes, gconstpointer unused)
{
    g_autofree char *path = kd_test_pipes_build_path(pipes, "lab");
    (void)unused;
    kd_test_pipes_make_folder(pipes);
    int fd = make_socket(path);
    expect_busy("lab", "in use");
    g_assert_true(exists(path));
    close(fd);
}

static void
test_no_socket(KdTestPipes *pipes, gconstpointer unused)
{
    g_autofree char *path = kd_test_pipes_build_path(pipes, "lab");
    (void)unused;
    kd_test_pipes_make_folder(pipes);
    g_assert_true(g_file_set_contents(path, "precious", -1, NULL));
    expect_busy("lab", "no pipe");
    g_assert_true(exists(path));
}

/* A link under the lock's name leads nowhere. */
static void
test_lock_is_link(KdTestPipes *pipes, gconstpointer unused)
{
    g_autofree char *lock = kd_test_pipes_build_path(pipes, ".lab.lock");
    g_autofree char *target = kd_test_pipes_build_path(pipes, "precious");
    KdListening listening;
    (void)unused;
    kd_test_pipes_make_folder(pipes);
    g_assert_cmpint(symlink(target, lock), ==, 0);
    g_assert_false(kd_test_pipes_listen(npipe, "lab", &listening, NULL));
    g_assert_false(exists(target));
}

/* A file that has the lock's name as well stays what it is. */
static void
test_lock_is_second_name(KdTestPipes *pipes, gconstpointer unused)
{
    g_autofree char *lock = kd_test_pipes_build_path(pipes, ".lab.lock");
    g_autofree char *other = kd_test_pipes_build_path(pipes, "precious");
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    KdListening listening;
    (void)unused;
    kd_test_pipes_make_folder(pipes);
    g_assert_true(g_file_set_contents(other, "precious", -1, NULL));
    g_assert_no_errno(link(other, lock));
    g_assert_false(kd_test_pipes_listen(npipe, "lab", &listening, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_POLICY);
    g_assert_nonnull(strstr(error->message, ".lab.lock"));
    g_assert_true(g_file_get_contents(other, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "precious");
}

static void
test_long(KdTestPipes *pipes, gconstpointer unused)
{
    size_t room = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 2 - strlen(pipes->folder);
    g_autofree char *longest = g_strnfill(room, 'a');
    g_autofree char *too_long = g_strnfill(room + 1, 'a');
    KdListening listening;
    g_autoptr(GError) error = NULL;
    (void)unused;
    g_assert_true(kd_test_pipes_listen(npipe, longest, &listening, &error));
    g_assert_no_error(error);
    g_assert_true(kd_test_pipes_is_reached(npipe, longest));
    kd_test_pipes_unlisten(npipe, &listening);
    g_assert_false(kd_test_pipes_listen(npipe, too_long, &listening, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID);
    g_assert_nonnull(strstr(error->message, "at most 107"));
}

/* ---- folders ---- */

static void
test_open_folder(KdTestPipes *pipes, gconstpointer unused)
{
    KdListening listening;
    KdEndpoint endpoint;
    g_autoptr(GError) error = NULL;
    (void)unused;
    kd_test_pipes_make_folder(pipes);
    g_assert_cmpint(g_chmod(pipes->folder, 0777), ==, 0);
    g_assert_false(kd_test_pipes_listen(npipe, "lab", &listening, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_POLICY);
    g_assert_nonnull(strstr(error->message, pipes->folder));
    g_clear_error(&error);
    g_assert_false(kd_test_pipes_connect(npipe, ".", "lab", &endpoint, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_POLICY);
    g_assert_nonnull(strstr(error->message, pipes->folder));
}

static void
test_folder_is_link(KdTestPipes *pipes, gconstpointer unused)
{
    g_autofree char *parent = g_path_get_dirname(pipes->folder);
    KdListening listening;
    (void)unused;
    kd_test_pipes_make_folder(pipes);
    g_assert_cmpint(g_rmdir(pipes->folder), ==, 0);
    g_assert_cmpint(symlink("/tmp", pipes->folder), ==, 0);
    g_assert_false(kd_test_pipes_listen(npipe, "lab", &listening, NULL));
    g_assert_cmpint(g_unlink(pipes->folder), ==, 0);
    g_assert_cmpint(g_rmdir(parent), ==, 0);
}

static void
test_foreign_folder(KdTestPipes *pipes, gconstpointer unused)
{
    KdListening listening;
    g_autoptr(GError) error = NULL;
    (void)unused;
    if (geteuid() != 0) {
        g_test_skip("only root can give a folder away");
        return;
    }
    kd_test_pipes_make_folder(pipes);
    g_assert_cmpint(chown(pipes->folder, 65534, 65534), ==, 0);
    g_assert_false(kd_test_pipes_listen(npipe, "lab", &listening, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_POLICY);
    g_assert_nonnull(strstr(error->message, "65534"));
}

/* Whoever is in the group kdsrv reaches the pipes of root, and may have own ones beside them. */
static void
test_group(KdTestPipes *pipes, gconstpointer unused)
{
    g_autofree char *path = kd_test_pipes_build_path(pipes, "lab");
    g_autofree char *lock = kd_test_pipes_build_path(pipes, ".lab.lock");
    g_autofree char *groups = g_build_filename(pipes->home, "group", NULL);
    struct stat status;
    KdListening listening;
    g_autoptr(GError) error = NULL;
    (void)unused;
    g_assert_true(
        g_file_set_contents(groups, "root:x:0:\nkdsrvs:x:1:\nkdsrv:x:4711:a,b\n", -1, NULL));
    if (geteuid() != 0 || mount(groups, "/etc/group", NULL, MS_BIND, NULL) != 0) {
        g_test_skip("this user may not mount");
        return;
    }
    g_assert_true(kd_test_pipes_listen(npipe, "lab", &listening, &error));
    g_assert_cmpint(umount("/etc/group"), ==, 0);
    g_assert_no_error(error);
    g_assert_cmpuint(get_mode(pipes->folder), ==, 03775);
    g_assert_cmpuint(get_mode(path), ==, 0660);
    g_assert_cmpuint(get_mode(lock), ==, 0660);
    g_assert_cmpint(stat(path, &status), ==, 0);
    g_assert_cmpuint(status.st_uid, ==, 0);
    g_assert_cmpuint(status.st_gid, ==, 4711);
    kd_test_pipes_unlisten(npipe, &listening);
}

/* ---- connecting ---- */

static void
test_connect(KdTestPipes *pipes, gconstpointer unused)
{
    g_autofree char *expected = g_strdup_printf("uid %u pid %d", (guint)geteuid(), (int)getpid());
    const char *peer = NULL;
    guint32 uid = 99;
    guint32 pid = 0;
    KdListening listening;
    KdEndpoint endpoint;
    (void)pipes;
    (void)unused;
    g_assert_true(kd_test_pipes_listen(npipe, "lab", &listening, NULL));
    g_assert_true(kd_test_pipes_connect(npipe, ".", "\\\\.\\pipe\\lab", &endpoint, NULL));
    g_assert_cmpuint(endpoint.flags, ==, KD_ENDPOINT_HALF_CLOSE | KD_ENDPOINT_ENCRYPTED);
    g_assert_true(g_variant_lookup(endpoint.facts, "peer", "&s", &peer));
    g_assert_true(g_variant_lookup(endpoint.facts, "peer-uid", "u", &uid));
    g_assert_true(g_variant_lookup(endpoint.facts, "peer-pid", "u", &pid));
    g_assert_cmpstr(peer, ==, expected);
    g_assert_cmpuint(uid, ==, geteuid());
    g_assert_cmpuint(pid, ==, (guint)getpid());
    kd_test_pipes_close(&endpoint);
    kd_test_pipes_unlisten(npipe, &listening);
}

static void
test_own_names(KdTestPipes *pipes, gconstpointer unused)
{
    g_autofree char *own = g_ascii_strup(g_get_host_name(), -1);
    g_autofree char *short_name = g_strndup(own, strcspn(own, "."));
    const char *const names[] = {".",   "localhost", "LocalHost", "127.0.0.1",
                                 "::1", "[::1]",     own,         short_name};
    KdListening listening;
    (void)pipes;
    (void)unused;
    g_assert_true(kd_test_pipes_listen(npipe, "lab", &listening, NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        KdEndpoint endpoint;
        g_autoptr(GError) error = NULL;
        g_assert_true(kd_test_pipes_connect(npipe, names[i], "lab", &endpoint, &error));
        g_assert_no_error(error);
        kd_test_pipes_close(&endpoint);
    }
    kd_test_pipes_unlisten(npipe, &listening);
}

static void
test_not_found(KdTestPipes *pipes, gconstpointer unused)
{
    KdEndpoint endpoint;
    g_autoptr(GError) error = NULL;
    (void)unused;
    g_assert_false(kd_test_pipes_connect(npipe, ".", "nobody", &endpoint, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
    g_assert_nonnull(strstr(error->message, "nobody"));
    g_assert_nonnull(strstr(error->message, pipes->folder));
}

static void
test_dead(KdTestPipes *pipes, gconstpointer unused)
{
    g_autofree char *path = kd_test_pipes_build_path(pipes, "lab");
    KdEndpoint endpoint;
    g_autoptr(GError) error = NULL;
    (void)unused;
    kd_test_pipes_make_folder(pipes);
    close(make_socket(path));
    g_assert_false(kd_test_pipes_connect(npipe, ".", "lab", &endpoint, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);
    g_assert_nonnull(strstr(error->message, path));
}

/* What the machine's folder has not is looked for in the user's own. */
static void
test_both_folders(KdTestPipes *pipes, gconstpointer unused)
{
    g_autofree char *folder = g_build_filename(pipes->home, "kdsrv", "pipe", NULL);
    g_autofree char *path = g_build_filename(folder, "own", NULL);
    KdEndpoint endpoint;
    g_autoptr(GError) error = NULL;
    (void)unused;
    g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
    int fd = make_socket(path);
    g_setenv("XDG_RUNTIME_DIR", pipes->home, TRUE);
    g_assert_true(kd_test_pipes_connect(npipe, ".", "own", &endpoint, &error));
    g_assert_no_error(error);
    kd_test_pipes_close(&endpoint);
    g_assert_false(kd_test_pipes_connect(npipe, ".", "nobody", &endpoint, &error));
    g_assert_nonnull(strstr(error->message, folder));
    g_assert_nonnull(strstr(error->message, "/run/kdsrv/pipe"));
    g_clear_error(&error);
    /* Where others of the group could have put it, it is nobody's. */
    g_assert_cmpint(g_chmod(folder, 0770), ==, 0);
    g_assert_false(kd_test_pipes_connect(npipe, ".", "own", &endpoint, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_POLICY);
    close(fd);
}

static void
test_check(KdTestPipes *pipes, gconstpointer unused)
{
    static const char *const wrong[] = {
        "{'pipe': <'%s'>}",
        "{'pipe': <'a b'>}",
        "{'server': <'-oProxyCommand=x'>, 'pipe': <'lab'>}",
        "{'server': <'a;b'>, 'pipe': <'lab'>}",
        "{'server': <'.'>, 'pipe': <'a/b'>}",
    };
    static const char *const right[] = {
        "{'pipe': <'k_%x_%d'>}",
        "{'server': <'.'>, 'pipe': <'k_%s'>}",
        "{'server': <'root@far.example'>, 'pipe': <'lab'>}",
    };
    (void)pipes;
    (void)unused;
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GVariant) params = g_variant_ref_sink(g_variant_new_parsed(wrong[i]));
        g_autoptr(GError) error = NULL;
        g_assert_false(npipe->check(params, &error));
        g_assert_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(right); i++) {
        g_autoptr(GVariant) params = g_variant_ref_sink(g_variant_new_parsed(right[i]));
        g_autoptr(GError) error = NULL;
        g_assert_true(npipe->check(params, &error));
        g_assert_no_error(error);
    }
}

static void
test_spipe_flag(KdTestPipes *pipes, gconstpointer unused)
{
    (void)pipes;
    (void)unused;
    g_assert_cmpuint(npipe->caps & KD_TRANSPORT_TLS, ==, 0);
    g_assert_cmpuint(spipe->caps & KD_TRANSPORT_TLS, !=, 0);
    g_assert_cmpstr(spipe->scheme, ==, "spipe");
}

#define add(path, fn) \
    g_test_add(path, KdTestPipes, NULL, kd_test_pipes_set_up, fn, kd_test_pipes_tear_down)

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (g_getenv("KD_PLUGINDIR") != NULL) {
        npipe = kd_test_load_plugin("kdsrv-transport-npipe.so")->transports[0];
        spipe = kd_test_load_plugin("kdsrv-transport-spipe.so")->transports[0];
    }
    add("/npipe/listen/socket-is-its-owner's-and-goes-again", test_files);
    add("/npipe/listen/codes-become-the-real-name", test_codes);
    add("/npipe/listen/name-in-use-names-the-holder", test_in_use);
    add("/npipe/listen/stale-socket-is-replaced", test_stale);
    add("/npipe/listen/locked-name-is-in-use", test_lock);
    add("/npipe/listen/server-without-a-lock-is-let-live", test_unlocked_server);
    add("/npipe/listen/what-is-no-socket-stays", test_no_socket);
    add("/npipe/listen/lock-follows-no-link", test_lock_is_link);
    add("/npipe/listen/lock-leaves-another-file-alone", test_lock_is_second_name);
    add("/npipe/listen/path-of-a-socket-has-a-limit", test_long);
    add("/npipe/folder/open-to-others-is-refused", test_open_folder);
    add("/npipe/folder/link-is-refused", test_folder_is_link);
    add("/npipe/folder/somebody-else's-is-refused", test_foreign_folder);
    add("/npipe/folder/group-kdsrv-is-let-in", test_group);
    add("/npipe/connect/tells-who-serves", test_connect);
    add("/npipe/connect/own-names-are-local", test_own_names);
    add("/npipe/connect/no-such-pipe-names-the-folder", test_not_found);
    add("/npipe/connect/dead-server-is-said", test_dead);
    add("/npipe/connect/looks-in-both-folders", test_both_folders);
    add("/npipe/check/wrong-names-and-hosts-are-refused", test_check);
    add("/spipe/table/asks-the-host-for-tls", test_spipe_flag);
    return g_test_run();
}
