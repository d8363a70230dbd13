/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whom a KDNET host answers, and when a target is there; time is the tests'. */
#include "kd-net-host.h"

#include <string.h>

/* ---- answers ---- */

static void
test_answer(KdNetHost *host, gconstpointer unused)
{
    (void)unused;
    g_assert_true(kd_net_host_poke(host));
    g_assert_cmpuint(host->n_here, ==, 0); /* the target has not shown that it has the answer */
    kd_net_host_check_connection(host);
    g_assert_cmpuint(host->n_here, ==, 1);
    g_assert_cmpuint(host->n_restarts, ==, 0);
    g_assert_cmpuint(host->packets->len, ==, 0); /* the check is no KD packet */
    kd_net_host_say(host, "packet");
    kd_net_host_check_heard(host, "packet");
    g_assert_cmpuint(kd_net_host_get_status(host).n_answered, ==, 1);
    g_assert_true(kd_net_host_get_status(host).is_here);
}

static void
test_answers_differ(KdNetHost *host, gconstpointer unused)
{
    uint8_t first[KDNET_RESPONSE_BYTES];
    static const uint8_t zeros[KDNET_NONCE_BYTES];
    (void)unused;
    g_assert_true(kd_net_host_poke(host));
    memcpy(first, host->target.response, sizeof first);
    kd_net_host_pass(host, POKE_US);
    g_assert_true(kd_net_host_poke(host));
    g_assert_cmpint(memcmp(first + 34, host->target.response + 34, KDNET_NONCE_BYTES), !=, 0);
    g_assert_cmpint(memcmp(first + 34, zeros, sizeof zeros), !=, 0);
}

static void
test_answer_once(KdNetHost *host, gconstpointer unused)
{
    KdNetDatagram datagram;
    (void)unused;
    kd_net_target_poke(&host->target, &datagram);
    for (guint i = 0; i < 1000; i++) {
        kd_net_host_give(host, &datagram);
        kd_net_host_pass(host, 20 * MS_US);
    }
    g_assert_cmpuint(host->sent->len, ==, 1);
    g_assert_cmpuint(kd_net_host_get_status(host).n_old, ==, 999);
}

static void
test_other_key(KdNetHost *host, gconstpointer unused)
{
    KdNetTarget other;
    KdNetDatagram datagram;
    (void)unused;
    kd_net_target_init(&other, "8.8.8.9");
    for (guint i = 0; i < 100; i++) {
        kd_net_target_poke(&other, &datagram);
        kd_net_host_give(host, &datagram);
        kd_net_host_pass(host, POKE_US);
    }
    kd_net_target_clear(&other);
    g_assert_cmpuint(host->sent->len, ==, 0);
    g_assert_cmpuint(kd_net_host_get_status(host).n_forged, ==, 100);
    g_assert_cmpuint(host->notices[KDNET_NOTICE_OTHER_KEY], ==, 1);
    g_assert_true(kd_net_host_poke(host));
}

static void
test_garbage(KdNetHost *host, gconstpointer unused)
{
    KdNetDatagram datagram;
    g_autoptr(GRand) rand = g_rand_new_with_seed(1);
    (void)unused;
    for (guint i = 0; i < 5000; i++) {
        datagram.len = (size_t)g_rand_int_range(rand, 0, (gint32)sizeof datagram.bytes);
        for (size_t at = 0; at < datagram.len; at++)
            datagram.bytes[at] = (uint8_t)g_rand_int(rand);
        if (i % 2 == 0 && datagram.len >= KDNET_DATAGRAM_MIN_BYTES) {
            memcpy(datagram.bytes, "MDBG", 4);
            datagram.bytes[4] = 5;
            datagram.bytes[5] = (uint8_t)(i / 2 % 2);
            datagram.len -= (datagram.len - KDNET_HEADER_BYTES) % KDNET_BLOCK_BYTES;
        }
        kd_net_host_give(host, &datagram);
    }
    g_assert_cmpuint(host->sent->len, ==, 0);
    g_assert_cmpuint(host->packets->len, ==, 0);
    g_assert_cmpuint(kd_net_host_get_status(host).n_received, ==, 5000);
    kd_net_host_connect_target(host);
    g_assert_cmpuint(host->n_here, ==, 1);
}

