/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which key holds on a KDNET host when its target restarts, and when old datagrams come again; time
 * is the tests'. */
#include "kd-net-host.h"

#include <string.h>

/* ---- reboots, and what looks like one ---- */

static void
test_reboot(KdNetHost *host, gconstpointer unused)
{
    KdNetDatagram late;
    (void)unused;
    kd_net_host_connect_target(host);
    kd_net_host_say(host, "x");
    kd_net_target_say(&host->target, "late", 4, &late);
    kd_net_target_boot(&host->target, 2);
    host->where.port = 51000;
    kd_net_host_pass(host, 8 * S_US);
    g_assert_true(kd_net_host_poke(host));
    /* The new key is not in force before a datagram has come under it. */
    g_assert_cmpuint(host->n_restarts, ==, 0);
    kd_net_host_give(host, &late);
    kd_net_host_check_heard(host, "late");
    kd_net_host_check_connection(host);
    g_assert_cmpuint(host->n_restarts, ==, 1);
    g_assert_cmpuint(host->n_gone, ==, 0);
    g_assert_true(kdnet_session_send(host->session, (const uint8_t *)"b", 1));
    g_assert_cmpuint(host->sent_to.port, ==, 51000);
    guint n = host->packets->len;
    kd_net_host_give(host, &late); /* under the old key */
    g_assert_cmpuint(host->packets->len, ==, n);
}

static void
test_quick_reboot(KdNetHost *host, gconstpointer unused)
{
    KdNetDatagram datagram;
    (void)unused;
    kd_net_host_connect_target(host);
    kd_net_host_say(host, "x");
    kd_net_target_boot(&host->target, 2);
    kd_net_target_poke(&host->target, &datagram);
    kd_net_host_give(host, &datagram);
    kd_net_host_pass(host, 3400 * MS_US);
    g_assert_cmpuint(host->sent->len, ==, 1); /* the old boot may live yet */
    kd_net_host_pass(host, 200 * MS_US);
    g_assert_cmpuint(host->sent->len, ==, 2);
    g_assert_true(kd_net_host_take_answer(host, &host->target));
    kd_net_host_check_connection(host);
    g_assert_cmpuint(host->n_restarts, ==, 1);
}

static void
test_reboot_when_gone(KdNetHost *host, gconstpointer unused)
{
    (void)unused;
    kd_net_host_connect_target(host);
    kd_net_host_pass(host, 60 * S_US);
    kd_net_target_boot(&host->target, 2);
    host->where = kd_net_host_make_address(9, 50000); /* even from another address */
    kd_net_host_connect_target(host);
    g_assert_cmpuint(host->n_gone, ==, 1);
    g_assert_cmpuint(host->n_here, ==, 2);
    g_assert_cmpuint(host->n_restarts, ==, 1);
}

static void
test_session_dropped(KdNetHost *host, gconstpointer unused)
{
    (void)unused;
    kd_net_host_connect_target(host);
    kd_net_host_pass(host, POKE_US);
    host->target.is_connected = FALSE; /* the same boot, which has given us up */
    kd_net_host_connect_target(host);
    g_assert_cmpuint(host->n_restarts, ==, 1);
    for (guint i = 0; i < 5; i++) {
        kd_net_host_pass(host, POKE_US);
        g_assert_false(kd_net_host_poke(host)); /* no rekeying for ever */
    }
    g_assert_cmpuint(host->sent->len, ==, 2);
}

/* The target took the second answer, nobody heard of it, and it has nothing to say. */
static void
test_session_dropped_quietly(KdNetHost *host, gconstpointer unused)
{
    KdNetDatagram lost;
    (void)unused;
    kd_net_host_connect_target(host);
    kd_net_host_pass(host, POKE_US);
    host->target.is_connected = FALSE;
    g_assert_true(kd_net_host_poke(host));
    kd_net_target_check(&host->target, &lost);
    kd_net_host_pass(host, POKE_US);
    g_assert_true(host->target.is_connected);
    kd_net_host_connect_target(
        host); /* there is an answer: the key in force may not be the target's */
    g_assert_cmpuint(host->n_restarts, ==, 1);
    kd_net_host_say(host, "lives");
    kd_net_host_check_heard(host, "lives");
}

