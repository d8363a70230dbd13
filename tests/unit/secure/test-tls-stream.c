/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The plaintext side of TLS: every byte arrives, whatever the other side and the loop do. */
#include "kd-test-tls.h"

#include "kd-route.h"
#include "kd-tls-stream.h"

#include <errno.h>
#include <sys/socket.h>

#define MIB ((guint64)1024 * 1024)

typedef struct {
    KdTestTalk server;
    KdTestTalk client;
} Talks;

static gboolean
have_both_heard(void *user)
{
    Talks *talks = user;

    return talks->server.n_got == talks->client.to_send &&
           talks->client.n_got == talks->server.to_send;
}

static gboolean
have_both_ended(void *user)
{
    Talks *talks = user;

    return talks->server.has_ended && talks->client.has_ended;
}

static void
begin(Talks *talks, KdTestPair pair, const char *priority)
{
    KdEndpoint server;
    KdEndpoint client;

    kd_test_start();
    kd_test_tls_pair(pair, priority, &server, &client);
    g_assert_cmpuint(server.flags, ==, KD_ENDPOINT_ENCRYPTED | KD_ENDPOINT_HALF_CLOSE);
    kd_test_talk_begin(&talks->server, &server, 1, 2);
    kd_test_talk_begin(&talks->client, &client, 2, 1);
}

static void
end(Talks *talks)
{
    kd_test_talk_clear(&talks->server);
    kd_test_talk_clear(&talks->client);
    kd_test_stop();
}

/* Both ways at once, to the last byte and then to the end. */
static void
exchange(Talks *talks, KdTestPair pair, const char *priority, guint64 n_bytes)
{
    talks->server.to_send = talks->client.to_send = n_bytes;
    talks->server.shuts = talks->client.shuts = TRUE;
    begin(talks, pair, priority);
    kd_test_wait(have_both_ended, talks);
    g_assert_true(have_both_heard(talks));
    g_assert_cmpint(talks->server.end_code, ==, 0);
    g_assert_cmpint(talks->client.end_code, ==, 0);
    end(talks);
}

static void
test_bulk_tcp(void)
{
    Talks talks = {0};

    exchange(&talks, kd_test_tcp_pair, NULL, 64 * MIB);
}

static void
test_bulk_random(void)
{
    Talks talks = {0};

    talks.server.read_most = 40000;
    talks.server.write_most = 70000;
    talks.client.read_most = 3000;
    talks.client.write_most = 200;
    talks.server.stalls = talks.client.stalls = TRUE;
    exchange(&talks, kd_test_unix_pair, NULL, 8 * MIB);
}

static void
test_bulk_stalls(void)
{
    Talks talks = {0};

    talks.server.read_most = talks.client.read_most = 100000;
    talks.server.stalls = talks.client.stalls = TRUE;
    exchange(&talks, kd_test_tcp_pair, NULL, 64 * MIB);
}

static void
test_bulk_tls12(void)
{
    Talks talks = {0};

    talks.server.read_most = talks.client.read_most = 20000;
    talks.server.stalls = TRUE;
    exchange(&talks, kd_test_tcp_pair, "NORMAL:-VERS-ALL:+VERS-TLS1.2", 8 * MIB);
}

static void
test_bulk_ring(void)
{
    Talks talks = {0};

    talks.server.read_most = 40000;
    talks.client.read_most = 700;
    talks.server.stalls = talks.client.stalls = TRUE;
    exchange(&talks, kd_test_ring_pair, NULL, 4 * MIB);
}

static void
test_one_byte(void)
{
    Talks talks = {0};

    talks.server.read_most = talks.client.read_most = 1;
    talks.server.write_most = 3;
    exchange(&talks, kd_test_unix_pair, NULL, 100000);
}

static void
test_one_byte_ring(void)
{
    Talks talks = {0};

    talks.server.read_most = talks.client.read_most = 1;
    talks.client.write_most = 2;
    exchange(&talks, kd_test_ring_pair, NULL, 100000);
}

