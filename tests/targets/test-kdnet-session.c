/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whom a KDNET host answers, which key holds, and when a target is there; time is the tests'. */
#include "kd-net-target.h"
#include "kdnet-session.h"

#include <string.h>

#define MS_US   G_GINT64_CONSTANT(1000)
#define S_US    (1000 * MS_US)
#define POKE_US (3016 * MS_US)

/* A host with its target, in one process */
typedef struct {
    KdnetSession *session;
    KdNetTarget target;
    KdnetAddress where; /* the target */
    gint64 now_us;
    GPtrArray *sent; /* GBytes: all datagrams of the host */
    KdnetAddress sent_to;
    GPtrArray *packets; /* GBytes: all KD packets that came */
    guint n_here;
    guint n_gone;
    guint n_restarts;
    guint notices[4];
    gboolean is_full;
} Stage;

static gboolean
on_send(const uint8_t *datagram, size_t len, const KdnetAddress *to, void *user)
{
    Stage *stage = user;
    if (stage->is_full)
        return FALSE;
    g_ptr_array_add(stage->sent, g_bytes_new(datagram, len));
    stage->sent_to = *to;
    return TRUE;
}

static void
on_receive(const uint8_t *packet, size_t len, void *user)
{
    Stage *stage = user;
    g_ptr_array_add(stage->packets, g_bytes_new(packet, len));
}

static void
on_changed(KdnetChange change, void *user)
{
    Stage *stage = user;
    stage->n_here += change == KDNET_CHANGE_HERE;
    stage->n_gone += change == KDNET_CHANGE_GONE;
    stage->n_restarts += change == KDNET_CHANGE_RESTART;
}

static void
on_notice(KdnetNotice notice, const KdnetAddress *from, void *user)
{
    Stage *stage = user;
    g_assert_cmpuint(from->port, !=, 0);
    g_assert_cmpuint(notice, <, G_N_ELEMENTS(stage->notices));
    stage->notices[notice]++;
}

static KdnetAddress
make_address(uint8_t last, uint16_t port)
{
    KdnetAddress address = {.port = port};
    static const uint8_t start[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2};
    memcpy(&address.ip, start, sizeof start);
    address.ip.s6_addr[15] = last;
    return address;
}

static void
set_up(Stage *stage, gconstpointer unused)
{
    static const KdnetSessionFuncs funcs = {on_send, on_receive, on_changed, on_notice};
    (void)unused;
    kd_net_target_init(&stage->target, KD_NET_KEY);
    stage->session = kdnet_session_new(&stage->target.key, &funcs, stage);
    stage->where = make_address(1, 50000);
    stage->now_us = 1000 * S_US;
    stage->sent = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    stage->packets = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
}

static void
tear_down(Stage *stage, gconstpointer unused)
{
    (void)unused;
    kdnet_session_free(stage->session);
    kd_net_target_clear(&stage->target);
    g_ptr_array_unref(stage->sent);
    g_ptr_array_unref(stage->packets);
}

/* Time goes on, with a tick whenever one is due */
static void
pass(Stage *stage, gint64 us)
{
    gint64 end_us = stage->now_us + us;
    for (;;) {
        gint64 due_us = kdnet_session_get_deadline_us(stage->session);
        if (due_us > end_us)
            break;
        stage->now_us = MAX(stage->now_us, due_us);
        kdnet_session_tick(stage->session, stage->now_us);
        g_assert_cmpint(kdnet_session_get_deadline_us(stage->session), >, stage->now_us);
    }
    stage->now_us = end_us;
}

static void
give(Stage *stage, const KdNetDatagram *datagram)
{
    kdnet_session_receive(stage->session, datagram->bytes, datagram->len, &stage->where,
                          stage->now_us);
}

static gboolean
take_answer(Stage *stage, KdNetTarget *target)
{
    g_assert_cmpuint(stage->sent->len, >, 0);
    gsize len = 0;
    const uint8_t *bytes =
        g_bytes_get_data(g_ptr_array_index(stage->sent, stage->sent->len - 1), &len);
    return kd_net_target_take_answer(target, bytes, len);
}

