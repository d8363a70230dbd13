/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A KDNET session beside forged datagrams to its port, and without them, by turns. */
#include "bench-mode.h"
#include "bench-stage-private.h"

#include "kdnet-cipher.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>

#define FORGED_PER_S  100000u
#define BATCH         10u
#define BATCH_NS      (UINT64_C(1000000000) * BATCH / FORGED_PER_S)
#define N_FORGED      256u
#define N_ROUNDS      4u
#define SETTLES_IN_MS 20u
#define FORGED_KEY    "1other.2other.3other.4other"
#define VERSION       5u

/* What a target sends: acknowledgements, pokes, and the most that a datagram carries */
static const size_t body_bytes[] = {16, 16, 344, 16, 16, 1104};

/**
 * Flood:
 * @fd: connected to the server's port
 * @is_over: the thread is to end
 * @n_sent: by now
 */
typedef struct {
    int fd;
    _Atomic int is_over;
    _Atomic uint64_t n_sent;
    size_t len_bytes[N_FORGED];
    uint8_t forged[N_FORGED][KDNET_DATAGRAM_MAX_BYTES];
} Flood;

/* Authentic under a key that is not the session's, on either channel. */
static gboolean
forge(Flood *flood, GError **error)
{
    uint8_t body[KDNET_BODY_MAX_BYTES] = {1, 1};
    KdnetKey key;
    g_autoptr(KdnetCipher) cipher = NULL;

    if (!kdnet_key_parse(FORGED_KEY, &key, error)) {
        return FALSE;
    }
    cipher = kdnet_cipher_new(key.control, key.hmac);
    for (guint i = 0; i < N_FORGED; i++) {
        flood->len_bytes[i] = kdnet_cipher_seal(
            cipher, VERSION, i % 3 == 2 ? KDNET_CHANNEL_CONTROL : KDNET_CHANNEL_DATA, i + 1, FALSE,
            body, body_bytes[i % G_N_ELEMENTS(body_bytes)], flood->forged[i]);
    }
    kdnet_key_clear(&key);
    return TRUE;
}

static gboolean
open_socket(Flood *flood, uint16_t port, GError **error)
{
    struct sockaddr_in there = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    flood->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (flood->fd >= 0 && connect(flood->fd, (struct sockaddr *)&there, sizeof there) == 0) {
        return TRUE;
    }
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "a socket to flood from: %s",
                g_strerror(errno));
    if (flood->fd >= 0) {
        g_close(flood->fd, NULL);
    }
    return FALSE;
}

