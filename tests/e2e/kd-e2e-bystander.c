/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A session on a line of its own that has nothing to do with what goes wrong elsewhere.
 *
 * It exchanges one byte each millisecond: all the time, as a debugger does that reads memory, and
 * yet paced, so that a server which stops for a while at each fault shows in more than one exchange
 * of a hundred. Its exchanges are looked at in windows, and of the windows the best one counts:
 * what a fault that goes on all the time does to others it does to each of them, and what else the
 * machine does meanwhile spoils some. */
#include "kd-e2e-bystander.h"

#include "kd-e2e-pace.h"
#include "kd-e2e-protocol.h"
#include "kd-e2e-pty.h"
#include "kd-e2e-stage.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PACE_MS  1
#define N_WINDOW 100u
#define N_BEFORE (8 * N_WINDOW)
#define N_LEAST  (8 * N_WINDOW)
/* Fair: half of the time for the one who has the fault, and once more for the processor that the
 * fault itself takes in the test and in the kernel; and, as of the benchmark `fair`, 5 ms: about
 * the turn of one other program on a busy processor. A call that blocks, and a session that goes
 * before others, cost many times that. */
#define FAIR_FACTOR 3u
#define FAIR_US     (KD_E2E_IS_SANITIZED ? 20000u : 5000u)

/**
 * KdE2eBystander:
 * @client: (nullable): has the line
 * @near: or what leads to it, without frames; -1: @client does
 * @far: the far side of its line, which echoes
 * @took_us: (element-type guint32): of each exchange, guarded by @lock
 * @n_begin: how many there were when the fault began
 */
struct KdE2eBystander {
    KdE2eClient *client;
    int near;
    int far;
    GThread *echo;
    GThread *asker;
    gint is_over;
    GMutex lock;
    GCond cond;
    GArray *took_us;
    guint n_begin;
};

/* Ends with the line. */
static gpointer
run_echo(gpointer user)
{
    KdE2eBystander *bystander = user;
    char buf[64];
    ssize_t n;

    while ((n = read(bystander->far, buf, sizeof buf)) > 0) {
        kd_e2e_write(bystander->far, buf, (gsize)n);
    }
    return NULL;
}

static void
exchange(KdE2eBystander *bystander, guint i)
{
    const char text[2] = {(char)('!' + i % 64), '\0'};
    gint64 start_us = g_get_monotonic_time();
    guint32 took_us;

    if (bystander->near >= 0) {
        kd_e2e_write(bystander->near, text, 1);
        kd_e2e_expect(bystander->near, text);
    } else {
        kd_e2e_client_send_data(bystander->client, text, 1);
        kd_e2e_client_await_data(bystander->client, text);
    }
    took_us = (guint32)(g_get_monotonic_time() - start_us);
    g_mutex_lock(&bystander->lock);
    g_array_append_val(bystander->took_us, took_us);
    g_cond_signal(&bystander->cond);
    g_mutex_unlock(&bystander->lock);
}

static gpointer
run_asker(gpointer user)
{
    KdE2eBystander *bystander = user;
    int pace = kd_e2e_pace_new(PACE_MS);

    for (guint i = 0; !g_atomic_int_get(&bystander->is_over); i++) {
        exchange(bystander, i);
        (void)kd_e2e_pace_await(pace);
    }
    close(pace);
    return NULL;
}

static void
await_exchanges(KdE2eBystander *bystander, guint n)
{
    gint64 deadline_us = g_get_monotonic_time() + KD_E2E_DEADLINE_S * G_USEC_PER_SEC;

    g_mutex_lock(&bystander->lock);
    while (bystander->took_us->len < n) {
        g_assert_true(g_cond_wait_until(&bystander->cond, &bystander->lock, deadline_us));
    }
    g_mutex_unlock(&bystander->lock);
}

static KdE2eBystander *
start(KdE2eClient *client, int near, int far)
{
    KdE2eBystander *bystander = g_new0(KdE2eBystander, 1);

    bystander->client = client;
    bystander->near = near;
    bystander->far = far;
    bystander->took_us = g_array_new(FALSE, FALSE, sizeof(guint32));
    g_mutex_init(&bystander->lock);
    g_cond_init(&bystander->cond);
    bystander->echo = g_thread_new("echo", run_echo, bystander);
    bystander->asker = g_thread_new("bystander", run_asker, bystander);
    return bystander;
}

/**
 * kd_e2e_bystander_new:
 * @port: of a server that lets clients have pseudo-terminals
 *
 * Opens a session and talks on until it is freed.
 *
 * Returns: (transfer full): the session
 */
KdE2eBystander *
kd_e2e_bystander_new(guint port)
{
    g_autofree char *name = NULL;
    g_autofree char *trans = NULL;
    int far = kd_e2e_pty_new(&name);

    trans = g_strdup_printf("com:port=%s", name);
    return start(kd_e2e_client_new_open(port, trans), -1, far);
}

/**
 * kd_e2e_bystander_new_over:
 * @near: (transfer full): what leads to the line: a session that somebody else has opened
 * @far: (transfer full): the far side of that line
 *
 * Talks on until it is freed; @near is closed first.
 *
 * Returns: (transfer full): the session
 */
KdE2eBystander *
kd_e2e_bystander_new_over(int near, int far)
{
    return start(NULL, near, far);
}

/**
 * kd_e2e_bystander_free:
 * @bystander: (nullable): a session
 *
 * Ends it.
 */