/* An offer; the answer, if there is one, is taken. */
static gboolean
poke_as(Stage *stage, KdNetTarget *target)
{
    KdNetDatagram datagram;
    guint before = stage->sent->len;
    kd_net_target_poke(target, &datagram);
    give(stage, &datagram);
    g_assert_cmpuint(stage->sent->len - before, <=, 1);
    return stage->sent->len > before && take_answer(stage, target);
}

static gboolean
poke(Stage *stage)
{
    return poke_as(stage, &stage->target);
}

static void
check_connection(Stage *stage)
{
    KdNetDatagram datagram;
    kd_net_target_check(&stage->target, &datagram);
    give(stage, &datagram);
}

static void
say(Stage *stage, const char *text)
{
    KdNetDatagram datagram;
    kd_net_target_say(&stage->target, text, strlen(text), &datagram);
    give(stage, &datagram);
}

static void
check_heard(Stage *stage, const char *text)
{
    g_assert_cmpuint(stage->packets->len, >, 0);
    GBytes *last = g_ptr_array_index(stage->packets, stage->packets->len - 1);
    g_assert_cmpuint(g_bytes_get_size(last), ==, strlen(text));
    g_assert_cmpint(memcmp(g_bytes_get_data(last, NULL), text, strlen(text)), ==, 0);
}

static void
connect_target(Stage *stage)
{
    g_assert_true(poke(stage));
    pass(stage, 1 * MS_US);
    check_connection(stage);
}

static KdnetStatus
get_status(const Stage *stage)
{
    KdnetStatus status;
    kdnet_session_get_status(stage->session, &status);
    return status;
}

/* ---- answers ---- */

static void
test_answer(Stage *stage, gconstpointer unused)
{
    (void)unused;
    g_assert_true(poke(stage));
    g_assert_cmpuint(stage->n_here, ==, 0); /* the target has not shown that it has the answer */
    check_connection(stage);
    g_assert_cmpuint(stage->n_here, ==, 1);
    g_assert_cmpuint(stage->n_restarts, ==, 0);
    g_assert_cmpuint(stage->packets->len, ==, 0); /* the check is no KD packet */
    say(stage, "packet");
    check_heard(stage, "packet");
    g_assert_cmpuint(get_status(stage).n_answered, ==, 1);
    g_assert_true(get_status(stage).is_here);
}

static void
test_answers_differ(Stage *stage, gconstpointer unused)
{
    uint8_t first[KDNET_RESPONSE_BYTES];
    static const uint8_t zeros[KDNET_NONCE_BYTES];
    (void)unused;
    g_assert_true(poke(stage));
    memcpy(first, stage->target.response, sizeof first);
    pass(stage, POKE_US);
    g_assert_true(poke(stage));
    g_assert_cmpint(memcmp(first + 34, stage->target.response + 34, KDNET_NONCE_BYTES), !=, 0);
    g_assert_cmpint(memcmp(first + 34, zeros, sizeof zeros), !=, 0);
}

static void
test_answer_once(Stage *stage, gconstpointer unused)
{
    KdNetDatagram datagram;
    (void)unused;
    kd_net_target_poke(&stage->target, &datagram);
    for (guint i = 0; i < 1000; i++) {
        give(stage, &datagram);
        pass(stage, 20 * MS_US);
    }
    g_assert_cmpuint(stage->sent->len, ==, 1);
    g_assert_cmpuint(get_status(stage).n_old, ==, 999);
}

static void
test_other_key(Stage *stage, gconstpointer unused)
{
    KdNetTarget other;
    KdNetDatagram datagram;
    (void)unused;
    kd_net_target_init(&other, "8.8.8.9");
    for (guint i = 0; i < 100; i++) {
        kd_net_target_poke(&other, &datagram);
        give(stage, &datagram);
        pass(stage, POKE_US);
    }
    kd_net_target_clear(&other);
    g_assert_cmpuint(stage->sent->len, ==, 0);
    g_assert_cmpuint(get_status(stage).n_forged, ==, 100);
    g_assert_cmpuint(stage->notices[KDNET_NOTICE_OTHER_KEY], ==, 1);
    g_assert_true(poke(stage));
}