/* An offer that was made before the answer to the one before it came */
static void
test_crossed_answer(KdNetHost *host, gconstpointer unused)
{
    KdNetDatagram offer;
    (void)unused;
    kd_net_host_connect_target(host);
    kd_net_host_say(host, "x");
    host->target.is_connected = FALSE;
    kd_net_target_poke(&host->target, &offer);
    host->target.is_connected = TRUE;
    kd_net_host_give(host, &offer);
    kd_net_host_pass(host, 100 * MS_US);
    g_assert_false(kd_net_host_poke(host)); /* it has a session after all */
    kd_net_host_pass(host, 2 * S_US);
    g_assert_cmpuint(kd_net_host_get_status(host).n_answered, ==, 1);
}

static void
test_crossed_offer(KdNetHost *host, gconstpointer unused)
{
    KdNetDatagram crossed;
    (void)unused;
    kd_net_target_poke(&host->target, &crossed); /* held up on the way */
    KdNetDatagram second;
    kd_net_target_poke(&host->target, &second);
    kd_net_host_give(host, &second);
    g_assert_true(kd_net_host_take_answer(host, &host->target));
    kd_net_host_check_connection(host);
    kd_net_host_give(host, &crossed);
    kd_net_host_pass(host, 100 * S_US);
    g_assert_cmpuint(kd_net_host_get_status(host).n_answered, ==, 1);
}

/* Every authentic poke there ever was, of this boot and of others, while a session lives */
static void
test_replayed_pokes(KdNetHost *host, gconstpointer unused)
{
    KdNetDatagram pokes[60];
    (void)unused;
    for (guint i = 0; i < 40; i++) {
        if (i % 2 == 0) /* boots that this host has never seen */
            kd_net_target_boot(&host->target, (uint8_t)(100 + i));
        host->target.is_connected = i % 3 == 0;
        kd_net_target_poke(&host->target, &pokes[i]);
    }
    kd_net_target_boot(&host->target, 2);
    for (guint i = 40; i < 50; i++)
        kd_net_target_poke(&host->target, &pokes[i]);
    kd_net_host_connect_target(host);
    for (guint i = 50; i < 60; i++) {
        kd_net_host_pass(host, POKE_US);
        kd_net_target_poke(&host->target, &pokes[i]);
        kd_net_host_give(host, &pokes[i]);
    }
    g_assert_cmpuint(host->sent->len, ==, 1);
    for (guint round = 0; round < 20; round++) {
        for (guint i = 0; i < G_N_ELEMENTS(pokes); i++) {
            kd_net_host_give(host, &pokes[i]);
            kd_net_host_pass(host, POKE_US / (gint64)G_N_ELEMENTS(pokes));
        }
        KdNetDatagram own; /* the target itself has nothing else to say */
        kd_net_target_poke(&host->target, &own);
        kd_net_host_give(host, &own);
    }
    g_assert_cmpuint(host->sent->len, ==, 1);
    g_assert_cmpuint(host->n_gone, ==, 0);
    g_assert_cmpuint(host->n_restarts, ==, 0);
    kd_net_host_say(host, "lives");
    kd_net_host_check_heard(host, "lives");
}

/* When the target is silent for long, an old offer may be answered: the key stays. */
static void
test_replayed_poke_in_silence(KdNetHost *host, gconstpointer unused)
{
    KdNetDatagram old;
    (void)unused;
    kd_net_target_boot(&host->target, 77);
    kd_net_target_poke(&host->target, &old);
    kd_net_target_boot(&host->target, 2);
    kd_net_host_connect_target(host);
    kd_net_host_pass(host, 5 * S_US);
    for (guint i = 0; i < 100; i++)
        kd_net_host_give(host, &old);
    g_assert_cmpuint(kd_net_host_get_status(host).n_answered, ==, 2); /* once */
    kd_net_host_say(host, "lives");
    kd_net_host_check_heard(host, "lives");
    g_assert_cmpuint(host->n_restarts, ==, 0);
}

/* Once the target has shown that it lives, an old offer is old for good. */
static void
test_refuted_poke(KdNetHost *host, gconstpointer unused)
{
    KdNetDatagram old;
    (void)unused;
    kd_net_target_boot(&host->target, 77);
    kd_net_target_poke(&host->target, &old);
    kd_net_target_boot(&host->target, 2);
    kd_net_host_connect_target(host);
    kd_net_host_give(host, &old);
    kd_net_host_pass(host, 2 * S_US);
    kd_net_host_say(host, "lives");
    kd_net_host_pass(host, 9 * S_US);
    kd_net_host_give(host, &old);
    g_assert_cmpuint(kd_net_host_get_status(host).n_answered, ==, 1);
}

