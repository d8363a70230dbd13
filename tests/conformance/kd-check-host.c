/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host that a plugin under test is given, and the loop that it runs in, with a stopwatch. */
#include "kd-check.h"

#include <glib-unix.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif
#ifndef HAS_SANITIZER
#define HAS_SANITIZER 0
#endif

#define STALL_US     (HAS_SANITIZER ? 250000 : 50000)
#define CASE_SECONDS (HAS_SANITIZER ? 150u : 50u)

struct KdWatch {
    int fd;
    guint source_id;
    uint32_t ready;
    KdReadyFunc fn;
    void *user;
};

/* Wall clock alone would blame the plugin for a busy machine: it stalls when it used the processor
 * for so long, or gave it away by itself. */
typedef struct {
    gint64 wall_us;
    gint64 cpu_us;
    long n_sleeps;
} Moment;

static GPollFunc plain_poll;
static Moment started;
static char *stall;
static guint n_watches;
static guint watchdog_id;

static gboolean
on_fd(gint fd G_GNUC_UNUSED, GIOCondition condition, gpointer user)
{
    KdWatch *watch = user;
    uint32_t ready = 0;
    if ((condition & (G_IO_IN | G_IO_HUP | G_IO_ERR)) != 0)
        ready |= KD_READY_IN;
    if ((condition & (G_IO_OUT | G_IO_HUP | G_IO_ERR)) != 0)
        ready |= KD_READY_OUT;
    watch->fn(watch->user, ready & watch->ready);
    return G_SOURCE_CONTINUE; /* the watch may be gone */
}

static void
host_watch_set(KdWatch *watch, uint32_t ready)
{
    unsigned condition = 0;
    if ((ready & KD_READY_IN) != 0)
        condition |= G_IO_IN;
    if ((ready & KD_READY_OUT) != 0)
        condition |= G_IO_OUT;
    g_clear_handle_id(&watch->source_id, g_source_remove);
    watch->ready = ready;
    if (condition != 0)
        watch->source_id = g_unix_fd_add(watch->fd, (GIOCondition)condition, on_fd, watch);
}

static KdWatch *
host_watch_add(const KdHost *host, int fd, uint32_t ready, KdReadyFunc fn, void *user)
{
    g_assert_true(host == &kd_check_host);
    if (fcntl(fd, F_GETFD) < 0)
        return NULL;
    KdWatch *watch = g_new0(KdWatch, 1);
    watch->fd = fd;
    watch->fn = fn;
    watch->user = user;
    n_watches++;
    host_watch_set(watch, ready);
    return watch;
}

static void
host_watch_remove(KdWatch *watch)
{
    /* before close(): the descriptor must still be one */
    g_assert_cmpint(fcntl(watch->fd, F_GETFD), >=, 0);
    host_watch_set(watch, 0);
    n_watches--;
    g_free(watch);
}

static int
host_open_path(const KdHost *host, const char *path, GError **error)
{
    g_assert_true(host == &kd_check_host);
    g_assert_true(g_path_is_absolute(path));
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        g_set_error(error, G_IO_ERROR, (gint)g_io_error_from_errno(errno), "%s: %s", path,
                    g_strerror(errno));
    return fd;
}

static gboolean
host_may_dial(const KdHost *host, const char *name, GSocketAddress *address,
              GError **error G_GNUC_UNUSED)
{
    g_assert_true(host == &kd_check_host);
    g_assert_nonnull(name);
    g_assert_true(address == NULL || G_IS_SOCKET_ADDRESS(address));
    return TRUE;
}

const KdHost kd_check_host = {
    .struct_size = sizeof(KdHost),
    .abi_major = KD_ABI_MAJOR,
    .abi_minor = KD_ABI_MINOR,
    .watch_add = host_watch_add,
    .watch_set = host_watch_set,
    .watch_remove = host_watch_remove,
    .open_path = host_open_path,
    .may_dial = host_may_dial,
};

