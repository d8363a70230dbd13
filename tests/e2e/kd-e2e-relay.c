/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Somebody on the way between a client and a server: listens, writes down, changes bytes. */
#include "kd-e2e-relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define N_WAYS    2
#define NO_OFFSET G_MAXSIZE

/**
 * KdE2eRelay:
 * @listener: of the client
 * @stop: a pipe; nothing is relayed any more once its other end is closed
 * @from: the socket that each way begins at; @from of the other way is where it leads
 * @passed: on each way, as it was received
 * @way: on which a byte is changed
 * @offset: of that byte
 */
struct KdE2eRelay {
    GThread *thread;
    int listener;
    int stop[2];
    int from[N_WAYS];
    GByteArray *passed[N_WAYS];
    KdE2eWay way;
    gsize offset;
};

/**
 * kd_e2e_listen:
 * @port: (out): that it has got
 *
 * Returns: (transfer full): a listening TCP socket on the loopback
 */
int
kd_e2e_listen(guint *port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_cmpint(listen(fd, 8), ==, 0);
    g_assert_cmpint(getsockname(fd, (struct sockaddr *)&address, &len), ==, 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static gboolean
send_all(int fd, const guint8 *buf, gsize len)
{
    while (len > 0) {
        ssize_t n = send(fd, buf, len, MSG_NOSIGNAL);

        if (n <= 0) {
            return FALSE;
        }
        buf += n;
        len -= (gsize)n;
    }
    return TRUE;
}

/* One piece; FALSE: that way has ended. */
static gboolean
pass(KdE2eRelay *relay, int way)
{
    guint8 buf[4096];
    GByteArray *passed = relay->passed[way];
    ssize_t n = recv(relay->from[way], buf, sizeof buf, 0);

    if (n <= 0) {
        return FALSE;
    }
    g_byte_array_append(passed, buf, (guint)n);
    if (relay->way == (KdE2eWay)way && relay->offset < passed->len &&
        relay->offset >= passed->len - (gsize)n) {
        buf[relay->offset - (passed->len - (gsize)n)] ^= 1;
    }
    return send_all(relay->from[1 - way], buf, (gsize)n);
}

static gboolean
wait_for_client(KdE2eRelay *relay)
{
    struct pollfd fds[] = {
        {.fd = relay->stop[0], .events = POLLIN},
        {.fd = relay->listener, .events = POLLIN},
    };

    while (poll(fds, G_N_ELEMENTS(fds), -1) < 0 && errno == EINTR) {
    }
    if (fds[0].revents != 0) {
        return FALSE;
    }
    relay->from[KD_E2E_TO_SERVER] = accept4(relay->listener, NULL, NULL, SOCK_CLOEXEC);
    return relay->from[KD_E2E_TO_SERVER] >= 0;
}

static gpointer
run(gpointer user)
{
    KdE2eRelay *relay = user;
    gboolean is_open[N_WAYS] = {TRUE, TRUE};

    if (!wait_for_client(relay)) {
        return NULL;
    }
    while (is_open[0] || is_open[1]) {
        struct pollfd fds[] = {
            {.fd = is_open[0] ? relay->from[0] : -1, .events = POLLIN},
            {.fd = is_open[1] ? relay->from[1] : -1, .events = POLLIN},
            {.fd = relay->stop[0], .events = POLLIN},
        };

        if (poll(fds, G_N_ELEMENTS(fds), -1) < 0) {
            continue;
        }
        if (fds[2].revents != 0) {
            break;
        }
        for (int way = 0; way < N_WAYS; way++) {
            if (fds[way].revents != 0 && !pass(relay, way)) {
                is_open[way] = FALSE;
                (void)shutdown(relay->from[1 - way], SHUT_WR);
            }
        }
    }
    return NULL;
}

/**
 * kd_e2e_relay_new_changing:
 * @listener: (transfer full): where one client may come
 * @server: (transfer full): connected to the server
 * @way: on which a byte is changed
 * @offset: of that byte
 *
 * Returns: (transfer full): somebody who flips the lowest bit of one byte and passes all others on
 */
KdE2eRelay *
kd_e2e_relay_new_changing(int listener, int server, KdE2eWay way, gsize offset)
{
    KdE2eRelay *relay = g_new0(KdE2eRelay, 1);

    relay->listener = listener;
    relay->from[KD_E2E_TO_SERVER] = -1;
    relay->from[KD_E2E_TO_CLIENT] = server;
    relay->passed[0] = g_byte_array_new();
    relay->passed[1] = g_byte_array_new();
    relay->way = way;
    relay->offset = offset;
    g_assert_cmpint(pipe2(relay->stop, O_CLOEXEC), ==, 0);
    relay->thread = g_thread_new("relay", run, relay);
    return relay;
}

/**
 * kd_e2e_relay_new:
 * @listener: (transfer full): where one client may come
 * @server: (transfer full): connected to the server
 *
 * Returns: (transfer full): somebody who passes all on as it comes
 */
KdE2eRelay *
kd_e2e_relay_new(int listener, int server)
{
    return kd_e2e_relay_new_changing(listener, server, KD_E2E_TO_SERVER, NO_OFFSET);
}

static void
stop(KdE2eRelay *relay)
{
    if (relay->thread != NULL) {
        close(relay->stop[1]);
        g_thread_join(g_steal_pointer(&relay->thread));
        close(relay->stop[0]);
    }
}

/**
 * kd_e2e_relay_finish:
 *
 * Ends it.
 *
 * Returns: (transfer none): what was sent that way
 */
GByteArray *
kd_e2e_relay_finish(KdE2eRelay *relay, KdE2eWay way)
{
    stop(relay);
    return relay->passed[way];
}

/**
 * kd_e2e_relay_free:
 * @relay: (nullable): a relay
 *
 * Hangs up on both.
 */
void
kd_e2e_relay_free(KdE2eRelay *relay)
{
    if (relay == NULL) {
        return;
    }
    stop(relay);
    for (int way = 0; way < N_WAYS; way++) {
        if (relay->from[way] >= 0) {
            close(relay->from[way]);
        }
        g_byte_array_unref(relay->passed[way]);
    }
    close(relay->listener);
    g_free(relay);
}
