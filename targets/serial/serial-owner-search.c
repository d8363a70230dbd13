/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looking through /proc for the programs that have terminal devices open. It takes as long as the
 * machine has processes and descriptors: for a thread, not for the loop. */
#include "serial-owner-search.h"

#include "serial-printable.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define LOCK_FOLDER "/run/lock"
#define LOCK_PREFIX "LCK.."

/* Unix98 slaves (Documentation/admin-guide/devices.txt) */
#define PTY_FIRST_MAJOR 136u
#define PTY_LAST_MAJOR  143u

/* One process: of each device, whether the process has it open, and whether it has a pty's other
 * side too */
typedef struct {
    GPtrArray *devices; /* SerialSearched */
    GCancellable *cancellable;
    gboolean has_ptys;
    gboolean is_hindered; /* a process may not be looked at */
    gboolean has_seen_first;
    gboolean *holds;
    gboolean *is_far_side;
} Search;

/* ---- what is looked for ---------------------------------------------------------------------- */

static gboolean
is_pty(dev_t number)
{
    return major(number) >= PTY_FIRST_MAJOR && major(number) <= PTY_LAST_MAJOR;
}

static unsigned
get_pty_index(dev_t number)
{
    return (major(number) - PTY_FIRST_MAJOR) * 256 + minor(number);
}

/**
 * serial_searched_new:
 * @path_fd: O_PATH descriptor of a device's node; not needed after the call
 *
 * Returns: (transfer full) (nullable): %NULL for what is no character device
 */
SerialSearched *
serial_searched_new(int path_fd)
{
    struct stat status = {0};
    if (fstat(path_fd, &status) != 0 || !S_ISCHR(status.st_mode)) {
        return NULL;
    }
    g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", path_fd);
    SerialSearched *searched = g_new0(SerialSearched, 1);
    searched->path = g_file_read_link(link, NULL);
    searched->number = status.st_rdev;
    searched->node_system = status.st_dev;
    searched->node_inode = status.st_ino;
    return searched;
}

/**
 * serial_searched_free:
 * @searched: (transfer full) (nullable)
 */
void
serial_searched_free(SerialSearched *searched)
{
    if (searched == NULL) {
        return;
    }
    g_free(searched->path);
    g_free(searched->owner);
    g_free(searched);
}

static gboolean
is_over(const Search *search)
{
    if (g_cancellable_is_cancelled(search->cancellable)) {
        return TRUE;
    }
    for (guint i = 0; i < search->devices->len; i++) {
        if (((SerialSearched *)search->devices->pdata[i])->owner == NULL) {
            return FALSE;
        }
    }
    return TRUE;
}

/* ---- processes ------------------------------------------------------------------------------- */

static gboolean
parse_pid(const char *text, pid_t *pid)
{
    guint64 number = 0;
    if (!g_ascii_string_to_unsigned(text, 10, 1, G_MAXINT32, &number, NULL)) {
        return FALSE;
    }
    *pid = (pid_t)number;
    return TRUE;
}

static char *
build_owner(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/comm", (int)pid);
    g_autofree char *comm = NULL;
    if (!g_file_get_contents(path, &comm, NULL, NULL)) {
        return g_strdup_printf("a program (pid %d)", (int)pid);
    }
    g_autofree char *name = serial_build_printable(comm);
    return g_strdup_printf("%s (pid %d)", name, (int)pid);
}

static gboolean
is_alive(pid_t pid)
{
    return kill(pid, 0) == 0 || errno == EPERM;
}

/* A line of what the kernel tells about a descriptor (proc_pid_fdinfo(5)). @base: of the number
 * there. Returns: -1: there is no such line */
