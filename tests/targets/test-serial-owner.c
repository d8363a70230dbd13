/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who else has a terminal open: real ptys, and real processes that have them. */
#include "kd-test-host.h"
#include "serial-owner.h"
#include "serial-printable.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define PATH_VARIABLE "KD_TEST_OWNER_PATH"
#define NOBODY        65534u

/* A pty of which this process has the master */
typedef struct {
    int master;
    char *path;
} Pty;

static void
pty_set_up(Pty *pty, gconstpointer unused)
{
    (void)unused;
    pty->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    g_assert_cmpint(pty->master, >=, 0);
    g_assert_cmpint(grantpt(pty->master), ==, 0);
    g_assert_cmpint(unlockpt(pty->master), ==, 0);
    pty->path = g_strdup(ptsname(pty->master));
}

static void
pty_tear_down(Pty *pty, gconstpointer unused)
{
    (void)unused;
    close(pty->master);
    g_free(pty->path);
}

static char *
find_with(const char *path, GCancellable *cancellable, GError **error)
{
    KdTestDone done = {0};
    char *owner = NULL;
    int fd = open(path, O_PATH | O_CLOEXEC);
    g_assert_cmpint(fd, >=, 0);
    serial_owner_find_async(fd, cancellable, kd_test_on_done, &done);
    close(fd);
    g_assert_null(done.result);
    g_autoptr(GAsyncResult) result = kd_test_wait(&done);
    g_assert_cmpint(serial_owner_find_finish(result, &owner, error), ==,
                    error == NULL || *error == NULL);
    return owner;
}

static void
assert_owner(const char *path, const char *comm, pid_t pid)
{
    g_autofree char *expected =
        comm != NULL ? g_strdup_printf("%s (pid %d)", comm, (int)pid) : NULL;
    g_autofree char *owner = find_with(path, NULL, NULL);
    g_assert_cmpstr(owner, ==, expected);
}

/* ---- processes that have it ------------------------------------------------------------------ */

static void
on_child(gpointer unused)
{
    (void)unused;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static GSubprocess *
start(const char *stdin_path, const char *const *argv)
{
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE);
    g_autoptr(GError) error = NULL;
    g_subprocess_launcher_set_stdin_file_path(launcher, stdin_path);
    g_subprocess_launcher_set_child_setup(launcher, on_child, NULL, NULL);
    GSubprocess *process = g_subprocess_launcher_spawnv(launcher, argv, &error);
    g_assert_no_error(error);
    return process;
}

static pid_t
get_pid(GSubprocess *process)
{
    return (pid_t)g_ascii_strtoll(g_subprocess_get_identifier(process), NULL, 10);
}

static void
await_line(GSubprocess *process)
{
    char text[16] = {0};
    g_autoptr(GError) error = NULL;
    GInputStream *out = g_subprocess_get_stdout_pipe(process);
    g_assert_cmpint(g_input_stream_read(out, text, sizeof text, NULL, &error), >, 0);
    g_assert_no_error(error);
}

static void
end(GSubprocess *process)
{
    g_subprocess_force_exit(process);
    g_assert_true(g_subprocess_wait(process, NULL, NULL));
    g_object_unref(process);
}

/* In a child, after fork(): says that it is ready, and stays. */
static void
stay(int ready)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)!write(ready, "", 1);
    for (;;) {
        (void)pause();
    }
}

static void
await_ready(const int *ends)
{
    char byte;
    close(ends[1]);
    g_assert_cmpint(read(ends[0], &byte, 1), ==, 1);
    close(ends[0]);
}

static void
end_child(pid_t pid)
{
    g_assert_cmpint(kill(pid, SIGKILL), ==, 0);
    g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
}

/* A process named @comm that keeps the line to itself. */
static pid_t
start_exclusive(const Pty *pty, const char *comm)
{
    int ends[2];
    g_assert_cmpint(pipe2(ends, O_CLOEXEC), ==, 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(pty->master); /* else it were the far side */
        int fd = open(pty->path, O_RDWR | O_NOCTTY);
        if (fd < 0 || ioctl(fd, TIOCEXCL) != 0 || prctl(PR_SET_NAME, comm) != 0) {
            _exit(1);
        }
        stay(ends[1]);
    }
    await_ready(ends);
    return pid;
}