static void
test_reflected(KdNetHost *host, gconstpointer unused)
{
    (void)unused;
    kd_net_host_connect_target(host);
    for (guint i = 0; i < 10; i++) /* numbers that the target has not had */
        g_assert_true(kdnet_session_send(host->session, (const uint8_t *)"b", 1));
    guint before = host->sent->len;
    for (guint i = 0; i < before; i++) {
        gsize len = 0;
        const uint8_t *bytes = g_bytes_get_data(g_ptr_array_index(host->sent, i), &len);
        kdnet_session_receive(host->session, bytes, len, &host->where, host->now_us);
    }
    g_assert_cmpuint(host->sent->len, ==, before);
    g_assert_cmpuint(host->packets->len, ==, 0);
}

static void
test_connected_elsewhere(KdNetHost *host, gconstpointer unused)
{
    (void)unused;
    host->target.is_connected = TRUE; /* with a host that was here before us */
    g_assert_true(kd_net_host_poke(host));
    kd_net_host_check_connection(host);
    g_assert_cmpuint(host->n_here, ==, 1);
    kd_net_host_pass(host, POKE_US);
    g_assert_false(kd_net_host_poke(host)); /* answering would rekey */
    g_assert_cmpuint(host->sent->len, ==, 1);
}

static void
test_lost_answer(KdNetHost *host, gconstpointer unused)
{
    KdNetDatagram datagram;
    (void)unused;
    kd_net_target_poke(&host->target, &datagram);
    kd_net_host_give(host, &datagram); /* the answer does not arrive */
    kd_net_host_pass(host, POKE_US);
    kd_net_host_connect_target(host);
    g_assert_cmpuint(host->n_here, ==, 1);
    g_assert_cmpuint(host->n_restarts, ==, 0);
}

static void
test_lost_check(KdNetHost *host, gconstpointer unused)
{
    KdNetDatagram lost;
    (void)unused;
    g_assert_true(kd_net_host_poke(host));
    kd_net_target_check(&host->target, &lost);
    kd_net_host_say(host, "packet");
    g_assert_cmpuint(host->n_here, ==, 1);
    kd_net_host_check_heard(host, "packet");
}

static void
test_lost_check_quiet(KdNetHost *host, gconstpointer unused)
{
    (void)unused;
    g_assert_true(
        kd_net_host_poke(host)); /* the check is lost, and the target has nothing to say */
    kd_net_host_pass(host, POKE_US);
    g_assert_true(host->target.is_connected);
    g_assert_true(kd_net_host_poke(host)); /* we have no session yet */
    kd_net_host_check_connection(host);
    g_assert_cmpuint(host->n_here, ==, 1);
}

static void
test_answers_apart(KdNetHost *host, gconstpointer unused)
{
    (void)unused;
    g_assert_true(kd_net_host_poke(host));
    kd_net_host_pass(host, 999 * MS_US);
    g_assert_false(kd_net_host_poke(host));
    kd_net_host_pass(host, 1 * MS_US);
    g_assert_true(kd_net_host_poke(host));
}

/* ---- versions ---- */

static void
test_versions(KdNetHost *host, gconstpointer unused)
{
    (void)unused;
    for (uint8_t version = KDNET_VERSION_MIN; version <= KDNET_VERSION_MAX; version++) {
        kd_net_target_boot(&host->target, (uint8_t)(10 + version));
        host->target.version = version;
        kd_net_host_pass(host, 20 * S_US); /* the former has gone */
        kd_net_host_connect_target(host);  /* asserts the version of the answer */
        g_assert_cmpuint(kd_net_host_get_status(host).version, ==, version);
        g_assert_true(kdnet_session_send(host->session, (const uint8_t *)"b", 1));
        gsize len = 0;
        const uint8_t *bytes =
            g_bytes_get_data(g_ptr_array_index(host->sent, host->sent->len - 1), &len);
        g_assert_cmpuint(bytes[4], ==, version);
    }
}

static void
test_other_versions(KdNetHost *host, gconstpointer unused)
{
    static const uint8_t versions[] = {0, 1, 6, 7, 255};
    (void)unused;
    for (size_t i = 0; i < G_N_ELEMENTS(versions); i++) {
        host->target.version = versions[i];
        g_assert_false(kd_net_host_poke(host));
        kd_net_host_pass(host, POKE_US);
    }
    g_assert_cmpuint(host->sent->len, ==, 0);
    g_assert_cmpuint(host->notices[KDNET_NOTICE_OTHER_VERSION], ==, 1);
    g_assert_cmpuint(host->notices[KDNET_NOTICE_OTHER_KEY], ==, 0);
}