static void
test_garbage(Stage *stage, gconstpointer unused)
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
        give(stage, &datagram);
    }
    g_assert_cmpuint(stage->sent->len, ==, 0);
    g_assert_cmpuint(stage->packets->len, ==, 0);
    g_assert_cmpuint(get_status(stage).n_received, ==, 5000);
    connect_target(stage);
    g_assert_cmpuint(stage->n_here, ==, 1);
}

static void
test_reflected(Stage *stage, gconstpointer unused)
{
    (void)unused;
    connect_target(stage);
    for (guint i = 0; i < 10; i++) /* numbers that the target has not had */
        g_assert_true(kdnet_session_send(stage->session, (const uint8_t *)"b", 1));
    guint before = stage->sent->len;
    for (guint i = 0; i < before; i++) {
        gsize len = 0;
        const uint8_t *bytes = g_bytes_get_data(g_ptr_array_index(stage->sent, i), &len);
        kdnet_session_receive(stage->session, bytes, len, &stage->where, stage->now_us);
    }
    g_assert_cmpuint(stage->sent->len, ==, before);
    g_assert_cmpuint(stage->packets->len, ==, 0);
}

static void
test_connected_elsewhere(Stage *stage, gconstpointer unused)
{
    (void)unused;
    stage->target.is_connected = TRUE; /* with a host that was here before us */
    g_assert_true(poke(stage));
    check_connection(stage);
    g_assert_cmpuint(stage->n_here, ==, 1);
    pass(stage, POKE_US);
    g_assert_false(poke(stage)); /* answering would rekey */
    g_assert_cmpuint(stage->sent->len, ==, 1);
}

static void
test_lost_answer(Stage *stage, gconstpointer unused)
{
    KdNetDatagram datagram;
    (void)unused;
    kd_net_target_poke(&stage->target, &datagram);
    give(stage, &datagram); /* the answer does not arrive */
    pass(stage, POKE_US);
    connect_target(stage);
    g_assert_cmpuint(stage->n_here, ==, 1);
    g_assert_cmpuint(stage->n_restarts, ==, 0);
}

static void
test_lost_check(Stage *stage, gconstpointer unused)
{
    KdNetDatagram lost;
    (void)unused;
    g_assert_true(poke(stage));
    kd_net_target_check(&stage->target, &lost);
    say(stage, "packet");
    g_assert_cmpuint(stage->n_here, ==, 1);
    check_heard(stage, "packet");
}

static void
test_lost_check_quiet(Stage *stage, gconstpointer unused)
{
    (void)unused;
    g_assert_true(poke(stage)); /* the check is lost, and the target has nothing to say */
    pass(stage, POKE_US);
    g_assert_true(stage->target.is_connected);
    g_assert_true(poke(stage)); /* we have no session yet */
    check_connection(stage);
    g_assert_cmpuint(stage->n_here, ==, 1);
}

static void
test_answers_apart(Stage *stage, gconstpointer unused)
{
    (void)unused;
    g_assert_true(poke(stage));
    pass(stage, 999 * MS_US);
    g_assert_false(poke(stage));
    pass(stage, 1 * MS_US);
    g_assert_true(poke(stage));
}

/* ---- versions ---- */

static void
test_versions(Stage *stage, gconstpointer unused)
{
    (void)unused;
    for (uint8_t version = KDNET_VERSION_MIN; version <= KDNET_VERSION_MAX; version++) {
        kd_net_target_boot(&stage->target, (uint8_t)(10 + version));
        stage->target.version = version;
        pass(stage, 20 * S_US); /* the former has gone */
        connect_target(stage);  /* asserts the version of the answer */
        g_assert_cmpuint(get_status(stage).version, ==, version);
        g_assert_true(kdnet_session_send(stage->session, (const uint8_t *)"b", 1));
        gsize len = 0;
        const uint8_t *bytes =
            g_bytes_get_data(g_ptr_array_index(stage->sent, stage->sent->len - 1), &len);
        g_assert_cmpuint(bytes[4], ==, version);
    }
}

