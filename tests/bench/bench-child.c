/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Programs that a measurement starts: placed, watched, counted and ended by process id. */
#include "bench-child.h"

#include "bench-samples.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_LIMIT_MS 10000u
#define STOP_LIMIT_MS  2000u
#define LOOK_EVERY_MS  2u

struct BenchChild {
    pid_t pid;
    char *name;
    char *log;
};

/* For bench_child_stop_all(): the watchdog's thread reads it while the main one waits. */
static GMutex children_lock;
static GPtrArray *children;

static _Noreturn void
become(const char *const *argv, const char *const *environment, const char *log, BenchPlace place,
       pid_t parent)
{
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || log_fd < 0) {
        _exit(127);
    }
    signal(SIGPIPE, SIG_DFL);
    bench_place_relay(place);
    dup2(null_fd, STDIN_FILENO);
    dup2(log_fd, STDOUT_FILENO);
    dup2(log_fd, STDERR_FILENO);
    for (guint i = 0; environment != NULL && environment[i] != NULL; i += 2) {
        g_setenv(environment[i], environment[i + 1], TRUE);
    }
    execvp(argv[0], (char *const *)argv);
    dprintf(STDERR_FILENO, "%s: %s\n", argv[0], g_strerror(errno));
    _exit(127);
}

/**
 * bench_child_start:
 * @folder: where its log goes
 * @environment: (nullable): names and values by turns, %NULL-terminated
 *
 * Starts a program. What it prints goes to a file, so that nobody has to read a pipe empty.
 *
 * Returns: (transfer full): the child.
 */
BenchChild *
bench_child_start(const char *const *argv, const char *folder, BenchPlace place,
                  const char *const *environment, GError **error)
{
    static guint n_started;
    g_autoptr(BenchChild) child = g_new0(BenchChild, 1);
    pid_t parent = getpid();

    child->name = g_path_get_basename(argv[0]);
    child->log = g_strdup_printf("%s/%s-%u.log", folder, child->name, n_started++);
    child->pid = fork();
    if (child->pid < 0) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "%s: %s", child->name, g_strerror(errno));
        return NULL;
    }
    if (child->pid == 0) {
        become(argv, environment, child->log, place, parent);
    }
    g_mutex_lock(&children_lock);
    if (children == NULL) {
        children = g_ptr_array_new();
    }
    g_ptr_array_add(children, child);
    g_mutex_unlock(&children_lock);
    return g_steal_pointer(&child);
}

static pid_t
get_parent_of(const char *pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%s/stat", pid);
    g_autofree char *text = NULL;
    const char *after_name;

    if (!g_file_get_contents(path, &text, NULL, NULL)) {
        return -1;
    }
    after_name = strrchr(text, ')');
    return after_name != NULL && strlen(after_name) > 4 ? (pid_t)atoi(after_name + 4) : -1;
}

/**
 * bench_child_dup_tree:
 *
 * Returns: (transfer full) (element-type int): the child and all that descends from it; a relay
 *    that forks for each connection is counted whole.
 */
GArray *
bench_child_dup_tree(const BenchChild *child)
{
    GArray *tree = g_array_new(FALSE, FALSE, sizeof(int));
    guint n_before;

    g_array_append_val(tree, child->pid);
    do {
        g_autoptr(GDir) proc = g_dir_open("/proc", 0, NULL);
        const char *name;

        n_before = tree->len;
        while (proc != NULL && (name = g_dir_read_name(proc)) != NULL) {
            int pid = atoi(name);
            pid_t parent = pid > 0 ? get_parent_of(name) : -1;
            gboolean is_in = FALSE;
            gboolean is_of = FALSE;

            for (guint i = 0; i < tree->len; i++) {
                is_in = is_in || g_array_index(tree, int, i) == pid;
                is_of = is_of || g_array_index(tree, int, i) == parent;
            }
            if (is_of && !is_in) {
                g_array_append_val(tree, pid);
            }
        }
    } while (tree->len > n_before);
    return tree;
}

