/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A target that never stops talking, and whose words can be told apart. */
#include "kd-e2e-flood.h"

#include "kd-e2e-pace.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define TICK_MS       10
#define BYTES_A_TICK  (KD_E2E_FLOOD_BYTES_S / (1000 / TICK_MS))
#define N_LINE        8u
#define LINE_NUMBERS  10000000u
#define MAX_FALL_BACK (10u * BYTES_A_TICK)

/**
 * KdE2eFlood:
 * @far: the far side of its line; does not wait
 * @n_owed: bytes that should have been said by now
 * @n_written: bytes that the line has taken
 */
struct KdE2eFlood {
    int far;
    guint64 n_owed;
    guint64 n_written;
    gint is_over;
    GMutex lock;
    GThread *thread;
};

/* Numbered lines: the eight bytes from the one on that @at is in. */
static void
print_line(guint64 at, char line[N_LINE + 1])
{
    g_snprintf(line, N_LINE + 1, "%07u\n", (guint)(at / N_LINE % LINE_NUMBERS));
}

static void
fill(guint64 at, char *bytes, gsize len)
{
    for (gsize i = 0; i < len; i++) {
        char line[N_LINE + 1];

        print_line(at + i, line);
        bytes[i] = line[(at + i) % N_LINE];
    }
}

static void
write_owed(KdE2eFlood *flood)
{
    char chunk[BYTES_A_TICK];

    while (flood->n_written < flood->n_owed) {
        gsize len = MIN(sizeof chunk, flood->n_owed - flood->n_written);
        ssize_t n;

        fill(flood->n_written, chunk, len);
        n = write(flood->far, chunk, len);
        if (n <= 0) {
            g_assert_true(n < 0 && (errno == EAGAIN || errno == EIO));
            break;
        }
        g_mutex_lock(&flood->lock);
        flood->n_written += (guint64)n;
        g_mutex_unlock(&flood->lock);
    }
    /* a line that takes nothing is not owed it all later */
    flood->n_owed = MIN(flood->n_owed, flood->n_written + MAX_FALL_BACK);
}

static gpointer
run(gpointer user)
{
    KdE2eFlood *flood = user;
    int pace = kd_e2e_pace_new(TICK_MS);

    while (!g_atomic_int_get(&flood->is_over)) {
        flood->n_owed += kd_e2e_pace_await(pace) * BYTES_A_TICK;
        write_owed(flood);
    }
    close(pace);
    return NULL;
}

/**
 * kd_e2e_flood_new:
 * @far: the far side of a pseudo-terminal; stays the caller's, and does not wait any more
 *
 * Begins to write numbered lines at %KD_E2E_FLOOD_BYTES_S, as long as the line takes them.
 *
 * Returns: (transfer full): to be stopped
 */
KdE2eFlood *
kd_e2e_flood_new(int far)
{
    KdE2eFlood *flood = g_new0(KdE2eFlood, 1);

    g_assert_cmpint(fcntl(far, F_SETFL, O_NONBLOCK), ==, 0);
    flood->far = far;
    g_mutex_init(&flood->lock);
    flood->thread = g_thread_new("flood", run, flood);
    return flood;
}

/**
 * kd_e2e_flood_get_written:
 *
 * Returns: how many bytes the line has taken so far
 */
guint64
kd_e2e_flood_get_written(KdE2eFlood *flood)
{
    guint64 n;

    g_mutex_lock(&flood->lock);
    n = flood->n_written;
    g_mutex_unlock(&flood->lock);
    return n;
}

/**
 * kd_e2e_flood_stop:
 * @flood: (transfer full): a flood
 *
 * Returns: how many bytes the line has taken
 */
guint64
kd_e2e_flood_stop(KdE2eFlood *flood)
{
    guint64 n;

    g_atomic_int_set(&flood->is_over, 1);
    g_thread_join(flood->thread);
    n = flood->n_written;
    g_mutex_clear(&flood->lock);
    g_free(flood);
    return n;
}

/**
 * kd_e2e_flood_expect:
 *
 * Says that these are the first bytes of a flood: none is missing, doubled or changed.
 */
void
kd_e2e_flood_expect(const guint8 *bytes, gsize len)
{
    for (gsize at = 0; at < len; at += N_LINE) {
        char line[N_LINE + 1];

        print_line(at, line);
        g_assert_cmpint(memcmp(bytes + at, line, MIN(N_LINE, len - at)), ==, 0);
    }
}