static void
test_other_versions(Stage *stage, gconstpointer unused)
{
    static const uint8_t versions[] = {0, 1, 6, 7, 255};
    (void)unused;
    for (size_t i = 0; i < G_N_ELEMENTS(versions); i++) {
        stage->target.version = versions[i];
        g_assert_false(poke(stage));
        pass(stage, POKE_US);
    }
    g_assert_cmpuint(stage->sent->len, ==, 0);
    g_assert_cmpuint(stage->notices[KDNET_NOTICE_OTHER_VERSION], ==, 1);
    g_assert_cmpuint(stage->notices[KDNET_NOTICE_OTHER_KEY], ==, 0);
}

/* ---- data ---- */

static void
test_replayed_data(Stage *stage, gconstpointer unused)
{
    KdNetDatagram datagrams[100];
    char text[16];
    (void)unused;
    connect_target(stage);
    for (guint i = 0; i < G_N_ELEMENTS(datagrams); i++) {
        (void)g_snprintf(text, sizeof text, "packet %u", i);
        kd_net_target_say(&stage->target, text, strlen(text), &datagrams[i]);
        give(stage, &datagrams[i]);
    }
    g_assert_cmpuint(stage->packets->len, ==, G_N_ELEMENTS(datagrams));
    for (guint i = 0; i < G_N_ELEMENTS(datagrams); i++)
        give(stage, &datagrams[i]);
    g_assert_cmpuint(stage->packets->len, ==, G_N_ELEMENTS(datagrams));
    g_assert_cmpuint(get_status(stage).n_old, ==, G_N_ELEMENTS(datagrams));
}

static void
test_reordered_data(Stage *stage, gconstpointer unused)
{
    KdNetDatagram datagrams[5];
    static const guint order[] = {4, 2, 0, 3, 1};
    (void)unused;
    connect_target(stage);
    for (guint i = 0; i < G_N_ELEMENTS(datagrams); i++)
        kd_net_target_say(&stage->target, "x", 1, &datagrams[i]);
    for (guint i = 0; i < G_N_ELEMENTS(order); i++)
        give(stage, &datagrams[order[i]]);
    g_assert_cmpuint(stage->packets->len, ==, G_N_ELEMENTS(datagrams));
}

static void
test_fresh_numbers(Stage *stage, gconstpointer unused)
{
    KdnetOpened opened = {0};
    (void)unused;
    connect_target(stage);
    for (guint i = 0; i < 5; i++) {
        g_assert_true(kdnet_session_send(stage->session, (const uint8_t *)"again", 5));
        gsize len = 0;
        const uint8_t *bytes =
            g_bytes_get_data(g_ptr_array_index(stage->sent, stage->sent->len - 1), &len);
        g_assert_true(kd_net_target_hear(&stage->target, bytes, len, &opened));
        g_assert_cmpuint(opened.seq, ==, i + 1);
        g_assert_cmpuint(opened.body_bytes, ==, 5);
    }
    stage->is_full = TRUE;
    g_assert_false(kdnet_session_send(stage->session, (const uint8_t *)"again", 5));
}

static void
test_send_without_session(Stage *stage, gconstpointer unused)
{
    (void)unused;
    g_assert_true(kdnet_session_send(stage->session, (const uint8_t *)"b", 1));
    g_assert_true(poke(stage));
    g_assert_true(kdnet_session_send(stage->session, (const uint8_t *)"b", 1));
    g_assert_cmpuint(stage->sent->len, ==, 1);
}

/* ---- pinning ---- */

static void
test_pinned(Stage *stage, gconstpointer unused)
{
    KdNetTarget other;
    (void)unused;
    connect_target(stage);
    kd_net_target_init(&other, KD_NET_KEY); /* another machine with the same key */
    kd_net_target_boot(&other, 50);
    stage->where = make_address(2, 50000);
    for (guint i = 0; i < 3; i++) {
        g_assert_false(poke_as(stage, &other));
        pass(stage, POKE_US);
    }
    g_assert_cmpuint(get_status(stage).n_elsewhere, ==, 3);
    pass(stage, 10 * S_US); /* the first one has gone */
    g_assert_cmpuint(stage->n_gone, ==, 1);
    g_assert_true(poke_as(stage, &other));
    kd_net_target_clear(&other);
}