/* Nothing comes behind these bytes that would wake the reader once more. */
static void
read_behind(KdTestPair pair, guint write_most)
{
    Talks talks = {0};

    talks.server.read_most = 1;
    begin(&talks, pair, NULL);
    for (guint i = 1; i < 40; i += 3) {
        kd_test_settle();
        talks.client.write_most = write_most;
        talks.client.to_send += i;
        kd_test_talk_wake(&talks.client);
        kd_test_wait(have_both_heard, &talks);
    }
    end(&talks);
}

static void
test_read_behind(void)
{
    read_behind(kd_test_unix_pair, 1);
    read_behind(kd_test_unix_pair, 0);
    read_behind(kd_test_ring_pair, 1);
    read_behind(kd_test_ring_pair, 0);
}

static gboolean
has_client_ended(void *user)
{
    return ((Talks *)user)->client.has_ended;
}

static gboolean
has_server_heard(void *user)
{
    Talks *talks = user;

    return talks->server.n_got == talks->client.to_send;
}

static void
test_half_close(void)
{
    Talks talks = {0};

    talks.server.shuts = TRUE;
    begin(&talks, kd_test_tcp_pair, NULL);
    kd_test_wait(has_client_ended, &talks);
    g_assert_cmpint(talks.client.end_code, ==, 0);

    talks.client.to_send = MIB;
    kd_test_talk_wake(&talks.client);
    kd_test_wait(has_server_heard, &talks);
    g_assert_false(talks.server.has_ended);
    end(&talks);
}

/* Without close_notify it is no end, even between two records (RFC 8446, 6.1). */
static void
cut(KdTestPair pair, gboolean is_shut_down)
{
    Talks talks = {0};

    talks.server.to_send = 1000;
    begin(&talks, pair, NULL);
    kd_test_wait(have_both_heard, &talks);
    if (is_shut_down) {
        g_assert_no_errno(shutdown(talks.server.end->endpoint.fd, SHUT_WR));
    } else {
        kd_test_talk_clear(&talks.server);
        talks.server.rand = g_rand_new();
    }
    kd_test_wait(has_client_ended, &talks);
    g_assert_cmpint(talks.client.end_code, ==, -ECONNABORTED);
    end(&talks);
}

static void
test_cut(void)
{
    cut(kd_test_tcp_pair, TRUE);
    cut(kd_test_tcp_pair, FALSE);
    cut(kd_test_ring_pair, FALSE);
    g_assert_cmpstr(kd_tls_stream_explain(ECONNABORTED), ==, "the connection was cut");
}

/* What a blocked socket did not take goes out when there is room, though nothing more is written.
 */
static void
test_remainder(void)
{
    Talks talks = {0};

    talks.client.is_deaf = TRUE;
    talks.server.to_send = 64 * MIB;
    begin(&talks, kd_test_unix_pair, NULL);
    kd_test_settle();
    g_assert_cmpuint(talks.server.n_sent, >, 0);
    g_assert_cmpuint(talks.server.n_sent, <, MIB);
    g_assert_false(kd_end_is_writable(talks.server.end));
    talks.server.to_send = talks.server.n_sent;
    talks.server.shuts = TRUE;
    kd_test_talk_wake(&talks.server);
    kd_test_settle();

    talks.client.is_deaf = FALSE;
    kd_test_talk_wake(&talks.client);
    kd_test_wait(has_client_ended, &talks);
    g_assert_cmpuint(talks.client.n_got, ==, talks.server.n_sent);
    g_assert_cmpint(talks.client.end_code, ==, 0);
    end(&talks);
}

static void
on_route_finished(KdRoute *route, KdSide side, int error, void *user)
{
    (void)route;
    (void)side;
    (void)error;
    (void)user;
}

static gboolean
have_all_arrived(void *user)
{
    KdTestTalk *talks = user;

    return talks[0].n_got == talks[1].to_send;
}

/* Lets a router write to somebody who does not read, and then does. Returns how much it has taken
 * meanwhile. */