static int64_t
read_fd_info(int process, const char *fd_name, const char *key, unsigned base)
{
    char path[64];
    char text[512];
    g_snprintf(path, sizeof path, "fdinfo/%s", fd_name);
    int fd = openat(process, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    ssize_t len_bytes = read(fd, text, sizeof text - 1);
    close(fd);
    text[MAX(len_bytes, 0)] = '\0';
    const char *line = strstr(text, key);
    return line != NULL ? g_ascii_strtoll(line + strlen(key), NULL, base) : -1;
}

static void
note_far_side(Search *search, int process, const char *fd_name)
{
    /* since Linux 4.14 */
    int64_t index = search->has_ptys ? read_fd_info(process, fd_name, "tty-index:", 10) : -1;
    for (guint i = 0; index >= 0 && i < search->devices->len; i++) {
        const SerialSearched *device = search->devices->pdata[i];
        if (is_pty(device->number) && get_pty_index(device->number) == index) {
            search->is_far_side[i] = TRUE;
        }
    }
}

/* Whether a descriptor only names the file, like those of our own rules */
static gboolean
is_path_only(int process, const char *fd_name)
{
    int64_t flags = read_fd_info(process, fd_name, "flags:", 8);
    return flags >= 0 && (flags & O_PATH) != 0;
}

static void
note_device(Search *search, int process, int fds, const char *fd_name)
{
    struct statx found = {0};
    if (statx(fds, fd_name, AT_STATX_DONT_SYNC, STATX_TYPE, &found) != 0 ||
        !S_ISCHR(found.stx_mode)) {
        return;
    }
    dev_t number = makedev(found.stx_rdev_major, found.stx_rdev_minor);
    dev_t node_system = makedev(found.stx_dev_major, found.stx_dev_minor);
    for (guint i = 0; i < search->devices->len; i++) {
        const SerialSearched *device = search->devices->pdata[i];
        /* Each container counts its ptys from 0 on. */
        gboolean is_same_node = device->node_system == 0 || device->node_system == node_system;
        if (device->number == number && (!is_pty(number) || is_same_node) &&
            !is_path_only(process, fd_name)) {
            search->holds[i] = TRUE;
        }
    }
}

/* Looks at one descriptor. What its link names is judged by that first: stat() of a file on a
 * server that is gone would not come back. */
static void
look_at_fd(Search *search, int process, int fds, const char *fd_name)
{
    char target[PATH_MAX];
    ssize_t len_bytes = readlinkat(fds, fd_name, target, sizeof target - 1);
    if (len_bytes <= 0) {
        return;
    }
    target[len_bytes] = '\0';
    if (strcmp(target, "/dev/ptmx") == 0 || strcmp(target, "/dev/pts/ptmx") == 0) {
        note_far_side(search, process, fd_name);
    } else if (g_str_has_prefix(target, "/dev/")) {
        note_device(search, process, fds, fd_name);
    }
}

static void
look_at_fds(Search *search, int process, int fds, DIR *folder)
{
    for (struct dirent *entry = readdir(folder);
         entry != NULL && !g_cancellable_is_cancelled(search->cancellable);
         entry = readdir(folder)) {
        if (g_ascii_isdigit(entry->d_name[0])) {
            look_at_fd(search, process, fds, entry->d_name);
        }
    }
}

static void
look_at_process(Search *search, int proc, const char *name, pid_t pid)
{
    int process = openat(proc, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fds = process >= 0 ? openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    search->is_hindered |= process >= 0 && fds < 0 && errno != ENOENT && errno != ESRCH;
    DIR *folder = fds >= 0 ? fdopendir(fds) : NULL;
    gsize n = search->devices->len;
    memset(search->holds, 0, n * sizeof(gboolean));
    memset(search->is_far_side, 0, n * sizeof(gboolean));
    if (folder != NULL) {
        look_at_fds(search, process, fds, folder);
        closedir(folder); /* and fds */
    } else if (fds >= 0) {
        close(fds);
    }
    if (process >= 0) {
        close(process);
    }
    for (gsize i = 0; i < n; i++) {
        SerialSearched *device = search->devices->pdata[i];
        if (search->holds[i] && !search->is_far_side[i] && device->owner == NULL) {
            device->owner = build_owner(pid);
        }
    }
}

static void
look_at_processes(Search *search)
{
    DIR *proc = opendir("/proc");
    if (proc == NULL) {
        return;
    }
    for (struct dirent *entry = readdir(proc); entry != NULL && !is_over(search);
         entry = readdir(proc)) {
        pid_t pid = 0;
        if (!parse_pid(entry->d_name, &pid)) {
            continue;
        }
        search->has_seen_first |= pid == 1;
        if (pid != getpid()) {
            look_at_process(search, dirfd(proc), entry->d_name, pid);
        }
    }
    closedir(proc);
}

/* ---- locks ----------------------------------------------------------------------------------- */

static void
note_owner(SerialSearched *device, pid_t pid)
{
    if (device->owner == NULL && pid > 0 && pid != getpid() && is_alive(pid)) {
        device->owner = build_owner(pid);
    }
}

/* Several threads search. */
static const GRegex *
get_lock_form(void)
{
    static GRegex *form;
    static gsize is_made;
    if (g_once_init_enter(&is_made)) {
        form = g_regex_new("^\\d+: \\w+ +\\w+ +\\w+ +(\\d+) ([0-9a-f]+):([0-9a-f]+):(\\d+) ",
                           G_REGEX_OPTIMIZE, 0, NULL);
        g_once_init_leave(&is_made, 1);
    }
    return form;
}

/* `1: FLOCK  ADVISORY  WRITE 4711 00:05:123 0 EOF` (proc(5)); lines with an arrow only wait */
static void
look_at_lock(Search *search, const char *line)
{
    g_autoptr(GMatchInfo) match = NULL;
    if (!g_regex_match(get_lock_form(), line, 0, &match)) {
        return;
    }
    g_autofree char *pid_text = g_match_info_fetch(match, 1);
    g_autofree char *major_text = g_match_info_fetch(match, 2);
    g_autofree char *minor_text = g_match_info_fetch(match, 3);
    g_autofree char *inode_text = g_match_info_fetch(match, 4);
    pid_t pid = (pid_t)g_ascii_strtoull(pid_text, NULL, 10);
    dev_t system = makedev((unsigned)g_ascii_strtoull(major_text, NULL, 16),
                           (unsigned)g_ascii_strtoull(minor_text, NULL, 16));
    uint64_t inode = g_ascii_strtoull(inode_text, NULL, 10);
    for (guint i = 0; i < search->devices->len; i++) {
        SerialSearched *device = search->devices->pdata[i];
        if (device->node_inode == inode && device->node_system == system) {
            note_owner(device, pid);
        }
    }
}

/* Who may not look at the descriptors of another user's process still sees its locks. */
static void
look_at_locks(Search *search)
{
    FILE *locks = fopen("/proc/locks", "re");
    char *line = NULL;
    size_t size_bytes = 0;
    if (locks == NULL) {
        return;
    }
    while (!is_over(search) && getline(&line, &size_bytes, locks) > 0) {
        look_at_lock(search, line);
    }
    free(line);
    fclose(locks);
}

/* `LCK..ttyUSB0`, `LCK..pts_3`, or the name of a link in /dev */
static gboolean
is_lock_name_of(const SerialSearched *device, const char *name)
{
    struct stat status = {0};
    g_autofree char *linked = g_strconcat("/dev/", name, NULL);
    if (device->path != NULL && g_str_has_prefix(device->path, "/dev/")) {
        g_autofree char *own = g_strdelimit(g_strdup(device->path + strlen("/dev/")), "/", '_');
        if (strcmp(own, name) == 0) {
            return TRUE;
        }
    }
    return stat(linked, &status) == 0 && S_ISCHR(status.st_mode) &&
           status.st_rdev == device->number;
}

/* The process id, ten digits with blanks before them (FHS 5.9); anybody may have made the file.
 * Returns: 0 for what is none */
static pid_t
read_lock_file(int folder, const char *name)
{
    char text[64];
    struct stat status = {0};
    int fd = openat(folder, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    ssize_t len_bytes = -1;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
        len_bytes = read(fd, text, sizeof text - 1);
    }
    close(fd);
    text[MAX(len_bytes, 0)] = '\0';
    g_auto(GStrv) words = g_strsplit_set(g_strstrip(text), " \t\n", 2);
    pid_t pid = 0;
    return words[0] != NULL && parse_pid(words[0], &pid) ? pid : 0;
}

static void
look_at_lock_files(Search *search)
{
    DIR *folder = opendir(LOCK_FOLDER);
    if (folder == NULL) {
        return;
    }
    for (struct dirent *entry = readdir(folder); entry != NULL && !is_over(search);
         entry = readdir(folder)) {
        if (!g_str_has_prefix(entry->d_name, LOCK_PREFIX)) {
            continue;
        }
        for (guint i = 0; i < search->devices->len; i++) {
            SerialSearched *device = search->devices->pdata[i];
            if (device->owner == NULL &&
                is_lock_name_of(device, entry->d_name + strlen(LOCK_PREFIX))) {
                note_owner(device, read_lock_file(dirfd(folder), entry->d_name));
            }
        }
    }
    closedir(folder);
}

/**
 * serial_owner_search:
 * @devices: (element-type SerialSearched): their owners are filled in
 * @cancellable: (nullable): ends the search early
 *
 * Looks for the processes that have one of the devices open, have locked its node, or have a lock
 * file for it as minicom and picocom do. This process itself does not count, nor does one that has
 * a pty's other side. Blocks: call it in a thread.
 *
 * Returns: whether all processes could be looked at: only then who was not found is not there
 */
gboolean
serial_owner_search(GPtrArray *devices, GCancellable *cancellable)
{
    Search search = {.devices = devices, .cancellable = cancellable};
    g_autofree gboolean *holds = g_new0(gboolean, devices->len);
    g_autofree gboolean *is_far_side = g_new0(gboolean, devices->len);
    search.holds = holds;
    search.is_far_side = is_far_side;
    for (guint i = 0; i < devices->len; i++) {
        search.has_ptys |= is_pty(((const SerialSearched *)devices->pdata[i])->number);
    }
    look_at_processes(&search);
    look_at_locks(&search);
    look_at_lock_files(&search);
    /* Where processes of others are hidden, so is the first one. */
    return search.has_seen_first && !search.is_hindered;
}