static void
test_latest_port(Stage *stage, gconstpointer unused)
{
    KdNetDatagram old;
    (void)unused;
    connect_target(stage);
    kd_net_target_say(&stage->target, "x", 1, &old);
    give(stage, &old);
    stage->where.port = 50001;
    say(stage, "y");
    stage->where.port = 50002;
    give(stage, &old); /* a replay moves nothing */
    g_assert_true(kdnet_session_send(stage->session, (const uint8_t *)"b", 1));
    g_assert_cmpuint(stage->sent_to.port, ==, 50001);
}

/* ---- watchdog ---- */

static void
test_watchdog(Stage *stage, gconstpointer unused)
{
    (void)unused;
    connect_target(stage);
    pass(stage, 9999 * MS_US);
    g_assert_cmpuint(stage->n_gone, ==, 0);
    pass(stage, 1 * MS_US);
    g_assert_cmpuint(stage->n_gone, ==, 1);
    pass(stage, 100 * S_US);
    g_assert_cmpuint(stage->n_gone, ==, 1);
    say(stage, "here again");
    g_assert_cmpuint(stage->n_here, ==, 2);
    g_assert_cmpuint(stage->n_restarts, ==, 0); /* the same session */
    check_heard(stage, "here again");
}

static void
test_pokes_are_life(Stage *stage, gconstpointer unused)
{
    (void)unused;
    connect_target(stage);
    for (guint i = 0; i < 20; i++) {
        pass(stage, POKE_US);
        g_assert_false(poke(stage));
    }
    g_assert_cmpuint(stage->n_gone, ==, 0);
    g_assert_cmpuint(stage->sent->len, ==, 1);
}

static void
test_replays_are_no_life(Stage *stage, gconstpointer unused)
{
    KdNetDatagram connected;
    KdNetDatagram data;
    (void)unused;
    connect_target(stage);
    kd_net_target_poke(&stage->target, &connected);
    give(stage, &connected);
    kd_net_target_say(&stage->target, "x", 1, &data);
    give(stage, &data);
    for (guint i = 0; i < 100; i++) {
        pass(stage, 100 * MS_US);
        give(stage, &connected);
        give(stage, &data);
    }
    g_assert_cmpuint(stage->n_gone, ==, 1);
    g_assert_cmpuint(stage->n_here, ==, 1);
}

/* ---- reboots, and what looks like one ---- */

static void
test_reboot(Stage *stage, gconstpointer unused)
{
    KdNetDatagram late;
    (void)unused;
    connect_target(stage);
    say(stage, "x");
    kd_net_target_say(&stage->target, "late", 4, &late);
    kd_net_target_boot(&stage->target, 2);
    stage->where.port = 51000;
    pass(stage, 8 * S_US);
    g_assert_true(poke(stage));
    /* The new key is not in force before a datagram has come under it. */
    g_assert_cmpuint(stage->n_restarts, ==, 0);
    give(stage, &late);
    check_heard(stage, "late");
    check_connection(stage);
    g_assert_cmpuint(stage->n_restarts, ==, 1);
    g_assert_cmpuint(stage->n_gone, ==, 0);
    g_assert_true(kdnet_session_send(stage->session, (const uint8_t *)"b", 1));
    g_assert_cmpuint(stage->sent_to.port, ==, 51000);
    guint n = stage->packets->len;
    give(stage, &late); /* under the old key */
    g_assert_cmpuint(stage->packets->len, ==, n);
}

