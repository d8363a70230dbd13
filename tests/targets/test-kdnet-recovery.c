/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a KDNET host finds a target again that nothing but its behaviour tells apart from others. */
#include "kd-net-host.h"

#include <string.h>

/* ---- a machine that is set back ---- */

/* To a snapshot: it makes the offers of its boot once more. */
static void
set_back(KdNetHost *host, const KdNetTarget *snapshot)
{
    memcpy(host->target.nonce, snapshot->nonce, sizeof host->target.nonce);
    host->target.poke_seq = snapshot->poke_seq;
    host->target.is_connected = snapshot->is_connected;
    host->target.data_seq = snapshot->data_seq;
}

static void
run_for_long(KdNetHost *host)
{
    for (guint i = 0; i < 600; i++) {
        kd_net_host_pass(host, POKE_US);
        g_assert_false(kd_net_host_poke(host));
        kd_net_host_say(host, "x");
    }
}

static void
check_found_again(KdNetHost *host)
{
    gboolean is_answered = FALSE;
    for (guint i = 0; i < 10 && !is_answered; i++) {
        kd_net_host_pass(host, POKE_US);
        is_answered = kd_net_host_poke(host);
    }
    g_assert_true(is_answered);
    g_assert_cmpuint(host->n_gone, ==, 1);
    kd_net_host_check_connection(host);
    g_assert_cmpuint(host->n_here, ==, 2);
    g_assert_cmpuint(host->n_restarts, ==, 1);
    kd_net_host_say(host, "lives");
    kd_net_host_check_heard(host, "lives");
    kd_net_host_pass(host, POKE_US);
    g_assert_false(kd_net_host_poke(host));
}

static void
test_set_back(KdNetHost *host, gconstpointer unused)
{
    KdNetTarget snapshot = host->target;
    (void)unused;
    kd_net_host_connect_target(host);
    run_for_long(host);
    set_back(host, &snapshot);
    check_found_again(host);
}

static void
test_set_back_in_session(KdNetHost *host, gconstpointer unused)
{
    (void)unused;
    kd_net_host_connect_target(host);
    KdNetTarget snapshot = host->target; /* with the data channel that is still in force */
    run_for_long(host);
    set_back(host, &snapshot);
    check_found_again(host);
}

/* Whoever has recorded offers has all of them. */
static void
test_flood_is_no_set_back(KdNetHost *host, gconstpointer unused)
{
    KdNetDatagram pokes[50];
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);
    (void)unused;
    kd_net_host_connect_target(host);
    for (guint i = 0; i < G_N_ELEMENTS(pokes); i++) {
        kd_net_host_pass(host, POKE_US);
        kd_net_target_poke(&host->target, &pokes[i]);
        kd_net_host_give(host, &pokes[i]);
    }
    kd_net_host_pass(host, 10 * S_US);
    g_assert_cmpuint(host->n_gone, ==, 1);
    for (guint i = 0; i < 20000; i++) {
        kd_net_host_give(host,
                         &pokes[i < 10000 ? i % G_N_ELEMENTS(pokes)
                                          : (guint)g_rand_int_range(rand, 0, G_N_ELEMENTS(pokes))]);
        kd_net_host_pass(host, 1 * MS_US);
    }
    g_assert_cmpuint(kd_net_host_get_status(host).n_answered, ==, 1);
    kd_net_host_pass(host, POKE_US);
    g_assert_false(kd_net_host_poke(host)); /* it was there all the time */
    g_assert_cmpuint(host->n_here, ==, 2);
}

/* ---- a target that does not hear ---- */

static gboolean
ask_in_vain(KdNetHost *host, guint n_offers)
{
    static const uint8_t request[16] = {0x30, 0x30, 0x30, 0x30, 2};
    for (guint i = 0; i < n_offers; i++) {
        for (guint j = 0; j < 6; j++) {
            KdNetDatagram forged;
            g_assert_true(kdnet_session_send(host->session, request, sizeof request));
            kd_net_target_say(&host->target, "lost", 4, &forged);
            forged.bytes[forged.len - 1] ^= 1; /* what another key makes */
            kd_net_host_give(host, &forged);
            kd_net_host_pass(host, 500 * MS_US);
        }
        if (kd_net_host_poke(host))
            return TRUE;
    }
    return FALSE;
}

static void
test_deaf(KdNetHost *host, gconstpointer unused)
{
    (void)unused;
    kd_net_host_connect_target(host);
    kd_net_host_say(host, "x");
    g_assert_false(ask_in_vain(host, 2));
    g_assert_true(ask_in_vain(host, 1));
    kd_net_host_check_connection(host);
    kd_net_host_say(host, "heard");
    kd_net_host_check_heard(host, "heard");
    g_assert_cmpuint(host->n_restarts, ==, 1);
    g_assert_cmpuint(host->n_gone, ==, 0);
}

/* A target that runs takes no requests: it is not started over for ever. */
static void
test_busy(KdNetHost *host, gconstpointer unused)
{
    (void)unused;
    kd_net_host_connect_target(host);
    guint n = 0;
    for (guint i = 0; i < 400; i++) {
        if (ask_in_vain(host, 1)) {
            kd_net_host_check_connection(host);
            n++;
        }
    }
    g_assert_cmpuint(n, <=, 12);
    g_assert_cmpuint(host->n_gone, ==, 0);
}

/* ---- a hostile target ---- */

/* It says something on each of two channels by turns. */
static void
test_two_keys(KdNetHost *host, gconstpointer unused)
{
    KdNetDatagram datagram;
    KdNetTarget twin;
    uint8_t key[KDNET_KEY_BYTES];
    (void)unused;
    g_assert_true(kd_net_host_poke(host));
    twin = host->target;
    kdnet_key_derive(&twin.key, twin.response, key);
    twin.data = kdnet_cipher_new(key, twin.key.hmac);
    kd_net_host_pass(host, 1 * S_US);
    g_assert_true(kd_net_host_poke(host));
    for (guint i = 0; i < 10000; i++) {
        kd_net_target_say(i % 2 == 0 ? &twin : &host->target, "x", 1, &datagram);
        kd_net_host_give(host, &datagram);
    }
    g_clear_pointer(&twin.data, kdnet_cipher_free);
    g_assert_cmpuint(host->n_restarts, <=, 6);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, fn)                                                            \
    g_test_add("/kdnet/recovery/" name, KdNetHost, NULL, kd_net_host_set_up, fn, \
               kd_net_host_tear_down)
    ADD("set-back/machine-is-found-again", test_set_back);
    ADD("set-back/machine-with-a-session-is-found-again", test_set_back_in_session);
    ADD("set-back/flood-of-old-offers-is-none", test_flood_is_no_set_back);
    ADD("deaf/target-with-another-key-is-answered", test_deaf);
    ADD("deaf/running-target-is-left-alone", test_busy);
    ADD("hostile/two-channels-by-turns-restart-seldom", test_two_keys);
    return g_test_run();
}
