/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Those who never say who they are: they end, and they keep nobody out. */
#include "kd-e2e-protocol.h"
#include "kd-e2e-stage.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define N_FLOOD 300u
/* Connections that the server keeps while they are silent: of one address, and in all */
#define MOST_OF_ONE   64u
#define MOST_OF_ALL   256u
#define N_FILES       32u
#define LET_IN_US     (2 * G_USEC_PER_SEC)
#define MEASURE_MS    3000u
#define MOST_CPU_PART 5 /* one of so many */

static void
test_silent(KdE2eStage *stage, gconstpointer unused)
{
    gint64 start_us;
    gint64 passed_us;
    int fd;

    (void)unused;
    kd_e2e_stage_start(stage, NULL);
    start_us = g_get_monotonic_time();
    fd = kd_e2e_dial(NULL, stage->port);
    kd_e2e_expect_end(fd);
    passed_us = g_get_monotonic_time() - start_us;
    g_test_message("gone after %.1f s", (double)passed_us / G_USEC_PER_SEC);
    g_assert_cmpint(passed_us, >, 8 * G_USEC_PER_SEC);
    g_assert_cmpint(passed_us, <, 15 * G_USEC_PER_SEC);
    close(fd);
}

static void
test_garbage(KdE2eStage *stage, gconstpointer unused)
{
    gint64 start_us;
    int fd;

    (void)unused;
    kd_e2e_stage_start(stage, NULL);
    start_us = g_get_monotonic_time();
    fd = kd_e2e_dial(NULL, stage->port);
    kd_e2e_write(fd, "GET / HTTP/1.1\r\nHost: there\r\n\r\n", 31);
    kd_e2e_expect_end(fd);
    g_assert_cmpint(g_get_monotonic_time() - start_us, <, 8 * G_USEC_PER_SEC);
    close(fd);
}

/* A length that nobody may have before logging in. */
static void
test_long_frame(KdE2eStage *stage, gconstpointer unused)
{
    KdFrameHeader header = {.type = KD_FRAME_HELLO, .length = 0x7fffffff};
    uint8_t bytes[KD_HEADER_BYTES];
    uint8_t preamble[KD_PREAMBLE_BYTES];
    g_autoptr(KdE2eClient) client = NULL;
    g_autoptr(KdClose) said = NULL;

    (void)unused;
    kd_e2e_stage_start(stage, NULL);
    client = kd_e2e_client_new(kd_e2e_dial(NULL, stage->port));
    kd_e2e_client_send_preamble(client, KD_PROTOCOL_MAJOR);
    kd_frame_header_store(bytes, &header);
    kd_e2e_write(client->fd, bytes, sizeof bytes);
    kd_e2e_read(client->fd, preamble, sizeof preamble);
    said = kd_e2e_client_await_close(client);
    g_assert_cmpuint(said->code, ==, KD_CLOSE_PROTOCOL_ERROR);
}

/* ---- floods ---- */

static void
dial_many(const KdE2eStage *stage, int *fds, guint n_sources)
{
    for (guint i = 0; i < N_FLOOD; i++) {
        g_autofree char *from = g_strdup_printf("127.0.1.%u", 1 + i % n_sources);

        fds[i] = kd_e2e_dial(from, stage->port);
    }
}

/* Those that the server has closed, whatever it has said before. */
static guint
count_ended(const int *fds)
{
    guint n_ended = 0;
    char buf[4096];

    for (guint i = 0; i < N_FLOOD; i++) {
        ssize_t n;

        do {
            n = recv(fds[i], buf, sizeof buf, MSG_DONTWAIT);
        } while (n > 0);
        n_ended += n == 0 || errno != EAGAIN ? 1 : 0;
    }
    return n_ended;
}

static void
check_flood(KdE2eStage *stage, guint n_sources, guint n_kept)
{
    g_autoptr(KdE2eClient) client = NULL;
    gint64 start_us;
    int fds[N_FLOOD];

    kd_e2e_stage_start(stage, NULL);
    dial_many(stage, fds, n_sources);
    start_us = g_get_monotonic_time();
    client = kd_e2e_client_new(kd_e2e_dial("127.0.0.2", stage->port));
    kd_e2e_client_open(client, "fake:name=1,echo");
    g_assert_cmpint(g_get_monotonic_time() - start_us, <, LET_IN_US);
    kd_e2e_client_send_data(client, "in", 2);
    kd_e2e_client_await_data(client, "in");
    g_assert_cmpuint(count_ended(fds), >=, N_FLOOD - n_kept);
    for (guint i = 0; i < N_FLOOD; i++) {
        close(fds[i]);
    }
}

static void
test_flood_of_one(KdE2eStage *stage, gconstpointer unused)
{
    (void)unused;
    check_flood(stage, 1, MOST_OF_ONE);
}

static void
test_flood_of_many(KdE2eStage *stage, gconstpointer unused)
{
    (void)unused;
    check_flood(stage, 100, MOST_OF_ALL);
}

/* ---- no more descriptors ---- */

static void
test_descriptors(KdE2eStage *stage, gconstpointer unused)
{
    KdE2eSetup setup = {.n_files = N_FILES};
    g_autoptr(KdE2eClient) client = NULL;
    guint64 cpu_us;
    gint64 start_us;
    int fds[N_FILES + 8];
    int silent[2];

    (void)unused;
    kd_e2e_stage_start_with(stage, &setup, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(fds); i++) {
        fds[i] = kd_e2e_dial(NULL, stage->port);
    }
    g_free(kd_e2e_program_await(stage->server, KD_E2E_STDERR, "no new clients for a while"));
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, silent), ==, 0);
    start_us = g_get_monotonic_time();
    cpu_us = kd_e2e_program_get_cpu_us(stage->server);
    g_assert_false(kd_e2e_is_readable(silent[0], MEASURE_MS)); /* nothing to wait for but time */
    cpu_us = kd_e2e_program_get_cpu_us(stage->server) - cpu_us;
    g_test_message("%" G_GUINT64_FORMAT " us of cpu", cpu_us);
    g_assert_cmpuint(cpu_us, <, (guint64)(g_get_monotonic_time() - start_us) / MOST_CPU_PART);
    for (guint i = 0; i < G_N_ELEMENTS(fds); i++) {
        close(fds[i]);
    }
    client = kd_e2e_client_new_open(stage->port, "fake:name=1,echo");
    kd_e2e_client_send_data(client, "in", 2);
    kd_e2e_client_await_data(client, "in");
    close(silent[0]);
    close(silent[1]);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_e2e_add("/e2e/limits/silent-connection-ends-after-10-s", test_silent);
    kd_e2e_add("/e2e/limits/garbage-ends-at-once", test_garbage);
    kd_e2e_add("/e2e/limits/long-frame-before-login-is-refused", test_long_frame);
    kd_e2e_add("/e2e/limits/flood-of-one-source-keeps-nobody-out", test_flood_of_one);
    kd_e2e_add("/e2e/limits/flood-of-many-sources-keeps-nobody-out", test_flood_of_many);
    kd_e2e_add("/e2e/limits/without-descriptors-waits-and-serves-again", test_descriptors);
    return g_test_run();
}