static void
signal_tree(const BenchChild *child, int signal_number)
{
    g_autoptr(GArray) tree = bench_child_dup_tree(child);

    for (guint i = tree->len; i-- > 0;) {
        kill(g_array_index(tree, int, i), signal_number);
    }
}

static gboolean
has_ended(BenchChild *child)
{
    if (child->pid > 0 && waitpid(child->pid, NULL, WNOHANG) == child->pid) {
        child->pid = 0;
    }
    return child->pid <= 0;
}

static gboolean
wait_end(BenchChild *child)
{
    for (guint ms = 0; ms < STOP_LIMIT_MS; ms += LOOK_EVERY_MS) {
        if (has_ended(child)) {
            return TRUE;
        }
        bench_clock_sleep_ms(LOOK_EVERY_MS);
    }
    return has_ended(child);
}

/**
 * bench_child_stop:
 *
 * Ends the child and its descendants, kindly and then not, and frees it.
 */
void
bench_child_stop(BenchChild *child)
{
    g_mutex_lock(&children_lock);
    if (children != NULL) {
        g_ptr_array_remove_fast(children, child);
    }
    g_mutex_unlock(&children_lock);
    if (child->pid > 0) {
        signal_tree(child, SIGTERM);
        if (!wait_end(child)) {
            signal_tree(child, SIGKILL);
            wait_end(child);
        }
    }
    g_free(child->name);
    g_free(child->log);
    g_free(child);
}

/**
 * bench_child_stop_all:
 *
 * Kills every child that still runs; for the end by time limit.
 */
void
bench_child_stop_all(void)
{
    g_mutex_lock(&children_lock);
    for (guint i = 0; children != NULL && i < children->len; i++) {
        BenchChild *child = g_ptr_array_index(children, i);

        if (child->pid > 0) {
            signal_tree(child, SIGKILL);
        }
    }
    g_mutex_unlock(&children_lock);
}

static gboolean
fail(const BenchChild *child, const char *why, GError **error)
{
    g_autofree char *said = NULL;

    if (g_file_get_contents(child->log, &said, NULL, NULL)) {
        g_strchomp(said);
    }
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "%s %s%s%s", child->name, why,
                said != NULL && said[0] != '\0' ? "; it said: " : "", said != NULL ? said : "");
    return FALSE;
}

/**
 * bench_child_interrupt:
 *
 * Sends SIGINT and waits for the end, so that the child may write what it has counted.
 *
 * Returns: whether it ended in time.
 */
gboolean
bench_child_interrupt(BenchChild *child, GError **error)
{
    if (child->pid > 0) {
        kill(child->pid, SIGINT);
    }
    return wait_end(child) || fail(child, "did not end", error);
}

/**
 * bench_child_wait_line:
 *
 * Waits until the child has printed a line that holds @needle.
 *
 * Returns: (transfer full): the line.
 */
char *
bench_child_wait_line(BenchChild *child, const char *needle, GError **error)
{
    for (guint ms = 0; ms < START_LIMIT_MS; ms += LOOK_EVERY_MS) {
        g_autofree char *said = NULL;
        gboolean is_over = has_ended(child);

        if (g_file_get_contents(child->log, &said, NULL, NULL)) {
            g_auto(GStrv) lines = g_strsplit(said, "\n", -1);

            /* the last one has no end of line yet */
            for (guint i = 0; lines[i] != NULL && lines[i + 1] != NULL; i++) {
                if (strstr(lines[i], needle) != NULL) {
                    return g_strdup(lines[i]);
                }
            }
        }
        if (is_over) {
            fail(child, "ended early", error);
            return NULL;
        }
        bench_clock_sleep_ms(LOOK_EVERY_MS);
    }
    fail(child, "never became ready", error);
    return NULL;
}

static gboolean
has_descriptor(pid_t pid, const char *link)
{
    g_autofree char *folder = g_strdup_printf("/proc/%d/fd", (int)pid);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        g_autofree char *target = g_file_read_link(path, NULL);

        if (g_strcmp0(target, link) == 0) {
            return TRUE;
        }
    }
    return FALSE;
}

