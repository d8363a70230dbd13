/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Clients that stop in the middle of the way in: many, from several addresses, and again and again.
 */
#include "kd-e2e-siege.h"

#include "kd-e2e-pace.h"
#include "kd-e2e-program.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define BEAT_MS    10
#define N_A_BEAT   20 /* dialled at a beat, so that the test itself leaves room for others */
#define AGAIN_US   G_USEC_PER_SEC
#define AT_ONCE_US (G_USEC_PER_SEC / 2)
#define N_EVENTS   256
#define N_OTHERS   256 /* descriptors for all else */

/**
 * Client:
 * @fd: -1 = to be dialled, from @at_us on
 * @at_us: when it was dialled
 */
typedef struct {
    int fd;
    gint64 at_us;
    gboolean has_said;
} Client;

/**
 * KdE2eSiege:
 * @said: what each client says before it stops
 * @is_over: not zero: the end
 * @n_old: clients that have been there for more than half a second, at the last beat
 */
struct KdE2eSiege {
    GThread *thread;
    gint is_over;
    gint n_old;
    guint port;
    guint n_sources;
    GBytes *said;
    int epoll;
    Client *clients;
    guint n_clients;
    guint next;
    KdE2eSiegeReport report;
};

static void
dial(KdE2eSiege *siege, guint i)
{
    Client *client = &siege->clients[i];
    struct sockaddr_in from = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(0x7f000101 + i % siege->n_sources), /* 127.0.1.1 and so on */
    };
    struct sockaddr_in to = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons((uint16_t)siege->port),
    };
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u32 = i};
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    g_assert_cmpint(fd, >=, 0);
    (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&from, sizeof from), ==, 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        g_assert_cmpint(errno, ==, EINPROGRESS);
    }
    *client = (Client){.fd = fd, .at_us = g_get_monotonic_time()};
    g_assert_cmpint(epoll_ctl(siege->epoll, EPOLL_CTL_ADD, fd, &event), ==, 0);
    siege->report.n_dialled++;
}

static void
bury(KdE2eSiege *siege, Client *client)
{
    gint64 lived_us = g_get_monotonic_time() - client->at_us;

    if (lived_us < AT_ONCE_US) {
        siege->report.n_refused++;
    } else {
        siege->report.n_let_in++;
        siege->report.longest_us = MAX(siege->report.longest_us, lived_us);
    }
    close(client->fd);
    *client = (Client){.fd = -1, .at_us = g_get_monotonic_time() + AGAIN_US};
}

static void
attend(KdE2eSiege *siege, Client *client, guint32 events)
{
    char buf[4096];
    gsize len = 0;
    const void *said = g_bytes_get_data(siege->said, &len);
    ssize_t n;

    if (!client->has_said && (events & EPOLLOUT) != 0) {
        client->has_said = TRUE;
        (void)send(client->fd, said, len, MSG_NOSIGNAL);
    }
    do {
        n = recv(client->fd, buf, sizeof buf, 0);
    } while (n > 0);
    if (n == 0 || errno != EAGAIN) {
        bury(siege, client);
    }
}

static void
beat(KdE2eSiege *siege)
{
    gint64 now_us = g_get_monotonic_time();
    gint n_old = 0;
    guint n_dialled = 0;

    for (guint k = 0; k < siege->n_clients && n_dialled < N_A_BEAT; k++) {
        guint i = siege->next;

        siege->next = (i + 1) % siege->n_clients;
        if (siege->clients[i].fd < 0 && siege->clients[i].at_us <= now_us) {
            dial(siege, i);
            n_dialled++;
        }
    }
    for (guint i = 0; i < siege->n_clients; i++) {
        n_old += siege->clients[i].fd >= 0 && now_us - siege->clients[i].at_us > AT_ONCE_US;
    }
    g_atomic_int_set(&siege->n_old, n_old);
}

static gpointer
run(gpointer user)
{
    KdE2eSiege *siege = user;
    int pace = kd_e2e_pace_new(BEAT_MS);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = G_MAXUINT32};
    struct epoll_event events[N_EVENTS];

    g_assert_cmpint(epoll_ctl(siege->epoll, EPOLL_CTL_ADD, pace, &event), ==, 0);
    while (!g_atomic_int_get(&siege->is_over)) {
        int n = epoll_wait(siege->epoll, events, N_EVENTS, -1);

        for (int i = 0; i < n; i++) {
            if (events[i].data.u32 == G_MAXUINT32) {
                (void)kd_e2e_pace_await(pace);
                beat(siege);
            } else if (siege->clients[events[i].data.u32].fd >= 0) {
                attend(siege, &siege->clients[events[i].data.u32], events[i].events);
            }
        }
    }
    close(pace);
    return NULL;
}

static void
raise_limit(guint n)
{
    struct rlimit limit;

    g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    limit.rlim_cur = MAX(limit.rlim_cur, MIN(limit.rlim_max, n + N_OTHERS));
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    g_assert_cmpuint(limit.rlim_cur, >=, n + N_OTHERS);
}

/**
 * kd_e2e_siege_new:
 * @port: of the loopback
 * @n_clients: that there are at any time, but for the second in which one waits that was refused
 * @n_sources: addresses, 127.0.1.1 and so on
 * @said: what each says before it stops
 *
 * Begins.
 *
 * Returns: (transfer full): the siege
 */
KdE2eSiege *
kd_e2e_siege_new(guint port, guint n_clients, guint n_sources, GBytes *said)
{
    KdE2eSiege *siege = g_new0(KdE2eSiege, 1);

    raise_limit(n_clients);
    siege->port = port;
    siege->n_clients = n_clients;
    siege->n_sources = n_sources;
    siege->said = g_bytes_ref(said);
    siege->epoll = epoll_create1(EPOLL_CLOEXEC);
    siege->clients = g_new0(Client, n_clients);
    for (guint i = 0; i < n_clients; i++) {
        siege->clients[i].fd = -1;
    }
    siege->thread = g_thread_new("siege", run, siege);
    return siege;
}

/**
 * kd_e2e_siege_await_let_in:
 *
 * Waits until so many have been kept for more than half a second.
 *
 * Returns: how many there are
 */
guint
kd_e2e_siege_await_let_in(KdE2eSiege *siege, guint n)
{
    gint64 deadline_us = g_get_monotonic_time() + KD_E2E_DEADLINE_S * G_USEC_PER_SEC;
    int pace = kd_e2e_pace_new(BEAT_MS);

    while ((guint)g_atomic_int_get(&siege->n_old) < n) {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline_us);
        (void)kd_e2e_pace_await(pace);
    }
    close(pace);
    return (guint)g_atomic_int_get(&siege->n_old);
}

/**
 * kd_e2e_siege_stop:
 * @siege: (transfer full): a siege
 * @report: (out caller-allocates): what has become of them
 *
 * Ends it; all hang up.
 */
void
kd_e2e_siege_stop(KdE2eSiege *siege, KdE2eSiegeReport *report)
{
    g_atomic_int_set(&siege->is_over, 1);
    g_thread_join(siege->thread);
    for (guint i = 0; i < siege->n_clients; i++) {
        Client *client = &siege->clients[i];

        if (client->fd >= 0) {
            siege->report.longest_us =
                MAX(siege->report.longest_us, g_get_monotonic_time() - client->at_us);
            close(client->fd);
        }
    }
    *report = siege->report;
    close(siege->epoll);
    g_bytes_unref(siege->said);
    g_free(siege->clients);
    g_free(siege);
}