static void
sleep_until(uint64_t ns)
{
    struct timespec until = {.tv_sec = (time_t)(ns / 1000000000u),
                             .tv_nsec = (long)(ns % 1000000000u)};

    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static void
send_batch(Flood *flood)
{
    struct mmsghdr messages[BATCH] = {0};
    struct iovec parts[BATCH];
    uint64_t n_sent = atomic_load(&flood->n_sent);
    int n;

    for (guint i = 0; i < BATCH; i++) {
        guint k = (guint)((n_sent + i) % N_FORGED);

        parts[i] = (struct iovec){flood->forged[k], flood->len_bytes[k]};
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    n = sendmmsg(flood->fd, messages, BATCH, 0);
    atomic_fetch_add(&flood->n_sent, n > 0 ? (uint64_t)n : 0);
}

/* With a processor of its own, where there are two: what it costs to send is nobody's. */
static gpointer
run_flood(gpointer user)
{
    Flood *flood = user;
    uint64_t next_ns = bench_clock_get_ns();

    bench_place_relay(BENCH_PLACE_TWO);
    while (!atomic_load(&flood->is_over)) {
        send_batch(flood);
        next_ns += BATCH_NS;
        sleep_until(next_ns);
    }
    return NULL;
}

static gboolean
read_for(KdDebugger *debugger, double seconds, size_t len_bytes, BenchSamples *samples,
         GError **error)
{
    uint64_t end_ns = bench_clock_get_ns() + (uint64_t)(seconds * 1e9);
    uint64_t address = 0;

    while (bench_clock_get_ns() < end_ns) {
        uint64_t ns = 0;

        if (!bench_kernel_read(debugger, &address, len_bytes, &ns, error)) {
            return FALSE;
        }
        if (samples != NULL) {
            bench_samples_add(samples, ns);
        }
    }
    return TRUE;
}

static gboolean
read_beside(Flood *flood, KdDebugger *debugger, double seconds, size_t len_bytes,
            BenchSamples *samples, GError **error)
{
    GThread *thread;
    gboolean is_ok;

    atomic_store(&flood->is_over, 0);
    thread = g_thread_new("flood", run_flood, flood);
    bench_clock_sleep_ms(SETTLES_IN_MS);
    is_ok = read_for(debugger, seconds, len_bytes, samples, error);
    atomic_store(&flood->is_over, 1);
    g_thread_join(thread);
    return is_ok;
}

static void
report(BenchSamples *idle, BenchSamples *beside, double per_s, BenchResult *result)
{
    double p99_us;
    double idle_p99_us;

    bench_samples_sort(idle);
    bench_samples_sort(beside);
    p99_us = bench_samples_get_us(beside, 0.99);
    idle_p99_us = bench_samples_get_us(idle, 0.99);
    bench_result_set(result, "p99_us", p99_us);
    bench_result_set(result, "p99_to_idle", idle_p99_us > 0 ? p99_us / idle_p99_us : 0);
    bench_result_set(result, "idle_p99_us", idle_p99_us);
    bench_result_set(result, "p50_us", bench_samples_get_us(beside, 0.5));
    bench_result_set(result, "idle_p50_us", bench_samples_get_us(idle, 0.5));
    bench_result_set(result, "max_us", bench_samples_get_us(beside, 1));
    bench_result_set(result, "forged_per_s", per_s);
}

static gboolean
measure(Flood *flood, KdDebugger *debugger, const BenchSetting *setting, size_t len_bytes,
        BenchResult *result, GError **error)
{
    double seconds = setting->seconds / N_ROUNDS;
    uint64_t flooded_ns = 0;
    BenchSamples idle;
    BenchSamples beside;
    gboolean is_ok = read_for(debugger, setting->warm_seconds, len_bytes, NULL, error);

    bench_samples_init(&idle);
    bench_samples_init(&beside);
    for (guint i = 0; is_ok && i < N_ROUNDS; i++) {
        uint64_t before_ns;

        is_ok = read_for(debugger, seconds, len_bytes, &idle, error);
        before_ns = bench_clock_get_ns();
        is_ok = is_ok && read_beside(flood, debugger, seconds, len_bytes, &beside, error);
        flooded_ns += bench_clock_get_ns() - before_ns;
    }
    if (is_ok) {
        report(&idle, &beside, (double)atomic_load(&flood->n_sent) * 1e9 / (double)flooded_ns,
               result);
    }
    bench_samples_clear(&idle);
    bench_samples_clear(&beside);
    return is_ok;
}

/**
 * bench_flood_run:
 *
 * Measures the reads of one KDNET session with and without a flood of forged datagrams.
 *
 * Returns: whether all went well.
 */
gboolean
bench_flood_run(BenchStage *stage, const BenchSetting *setting, const BenchOrder *order,
                BenchResult *result, GError **error)
{
    g_autoptr(KdDebugger) debugger = bench_stage_attach(stage, error);
    g_autofree Flood *flood = g_new0(Flood, 1);
    gboolean is_ok;

    if (debugger == NULL || !forge(flood, error)) {
        return FALSE;
    }
    if (!open_socket(flood, stage->net_port, error)) {
        return FALSE;
    }
    is_ok = measure(flood, debugger, setting, order->reply_bytes, result, error);
    g_close(flood->fd, NULL);
    return is_ok;
}
