/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The net target's module on real sockets of the loopback. */
#include "kd-net-stage.h"
#include "kd-packet.h"

#include <malloc.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define WITH_KEY "'key': <'" KD_NET_KEY "'>"

/* Datagrams are read in their order: once the offer of an unknown boot has its answer, all before
 * it had theirs. */
static void
expect_unanswered(int fd)
{
    static uint8_t seed = 100;
    KdNetTarget fence;
    KdNetDatagram datagram;
    kd_net_target_init(&fence, KD_NET_KEY);
    kd_net_target_boot(&fence, ++seed);
    kd_net_target_poke(&fence, &datagram);
    kd_net_put(fd, &datagram);
    kd_net_get(fd, &datagram);
    g_assert_true(kd_net_target_take_answer(&fence, datagram.bytes, datagram.len));
    g_assert_false(kd_net_has(fd));
    kd_net_target_clear(&fence);
}

/* ---- opening ---- */

static void
test_open(void)
{
    KdNetLink link;
    const char *dialect = NULL;
    kd_net_open(&link, WITH_KEY);
    g_autofree char *expected = g_strdup_printf("waiting for a target on UDP port %u", link.port);
    g_assert_true(kd_net_has_note(&link, expected));
    g_assert_cmpint(link.endpoint.fd, ==, -1);
    g_assert_cmphex(link.endpoint.flags, ==, KD_ENDPOINT_KEEP | KD_ENDPOINT_QUIET);
    g_assert_true(g_variant_lookup(link.endpoint.facts, "dialect", "&s", &dialect));
    g_assert_cmpstr(dialect, ==, "kdcom");
    kd_net_close(&link);
}

static void
test_port_in_use(void)
{
    KdNetLink link;
    KdNetLink second;
    g_autoptr(GError) error = NULL;
    kd_net_open(&link, WITH_KEY);
    g_assert_false(kd_net_open_at(&second, link.port, WITH_KEY, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_BUSY);
    g_assert_true(g_str_has_prefix(error->message, "net: UDP port "));
    g_assert_nonnull(strstr(error->message, "in use"));
    g_assert_null(strstr(error->message, KD_NET_KEY));
    kd_net_close(&second);
    kd_net_close(&link);
}

static void
test_bad_params(void)
{
    static const struct {
        uint16_t port;
        const char *rest;
        int code;
    } cases[] = {
        {50000, "'key': <'canary.1.2'>", KD_ERROR_PARAM_INVALID},
        {50000, "'key': <'canary.1.2.3w5e11264sgsg'>", KD_ERROR_PARAM_INVALID},
        {50000, "'key': <'Canary.1.2.3'>", KD_ERROR_PARAM_INVALID},
        {50000, "'key': <''>", KD_ERROR_PARAM_INVALID},
        {50000, "'key-file': <''>", KD_ERROR_PARAM_INVALID},
        {50000, "'key-file': <'../canary'>", KD_ERROR_PARAM_INVALID},
        {50000, "'key-file': <'.canary'>", KD_ERROR_PARAM_INVALID},
        {50000, "'target': <'::'>", KD_ERROR_PARAM_MISSING},
        {49151, WITH_KEY, KD_ERROR_PARAM_INVALID},
        {5365, WITH_KEY, KD_ERROR_PARAM_INVALID},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        KdNetLink link;
        g_autoptr(GError) error = NULL;
        g_autoptr(GError) check_error = NULL;
        g_autoptr(GVariant) params =
            kd_test_params("{'port': <uint64 %u>, %s}", cases[i].port, cases[i].rest);
        g_assert_false(kd_net_open_at(&link, cases[i].port, cases[i].rest, &error));
        g_assert_error(error, KD_ERROR, cases[i].code);
        g_assert_true(g_str_has_prefix(error->message, "net: "));
        g_assert_null(strstr(error->message, "anary"));
        g_assert_null(strpbrk(error->message, "\r\n"));
        g_assert_false(kd_net->check(params, &check_error));
        g_assert_error(check_error, KD_ERROR, cases[i].code);
        kd_net_close(&link);
    }
}

static void
test_default_port(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) params = kd_test_params("{'port': <uint64 5364>, " WITH_KEY "}");
    gboolean is_right = kd_net->check(params, &error);
    g_assert_no_error(error);
    g_assert_true(is_right);
    g_auto(GStrv) names = kd_net->build_lock_names(kd_test_host_get(), params);
    g_assert_cmpstr(names[0], ==, "udp:5364");
    g_assert_null(names[1]);
}

static void
test_no_dump(void)
{
    g_autoptr(GVariant) params = kd_test_params("{'port': <uint64 50000>, " WITH_KEY "}");
    g_assert_cmpint(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), ==, 0);
    g_assert_true(kd_net->check(params, NULL));
    g_assert_cmpint(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), ==, 0);
}

