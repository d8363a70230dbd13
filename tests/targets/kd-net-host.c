/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A KDNET host without sockets for tests, its target, and a time of their own. */
#include "kd-net-host.h"

#include <string.h>

static gboolean
on_send(const uint8_t *datagram, size_t len, const KdnetAddress *to, void *user)
{
    KdNetHost *host = user;
    if (host->is_full)
        return FALSE;
    g_ptr_array_add(host->sent, g_bytes_new(datagram, len));
    host->sent_to = *to;
    return TRUE;
}

static void
on_receive(const uint8_t *packet, size_t len, void *user)
{
    KdNetHost *host = user;
    g_ptr_array_add(host->packets, g_bytes_new(packet, len));
}

static void
on_changed(KdnetChange change, void *user)
{
    KdNetHost *host = user;
    host->n_here += change == KDNET_CHANGE_HERE;
    host->n_gone += change == KDNET_CHANGE_GONE;
    host->n_restarts += change == KDNET_CHANGE_RESTART;
}

static void
on_notice(KdnetNotice notice, const KdnetAddress *from, void *user)
{
    KdNetHost *host = user;
    g_assert_cmpuint(from->port, !=, 0);
    g_assert_cmpuint(notice, <, G_N_ELEMENTS(host->notices));
    host->notices[notice]++;
}

/**
 * kd_net_host_make_address:
 * @last: byte of 192.0.2.0
 *
 * Returns: an address
 */
KdnetAddress
kd_net_host_make_address(uint8_t last, uint16_t port)
{
    KdnetAddress address = {.port = port};
    static const uint8_t start[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2};
    memcpy(&address.ip, start, sizeof start);
    address.ip.s6_addr[15] = last;
    return address;
}

/**
 * kd_net_host_set_up:
 *
 * Makes a host that waits, and a target in its first boot.
 */
void
kd_net_host_set_up(KdNetHost *host, gconstpointer unused)
{
    static const KdnetSessionFuncs funcs = {on_send, on_receive, on_changed, on_notice};
    (void)unused;
    kd_net_target_init(&host->target, KD_NET_KEY);
    host->session = kdnet_session_new(&host->target.key, &funcs, host);
    host->where = kd_net_host_make_address(1, 50000);
    host->now_us = 1000 * S_US;
    host->sent = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    host->packets = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
}

/**
 * kd_net_host_tear_down:
 *
 * Ends both.
 */
void
kd_net_host_tear_down(KdNetHost *host, gconstpointer unused)
{
    (void)unused;
    kdnet_session_free(host->session);
    kd_net_target_clear(&host->target);
    g_ptr_array_unref(host->sent);
    g_ptr_array_unref(host->packets);
}

/**
 * kd_net_host_pass:
 *
 * Lets time go on, with a tick whenever one is due.
 */
void
kd_net_host_pass(KdNetHost *host, gint64 us)
{
    gint64 end_us = host->now_us + us;
    for (;;) {
        gint64 due_us = kdnet_session_get_deadline_us(host->session);
        if (due_us > end_us)
            break;
        host->now_us = MAX(host->now_us, due_us);
        kdnet_session_tick(host->session, host->now_us);
        g_assert_cmpint(kdnet_session_get_deadline_us(host->session), >, host->now_us);
    }
    host->now_us = end_us;
}

/**
 * kd_net_host_give:
 *
 * Gives a datagram to the host, as if from the target.
 */
void
kd_net_host_give(KdNetHost *host, const KdNetDatagram *datagram)
{
    kdnet_session_receive(host->session, datagram->bytes, datagram->len, &host->where,
                          host->now_us);
}

/**
 * kd_net_host_take_answer:
 *
 * Gives the last that the host has sent to a target.
 *
 * Returns: whether it was an answer to it
 */
gboolean
kd_net_host_take_answer(KdNetHost *host, KdNetTarget *target)
{
    g_assert_cmpuint(host->sent->len, >, 0);
    gsize len = 0;
    const uint8_t *bytes =
        g_bytes_get_data(g_ptr_array_index(host->sent, host->sent->len - 1), &len);
    return kd_net_target_take_answer(target, bytes, len);
}

/**
 * kd_net_host_poke_as:
 * @target: any; its datagrams come from where the host's own is
 *
 * Makes an offer; if it is answered at once, the target takes the answer.
 *
 * Returns: whether it was
 */
gboolean
kd_net_host_poke_as(KdNetHost *host, KdNetTarget *target)
{
    KdNetDatagram datagram;
    guint before = host->sent->len;
    kd_net_target_poke(target, &datagram);
    kd_net_host_give(host, &datagram);
    g_assert_cmpuint(host->sent->len - before, <=, 1);
    return host->sent->len > before && kd_net_host_take_answer(host, target);
}

/**
 * kd_net_host_poke:
 *
 * Does as kd_net_host_poke_as() with the host's own target.
 */
gboolean
kd_net_host_poke(KdNetHost *host)
{
    return kd_net_host_poke_as(host, &host->target);
}

/**
 * kd_net_host_check_connection:
 *
 * The target shows that it has the answer.
 */
void
kd_net_host_check_connection(KdNetHost *host)
{
    KdNetDatagram datagram;
    kd_net_target_check(&host->target, &datagram);
    kd_net_host_give(host, &datagram);
}

/**
 * kd_net_host_say:
 * @text: stands for a KD packet
 *
 * The target says something.
 */
void
kd_net_host_say(KdNetHost *host, const char *text)
{
    KdNetDatagram datagram;
    kd_net_target_say(&host->target, text, strlen(text), &datagram);
    kd_net_host_give(host, &datagram);
}

/**
 * kd_net_host_check_heard:
 *
 * Asserts that this was the last packet that came.
 */
void
kd_net_host_check_heard(KdNetHost *host, const char *text)
{
    g_assert_cmpuint(host->packets->len, >, 0);
    GBytes *last = g_ptr_array_index(host->packets, host->packets->len - 1);
    g_assert_cmpuint(g_bytes_get_size(last), ==, strlen(text));
    g_assert_cmpint(memcmp(g_bytes_get_data(last, NULL), text, strlen(text)), ==, 0);
}

/**
 * kd_net_host_connect_target:
 *
 * Makes a session.
 */
void
kd_net_host_connect_target(KdNetHost *host)
{
    g_assert_true(kd_net_host_poke(host));
    kd_net_host_pass(host, 1 * MS_US);
    kd_net_host_check_connection(host);
}

/**
 * kd_net_host_get_status:
 *
 * Returns: what is known and was counted
 */
KdnetStatus
kd_net_host_get_status(const KdNetHost *host)
{
    KdnetStatus status;
    kdnet_session_get_status(host->session, &status);
    return status;
}