static void
test_quick_reboot(Stage *stage, gconstpointer unused)
{
    KdNetDatagram datagram;
    (void)unused;
    connect_target(stage);
    say(stage, "x");
    kd_net_target_boot(&stage->target, 2);
    kd_net_target_poke(&stage->target, &datagram);
    give(stage, &datagram);
    pass(stage, 3400 * MS_US);
    g_assert_cmpuint(stage->sent->len, ==, 1); /* the old boot may live yet */
    pass(stage, 200 * MS_US);
    g_assert_cmpuint(stage->sent->len, ==, 2);
    g_assert_true(take_answer(stage, &stage->target));
    check_connection(stage);
    g_assert_cmpuint(stage->n_restarts, ==, 1);
}

static void
test_reboot_when_gone(Stage *stage, gconstpointer unused)
{
    (void)unused;
    connect_target(stage);
    pass(stage, 60 * S_US);
    kd_net_target_boot(&stage->target, 2);
    stage->where = make_address(9, 50000); /* even from another address */
    connect_target(stage);
    g_assert_cmpuint(stage->n_gone, ==, 1);
    g_assert_cmpuint(stage->n_here, ==, 2);
    g_assert_cmpuint(stage->n_restarts, ==, 1);
}

static void
test_session_dropped(Stage *stage, gconstpointer unused)
{
    (void)unused;
    connect_target(stage);
    pass(stage, POKE_US);
    stage->target.is_connected = FALSE; /* the same boot, which has given us up */
    connect_target(stage);
    g_assert_cmpuint(stage->n_restarts, ==, 1);
    for (guint i = 0; i < 5; i++) {
        pass(stage, POKE_US);
        g_assert_false(poke(stage)); /* no rekeying for ever */
    }
    g_assert_cmpuint(stage->sent->len, ==, 2);
}

/* The target took the second answer, nobody heard of it, and it has nothing to say. */
static void
test_session_dropped_quietly(Stage *stage, gconstpointer unused)
{
    KdNetDatagram lost;
    (void)unused;
    connect_target(stage);
    pass(stage, POKE_US);
    stage->target.is_connected = FALSE;
    g_assert_true(poke(stage));
    kd_net_target_check(&stage->target, &lost);
    pass(stage, POKE_US);
    g_assert_true(stage->target.is_connected);
    connect_target(stage); /* there is an answer: the key in force may not be the target's */
    g_assert_cmpuint(stage->n_restarts, ==, 1);
    say(stage, "lives");
    check_heard(stage, "lives");
}

/* An offer that was made before the answer to the one before it came */
static void
test_crossed_answer(Stage *stage, gconstpointer unused)
{
    KdNetDatagram offer;
    (void)unused;
    connect_target(stage);
    say(stage, "x");
    stage->target.is_connected = FALSE;
    kd_net_target_poke(&stage->target, &offer);
    stage->target.is_connected = TRUE;
    give(stage, &offer);
    pass(stage, 100 * MS_US);
    g_assert_false(poke(stage)); /* it has a session after all */
    pass(stage, 2 * S_US);
    g_assert_cmpuint(get_status(stage).n_answered, ==, 1);
}

static void
test_crossed_offer(Stage *stage, gconstpointer unused)
{
    KdNetDatagram crossed;
    (void)unused;
    kd_net_target_poke(&stage->target, &crossed); /* held up on the way */
    KdNetDatagram second;
    kd_net_target_poke(&stage->target, &second);
    give(stage, &second);
    g_assert_true(take_answer(stage, &stage->target));
    check_connection(stage);
    give(stage, &crossed);
    pass(stage, 100 * S_US);
    g_assert_cmpuint(get_status(stage).n_answered, ==, 1);
}