static void
test_nobody(Pty *pty, gconstpointer unused)
{
    (void)unused;
    assert_owner(pty->path, NULL, 0);
    /* Ours do not count: who asks knows its own. */
    int own = open(pty->path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    g_assert_cmpint(own, >=, 0);
    assert_owner(pty->path, NULL, 0);
    close(own);
}

static void
test_cat(Pty *pty, gconstpointer unused)
{
    static const char *const argv[] = {"cat", NULL};
    GSubprocess *cat = start(pty->path, argv);
    (void)unused;
    assert_owner(pty->path, "cat", get_pid(cat));
    end(cat);
    assert_owner(pty->path, NULL, 0);
}

static void
test_other_name(Pty *pty, gconstpointer unused)
{
    static const char *const argv[] = {"cat", NULL};
    g_autofree char *folder = g_dir_make_tmp("kd-owner-XXXXXX", NULL);
    g_autofree char *link = g_build_filename(folder, "by-id", NULL);
    (void)unused;
    g_assert_cmpint(symlink(pty->path, link), ==, 0);
    GSubprocess *cat = start(link, argv);
    assert_owner(link, "cat", get_pid(cat));
    assert_owner(pty->path, "cat", get_pid(cat));
    end(cat);
    g_unlink(link);
    g_rmdir(folder);
}

static void
test_other_line(Pty *pty, gconstpointer unused)
{
    static const char *const argv[] = {"cat", NULL};
    Pty other = {0};
    (void)unused;
    pty_set_up(&other, NULL);
    GSubprocess *cat = start(other.path, argv);
    assert_owner(pty->path, NULL, 0);
    end(cat);
    pty_tear_down(&other, NULL);
}

static void
test_exclusive(Pty *pty, gconstpointer unused)
{
    (void)unused;
    pid_t pid = start_exclusive(pty, "minicom");
    assert_owner(pty->path, "minicom", pid);
    end_child(pid);
}

static void
test_printable(Pty *pty, gconstpointer unused)
{
    (void)unused;
    pid_t pid = start_exclusive(pty, "a\033[2J\nb\xff");
    assert_owner(pty->path, "a?[2J?b\357\277\275", pid);
    end_child(pid);
    g_autofree char *turned = serial_build_printable(" a\342\200\256b\342\200\250c\302\205 \n");
    g_assert_cmpstr(turned, ==, "a?b?c?");
}

/* What emulates the line has its slave open as well, as QEMU and socat do. */
static void
test_far_side(Pty *pty, gconstpointer unused)
{
    int ends[2];
    (void)unused;
    g_assert_cmpint(pipe2(ends, O_CLOEXEC), ==, 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (dup(pty->master) < 0 || open(pty->path, O_RDWR | O_NOCTTY) < 0) {
            _exit(1);
        }
        stay(ends[1]);
    }
    await_ready(ends);
    assert_owner(pty->path, NULL, 0);
    pid_t second = start_exclusive(pty, "screen");
    assert_owner(pty->path, "screen", second);
    end_child(second);
    end_child(pid);
}

/* ---- locks ----------------------------------------------------------------------------------- */

static GSubprocess *
start_flock(const char *path)
{
    const char *const argv[] = {"flock", "-F", path, "sh", "-c", "echo ready; exec sleep 1000",
                                NULL};
    GSubprocess *flock = start("/dev/null", argv);
    await_line(flock);
    return flock;
}

static void
test_flock(Pty *pty, gconstpointer unused)
{
    (void)unused;
    GSubprocess *flock = start_flock(pty->path);
    g_autofree char *owner = find_with(pty->path, NULL, NULL);
    g_autofree char *pid = g_strdup_printf(" (pid %d)", (int)get_pid(flock));
    g_assert_true(g_str_has_suffix(owner, pid)); /* sh or already sleep */
    end(flock);
    assert_owner(pty->path, NULL, 0);
}

static void
test_flock_of_another_user(Pty *pty, gconstpointer unused)
{
    (void)unused;
    if (g_test_subprocess()) {
        g_assert_cmpint(setresuid(NOBODY, NOBODY, NOBODY), ==, 0);
        g_autofree char *owner = find_with(g_getenv(PATH_VARIABLE), NULL, NULL);
        g_print("<%s>", owner);
        return;
    }
    if (getuid() != 0) {
        g_test_skip("only root can become another user");
        return;
    }
    GSubprocess *flock = start_flock(pty->path);
    g_autofree char *pattern = g_strdup_printf("*<s* (pid %d)>*", (int)get_pid(flock));
    g_setenv(PATH_VARIABLE, pty->path, TRUE);
    g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_INHERIT_STDERR);
    g_unsetenv(PATH_VARIABLE);
    g_test_trap_assert_passed();
    g_test_trap_assert_stdout(pattern);
    end(flock);
}

/* An empty /run/lock that this process alone sees */
static gboolean
enter_own_lock_folder(void)
{
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", "/run/lock", "tmpfs", 0, NULL) == 0;
}

static void
write_lock_file(const char *name, const char *text)
{
    g_autofree char *path = g_strconcat("/run/lock/LCK..", name, NULL);
    g_autoptr(GError) error = NULL;
    g_file_set_contents(path, text, -1, &error);
    g_assert_no_error(error);
}