static void
test_cancel(void)
{
    static const char *const rests[] = {WITH_KEY, WITH_KEY ", 'target': <'localhost'>",
                                        WITH_KEY ", 'target': <'127.0.0.1'>"};
    guint before = kd_test_count_fds();
    for (guint moment = 0; moment < 4 * G_N_ELEMENTS(rests); moment++) {
        KdNetLink link;
        g_autoptr(GCancellable) cancellable = g_cancellable_new();
        g_autoptr(GError) error = NULL;
        if (moment % 4 == 0)
            g_cancellable_cancel(cancellable);
        kd_net_start(&link, cancellable, 61234, rests[moment / 4]);
        if (moment % 4 == 2)
            g_main_context_iteration(NULL, FALSE);
        if (moment % 4 < 3)
            g_cancellable_cancel(cancellable);
        GAsyncResult *result = kd_test_wait(&link.done);
        g_cancellable_cancel(cancellable);
        g_assert_null(kd_net->open_finish(result, &link.endpoint, &error));
        if (!g_error_matches(error, KD_ERROR, KD_ERROR_BUSY)) /* another test has the port */
            g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
        g_object_unref(result);
        kd_net_close(&link);
    }
    g_assert_cmpuint(kd_test_count_fds(), ==, before);
}

static void
test_no_leak(void)
{
    guint before = kd_test_count_fds();
    for (guint i = 0; i < 100; i++) {
        KdNetLink link;
        kd_net_open(&link, WITH_KEY);
        kd_net_close(&link);
    }
    g_assert_cmpuint(kd_test_count_fds(), ==, before);
}

/* ---- a session ---- */

static void
connect_from(KdNetLink *link, KdNetTarget *target, int family, const char *address)
{
    int fd = kd_net_socket(family, address, link);
    g_autofree char *expected = g_strdup_printf(
        family == AF_INET ? "found the target at %s:" : "found the target at [%s]:", address);
    kd_net_connect(fd, target);
    kd_net_await_note(link, expected);
    close(fd);
}

static void
test_session(void)
{
    KdNetLink link;
    KdNetTarget target;
    kd_net_target_init(&target, KD_NET_KEY);
    kd_net_open(&link, WITH_KEY);
    connect_from(&link, &target, AF_INET, "127.0.0.1");
    g_assert_cmpuint(link.n_lost, ==, 0);
    kd_net_close(&link);
    kd_net_target_clear(&target);
}

static void
test_session_ipv6(void)
{
    KdNetLink link;
    KdNetTarget target;
    if (!kd_test_has_ipv6()) {
        g_test_skip("there is no ::1");
        return;
    }
    kd_net_target_init(&target, KD_NET_KEY);
    kd_net_open(&link, WITH_KEY);
    connect_from(&link, &target, AF_INET6, "::1");
    kd_net_close(&link);
    kd_net_target_clear(&target);
}

/* Another family's offer finds nobody; the right one's is answered. */
static void
check_only(const char *rest, int family, const char *address, int other, const char *others)
{
    KdNetLink link;
    KdNetTarget target;
    KdNetDatagram datagram;
    kd_net_target_init(&target, KD_NET_KEY);
    kd_net_open(&link, rest);
    int fd = kd_net_socket(other, others, &link);
    kd_net_target_poke(&target, &datagram);
    kd_net_put(fd, &datagram);
    connect_from(&link, &target, family, address);
    char byte = 0;
    g_assert_cmpint(recv(fd, &byte, 1, 0), <, 0);
    g_assert_cmpint(errno, ==, ECONNREFUSED);
    close(fd);
    kd_net_close(&link);
    kd_net_target_clear(&target);
}

static void
test_one_family(void)
{
    if (!kd_test_has_ipv6()) {
        g_test_skip("there is no ::1");
        return;
    }
    check_only(WITH_KEY ", 'target': <'0.0.0.0'>", AF_INET, "127.0.0.1", AF_INET6, "::1");
    check_only(WITH_KEY ", 'target': <'::'>", AF_INET6, "::1", AF_INET, "127.0.0.1");
}

static void
test_two_links(void)
{
    KdNetLink links[2];
    KdNetTarget targets[2];
    static const char *const keys[] = {"1.2.3.4", "5.6.7.8"};
    for (guint i = 0; i < 2; i++) {
        g_autofree char *rest = g_strdup_printf("'key': <'%s'>", keys[i]);
        kd_net_target_init(&targets[i], keys[i]);
        kd_net_open(&links[i], rest);
    }
    for (guint i = 0; i < 2; i++)
        connect_from(&links[i], &targets[i], AF_INET, "127.0.0.1");
    for (guint i = 0; i < 2; i++) {
        g_assert_cmpuint(links[i].n_lost, ==, 0);
        kd_net_close(&links[i]);
        kd_net_target_clear(&targets[i]);
    }
}