/* Every authentic poke there ever was, of this boot and of others, while a session lives */
static void
test_replayed_pokes(Stage *stage, gconstpointer unused)
{
    KdNetDatagram pokes[60];
    (void)unused;
    for (guint i = 0; i < 40; i++) {
        if (i % 2 == 0) /* boots that this host has never seen */
            kd_net_target_boot(&stage->target, (uint8_t)(100 + i));
        stage->target.is_connected = i % 3 == 0;
        kd_net_target_poke(&stage->target, &pokes[i]);
    }
    kd_net_target_boot(&stage->target, 2);
    for (guint i = 40; i < 50; i++)
        kd_net_target_poke(&stage->target, &pokes[i]);
    connect_target(stage);
    for (guint i = 50; i < 60; i++) {
        pass(stage, POKE_US);
        kd_net_target_poke(&stage->target, &pokes[i]);
        give(stage, &pokes[i]);
    }
    g_assert_cmpuint(stage->sent->len, ==, 1);
    for (guint round = 0; round < 20; round++) {
        for (guint i = 0; i < G_N_ELEMENTS(pokes); i++) {
            give(stage, &pokes[i]);
            pass(stage, POKE_US / (gint64)G_N_ELEMENTS(pokes));
        }
        KdNetDatagram own; /* the target itself has nothing else to say */
        kd_net_target_poke(&stage->target, &own);
        give(stage, &own);
    }
    g_assert_cmpuint(stage->sent->len, ==, 1);
    g_assert_cmpuint(stage->n_gone, ==, 0);
    g_assert_cmpuint(stage->n_restarts, ==, 0);
    say(stage, "lives");
    check_heard(stage, "lives");
}

/* When the target is silent for long, an old offer may be answered: the key stays. */
static void
test_replayed_poke_in_silence(Stage *stage, gconstpointer unused)
{
    KdNetDatagram old;
    (void)unused;
    kd_net_target_boot(&stage->target, 77);
    kd_net_target_poke(&stage->target, &old);
    kd_net_target_boot(&stage->target, 2);
    connect_target(stage);
    pass(stage, 5 * S_US);
    for (guint i = 0; i < 100; i++)
        give(stage, &old);
    g_assert_cmpuint(get_status(stage).n_answered, ==, 2); /* once */
    say(stage, "lives");
    check_heard(stage, "lives");
    g_assert_cmpuint(stage->n_restarts, ==, 0);
}

/* Once the target has shown that it lives, an old offer is old for good. */
static void
test_refuted_poke(Stage *stage, gconstpointer unused)
{
    KdNetDatagram old;
    (void)unused;
    kd_net_target_boot(&stage->target, 77);
    kd_net_target_poke(&stage->target, &old);
    kd_net_target_boot(&stage->target, 2);
    connect_target(stage);
    give(stage, &old);
    pass(stage, 2 * S_US);
    say(stage, "lives");
    pass(stage, 9 * S_US);
    give(stage, &old);
    g_assert_cmpuint(get_status(stage).n_answered, ==, 1);
}

/* More boots than are remembered do not push out the one in session. */
static void
test_many_boots(Stage *stage, gconstpointer unused)
{
    KdNetDatagram old;
    KdNetDatagram other;
    KdNetTarget others;
    (void)unused;
    kd_net_target_poke(&stage->target, &old);
    connect_target(stage);
    kd_net_target_init(&others, KD_NET_KEY);
    for (guint i = 0; i < 150; i++) {
        kd_net_target_boot(&others, (uint8_t)(100 + i));
        kd_net_target_poke(&others, &other);
        give(stage, &other);
    }
    kd_net_target_clear(&others);
    say(stage, "lives");
    give(stage, &old);
    pass(stage, 3 * S_US);
    g_assert_cmpuint(get_status(stage).n_answered, ==, 1);
}

/* Two answers to one boot, and an attacker who holds back the check of the first: both sides end up
 * with the same key by themselves. */
static void
test_delayed_check(Stage *stage, gconstpointer unused)
{
    KdNetDatagram delayed;
    (void)unused;
    g_assert_true(poke(stage));
    kd_net_target_check(&stage->target, &delayed);
    pass(stage, 1500 * MS_US);
    connect_target(stage);
    give(stage, &delayed);
    g_assert_cmpuint(stage->n_restarts, ==, 1);
    say(stage, "lives");
    check_heard(stage, "lives");
    g_assert_cmpuint(stage->n_restarts, ==, 2);
    give(stage, &delayed);
    g_assert_cmpuint(stage->n_restarts, ==, 2);
    pass(stage, POKE_US);
    g_assert_false(poke(stage));
    say(stage, "goes on");
    check_heard(stage, "goes on");
}

