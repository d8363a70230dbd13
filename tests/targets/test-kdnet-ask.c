/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The net target with target=: names, the host's rules, and the datagrams that ask for an offer.
 * What is asked listens on our own port number, which no other socket of this machine can have:
 * it is read from the loopback itself. */
#include "kd-net-stage.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WITH_KEY  "'key': <'" KD_NET_KEY "'>"
#define IP_BYTES  20u
#define UDP_BYTES 8u
#define N_ASKED   4u
#define ASKED     "127.0.0.2"

static int
open_loopback(void)
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET,
                                  .sll_protocol = htons(ETH_P_IP),
                                  .sll_ifindex = (int)if_nametoindex("lo")};
    int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_IP));
    int queue_bytes = 8 * 1024 * 1024;
    if (fd >= 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &queue_bytes, sizeof queue_bytes);
        g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    }
    return fd;
}

/* What goes to the asked address and port; the loopback shows each packet twice, going and coming.
 */
typedef struct {
    int fd;
    uint16_t port;
    guint n;
    KdNetDatagram datagrams[N_ASKED];
} Ear;

static gboolean
has_heard(gpointer user_data)
{
    Ear *ear = user_data;
    uint8_t packet[2048];
    struct sockaddr_ll from = {0};
    socklen_t from_len = sizeof from;
    gssize len;
    while (ear->n < N_ASKED && (len = recvfrom(ear->fd, packet, sizeof packet, 0,
                                               (struct sockaddr *)&from, &from_len)) > 0) {
        struct in_addr asked;
        g_assert_cmpint(inet_pton(AF_INET, ASKED, &asked), ==, 1);
        if (from.sll_pkttype == PACKET_OUTGOING || (size_t)len <= IP_BYTES + UDP_BYTES ||
            packet[0] != 0x45 || packet[9] != IPPROTO_UDP ||
            memcmp(packet + 16, &asked, sizeof asked) != 0 ||
            (packet[IP_BYTES + 2] << 8 | packet[IP_BYTES + 3]) != ear->port)
            continue;
        KdNetDatagram *datagram = &ear->datagrams[ear->n++];
        datagram->len = (size_t)len - IP_BYTES - UDP_BYTES;
        memcpy(datagram->bytes, packet + IP_BYTES + UDP_BYTES, datagram->len);
    }
    return ear->n == N_ASKED;
}

static void
test_ask(void)
{
    KdNetLink link;
    KdNetTarget target;
    uint64_t last_seq = 0;
    Ear ear = {.fd = open_loopback()};
    if (ear.fd < 0) {
        g_test_skip("no right to listen to the loopback");
        return;
    }
    kd_net_target_init(&target, KD_NET_KEY);
    gint64 before_us = g_get_monotonic_time();
    kd_net_open(&link, WITH_KEY ", 'target': <'" ASKED "'>");
    ear.port = link.port;
    g_assert_true(kd_net_has_note(&link, "asking " ASKED " for a connection"));
    kd_test_wait_until(has_heard, &ear);
    g_assert_cmpint(g_get_monotonic_time() - before_us, >=, (N_ASKED - 1) * 450 * 1000);
    for (guint i = 0; i < N_ASKED; i++) {
        KdnetOpened opened = {0};
        g_assert_true(kdnet_cipher_open(target.control, ear.datagrams[i].bytes,
                                        ear.datagrams[i].len, &opened));
        g_assert_true(opened.is_from_host);
        g_assert_cmpuint(opened.body_bytes, ==, 0);
        g_assert_cmpuint(opened.seq, >, last_seq); /* beside much else, we may not hear them all */
        last_seq = opened.seq;
    }
    int fd = kd_net_socket(AF_INET, ASKED, &link);
    g_assert_cmpint(fd, >=, 0);
    kd_net_connect(fd, &target);
    kd_net_await_note(&link, "found the target at " ASKED);
    close(fd);
    close(ear.fd);
    kd_net_close(&link);
    kd_net_target_clear(&target);
}

static void
test_another(void)
{
    KdNetLink link;
    KdNetTarget target;
    KdNetDatagram datagram;
    kd_net_target_init(&target, KD_NET_KEY);
    kd_net_open(&link, WITH_KEY ", 'target': <'" ASKED "'>");
    int fd = kd_net_socket(AF_INET, "127.0.0.1", &link);
    kd_net_target_poke(&target, &datagram);
    kd_net_put(fd, &datagram);
    kd_net_await_note(&link, "a target with this key is at 127.0.0.1:");
    g_assert_false(kd_net_has(fd));
    close(fd);
    kd_net_close(&link);
    kd_net_target_clear(&target);
}

static void
test_rules(void)
{
    static const char *const names[] = {"127.0.0.1", "localhost"};
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        KdNetLink link;
        g_autoptr(GError) error = NULL;
        g_autofree char *rest = g_strdup_printf(WITH_KEY ", 'target': <'%s'>", names[i]);
        guint before = kd_test_host_get_n_dial_checks();
        kd_net_open(&link, rest);
        g_assert_cmpuint(kd_test_host_get_n_dial_checks(), >, before + i); /* the name as well */
        kd_net_close(&link);
        kd_test_host_deny_addresses(TRUE);
        g_assert_false(kd_net_open_at(&link, 61000, rest, &error));
        kd_test_host_deny_addresses(FALSE);
        g_assert_error(error, KD_ERROR, KD_ERROR_POLICY);
        g_assert_true(g_str_has_prefix(error->message, "net: "));
        g_assert_cmpuint(link.notes->len, ==, 0);
        kd_net_close(&link);
    }
}

static void
test_family(void)
{
    KdNetLink link;
    if (!kd_test_has_ipv6()) {
        g_test_skip("there is no ::1");
        return;
    }
    kd_net_open(&link, WITH_KEY ", 'target': <'[::1]'>");
    KdNetTarget target;
    kd_net_target_init(&target, KD_NET_KEY);
    int fd = kd_net_socket(AF_INET6, "::1", &link);
    kd_net_connect(fd, &target);
    kd_net_await_note(&link, "found the target at [::1]:");
    close(fd);
    kd_net_close(&link);
    kd_net_target_clear(&target);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_net_load();
    g_test_add_func("/kdnet/target/is-asked-twice-a-second", test_ask);
    g_test_add_func("/kdnet/target/another-one-with-the-key-is-told-and-ignored", test_another);
    g_test_add_func("/kdnet/target/rules-are-asked-for-name-and-addresses", test_rules);
    g_test_add_func("/kdnet/target/ipv6-address-in-brackets", test_family);
    return g_test_run();
}
