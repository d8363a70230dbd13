/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Somebody on the way of KDNET's datagrams who writes them down, and somebody who sends all that
 * once more, as fast as it goes. */
#include "kd-e2e-net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define N_WAYS         2
#define CHANNEL_OFFSET 5
#define MOST_DATAGRAMS 20000u

/**
 * KdE2eNetRelay:
 * @stop: a pipe; nothing is relayed any more once its other end is closed
 * @near: where the target sends to
 * @far: connected to the server, a new one for each port that the target sends from
 * @target: where the target is
 * @lock: guards @passed
 * @passed: GBytes of each way, as they were received, from the first on
 */
struct KdE2eNetRelay {
    GThread *thread;
    int stop[2];
    int near;
    int far;
    guint server_port;
    struct sockaddr_in target;
    GMutex lock;
    GPtrArray *passed[N_WAYS];
    guint counts[N_WAYS][2];
};

static struct sockaddr_in
build_address(guint port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons((uint16_t)port),
    };
}

static int
open_far(guint port)
{
    struct sockaddr_in address = build_address(port);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    g_assert_cmpint(connect(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    return fd;
}

static void
note(KdE2eNetRelay *relay, KdE2eNetWay way, const guint8 *datagram, gsize len)
{
    g_mutex_lock(&relay->lock);
    if (relay->passed[way]->len < MOST_DATAGRAMS) {
        g_ptr_array_add(relay->passed[way], g_bytes_new(datagram, len));
    }
    relay->counts[way][len > CHANNEL_OFFSET && datagram[CHANNEL_OFFSET] == KD_E2E_NET_CONTROL]++;
    g_mutex_unlock(&relay->lock);
}

static void
pass_to_server(KdE2eNetRelay *relay)
{
    guint8 datagram[65536];
    struct sockaddr_in from = {0};
    socklen_t from_len = sizeof from;
    ssize_t n =
        recvfrom(relay->near, datagram, sizeof datagram, 0, (struct sockaddr *)&from, &from_len);

    if (n < 0) {
        return;
    }
    if (from.sin_port != relay->target.sin_port) {
        if (relay->far >= 0) {
            close(relay->far);
        }
        relay->far = open_far(relay->server_port);
        relay->target = from;
    }
    note(relay, KD_E2E_NET_TO_SERVER, datagram, (gsize)n);
    (void)send(relay->far, datagram, (size_t)n, 0);
}

static void
pass_to_target(KdE2eNetRelay *relay)
{
    guint8 datagram[65536];
    ssize_t n = recv(relay->far, datagram, sizeof datagram, 0);

    if (n < 0) {
        return; /* the server is not there yet */
    }
    note(relay, KD_E2E_NET_TO_TARGET, datagram, (gsize)n);
    (void)sendto(relay->near, datagram, (size_t)n, 0, (struct sockaddr *)&relay->target,
                 sizeof relay->target);
}

static gpointer
run(gpointer user)
{
    KdE2eNetRelay *relay = user;

    for (;;) {
        struct pollfd fds[] = {
            {.fd = relay->stop[0], .events = POLLIN},
            {.fd = relay->near, .events = POLLIN},
            {.fd = relay->far, .events = POLLIN},
        };

        if (poll(fds, G_N_ELEMENTS(fds), -1) < 0) {
            continue;
        }
        if (fds[0].revents != 0) {
            return NULL;
        }
        if (fds[2].revents != 0) {
            pass_to_target(relay);
        }
        if (fds[1].revents != 0) {
            pass_to_server(relay);
        }
    }
}

/**
 * kd_e2e_net_relay_new:
 * @server_port: where the datagrams shall go
 * @port: (out): where the target has to send them
 *
 * Returns: (transfer full): the one on the way
 */
KdE2eNetRelay *
kd_e2e_net_relay_new(guint server_port, guint *port)
{
    KdE2eNetRelay *relay = g_new0(KdE2eNetRelay, 1);
    struct sockaddr_in address = build_address(0);
    socklen_t len = sizeof address;

    relay->server_port = server_port;
    relay->far = -1;
    relay->near = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(bind(relay->near, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_cmpint(getsockname(relay->near, (struct sockaddr *)&address, &len), ==, 0);
    g_assert_cmpint(pipe2(relay->stop, O_CLOEXEC), ==, 0);
    *port = ntohs(address.sin_port);
    g_mutex_init(&relay->lock);
    for (guint i = 0; i < N_WAYS; i++) {
        relay->passed[i] = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    }
    relay->thread = g_thread_new("net-relay", run, relay);
    return relay;
}

/**
 * kd_e2e_net_relay_free:
 * @relay: (nullable): a relay
 *
 * Passes nothing on any more.
 */
void
kd_e2e_net_relay_free(KdE2eNetRelay *relay)
{
    if (relay == NULL) {
        return;
    }
    close(relay->stop[1]);
    g_thread_join(relay->thread);
    close(relay->stop[0]);
    close(relay->near);
    if (relay->far >= 0) {
        close(relay->far);
    }
    for (guint i = 0; i < N_WAYS; i++) {
        g_ptr_array_unref(relay->passed[i]);
    }
    g_mutex_clear(&relay->lock);
    g_free(relay);
}

/**
 * kd_e2e_net_relay_list:
 * @way: of them
 *
 * Returns: (transfer container) (element-type GBytes): the datagrams so far
 */
GPtrArray *
kd_e2e_net_relay_list(KdE2eNetRelay *relay, KdE2eNetWay way)
{
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);

    g_mutex_lock(&relay->lock);
    for (guint i = 0; i < relay->passed[way]->len; i++) {
        g_ptr_array_add(list, g_bytes_ref(relay->passed[way]->pdata[i]));
    }
    g_mutex_unlock(&relay->lock);
    return list;
}

/**
 * kd_e2e_net_relay_count:
 * @way: of them
 * @channel: 0 data, %KD_E2E_NET_CONTROL
 *
 * Returns: how many datagrams so far
 */
guint
kd_e2e_net_relay_count(KdE2eNetRelay *relay, KdE2eNetWay way, guint channel)
{
    guint n;

    g_mutex_lock(&relay->lock);
    n = relay->counts[way][channel];
    g_mutex_unlock(&relay->lock);
    return n;
}

/**
 * kd_e2e_net_is_control:
 *
 * Returns: whether the datagram is of the control channel
 */
gboolean
kd_e2e_net_is_control(GBytes *datagram)
{
    gsize len = 0;
    const guint8 *at = g_bytes_get_data(datagram, &len);

    return len > CHANNEL_OFFSET && at[CHANNEL_OFFSET] == KD_E2E_NET_CONTROL;
}

/* ---- the flood ---- */

struct KdE2eNetFlood {
    KdE2eProgram *program;
};

static void
write_datagrams(const char *path, GPtrArray *datagrams)
{
    g_autoptr(GByteArray) file = g_byte_array_new();
    g_autoptr(GError) error = NULL;

    for (guint i = 0; i < datagrams->len; i++) {
        gsize len = 0;
        const guint8 *at = g_bytes_get_data(datagrams->pdata[i], &len);
        guint32 prefix = (guint32)len;

        g_byte_array_append(file, (const guint8 *)&prefix, sizeof prefix);
        g_byte_array_append(file, at, (guint)len);
    }
    (void)g_file_set_contents(path, (const char *)file->data, (gssize)file->len, &error);
    g_assert_no_error(error);
}

/**
 * kd_e2e_net_flood_new:
 * @port: UDP, of this machine
 * @datagrams: (element-type GBytes): authentic ones, that are sent as they are and damaged
 * @per_second: how many to send, if it can
 *
 * Begins; some of them come from 127.0.0.1, some from other addresses.
 *
 * Returns: (transfer full): the flood
 */
KdE2eNetFlood *
kd_e2e_net_flood_new(const KdE2eStage *stage, guint port, GPtrArray *datagrams, guint per_second)
{
    KdE2eNetFlood *flood = g_new0(KdE2eNetFlood, 1);
    g_autofree char *path = kd_e2e_stage_build_path(stage, "flood");
    g_autofree char *port_text = g_strdup_printf("%u", port);
    g_autofree char *rate_text = g_strdup_printf("%u", per_second);
    const char *argv[] = {NULL, port_text, path, rate_text, NULL};
    g_autofree char *program = g_build_filename(g_getenv("KD_BINDIR"), "kd-e2e-net-flood", NULL);

    argv[0] = program;
    write_datagrams(path, datagrams);
    flood->program = kd_e2e_program_new(argv, NULL);
    g_free(kd_e2e_program_await(flood->program, KD_E2E_STDOUT, "flows"));
    return flood;
}

/**
 * kd_e2e_net_flood_stop:
 * @flood: (transfer full): a flood
 * @report: filled
 *
 * Ends it.
 */
void
kd_e2e_net_flood_stop(KdE2eNetFlood *flood, KdE2eNetFloodReport *report)
{
    g_autofree char *line = NULL;
    g_auto(GStrv) words = NULL;

    kd_e2e_program_close_stdin(flood->program);
    line = kd_e2e_program_await(flood->program, KD_E2E_STDOUT, "sent ");
    g_assert_cmpint(kd_e2e_program_wait(flood->program), ==, 0);
    words = g_strsplit(line, " ", 0);
    g_assert_cmpuint(g_strv_length(words), ==, 6); /* sent N in MS answered N */
    report->n_sent = g_ascii_strtoull(words[1], NULL, 10);
    report->spent_ms = g_ascii_strtoull(words[3], NULL, 10);
    report->n_answered = g_ascii_strtoull(words[5], NULL, 10);
    kd_e2e_program_free(flood->program);
    g_free(flood);
}