/* A KD packet of the target's, and its acknowledgement */
static void
print_text(int fd, KdNetTarget *target, const char *text)
{
    uint8_t payload[64] = {0x30, 0x32};
    uint8_t body[KD_PACKET_MAX_BYTES];
    KdNetDatagram datagram;
    KdPacket packet = {.type = KD_PACKET_DEBUG_IO, .payload = payload};
    size_t len = strlen(text);
    payload[8] = (uint8_t)len;
    memcpy(payload + 16, text, len);
    packet.payload_bytes = 16 + len;
    packet.checksum = kd_packet_sum(payload, packet.payload_bytes);
    len = kd_packet_build(KD_DIALECT_NET, &packet, body);
    kd_net_target_say(target, body, len, &datagram);
    kd_net_put(fd, &datagram);
    KdnetOpened opened = {0};
    do {
        kd_net_get(fd, &datagram);
        g_assert_true(kd_net_target_hear(target, datagram.bytes, datagram.len, &opened));
    } while (opened.body_bytes < 6 || opened.body[4] != KD_PACKET_ACK);
}

static void
test_reboot(void)
{
    KdNetLink link;
    KdNetTarget target;
    KdNetDatagram datagram;
    kd_net_target_init(&target, KD_NET_KEY);
    kd_net_open(&link, WITH_KEY);
    int fd = kd_net_socket(AF_INET, "127.0.0.1", &link);
    kd_net_connect(fd, &target);
    print_text(fd, &target, "before");
    close(fd);
    kd_net_target_boot(&target, 2);
    fd = kd_net_socket(AF_INET, "127.0.0.1", &link); /* another port */
    kd_net_target_poke(&target, &datagram);
    kd_net_put(fd, &datagram);
    kd_net_get(fd, &datagram); /* once the old boot was silent for long enough */
    g_assert_cmpuint(link.n_resyncs, ==, 0);
    g_assert_true(kd_net_target_take_answer(&target, datagram.bytes, datagram.len));
    kd_net_target_check(&target, &datagram);
    kd_net_put(fd, &datagram);
    while (link.n_resyncs == 0)
        g_main_context_iteration(NULL, TRUE);
    g_assert_cmpuint(link.n_lost, ==, 0);
    close(fd);
    kd_net_close(&link);
    kd_net_target_clear(&target);
}

/* ---- who is not answered ---- */

static void
test_wrong_key(void)
{
    KdNetLink link;
    KdNetTarget other;
    KdNetDatagram datagram;
    kd_net_target_init(&other, "8.8.8.9");
    kd_net_open(&link, WITH_KEY);
    int fd = kd_net_socket(AF_INET, "127.0.0.1", &link);
    for (guint i = 0; i < 20; i++) {
        kd_net_target_poke(&other, &datagram);
        kd_net_put(fd, &datagram);
    }
    expect_unanswered(fd);
    guint n = 0;
    for (guint i = 0; i < link.notes->len; i++)
        n += strstr(g_ptr_array_index(link.notes, i), "does not fit the key") != NULL;
    g_assert_cmpuint(n, ==, 1); /* told once, and with no word of the key */
    for (guint i = 0; i < link.notes->len; i++)
        g_assert_null(strstr(g_ptr_array_index(link.notes, i), "8.8.8"));
    close(fd);
    kd_net_close(&link);
    kd_net_target_clear(&other);
}

static void
test_replayed_offer(void)
{
    KdNetLink link;
    KdNetTarget target;
    KdNetDatagram datagram;
    KdNetDatagram answer;
    kd_net_target_init(&target, KD_NET_KEY);
    kd_net_open(&link, WITH_KEY);
    int fd = kd_net_socket(AF_INET, "127.0.0.1", &link);
    kd_net_target_poke(&target, &datagram);
    kd_net_put(fd, &datagram);
    kd_net_get(fd, &answer);
    for (guint i = 0; i < 100; i++)
        kd_net_put(fd, &datagram);
    expect_unanswered(fd);
    close(fd);
    kd_net_close(&link);
    kd_net_target_clear(&target);
}

static void
test_other_version(void)
{
    KdNetLink link;
    KdNetTarget target;
    KdNetDatagram datagram;
    kd_net_target_init(&target, KD_NET_KEY);
    kd_net_open(&link, WITH_KEY);
    int fd = kd_net_socket(AF_INET, "127.0.0.1", &link);
    target.version = 6;
    kd_net_target_poke(&target, &datagram);
    kd_net_put(fd, &datagram);
    expect_unanswered(fd);
    g_assert_true(kd_net_has_note(&link, "the target at 127.0.0.1:"));
    close(fd);
    kd_net_close(&link);
    kd_net_target_clear(&target);
}

/* ---- a flood ---- */

#define N_HOSTILE 512u
#define N_FLOOD   50000u