void
kd_e2e_bystander_free(KdE2eBystander *bystander)
{
    if (bystander == NULL) {
        return;
    }
    g_atomic_int_set(&bystander->is_over, 1);
    g_thread_join(bystander->asker);
    kd_e2e_client_free(bystander->client);
    if (bystander->near >= 0) {
        close(bystander->near);
    }
    g_thread_join(bystander->echo);
    close(bystander->far);
    g_array_unref(bystander->took_us);
    g_mutex_clear(&bystander->lock);
    g_cond_clear(&bystander->cond);
    g_free(bystander);
}

static int
compare(const void *a, const void *b)
{
    guint32 x = *(const guint32 *)a;
    guint32 y = *(const guint32 *)b;

    return (x > y) - (x < y);
}

/* Of each window from @first to @end, the best one first. */
static GArray *
find_p99s_us(const GArray *took_us, guint first, guint end)
{
    GArray *p99s_us = g_array_new(FALSE, FALSE, sizeof(guint32));

    for (; first + N_WINDOW <= end; first += N_WINDOW) {
        guint32 window[N_WINDOW];

        memcpy(window, &g_array_index(took_us, guint32, first), sizeof window);
        qsort(window, N_WINDOW, sizeof *window, compare);
        g_array_append_val(p99s_us, window[N_WINDOW * 99 / 100 - 1]);
    }
    g_array_sort(p99s_us, compare);
    return p99s_us;
}

/* Of the window before which there is that part of all of them, from the best one on. */
static guint32
find_p99_us(const GArray *took_us, guint first, guint end, double part)
{
    g_autoptr(GArray) p99s_us = find_p99s_us(took_us, first, end);

    g_assert_cmpuint(p99s_us->len, >, 0);
    return g_array_index(p99s_us, guint32, (guint)((p99s_us->len - 1) * part));
}

static void
compare_p99(KdE2eBystander *bystander, double part, guint *before_us, guint *during_us)
{
    g_mutex_lock(&bystander->lock);
    *before_us = find_p99_us(bystander->took_us, 0, bystander->n_begin, part);
    *during_us = find_p99_us(bystander->took_us, bystander->n_begin, bystander->took_us->len, part);
    g_mutex_unlock(&bystander->lock);
}

/**
 * kd_e2e_bystander_begin:
 *
 * Says that all has been well so far, once that is long enough to compare with.
 */
void
kd_e2e_bystander_begin(KdE2eBystander *bystander)
{
    await_exchanges(bystander, N_BEFORE);
    g_mutex_lock(&bystander->lock);
    bystander->n_begin = bystander->took_us->len;
    g_mutex_unlock(&bystander->lock);
}

/**
 * kd_e2e_bystander_has_enough:
 *
 * Returns: whether there is as much of the fault as can be judged
 */
gboolean
kd_e2e_bystander_has_enough(KdE2eBystander *bystander)
{
    gboolean has_enough;

    g_mutex_lock(&bystander->lock);
    has_enough = bystander->took_us->len >= bystander->n_begin + N_LEAST;
    g_mutex_unlock(&bystander->lock);
    return has_enough;
}

/**
 * kd_e2e_bystander_await_s:
 * @seconds: at least, by the session's own pace
 *
 * Lets time pass, and what can be judged with it.
 */
void
kd_e2e_bystander_await_s(KdE2eBystander *bystander, guint seconds)
{
    gint64 end_us = g_get_monotonic_time() + (gint64)seconds * G_USEC_PER_SEC;

    await_exchanges(bystander, bystander->n_begin + N_LEAST);
    while (g_get_monotonic_time() < end_us) {
        guint n;

        g_mutex_lock(&bystander->lock);
        n = bystander->took_us->len;
        g_mutex_unlock(&bystander->lock);
        await_exchanges(bystander, n + 1);
    }
}

/**
 * kd_e2e_bystander_get_p99:
 * @before_us: (out): an exchange of a hundred took longer, before the fault
 * @during_us: (out): and since it began; both of the best hundred
 *
 * Looks at the exchanges so far.
 */
void
kd_e2e_bystander_get_p99(KdE2eBystander *bystander, guint *before_us, guint *during_us)
{
    compare_p99(bystander, 0, before_us, during_us);
}

/**
 * kd_e2e_bystander_get_usual_p99:
 * @before_us: (out): an exchange of a hundred took longer, before the fault
 * @during_us: (out): and since it began; both of the median of all hundreds
 *
 * Looks at the exchanges so far as one would on a machine that does nothing else.
 */
void
kd_e2e_bystander_get_usual_p99(KdE2eBystander *bystander, guint *before_us, guint *during_us)
{
    compare_p99(bystander, 0.5, before_us, during_us);
}

/**
 * kd_e2e_bystander_expect_unharmed:
 *
 * Says that the fault is over. Meanwhile no byte may have been lost or changed, and exchanges must
 * have taken hardly longer than before, except for the longest of a hundred.
 */
void
kd_e2e_bystander_expect_unharmed(KdE2eBystander *bystander)
{
    guint before_us = 0;
    guint during_us = 0;
    guint n;

    g_mutex_lock(&bystander->lock);
    n = bystander->took_us->len;
    g_mutex_unlock(&bystander->lock);
    kd_e2e_bystander_get_p99(bystander, &before_us, &during_us);
    g_test_message("another session's p99: %u us before, %u us meanwhile, %u exchanges", before_us,
                   during_us, n - bystander->n_begin);
    g_assert_cmpuint(n - bystander->n_begin, >=, N_LEAST);
    g_assert_cmpuint(during_us, <=, FAIR_FACTOR * before_us + FAIR_US);
}
