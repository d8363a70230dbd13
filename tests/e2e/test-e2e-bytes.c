/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Much data both ways at once, with readers that stall: every byte arrives, and none piles up. */
#include "kd-e2e-protocol.h"
#include "kd-e2e-stage.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define MIB             (1024u * 1024u)
#define TOTAL_BYTES     ((guint64)(KD_E2E_IS_SANITIZED ? 64u : 1024u) * MIB)
#define BLOCK_BYTES     65536u
#define N_PAUSES        8u
#define PAUSE_US        (120 * 1000)
#define SAMPLE_MS       20u
#define MOST_GROWTH_KIB (8u * 1024u)

/**
 * Side:
 * @fd: non-blocking
 * @client: (nullable): the fd speaks the session protocol
 * @block: what is being said, in whole blocks of the stream
 * @said: of the stream, in bytes; what has left as well as what waits in @out
 * @out: on its way
 * @out_at: how much of that has left
 * @sum: of what was heard
 * @heard: in bytes
 * @n_pauses: in which nothing was read
 * @paused_until_us: end of the pause
 * @left: of the payload that is being heard
 * @header: of it
 * @header_len: how much of the header is there
 *
 * One end of the session, in a thread of its own: it says the stream, and hears the other's.
 */
typedef struct {
    int fd;
    KdE2eClient *client;
    guint64 said;
    uint8_t out[KD_HEADER_BYTES + BLOCK_BYTES];
    gsize out_len;
    gsize out_at;
    GChecksum *sum;
    guint64 heard;
    guint n_pauses;
    gint64 paused_until_us;
    uint32_t left;
    uint8_t type;
    uint8_t header[KD_HEADER_BYTES];
    gsize header_len;
    gint is_done;
} Side;

static uint8_t noise[2 * BLOCK_BYTES];

/* The stream: noise at a shifting place, and the block's number, so that no block is like another.
 */
static void
build_block(uint8_t *out, guint64 index)
{
    memcpy(out, noise + index * 997 % BLOCK_BYTES, BLOCK_BYTES);
    memcpy(out, &index, sizeof index);
}

static char *
build_expected_sum(void)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    uint8_t block[BLOCK_BYTES];

    for (guint64 i = 0; i < TOTAL_BYTES / BLOCK_BYTES; i++) {
        build_block(block, i);
        g_checksum_update(sum, block, sizeof block);
    }
    return g_strdup(g_checksum_get_string(sum));
}

/* ---- saying ---- */

static void
queue_header(Side *side, KdFrameType type, gsize len)
{
    KdFrameHeader header = {.type = (uint8_t)type, .length = (uint32_t)len, .ack = side->heard};

    kd_frame_header_store(side->out, &header);
    side->client->reported = side->heard;
    side->out_len = KD_HEADER_BYTES + len;
}

/* The next piece to say, if there is one that may be said. */
static void
queue_next(Side *side)
{
    KdE2eClient *client = side->client;

    side->out_at = 0;
    side->out_len = 0;
    if (client != NULL && side->heard - client->reported >= KD_WINDOW_BYTES / 4) {
        queue_header(side, KD_FRAME_ACK, 0);
        return;
    }
    if (side->said == TOTAL_BYTES ||
        (client != NULL && side->said + BLOCK_BYTES > client->acked + client->window)) {
        return;
    }
    if (client != NULL) {
        queue_header(side, KD_FRAME_DATA, BLOCK_BYTES);
        build_block(side->out + KD_HEADER_BYTES, side->said / BLOCK_BYTES);
    } else {
        build_block(side->out, side->said / BLOCK_BYTES);
        side->out_len = BLOCK_BYTES;
    }
    side->said += BLOCK_BYTES;
}

static void
say(Side *side)
{
    ssize_t n;

    if (side->out_at == side->out_len) {
        queue_next(side);
    }
    if (side->out_at == side->out_len) {
        return;
    }
    n = write(side->fd, side->out + side->out_at, side->out_len - side->out_at);
    g_assert_true(n > 0 || errno == EAGAIN);
    side->out_at += n > 0 ? (gsize)n : 0;
}

/* ---- hearing ---- */

static void
take_stream(Side *side, const uint8_t *bytes, gsize len)
{
    g_checksum_update(side->sum, bytes, (gssize)len);
    side->heard += len;
    if (side->n_pauses < N_PAUSES &&
        side->heard > TOTAL_BYTES / (N_PAUSES + 1) * (side->n_pauses + 1)) {
        side->n_pauses++;
        side->paused_until_us = g_get_monotonic_time() + PAUSE_US;
    }
}

static void
take_header(Side *side)
{
    KdFrameHeader header;

    kd_frame_header_load(&header, side->header);
    g_assert_cmpuint(header.type, !=, KD_FRAME_CLOSE);
    g_assert_cmpuint(header.type, !=, KD_FRAME_PING); /* nobody has been silent */
    g_assert_cmpuint(header.ack, >=, side->client->acked);
    g_assert_cmpuint(header.ack, <=, side->said);
    side->client->acked = header.ack;
    side->left = header.length;
    side->type = header.type;
    side->header_len = 0;
}