/* Wrong keys, bent bytes, lengths, replays of data and of offers */
static void
make_hostile(KdNetTarget *target, KdNetDatagram *hostile)
{
    KdNetTarget other;
    g_autoptr(GRand) rand = g_rand_new_with_seed(3);
    kd_net_target_init(&other, "8.8.8.9");
    for (guint i = 0; i < N_HOSTILE; i++) {
        KdNetDatagram *datagram = &hostile[i];
        if (i % 4 == 0)
            kd_net_target_poke(&other, datagram);
        else
            kd_net_target_say(target, "seen once", 9, datagram);
        if (i % 4 == 2)
            datagram->bytes[g_rand_int_range(rand, 0, (gint32)datagram->len)] ^= 0x10;
        if (i % 4 == 3)
            datagram->len = (size_t)g_rand_int_range(rand, 0, (gint32)datagram->len);
    }
    kd_net_target_clear(&other);
}

static size_t
count_bytes(void)
{
    kd_test_turn();
    return mallinfo2().uordblks;
}

static void
put_flood(int fd, const KdNetDatagram *hostile, guint n)
{
    for (guint i = 0; i < n; i++) {
        kd_net_put(fd, &hostile[i % N_HOSTILE]);
        if (i % 32 == 0)
            kd_test_turn();
    }
}

static void
test_flood(void)
{
    KdNetLink link;
    KdNetTarget target;
    KdNetDatagram offer;
    KdNetDatagram datagram;
    g_autofree KdNetDatagram *hostile = g_new0(KdNetDatagram, N_HOSTILE);
    kd_net_target_init(&target, KD_NET_KEY);
    kd_net_open(&link, WITH_KEY);
    int fd = kd_net_socket(AF_INET, "127.0.0.1", &link);
    int thief = kd_net_socket(AF_INET, "127.0.0.1", &link);
    kd_net_target_poke(&target, &offer);
    kd_net_put(fd, &offer);
    kd_net_get(fd, &datagram);
    g_assert_true(kd_net_target_take_answer(&target, datagram.bytes, datagram.len));
    make_hostile(&target, hostile);
    hostile[0] = offer;
    put_flood(fd, hostile, N_HOSTILE); /* what is authentic is new once */
    kd_test_turn();
    guint n_notes = link.notes->len;
    guint n_events = link.n_back + link.n_lost + link.n_resyncs;
    while (kd_net_has(fd)) /* of what was new, something may have been acknowledged */
        kd_net_get(fd, &datagram);
    size_t before = count_bytes();
    put_flood(thief, hostile, N_FLOOD);
    g_assert_cmpuint(count_bytes(), <=, before + 4096);
    g_assert_cmpuint(link.notes->len, ==, n_notes);
    g_assert_cmpuint(link.n_back + link.n_lost + link.n_resyncs, ==, n_events);
    g_assert_false(kd_net_has(thief));
    kd_net_put(thief, &offer);
    kd_net_target_poke(&target, &datagram); /* the session lives: no answer */
    kd_net_put(fd, &datagram);
    kd_test_turn();
    g_assert_false(kd_net_has(thief));
    g_assert_false(kd_net_has(fd));
    close(thief);
    close(fd);
    kd_net_close(&link);
    kd_net_target_clear(&target);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_net_load();
    g_test_add_func("/kdnet/open/is-done-at-once-and-says-what-is-waited-for", test_open);
    g_test_add_func("/kdnet/open/port-in-use-is-named", test_port_in_use);
    g_test_add_func("/kdnet/open/mistakes-are-told-without-the-key", test_bad_params);
    g_test_add_func("/kdnet/open/documented-default-port-is-taken", test_default_port);
    g_test_add_func("/kdnet/open/process-with-a-key-leaves-no-dump", test_no_dump);
    g_test_add_func("/kdnet/open/cancelled-one-leaves-nothing", test_cancel);
    g_test_add_func("/kdnet/open/many-keep-no-descriptor", test_no_leak);
    g_test_add_func("/kdnet/link/target-that-offers-itself-is-taken", test_session);
    g_test_add_func("/kdnet/link/ipv6-target-is-taken", test_session_ipv6);
    g_test_add_func("/kdnet/link/one-family-alone-can-be-asked-for", test_one_family);
    g_test_add_func("/kdnet/link/two-targets-at-once", test_two_links);
    g_test_add_func("/kdnet/link/reboot-from-another-port-is-a-resync", test_reboot);
    g_test_add_func("/kdnet/silence/wrong-key", test_wrong_key);
    g_test_add_func("/kdnet/silence/replayed-offer", test_replayed_offer);
    g_test_add_func("/kdnet/silence/unknown-version", test_other_version);
    g_test_add_func("/kdnet/silence/flood-beside-a-session", test_flood);
    return g_test_run();
}