/* ---- data ---- */

static void
test_replayed_data(KdNetHost *host, gconstpointer unused)
{
    KdNetDatagram datagrams[100];
    char text[16];
    (void)unused;
    kd_net_host_connect_target(host);
    for (guint i = 0; i < G_N_ELEMENTS(datagrams); i++) {
        (void)g_snprintf(text, sizeof text, "packet %u", i);
        kd_net_target_say(&host->target, text, strlen(text), &datagrams[i]);
        kd_net_host_give(host, &datagrams[i]);
    }
    g_assert_cmpuint(host->packets->len, ==, G_N_ELEMENTS(datagrams));
    for (guint i = 0; i < G_N_ELEMENTS(datagrams); i++)
        kd_net_host_give(host, &datagrams[i]);
    g_assert_cmpuint(host->packets->len, ==, G_N_ELEMENTS(datagrams));
    g_assert_cmpuint(kd_net_host_get_status(host).n_old, ==, G_N_ELEMENTS(datagrams));
}

static void
test_reordered_data(KdNetHost *host, gconstpointer unused)
{
    KdNetDatagram datagrams[5];
    static const guint order[] = {4, 2, 0, 3, 1};
    (void)unused;
    kd_net_host_connect_target(host);
    for (guint i = 0; i < G_N_ELEMENTS(datagrams); i++)
        kd_net_target_say(&host->target, "x", 1, &datagrams[i]);
    for (guint i = 0; i < G_N_ELEMENTS(order); i++)
        kd_net_host_give(host, &datagrams[order[i]]);
    g_assert_cmpuint(host->packets->len, ==, G_N_ELEMENTS(datagrams));
}

static void
test_fresh_numbers(KdNetHost *host, gconstpointer unused)
{
    KdnetOpened opened = {0};
    (void)unused;
    kd_net_host_connect_target(host);
    for (guint i = 0; i < 5; i++) {
        g_assert_true(kdnet_session_send(host->session, (const uint8_t *)"again", 5));
        gsize len = 0;
        const uint8_t *bytes =
            g_bytes_get_data(g_ptr_array_index(host->sent, host->sent->len - 1), &len);
        g_assert_true(kd_net_target_hear(&host->target, bytes, len, &opened));
        g_assert_cmpuint(opened.seq, ==, i + 1);
        g_assert_cmpuint(opened.body_bytes, ==, 5);
    }
    host->is_full = TRUE;
    g_assert_false(kdnet_session_send(host->session, (const uint8_t *)"again", 5));
}

static void
test_send_without_session(KdNetHost *host, gconstpointer unused)
{
    (void)unused;
    g_assert_true(kdnet_session_send(host->session, (const uint8_t *)"b", 1));
    g_assert_true(kd_net_host_poke(host));
    g_assert_true(kdnet_session_send(host->session, (const uint8_t *)"b", 1));
    g_assert_cmpuint(host->sent->len, ==, 1);
}

/* ---- pinning ---- */

static void
test_pinned(KdNetHost *host, gconstpointer unused)
{
    KdNetTarget other;
    (void)unused;
    kd_net_host_connect_target(host);
    kd_net_target_init(&other, KD_NET_KEY); /* another machine with the same key */
    kd_net_target_boot(&other, 50);
    host->where = kd_net_host_make_address(2, 50000);
    for (guint i = 0; i < 3; i++) {
        g_assert_false(kd_net_host_poke_as(host, &other));
        kd_net_host_pass(host, POKE_US);
    }
    g_assert_cmpuint(kd_net_host_get_status(host).n_elsewhere, ==, 3);
    kd_net_host_pass(host, 10 * S_US); /* the first one has gone */
    g_assert_cmpuint(host->n_gone, ==, 1);
    g_assert_true(kd_net_host_poke_as(host, &other));
    kd_net_target_clear(&other);
}

static void
test_latest_port(KdNetHost *host, gconstpointer unused)
{
    KdNetDatagram old;
    (void)unused;
    kd_net_host_connect_target(host);
    kd_net_target_say(&host->target, "x", 1, &old);
    kd_net_host_give(host, &old);
    host->where.port = 50001;
    kd_net_host_say(host, "y");
    host->where.port = 50002;
    kd_net_host_give(host, &old); /* a replay moves nothing */
    g_assert_true(kdnet_session_send(host->session, (const uint8_t *)"b", 1));
    g_assert_cmpuint(host->sent_to.port, ==, 50001);
}