/* The keys of answers that the target has not taken are forgotten when it goes on without them. */
static void
test_outdated_check(Stage *stage, gconstpointer unused)
{
    KdNetDatagram delayed;
    (void)unused;
    g_assert_true(poke(stage));
    kd_net_target_check(&stage->target, &delayed);
    pass(stage, POKE_US);
    connect_target(stage);
    give(stage, &delayed);
    g_assert_cmpuint(stage->n_restarts, ==, 0);
    g_assert_cmpuint(get_status(stage).n_forged, ==, 1);
}

/* ---- target= ---- */

static guint
count_asks(Stage *stage, guint from)
{
    guint n = 0;
    for (guint i = from; i < stage->sent->len; i++) {
        KdnetOpened opened = {0};
        gsize len = 0;
        const uint8_t *bytes = g_bytes_get_data(g_ptr_array_index(stage->sent, i), &len);
        if (kdnet_cipher_open(stage->target.control, bytes, len, &opened) && opened.is_from_host &&
            opened.body_bytes == 0) {
            g_assert_cmpuint(len, ==, 38);
            n++;
        }
    }
    return n;
}

static void
test_ask(Stage *stage, gconstpointer unused)
{
    KdnetAddress places[] = {make_address(1, 50000), make_address(3, 50000)};
    (void)unused;
    kdnet_session_ask(stage->session, places, G_N_ELEMENTS(places), stage->now_us);
    pass(stage, 4999 * MS_US);
    g_assert_cmpuint(count_asks(stage, 0), ==, 2 * 10);
    connect_target(stage);
    guint n = stage->sent->len;
    for (guint i = 0; i < 5; i++) {
        pass(stage, POKE_US);
        (void)poke(stage);
    }
    g_assert_cmpuint(stage->sent->len, ==, n); /* none in a session */
    pass(stage, 10 * S_US);
    g_assert_cmpuint(stage->n_gone, ==, 1);
    g_assert_cmpuint(count_asks(stage, n), >=, 2);
    for (guint i = n; i < stage->sent->len; i++) {
        const uint8_t *bytes = g_bytes_get_data(g_ptr_array_index(stage->sent, i), NULL);
        g_assert_cmpuint(bytes[4], ==, stage->target.version); /* known by now */
    }
}

static void
test_ask_versions(Stage *stage, gconstpointer unused)
{
    KdnetAddress place = make_address(1, 50000);
    guint seen = 0;
    (void)unused;
    kdnet_session_ask(stage->session, &place, 1, stage->now_us);
    pass(stage, 2 * S_US);
    for (guint i = 0; i < stage->sent->len; i++) {
        const uint8_t *bytes = g_bytes_get_data(g_ptr_array_index(stage->sent, i), NULL);
        seen |= 1u << bytes[4];
    }
    g_assert_cmphex(seen, ==, 0x3c); /* 2 to 5 */
}

static void
test_ask_source(Stage *stage, gconstpointer unused)
{
    KdnetAddress place = make_address(1, 50000);
    (void)unused;
    kdnet_session_ask(stage->session, &place, 1, stage->now_us);
    stage->where = make_address(2, 50000);
    for (guint i = 0; i < 3; i++) {
        g_assert_false(poke(stage));
        pass(stage, 1 * MS_US);
    }
    g_assert_cmpuint(stage->notices[KDNET_NOTICE_OTHER_SOURCE], ==, 1);
    stage->where = make_address(1, 61000); /* any port */
    g_assert_true(poke(stage));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, fn) g_test_add("/kdnet/session/" name, Stage, NULL, set_up, fn, tear_down)
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
    ADD("watchdog/ten-silent-seconds-are-a-loss", test_watchdog);
    ADD("watchdog/offers-are-signs-of-life", test_pokes_are_life);
    ADD("watchdog/replays-are-none", test_replays_are_no_life);
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
    ADD("ask/twice-a-second-while-there-is-no-session", test_ask);
    ADD("ask/every-version-until-one-is-known", test_ask_versions);
    ADD("ask/others-with-the-key-are-told-and-ignored", test_ask_source);
    return g_test_run();
}