static void
take_framed(Side *side, const uint8_t *bytes, gsize len)
{
    while (len > 0) {
        gsize n;

        if (side->left > 0) {
            n = MIN(len, side->left);
            if (side->type == KD_FRAME_DATA) {
                take_stream(side, bytes, n);
            }
            side->left -= (uint32_t)n;
        } else {
            n = MIN(len, KD_HEADER_BYTES - side->header_len);
            memcpy(side->header + side->header_len, bytes, n);
            side->header_len += n;
            if (side->header_len == KD_HEADER_BYTES) {
                take_header(side);
            }
        }
        bytes += n;
        len -= n;
    }
}

static void
hear(Side *side)
{
    uint8_t buf[2 * BLOCK_BYTES];
    ssize_t n = read(side->fd, buf, sizeof buf);

    g_assert_true(n > 0 || (n < 0 && errno == EAGAIN));
    if (n <= 0) {
        return;
    }
    if (side->client != NULL) {
        take_framed(side, buf, (gsize)n);
    } else {
        take_stream(side, buf, (gsize)n);
    }
}

/* ---- both ---- */

static gboolean
is_done(const Side *side)
{
    return side->heard == TOTAL_BYTES && side->said == TOTAL_BYTES && side->out_at == side->out_len;
}

static gpointer
run_side(gpointer user)
{
    Side *side = user;

    while (!is_done(side)) {
        gint64 pause_ms = (side->paused_until_us - g_get_monotonic_time()) / 1000;
        struct pollfd fd = {.fd = side->fd, .events = pause_ms > 0 ? 0 : POLLIN};
        int timeout_ms = pause_ms > 0 ? (int)pause_ms : KD_E2E_DEADLINE_S * 1000;
        int n;

        if (side->out_at == side->out_len) {
            queue_next(side);
        }
        fd.events |= side->out_at < side->out_len ? POLLOUT : 0;
        n = poll(&fd, 1, timeout_ms);
        g_assert_true(n == 1 || pause_ms > 0);
        if (n == 1 && (fd.revents & POLLOUT) != 0) {
            say(side);
        }
        if (n == 1 && (fd.revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
            hear(side);
        }
    }
    g_atomic_int_set(&side->is_done, 1);
    return NULL;
}

static Side *
side_new(int fd, KdE2eClient *client)
{
    Side *side = g_new0(Side, 1);

    side->fd = fd;
    side->client = client;
    side->sum = g_checksum_new(G_CHECKSUM_SHA256);
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    return side;
}

static void
side_free(Side *side)
{
    g_checksum_free(side->sum);
    g_free(side);
}

/* Looks at the server's memory until both have all. */
static guint64
measure_growth_kib(const KdE2eStage *stage, Side *a, Side *b)
{
    guint64 before = kd_e2e_program_get_memory_kib(stage->server);
    guint64 most = before;

    while (g_atomic_int_get(&a->is_done) == 0 || g_atomic_int_get(&b->is_done) == 0) {
        most = MAX(most, kd_e2e_program_get_memory_kib(stage->server));
        (void)poll(NULL, 0, SAMPLE_MS); /* the interval of the measurement */
    }
    return most - before;
}

static void
test_both_ways(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "vm.sock");
    g_autofree char *trans = g_strdup_printf("com:pipe,port=%s", path);
    g_autofree char *expected = NULL;
    g_autoptr(KdE2eClient) client = NULL;
    int listener = kd_e2e_listen_unix(path);
    Side *sides[2];
    GThread *threads[2];
    guint64 growth_kib;
    int vm;

    (void)unused;
    for (gsize i = 0; i < sizeof noise; i++) {
        noise[i] = (uint8_t)g_test_rand_int();
    }
    kd_e2e_stage_start(stage, "--allow-path", stage->folder, NULL);
    client = kd_e2e_client_new_open(stage->port, trans);
    vm = kd_e2e_accept(listener);
    sides[0] = side_new(client->fd, client);
    sides[1] = side_new(vm, NULL);
    threads[0] = g_thread_new("client", run_side, sides[0]);
    threads[1] = g_thread_new("vm", run_side, sides[1]);
    growth_kib = measure_growth_kib(stage, sides[0], sides[1]);
    expected = build_expected_sum();
    for (gsize i = 0; i < G_N_ELEMENTS(sides); i++) {
        (void)g_thread_join(threads[i]);
        g_assert_cmpstr(g_checksum_get_string(sides[i]->sum), ==, expected);
        g_assert_cmpuint(sides[i]->n_pauses, ==, N_PAUSES);
        side_free(sides[i]);
    }
    g_test_message("the server has grown by %" G_GUINT64_FORMAT " KiB", growth_kib);
    if (!KD_E2E_IS_SANITIZED) {
        g_assert_cmpuint(growth_kib, <, MOST_GROWTH_KIB);
    }
    close(vm);
    close(listener);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_e2e_add("/e2e/bytes/all-arrive-both-ways-at-once", test_both_ways);
    return g_test_run();
}