static void
check_lock_files(const char *path, pid_t alive, pid_t dead)
{
    g_autofree char *name = g_strdelimit(g_strdup(path + strlen("/dev/")), "/", '_');
    g_autofree char *padded = g_strdup_printf("%10d\n", (int)alive);
    g_autofree char *bare = g_strdup_printf("%d", (int)alive);
    g_autofree char *verbose = g_strdup_printf("%10d minicom root\n", (int)alive);
    const char *const right[] = {padded, bare, verbose};
    for (size_t i = 0; i < G_N_ELEMENTS(right); i++) {
        write_lock_file(name, right[i]);
        assert_owner(path, "sleep", alive);
    }
    g_autofree char *stale = g_strdup_printf("%10d\n", (int)dead);
    static const char *const wrong[] = {"", "\n", "picocom\n", "-1\n", "99999999999999999999\n"};
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
        write_lock_file(name, wrong[i]);
        assert_owner(path, NULL, 0);
    }
    write_lock_file(name, stale);
    assert_owner(path, NULL, 0);
    g_autofree char *file = g_strconcat("/run/lock/LCK..", name, NULL);
    g_unlink(file);
    g_assert_cmpint(mkfifo(file, 0600), ==, 0); /* no reader waits for its writer */
    assert_owner(path, NULL, 0);
    g_unlink(file);
    write_lock_file("elsewhere", padded);
    g_assert_cmpint(symlink("LCK..elsewhere", file), ==, 0);
    assert_owner(path, NULL, 0);
    g_unlink(file);
}

static void
check_in_own_lock_folder(const char *path)
{
    static const char *const argv[] = {"sleep", "1000", NULL};
    GSubprocess *alive = start("/dev/null", argv);
    pid_t dead = fork();
    if (dead == 0) {
        _exit(0);
    }
    g_assert_cmpint(waitpid(dead, NULL, 0), ==, dead);
    check_lock_files(path, get_pid(alive), dead);
    end(alive);
}

static gboolean
may_have_own_lock_folder(void)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        _exit(enter_own_lock_folder() ? 0 : 1);
    }
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    return status == 0;
}

static void
test_lock_file(Pty *pty, gconstpointer unused)
{
    (void)unused;
    /* In a process of its own: the folder has to be there before the first thread. */
    if (g_test_subprocess()) {
        g_assert_true(enter_own_lock_folder());
        check_in_own_lock_folder(pty->path);
    } else if (!may_have_own_lock_folder()) {
        g_test_skip("this user may not mount, or there is no /run/lock");
    } else {
        g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_INHERIT_STDERR);
        g_test_trap_assert_passed();
    }
}

/* ---- the task -------------------------------------------------------------------------------- */

static void
test_cancel(Pty *pty, gconstpointer unused)
{
    static const char *const argv[] = {"cat", NULL};
    GSubprocess *cat = start(pty->path, argv);
    guint before = kd_test_count_fds();
    (void)unused;
    /* Before, in the same turn, and when the result is there unasked for */
    for (guint moment = 0; moment < 3; moment++) {
        g_autoptr(GCancellable) cancellable = g_cancellable_new();
        g_autoptr(GError) error = NULL;
        KdTestDone done = {0};
        char *owner = NULL;
        int fd = open(pty->path, O_PATH | O_CLOEXEC);
        if (moment == 0)
            g_cancellable_cancel(cancellable);
        serial_owner_find_async(fd, cancellable, kd_test_on_done, &done);
        close(fd);
        if (moment == 1)
            g_cancellable_cancel(cancellable);
        g_autoptr(GAsyncResult) result = kd_test_wait(&done);
        g_cancellable_cancel(cancellable);
        g_assert_false(serial_owner_find_finish(result, &owner, &error));
        g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
        g_assert_null(owner);
    }
    g_assert_cmpuint(kd_test_count_fds(), ==, before);
    end(cat);
}

static void
test_no_device(void)
{
    g_autofree char *folder = g_dir_make_tmp("kd-owner-XXXXXX", NULL);
    assert_owner(folder, NULL, 0);
    g_rmdir(folder);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, fn) g_test_add("/serial/owner/" name, Pty, NULL, pty_set_up, fn, pty_tear_down)
    ADD("nobody-and-ourselves-are-none", test_nobody);
    ADD("reader-is-named", test_cat);
    ADD("another-name-is-the-same-line", test_other_name);
    ADD("another-line-is-not-meant", test_other_line);
    ADD("exclusive-holder-is-named", test_exclusive);
    ADD("name-of-a-process-is-made-printable", test_printable);
    ADD("far-side-of-a-pty-is-none", test_far_side);
    ADD("flock-is-named", test_flock);
    ADD("flock-of-another-user-is-named", test_flock_of_another_user);
    ADD("lock-file-of-a-live-process-is-named", test_lock_file);
    ADD("cancelled-search-finds-nothing", test_cancel);
    g_test_add_func("/serial/owner/what-is-no-device-has-none", test_no_device);
    return g_test_run();
}