static guint64
run_route(guint64 n_bytes, gboolean is_read)
{
    static const KdRouteFuncs funcs = {.finished = on_route_finished};
    KdTestTalk talks[2] = {{.is_deaf = TRUE}, {.to_send = n_bytes}};
    KdRoute *route;
    KdRouteCount count;
    KdEndpoint ends[4];

    kd_test_start();
    kd_test_tls_pair(kd_test_unix_pair, NULL, &ends[0], &ends[1]);
    kd_test_unix_pair(&ends[2], &ends[3]);
    route = kd_route_new(&funcs, NULL);
    g_assert_true(kd_route_join(route, KD_SIDE_PEER, &ends[0], NULL));
    g_assert_true(kd_route_join(route, KD_SIDE_LINE, &ends[2], NULL));
    kd_test_talk_begin(&talks[0], &ends[1], 1, 2);
    kd_test_talk_begin(&talks[1], &ends[3], 2, 1);
    kd_test_settle();
    kd_route_get_count(route, &count);
    if (is_read) {
        talks[0].is_deaf = FALSE;
        kd_test_talk_wake(&talks[0]);
        kd_test_wait(have_all_arrived, talks);
    }
    kd_test_talk_clear(&talks[0]);
    kd_test_talk_clear(&talks[1]);
    kd_route_free(route);
    kd_test_stop();
    return count.from_line;
}

/* The same, where a router writes, and its source falls silent when the socket is full. */
static void
test_route(void)
{
    guint64 n_bytes = run_route(64 * MIB, FALSE);

    g_assert_cmpuint(n_bytes, >, 100000);
    g_assert_cmpuint(n_bytes, <, MIB);
    for (guint64 less = 0; less < 60000; less += 9973) {
        (void)run_route(n_bytes - less, TRUE);
    }
}

static void
test_facts(void)
{
    g_autoptr(KdTlsConfig) config = kd_test_server_new(NULL);
    g_autoptr(KdTlsConfig) other = kd_test_client_new(NULL);
    KdTestShake server = {0};
    KdTestShake client = {0};
    KdEndpoint bases[2];
    const char *peer;

    kd_test_start();
    kd_test_unix_pair(&bases[0], &bases[1]);
    bases[0].facts = g_variant_ref_sink(g_variant_new_parsed("{'peer': <'unix:7'>}"));
    kd_test_shake_begin(&server, config, &bases[0]);
    kd_test_shake_begin(&client, other, &bases[1]);
    kd_test_shake_wait(&server);
    g_assert_true(g_variant_lookup(server.endpoint.facts, "peer", "&s", &peer));
    g_assert_cmpstr(peer, ==, "unix:7");
    kd_test_shake_clear(&server);
    kd_test_shake_clear(&client);
    kd_test_stop();
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/secure/tls-stream/carries-64-mib-each-way", test_bulk_tcp);
    g_test_add_func("/secure/tls-stream/any-sizes-of-reads-and-writes", test_bulk_random);
    g_test_add_func("/secure/tls-stream/stalls-lose-nothing", test_bulk_stalls);
    g_test_add_func("/secure/tls-stream/tls-1-2-carries-as-well", test_bulk_tls12);
    g_test_add_func("/secure/tls-stream/needs-no-descriptor-beneath", test_bulk_ring);
    g_test_add_func("/secure/tls-stream/reads-of-one-byte", test_one_byte);
    g_test_add_func("/secure/tls-stream/reads-of-one-byte-without-descriptor", test_one_byte_ring);
    g_test_add_func("/secure/tls-stream/finds-what-a-read-has-left", test_read_behind);
    g_test_add_func("/secure/tls-stream/half-close-leaves-the-other-half", test_half_close);
    g_test_add_func("/secure/tls-stream/a-cut-is-no-end", test_cut);
    g_test_add_func("/secure/tls-stream/what-a-full-socket-left-goes-out-later", test_remainder);
    g_test_add_func("/secure/tls-stream/a-router-leaves-nothing-behind", test_route);
    g_test_add_func("/secure/tls-stream/keeps-the-facts-of-its-base", test_facts);
    return g_test_run();
}