static Moment
get_moment(void)
{
    struct rusage usage = {0};
    (void)getrusage(RUSAGE_THREAD, &usage);
    return (Moment){
        .wall_us = g_get_monotonic_time(),
        .cpu_us = ((gint64)usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
                  usage.ru_utime.tv_usec + usage.ru_stime.tv_usec,
        .n_sleeps = usage.ru_nvcsw,
    };
}

static gint
timed_poll(GPollFD *fds, guint n_fds, gint timeout_ms)
{
    gint n = plain_poll(fds, n_fds, timeout_ms);
    int saved = errno;
    started = get_moment();
    errno = saved;
    return n;
}

static gboolean
on_watchdog(gpointer user)
{
    g_error("%s: nothing has come of it for %u s", (const char *)user, CASE_SECONDS);
    return G_SOURCE_REMOVE;
}

/**
 * kd_check_clock_start:
 *
 * Starts the stopwatch: from here on the plugin has the thread.
 */
void
kd_check_clock_start(void)
{
    started = get_moment();
}

/**
 * kd_check_clock_stop:
 *
 * Stops the stopwatch, and remembers @what if it took too long.
 */
void
kd_check_clock_stop(const char *what)
{
    Moment now = get_moment();
    gint64 wall_us = now.wall_us - started.wall_us;
    gint64 cpu_us = now.cpu_us - started.cpu_us;
    gboolean has_slept = now.n_sleeps != started.n_sleeps;
    if (stall != NULL || wall_us <= STALL_US || (cpu_us <= STALL_US && !has_slept))
        return;
    stall = g_strdup_printf("%s took %" G_GINT64_FORMAT " ms (%" G_GINT64_FORMAT
                            " ms of processor time)",
                            what, wall_us / 1000, cpu_us / 1000);
}

/**
 * kd_check_start:
 * @what: static: name of the case
 *
 * Starts a case: its deadline and its stopwatch.
 */
void
kd_check_start(const char *what)
{
    GMainContext *context = g_main_context_default();
    if (plain_poll == NULL) {
        plain_poll = g_main_context_get_poll_func(context);
        g_main_context_set_poll_func(context, timed_poll);
    }
    watchdog_id = g_timeout_add_seconds(CASE_SECONDS, on_watchdog, (gpointer)what);
}

/**
 * kd_check_stop:
 *
 * Ends a case: nothing of it may be left, and nothing may have stalled the loop.
 */
void
kd_check_stop(void)
{
    kd_check_settle();
    g_assert_cmpuint(n_watches, ==, 0);
    g_clear_handle_id(&watchdog_id, g_source_remove);
    if (stall != NULL)
        g_test_message("%s", stall);
    g_assert_cmpstr(stall, ==, NULL);
}

/**
 * kd_check_turn:
 *
 * Turns the main context once.
 */
void
kd_check_turn(gboolean may_block)
{
    (void)g_main_context_iteration(NULL, may_block);
    kd_check_clock_stop("a turn of the loop");
}

/**
 * kd_check_settle:
 *
 * Turns the main context until it has nothing to do, so that a callback too many shows.
 */
void
kd_check_settle(void)
{
    for (guint i = 0; i < 100 && g_main_context_iteration(NULL, FALSE); i++)
        ;
    for (guint i = 0; i < 3; i++)
        kd_check_turn(FALSE);
}

/**
 * kd_check_count_fds:
 *
 * Returns: how many descriptors the process has
 */
guint
kd_check_count_fds(void)
{
    guint n = 0;
    DIR *folder = opendir("/proc/self/fd");
    g_assert_nonnull(folder);
    while (readdir(folder) != NULL)
        n++;
    closedir(folder);
    return n;
}

/**
 * kd_check_count_bytes:
 *
 * Returns: how many bytes are allocated
 */
size_t
kd_check_count_bytes(void)
{
    return mallinfo2().uordblks;
}

/**
 * kd_check_has_sanitizer:
 *
 * Returns: whether times and memory mean little
 */
gboolean
kd_check_has_sanitizer(void)
{
    return HAS_SANITIZER;
}