static void
test_late_port(KdNetHost *host, gconstpointer unused)
{
    KdNetDatagram late;
    (void)unused;
    kd_net_host_connect_target(host);
    kd_net_target_say(&host->target, "late", 4, &late);
    host->where.port = 50001;
    kd_net_host_say(host, "newer");
    host->where.port = 50000;
    kd_net_host_give(host, &late);
    kd_net_host_check_heard(host, "late");
    g_assert_true(kdnet_session_send(host->session, (const uint8_t *)"b", 1));
    g_assert_cmpuint(host->sent_to.port, ==, 50001);
}

/* ---- watchdog ---- */

static void
test_watchdog(KdNetHost *host, gconstpointer unused)
{
    (void)unused;
    kd_net_host_connect_target(host);
    kd_net_host_pass(host, 9999 * MS_US);
    g_assert_cmpuint(host->n_gone, ==, 0);
    kd_net_host_pass(host, 1 * MS_US);
    g_assert_cmpuint(host->n_gone, ==, 1);
    kd_net_host_pass(host, 100 * S_US);
    g_assert_cmpuint(host->n_gone, ==, 1);
    kd_net_host_say(host, "here again");
    g_assert_cmpuint(host->n_here, ==, 2);
    g_assert_cmpuint(host->n_restarts, ==, 0); /* the same session */
    kd_net_host_check_heard(host, "here again");
}

static void
test_pokes_are_life(KdNetHost *host, gconstpointer unused)
{
    (void)unused;
    kd_net_host_connect_target(host);
    for (guint i = 0; i < 20; i++) {
        kd_net_host_pass(host, POKE_US);
        g_assert_false(kd_net_host_poke(host));
    }
    g_assert_cmpuint(host->n_gone, ==, 0);
    g_assert_cmpuint(host->sent->len, ==, 1);
}

static void
test_replays_are_no_life(KdNetHost *host, gconstpointer unused)
{
    KdNetDatagram connected;
    KdNetDatagram data;
    (void)unused;
    kd_net_host_connect_target(host);
    kd_net_target_poke(&host->target, &connected);
    kd_net_host_give(host, &connected);
    kd_net_target_say(&host->target, "x", 1, &data);
    kd_net_host_give(host, &data);
    for (guint i = 0; i < 100; i++) {
        kd_net_host_pass(host, 100 * MS_US);
        kd_net_host_give(host, &connected);
        kd_net_host_give(host, &data);
    }
    g_assert_cmpuint(host->n_gone, ==, 1);
    g_assert_cmpuint(host->n_here, ==, 1);
}

/* ---- target= ---- */

static guint
count_asks(KdNetHost *host, guint from)
{
    guint n = 0;
    for (guint i = from; i < host->sent->len; i++) {
        KdnetOpened opened = {0};
        gsize len = 0;
        const uint8_t *bytes = g_bytes_get_data(g_ptr_array_index(host->sent, i), &len);
        if (kdnet_cipher_open(host->target.control, bytes, len, &opened) && opened.is_from_host &&
            opened.body_bytes == 0) {
            g_assert_cmpuint(len, ==, 38);
            n++;
        }
    }
    return n;
}

static void
test_ask(KdNetHost *host, gconstpointer unused)
{
    KdnetAddress places[] = {kd_net_host_make_address(1, 50000),
                             kd_net_host_make_address(3, 50000)};
    (void)unused;
    kdnet_session_ask(host->session, places, G_N_ELEMENTS(places), host->now_us);
    kd_net_host_pass(host, 4999 * MS_US);
    g_assert_cmpuint(count_asks(host, 0), ==, 2 * 10);
    kd_net_host_connect_target(host);
    guint n = host->sent->len;
    for (guint i = 0; i < 5; i++) {
        kd_net_host_pass(host, POKE_US);
        (void)kd_net_host_poke(host);
    }
    g_assert_cmpuint(host->sent->len, ==, n); /* none in a session */
    kd_net_host_pass(host, 10 * S_US);
    g_assert_cmpuint(host->n_gone, ==, 1);
    g_assert_cmpuint(count_asks(host, n), >=, 2);
    for (guint i = n; i < host->sent->len; i++) {
        const uint8_t *bytes = g_bytes_get_data(g_ptr_array_index(host->sent, i), NULL);
        g_assert_cmpuint(bytes[4], ==, host->target.version); /* known by now */
    }
}