/* More boots than are remembered do not push out the one in session. */
static void
test_many_boots(KdNetHost *host, gconstpointer unused)
{
    KdNetDatagram old;
    KdNetDatagram other;
    KdNetTarget others;
    (void)unused;
    kd_net_target_poke(&host->target, &old);
    kd_net_host_connect_target(host);
    kd_net_target_init(&others, KD_NET_KEY);
    for (guint i = 0; i < 150; i++) {
        kd_net_target_boot(&others, (uint8_t)(100 + i));
        kd_net_target_poke(&others, &other);
        kd_net_host_give(host, &other);
    }
    kd_net_target_clear(&others);
    kd_net_host_say(host, "lives");
    kd_net_host_give(host, &old);
    kd_net_host_pass(host, 3 * S_US);
    g_assert_cmpuint(kd_net_host_get_status(host).n_answered, ==, 1);
}

/* Two answers to one boot, and an attacker who holds back the check of the first: both sides end up
 * with the same key by themselves. */
static void
test_delayed_check(KdNetHost *host, gconstpointer unused)
{
    KdNetDatagram delayed;
    (void)unused;
    g_assert_true(kd_net_host_poke(host));
    kd_net_target_check(&host->target, &delayed);
    kd_net_host_pass(host, 1500 * MS_US);
    kd_net_host_connect_target(host);
    kd_net_host_give(host, &delayed);
    g_assert_cmpuint(host->n_restarts, ==, 1);
    kd_net_host_say(host, "lives");
    kd_net_host_check_heard(host, "lives");
    g_assert_cmpuint(host->n_restarts, ==, 2);
    kd_net_host_give(host, &delayed);
    g_assert_cmpuint(host->n_restarts, ==, 2);
    kd_net_host_pass(host, POKE_US);
    g_assert_false(kd_net_host_poke(host));
    kd_net_host_say(host, "goes on");
    kd_net_host_check_heard(host, "goes on");
}

/* The keys of answers that the target has not taken are forgotten when it goes on without them. */
static void
test_outdated_check(KdNetHost *host, gconstpointer unused)
{
    KdNetDatagram delayed;
    (void)unused;
    g_assert_true(kd_net_host_poke(host));
    kd_net_target_check(&host->target, &delayed);
    kd_net_host_pass(host, POKE_US);
    kd_net_host_connect_target(host);
    kd_net_host_give(host, &delayed);
    g_assert_cmpuint(host->n_restarts, ==, 0);
    g_assert_cmpuint(kd_net_host_get_status(host).n_forged, ==, 1);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, fn)                                                           \
    g_test_add("/kdnet/session/" name, KdNetHost, NULL, kd_net_host_set_up, fn, \
               kd_net_host_tear_down)
    ADD("reboot/old-key-stays-until-the-new-one-is-used", test_reboot);
    ADD("reboot/quick-one-is-answered-when-the-old-boot-is-silent", test_quick_reboot);
    ADD("reboot/lost-target-may-come-from-anywhere", test_reboot_when_gone);
    ADD("reboot/target-that-gave-us-up-is-taken-once", test_session_dropped);
    ADD("reboot/target-whose-new-key-was-not-shown-is-found", test_session_dropped_quietly);
    ADD("reboot/offer-that-crossed-our-answer-is-not-answered", test_crossed_answer);
    ADD("replay/offer-that-was-overtaken-is-old", test_crossed_offer);
    ADD("replay/offers-of-all-boots-get-no-answer-in-a-session", test_replayed_pokes);
    ADD("replay/answered-offer-does-not-rekey", test_replayed_poke_in_silence);
    ADD("replay/offer-that-a-sign-of-life-refutes-stays-old", test_refuted_poke);
    ADD("replay/many-boots-do-not-push-out-the-one-in-session", test_many_boots);
    ADD("replay/delayed-check-does-not-lock-out", test_delayed_check);
    ADD("replay/check-of-an-answer-not-taken-comes-too-late", test_outdated_check);
    return g_test_run();
}
