/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Connections that come, agree on keys, say good-bye and are gone, some at a time. */
#include "bench-mode.h"
#include "bench-samples.h"
#include "bench-tls.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Far below what a server lets one stranger have */
#define N_AT_A_TIME   8u
#define STALL_LIMIT_S 5

typedef struct {
    int fd; /* -1: none */
    BenchTls *tls;
    uint64_t began_ns;
    gboolean is_leaving;
} Visitor;

typedef struct {
    Visitor visitors[N_AT_A_TIME];
    const BenchAddress *address;
    int set;
    guint64 n_done;
    BenchSamples samples;
    char *security;
} Visits;

static void
leave(Visitor *visitor)
{
    g_clear_pointer(&visitor->tls, bench_tls_free);
    if (visitor->fd >= 0) {
        close(visitor->fd);
    }
    visitor->fd = -1;
}

static gboolean
fail(const char *what, int result, GError **error)
{
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "%s: %s", what, g_strerror(-result));
    return FALSE;
}

static gboolean
await(Visits *visits, Visitor *visitor, GError **error)
{
    struct epoll_event event = {.events =
                                    EPOLLIN | (bench_tls_has_unsent(visitor->tls) ? EPOLLOUT : 0u),
                                .data.ptr = visitor};

    return epoll_ctl(visits->set, EPOLL_CTL_MOD, visitor->fd, &event) == 0 ||
           fail("cannot wait", -errno, error);
}

static gboolean
come(Visits *visits, Visitor *visitor, GError **error)
{
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = visitor};

    visitor->began_ns = bench_clock_get_ns();
    visitor->is_leaving = FALSE;
    visitor->fd = bench_socket_connect(visits->address);
    if (visitor->fd < 0) {
        return fail("cannot connect", -errno, error);
    }
    bench_socket_set_blocking(visitor->fd, FALSE);
    visitor->tls = bench_tls_new_client(visitor->fd);
    return epoll_ctl(visits->set, EPOLL_CTL_ADD, visitor->fd, &event) == 0 ||
           fail("cannot wait", -errno, error);
}

/* The server is done with a visitor only when it has left, too: until then its work counts. */
static gboolean
await_leaving(Visits *visits, Visitor *visitor, GError **error)
{
    uint8_t bytes[256];
    ssize_t n;

    do { /* it may have a last word */
        n = bench_tls_read(visitor->tls, bytes, sizeof bytes);
    } while (n > 0);
    if (n == -EAGAIN) {
        return await(visits, visitor, error);
    }
    leave(visitor);
    visits->n_done++;
    return come(visits, visitor, error);
}

static gboolean
go_on(Visits *visits, Visitor *visitor, GError **error)
{
    int result;

    if (visitor->is_leaving) {
        return await_leaving(visits, visitor, error);
    }
    result = bench_tls_shake_hands(visitor->tls);
    if (result == 0) {
        bench_samples_add(&visits->samples, bench_clock_get_ns() - visitor->began_ns);
        if (visits->security == NULL) {
            visits->security = bench_tls_describe(visitor->tls);
        }
        visitor->is_leaving = TRUE;
        result = bench_tls_say_bye(visitor->tls);
    }
    if (result < 0 && result != -EAGAIN) {
        return fail("no handshake", result, error);
    }
    return await(visits, visitor, error);
}

static gboolean
visit_for(Visits *visits, double seconds, GError **error)
{
    uint64_t end = bench_clock_get_ns() + (uint64_t)(seconds * 1e9);

    while (bench_clock_get_ns() < end) {
        struct epoll_event events[N_AT_A_TIME];
        int n = epoll_wait(visits->set, events, N_AT_A_TIME, STALL_LIMIT_S * 1000);

        if (n <= 0) {
            return fail("waiting for the server", -ETIMEDOUT, error);
        }
        for (int i = 0; i < n; i++) {
            if (!go_on(visits, events[i].data.ptr, error)) {
                return FALSE;
            }
        }
    }
    return TRUE;
}

static gboolean
measure(Visits *visits, BenchStage *stage, const BenchSetting *setting, BenchResult *result,
        GError **error)
{
    uint64_t started_ns;
    uint64_t cpu_ns;
    guint64 n;
    double elapsed_s;

    for (guint i = 0; i < N_AT_A_TIME; i++) {
        if (!come(visits, &visits->visitors[i], error)) {
            return FALSE;
        }
    }
    if (!visit_for(visits, setting->warm_seconds, error)) {
        return FALSE;
    }
    g_array_set_size(visits->samples.ns, 0);
    n = visits->n_done;
    cpu_ns = bench_stage_get_cpu_ns(stage);
    started_ns = bench_clock_get_ns();
    if (!visit_for(visits, setting->seconds, error)) {
        return FALSE;
    }
    elapsed_s = (double)(bench_clock_get_ns() - started_ns) / 1e9;
    cpu_ns = bench_stage_get_cpu_ns(stage) - cpu_ns;
    n = visits->n_done - n;
    bench_samples_sort(&visits->samples);
    bench_result_set(result, "per_s", (double)n / elapsed_s);
    bench_result_set(result, "p50_us", bench_samples_get_us(&visits->samples, 0.5));
    bench_result_set(result, "p99_us", bench_samples_get_us(&visits->samples, 0.99));
    bench_result_set(result, "cpu_us", n > 0 ? (double)cpu_ns / 1e3 / (double)n : 0);
    result->note = g_steal_pointer(&visits->security);
    return TRUE;
}

/**
 * bench_handshakes_run:
 *
 * Measures how many connections a second come and go, with a full handshake each.
 *
 * Returns: whether all went well.
 */
gboolean
bench_handshakes_run(BenchStage *stage, const BenchSetting *setting, const BenchOrder *order,
                     BenchResult *result, GError **error)
{
    Visits visits = {.address = bench_stage_get_entry(stage), .set = epoll_create1(EPOLL_CLOEXEC)};
    gboolean is_ok;

    (void)order;
    for (guint i = 0; i < N_AT_A_TIME; i++) {
        visits.visitors[i].fd = -1;
    }
    bench_samples_init(&visits.samples);
    is_ok = measure(&visits, stage, setting, result, error);
    for (guint i = 0; i < N_AT_A_TIME; i++) {
        leave(&visits.visitors[i]);
    }
    bench_samples_clear(&visits.samples);
    g_free(visits.security);
    close(visits.set);
    return is_ok;
}
