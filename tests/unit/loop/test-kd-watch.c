/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Watches of plugins: the level decides, and a removed one is silent. */
#include "kd-probe.h"
#include "kd-watch.h"

#include <errno.h>
#include <sys/mman.h>

typedef struct {
    KdWatch *watch;
    void (*fn)(void *user);
    int fd;
    guint n_calls;
    guint n_idles;
    uint32_t seen;
} Device;

static void
on_ready(void *user, uint32_t ready)
{
    Device *device = user;

    device->n_calls++;
    device->seen = ready;
    if (device->fn != NULL) {
        device->fn(device);
    }
}

static void
take_count(int fd)
{
    uint64_t count;

    g_assert_cmpint(read(fd, &count, sizeof count), ==, sizeof count);
}

static void
test_level(void)
{
    Device device = {.fd = probe_eventfd()};

    probe_start();
    device.watch = kd_watch_add(NULL, device.fd, KD_READY_IN, on_ready, &device);
    g_assert_nonnull(device.watch);
    probe_turn();
    g_assert_cmpuint(device.n_calls, ==, 0);
    probe_poke(device.fd);
    for (guint i = 1; i <= 5; i++) {
        probe_turn();
        g_assert_cmpuint(device.n_calls, ==, i);
        g_assert_cmpuint(device.seen, ==, KD_READY_IN);
    }
    take_count(device.fd);
    probe_turn();
    g_assert_cmpuint(device.n_calls, ==, 5);
    kd_watch_remove(device.watch);
    (void)close(device.fd);
    kd_loop_stop();
}

static void
test_set(void)
{
    Device device = {0};
    int fds[2];
    char byte;

    probe_start();
    probe_socketpair(fds);
    device.watch = kd_watch_add(NULL, fds[0], 0, on_ready, &device);
    g_assert_nonnull(device.watch);
    g_assert_cmpint(write(fds[1], "x", 1), ==, 1);
    probe_turn();
    g_assert_cmpuint(device.n_calls, ==, 0);

    kd_watch_set(device.watch, KD_READY_OUT);
    probe_turn();
    g_assert_cmpuint(device.n_calls, ==, 1);
    g_assert_cmpuint(device.seen, ==, KD_READY_OUT);
    kd_watch_set(device.watch, KD_READY_OUT | KD_READY_IN);
    probe_turn();
    g_assert_cmpuint(device.seen, ==, KD_READY_OUT | KD_READY_IN);
    g_assert_cmpint(read(fds[0], &byte, 1), ==, 1);
    probe_turn();
    g_assert_cmpuint(device.seen, ==, KD_READY_OUT);

    /* a hang-up can't be masked, so 0 must really take it out */
    kd_watch_set(device.watch, 0);
    (void)close(fds[1]);
    device.n_calls = 0;
    probe_turn();
    g_assert_cmpuint(device.n_calls, ==, 0);
    kd_watch_set(device.watch, KD_READY_IN);
    probe_turn();
    g_assert_cmpuint(device.n_calls, ==, 1);
    kd_watch_remove(device.watch);
    (void)close(fds[0]);
    kd_loop_stop();
}

/* Out of the set, a watch has nothing to do with its number any more. */
static void
test_set_frees_number(void)
{
    Device first = {.fd = probe_eventfd()};
    Device second = {0};

    probe_start();
    first.watch = kd_watch_add(NULL, first.fd, KD_READY_IN, on_ready, &first);
    kd_watch_set(first.watch, 0);
    (void)close(first.fd);
    second.fd = probe_eventfd();
    g_assert_cmpint(second.fd, ==, first.fd);
    second.watch = kd_watch_add(NULL, second.fd, KD_READY_IN, on_ready, &second);
    kd_watch_remove(first.watch);
    probe_poke(second.fd);
    probe_turn();
    g_assert_cmpuint(second.n_calls, ==, 1);
    g_assert_cmpuint(first.n_calls, ==, 0);
    kd_watch_remove(second.watch);
    (void)close(second.fd);
    kd_loop_stop();
}

static void
test_failure(void)
{
    Device device = {0};
    int fds[2];

    probe_start();
    g_assert_cmpint(pipe2(fds, O_NONBLOCK | O_CLOEXEC), ==, 0);
    while (write(fds[1], "0123456789abcdef", 16) > 0) {
    }
    device.watch = kd_watch_add(NULL, fds[1], KD_READY_OUT, on_ready, &device);
    probe_turn();
    g_assert_cmpuint(device.n_calls, ==, 0);
    (void)close(fds[0]);
    probe_turn();
    g_assert_cmpuint(device.n_calls, ==, 1);
    g_assert_cmpuint(device.seen, ==, KD_READY_OUT);
    kd_watch_remove(device.watch);
    (void)close(fds[1]);
    kd_loop_stop();
}

static void
remove_itself(void *user)
{
    Device *device = user;

    kd_watch_remove(device->watch);
    (void)close(device->fd);
    device->watch = NULL;
}

static void
test_remove_from_itself(void)
{
    Device first = {.fd = probe_eventfd(), .fn = remove_itself};
    Device second = {0};

    probe_start();
    first.watch = kd_watch_add(NULL, first.fd, KD_READY_IN, on_ready, &first);
    probe_poke(first.fd);
    probe_turn();
    g_assert_cmpuint(first.n_calls, ==, 1);

    second.fd = probe_eventfd();
    g_assert_cmpint(second.fd, ==, first.fd);
    second.watch = kd_watch_add(NULL, second.fd, KD_READY_IN, on_ready, &second);
    probe_poke(second.fd);
    probe_turn();
    g_assert_cmpuint(first.n_calls, ==, 1);
    g_assert_cmpuint(second.n_calls, ==, 1);
    kd_watch_remove(second.watch);
    (void)close(second.fd);
    kd_loop_stop();
}