/* The kernel lists listening sockets before all others, of which there may be very many. */
static uint16_t
find_port(pid_t pid)
{
    FILE *file = fopen("/proc/net/tcp", "re");
    unsigned port = 0;
    unsigned state = TCP_LISTEN;
    uint16_t found = 0;
    unsigned long inode = 0;
    char line[256];

    /* the first line is the heading */
    if (file == NULL || fgets(line, sizeof line, file) == NULL) {
        g_clear_pointer(&file, fclose);
        return 0;
    }
    while (found == 0 && state == TCP_LISTEN && fgets(line, sizeof line, file) != NULL &&
           sscanf(line, "%*s %*[0-9A-F]:%X %*s %X %*s %*s %*s %*s %*s %lu", &port, &state,
                  &inode) == 3) {
        g_autofree char *link = g_strdup_printf("socket:[%lu]", inode);

        if (state == TCP_LISTEN && has_descriptor(pid, link)) {
            found = (uint16_t)port;
        }
    }
    fclose(file);
    return found;
}

/**
 * bench_child_wait_port:
 *
 * Waits until the child listens on a TCP port of the kernel's choice.
 *
 * Returns: the port; 0 with @error set.
 */
uint16_t
bench_child_wait_port(BenchChild *child, GError **error)
{
    for (guint ms = 0; ms < START_LIMIT_MS; ms += LOOK_EVERY_MS) {
        uint16_t port;

        if (has_ended(child)) {
            fail(child, "ended early", error);
            return 0;
        }
        port = find_port(child->pid);
        if (port != 0) {
            return port;
        }
        bench_clock_sleep_ms(LOOK_EVERY_MS);
    }
    fail(child, "never listened", error);
    return 0;
}

/**
 * bench_child_wait_socket:
 *
 * Waits until somebody listens on the UNIX socket @path, without connecting to it.
 *
 * Returns: whether that came in time.
 */
gboolean
bench_child_wait_socket(BenchChild *child, const char *path, GError **error)
{
    for (guint ms = 0; ms < START_LIMIT_MS; ms += LOOK_EVERY_MS) {
        g_autofree char *text = NULL;
        g_auto(GStrv) lines = NULL;

        if (has_ended(child)) {
            return fail(child, "ended early", error);
        }
        if (g_file_get_contents("/proc/net/unix", &text, NULL, NULL)) {
            lines = g_strsplit(text, "\n", -1);
            for (guint i = 0; lines[i] != NULL; i++) {
                /* Num RefCount Protocol Flags: 00010000 = accepts */
                if (g_str_has_suffix(lines[i], path) && strstr(lines[i], " 00010000 ") != NULL) {
                    return TRUE;
                }
            }
        }
        bench_clock_sleep_ms(LOOK_EVERY_MS);
    }
    return fail(child, "never listened", error);
}

/* Of all threads, also of those that have ended, in steps of a tick. */
static uint64_t
get_coarse_ns(int pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", pid);
    g_autofree char *text = NULL;
    const char *after_name = NULL;
    uint64_t user = 0;
    uint64_t system = 0;

    if (g_file_get_contents(path, &text, NULL, NULL)) {
        after_name = strrchr(text, ')');
    }
    if (after_name == NULL ||
        sscanf(after_name, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
               &user, &system) != 2) {
        return 0;
    }
    return (user + system) * (UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK));
}

static uint64_t
get_process_ns(int pid)
{
    g_autofree char *folder = g_strdup_printf("/proc/%d/task", pid);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;
    uint64_t sum = 0;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(folder, name, "schedstat", NULL);
        g_autofree char *text = NULL;

        if (g_file_get_contents(path, &text, NULL, NULL)) {
            sum += g_ascii_strtoull(text, NULL, 10);
        }
    }
    return MAX(sum, get_coarse_ns(pid));
}

/**
 * bench_child_get_cpu_ns:
 *
 * Returns: processor time of the child and its living descendants.
 */
uint64_t
bench_child_get_cpu_ns(const BenchChild *child)
{
    g_autoptr(GArray) tree = bench_child_dup_tree(child);
    uint64_t sum = 0;

    for (guint i = 0; i < tree->len; i++) {
        sum += get_process_ns(g_array_index(tree, int, i));
    }
    return sum;
}