static void
test_ask_versions(KdNetHost *host, gconstpointer unused)
{
    KdnetAddress place = kd_net_host_make_address(1, 50000);
    guint seen = 0;
    (void)unused;
    kdnet_session_ask(host->session, &place, 1, host->now_us);
    kd_net_host_pass(host, 2 * S_US);
    for (guint i = 0; i < host->sent->len; i++) {
        const uint8_t *bytes = g_bytes_get_data(g_ptr_array_index(host->sent, i), NULL);
        seen |= 1u << bytes[4];
    }
    g_assert_cmphex(seen, ==, 0x3c); /* 2 to 5 */
}

/* An offer may be an old one, of another system. */
static void
test_ask_old_version(KdNetHost *host, gconstpointer unused)
{
    KdnetAddress place = kd_net_host_make_address(1, 50000);
    KdNetDatagram old;
    guint seen = 0;
    (void)unused;
    host->target.version = 2;
    kd_net_target_poke(&host->target, &old);
    kdnet_session_ask(host->session, &place, 1, host->now_us);
    kd_net_host_give(host, &old);
    guint before = host->sent->len;
    kd_net_host_pass(host, 2 * S_US);
    for (guint i = before; i < host->sent->len; i++) {
        const uint8_t *bytes = g_bytes_get_data(g_ptr_array_index(host->sent, i), NULL);
        seen |= 1u << bytes[4];
    }
    g_assert_cmphex(seen, ==, 0x3c);
}

static void
test_ask_source(KdNetHost *host, gconstpointer unused)
{
    KdnetAddress place = kd_net_host_make_address(1, 50000);
    (void)unused;
    kdnet_session_ask(host->session, &place, 1, host->now_us);
    host->where = kd_net_host_make_address(2, 50000);
    for (guint i = 0; i < 3; i++) {
        g_assert_false(kd_net_host_poke(host));
        kd_net_host_pass(host, 1 * MS_US);
    }
    g_assert_cmpuint(host->notices[KDNET_NOTICE_OTHER_SOURCE], ==, 1);
    host->where = kd_net_host_make_address(1, 61000); /* any port */
    g_assert_true(kd_net_host_poke(host));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, fn)                                                           \
    g_test_add("/kdnet/session/" name, KdNetHost, NULL, kd_net_host_set_up, fn, \
               kd_net_host_tear_down)
    ADD("answer/makes-a-data-channel", test_answer);
    ADD("answer/has-a-nonce-of-its-own", test_answers_differ);
    ADD("answer/comes-once-for-each-offer", test_answer_once);
    ADD("answer/none-under-another-key", test_other_key);
    ADD("answer/none-to-garbage", test_garbage);
    ADD("answer/none-to-our-own-datagrams", test_reflected);
    ADD("answer/takes-over-a-connected-target", test_connected_elsewhere);
    ADD("answer/lost-one-is-made-up-for", test_lost_answer);
    ADD("answer/any-datagram-shows-that-it-arrived", test_lost_check);
    ADD("answer/quiet-target-whose-check-was-lost-is-found", test_lost_check_quiet);
    ADD("answer/two-of-one-boot-stand-apart", test_answers_apart);
    ADD("version/2-to-5-are-echoed", test_versions);
    ADD("version/others-are-refused-and-told-once", test_other_versions);
    ADD("data/replayed-is-not-taken-twice", test_replayed_data);
    ADD("data/reordering-costs-nothing", test_reordered_data);
    ADD("data/each-repetition-has-a-fresh-number", test_fresh_numbers);
    ADD("data/nothing-is-sent-without-a-session", test_send_without_session);
    ADD("peer/others-are-ignored-while-it-is-here", test_pinned);
    ADD("peer/latest-authentic-port-is-sent-to", test_latest_port);
    ADD("peer/late-datagram-moves-nothing", test_late_port);
    ADD("watchdog/ten-silent-seconds-are-a-loss", test_watchdog);
    ADD("watchdog/offers-are-signs-of-life", test_pokes_are_life);
    ADD("watchdog/replays-are-none", test_replays_are_no_life);
    ADD("ask/twice-a-second-while-there-is-no-session", test_ask);
    ADD("ask/every-version-until-one-is-known", test_ask_versions);
    ADD("ask/every-version-after-a-mere-offer", test_ask_old_version);
    ADD("ask/others-with-the-key-are-told-and-ignored", test_ask_source);
    return g_test_run();
}