static Device pair[2];

static void
remove_other(void *user)
{
    remove_itself(user == &pair[0] ? &pair[1] : &pair[0]);
}

/* Both are ready at once; whoever comes first silences the other. */
static void
test_remove_other(void)
{
    probe_start();
    for (guint i = 0; i < 2; i++) {
        pair[i] = (Device){.fd = probe_eventfd(), .fn = remove_other};
        pair[i].watch = kd_watch_add(NULL, pair[i].fd, KD_READY_IN, on_ready, &pair[i]);
        probe_poke(pair[i].fd);
    }
    probe_turn();
    g_assert_cmpuint(pair[0].n_calls + pair[1].n_calls, ==, 1);
    for (guint i = 0; i < 2; i++) {
        if (pair[i].watch != NULL) {
            remove_itself(&pair[i]);
        }
    }
    kd_loop_stop();
}

static gboolean
on_idle(gpointer user_data)
{
    Device *device = user_data;

    device->n_idles++;
    return G_SOURCE_REMOVE;
}

static void
add_idle(void *user)
{
    Device *device = user;

    take_count(device->fd);
    g_idle_add(on_idle, device);
}

static void
test_wake(void)
{
    Device device = {.fd = probe_eventfd(), .fn = add_idle};

    probe_start();
    device.watch = kd_watch_add(NULL, device.fd, KD_READY_IN, on_ready, &device);
    probe_turn();
    probe_poke(device.fd);
    probe_wait(&device.n_idles, 1);
    kd_watch_remove(device.watch);
    (void)close(device.fd);
    kd_loop_stop();
}

/* ---- quiet ones ---- */

/* A source that counts how often the main context looks at it */
typedef struct {
    GSource base;
    guint n_looks;
} Onlooker;

static gboolean
on_look(GSource *source, gint *timeout_ms)
{
    ((Onlooker *)source)->n_looks++;
    *timeout_ms = -1;
    return FALSE;
}

static void
go_on_for_a_while(void *user)
{
    Device *device = user;

    if (device->n_calls < 50) {
        return;
    }
    take_count(device->fd);
    g_idle_add(on_idle, device);
    g_main_context_wakeup(NULL);
}

static void
count_looks(uint32_t ready, guint *n_looks)
{
    static GSourceFuncs funcs = {.prepare = on_look};
    g_autoptr(GSource) onlooker = g_source_new(&funcs, sizeof(Onlooker));
    Device device = {.fd = probe_eventfd(), .fn = go_on_for_a_while};

    probe_start();
    g_source_attach(onlooker, NULL);
    device.watch = kd_watch_add(NULL, device.fd, ready, on_ready, &device);
    probe_poke(device.fd);
    probe_wait(&device.n_idles, 1);
    g_assert_cmpuint(device.n_calls, ==, 50);
    *n_looks = ((Onlooker *)onlooker)->n_looks;
    g_source_destroy(onlooker);
    kd_watch_remove(device.watch);
    (void)close(device.fd);
    kd_loop_stop();
}

static void
test_quiet(void)
{
    guint n_looks = 0;

    count_looks(KD_READY_IN, &n_looks);
    g_assert_cmpuint(n_looks, >=, 50);
    count_looks(KD_READY_IN | KD_READY_QUIET, &n_looks);
    g_assert_cmpuint(n_looks, <=, 5);
}

static void
check_refused(int fd, uint32_t ready, int code)
{
    Device device = {0};

    errno = 0;
    g_assert_null(kd_watch_add(NULL, fd, ready, on_ready, &device));
    g_assert_cmpint(errno, ==, code);
    probe_turn();
    g_assert_cmpuint(device.n_calls, ==, 0);
}

static void
test_refused(void)
{
    int file = memfd_create("kd", MFD_CLOEXEC);

    check_refused(file, KD_READY_IN, EBADF); /* not started */
    probe_start();
    check_refused(file, KD_READY_IN, EPERM);
    check_refused(file, 0, EPERM);
    (void)close(file);
    check_refused(file, KD_READY_IN, EBADF);
    check_refused(-1, KD_READY_IN, EBADF);
    kd_loop_stop();
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/loop/watch/is-called-once-a-round-while-the-level-holds", test_level);
    g_test_add_func("/loop/watch/set-changes-what-is-waited-for", test_set);
    g_test_add_func("/loop/watch/out-of-the-set-lets-go-of-the-number", test_set_frees_number);
    g_test_add_func("/loop/watch/failure-reaches-who-waits-to-write", test_failure);
    g_test_add_func("/loop/watch/removed-from-itself-is-silent", test_remove_from_itself);
    g_test_add_func("/loop/watch/removed-by-another-is-silent", test_remove_other);
    g_test_add_func("/loop/watch/lets-the-main-context-turn", test_wake);
    g_test_add_func("/loop/watch/quiet-one-lets-it-turn-when-it-says-so", test_quiet);
    g_test_add_func("/loop/watch/refusal-comes-with-errno", test_refused);
    return g_test_run();
}
