/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ends of a route while the other side takes nothing, or only a little at a time. */
#include "kd-flow.h"
#include "kd-message.h"
#include "kd-test-peer.h"

#include <kdsrv-support/kd-ring-stream.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* More seconds than a route waits for anything. */
#define MANY_TICKS 40

typedef struct {
    KdRoute *route;
    KdTestPeer peer;
    int line_fd;
    guint n_finished[2];
    guint n_failed;
} Fixture;

static void
on_preamble(KdRoute *route, uint16_t major, uint16_t minor, void *user)
{
    (void)route;
    (void)major;
    (void)minor;
    (void)user;
}

static void
on_frame(KdRoute *route, const KdFrameHeader *header, const uint8_t *payload, void *user)
{
    (void)route;
    (void)header;
    (void)payload;
    (void)user;
}

static void
on_finished(KdRoute *route, KdSide side, int error, void *user)
{
    (void)route;
    (void)error;
    ((Fixture *)user)->n_finished[side]++;
}

static void
on_failed(KdRoute *route, const GError *error, void *user)
{
    (void)route;
    (void)error;
    ((Fixture *)user)->n_failed++;
}

static void
on_told(KdRoute *route, void *user)
{
    (void)route;
    (void)user;
}

static const KdRouteFuncs funcs = {
    .preamble = on_preamble,
    .frame = on_frame,
    .finished = on_finished,
    .failed = on_failed,
    .reached = on_told,
    .flushed = on_told,
};

static void
start(Fixture *fixture)
{
    g_autoptr(GError) error = NULL;
    KdEndpoint endpoint;
    uint8_t preamble[KD_PREAMBLE_BYTES];
    int fds[2];

    *fixture = (Fixture){.line_fd = -1};
    g_assert_true(kd_loop_start(&error));
    fixture->route = kd_route_new_framed(KD_ROLE_SERVER, &funcs, fixture);
    kd_test_peer_init(&fixture->peer, &endpoint);
    g_assert_true(kd_route_join(fixture->route, KD_SIDE_PEER, &endpoint, &error));
    kd_preamble_store(preamble, KD_ROLE_CLIENT, KD_PROTOCOL_MAJOR, KD_PROTOCOL_MINOR);
    kd_test_peer_say(&fixture->peer, preamble, sizeof preamble);
    kd_route_get_wire(fixture->route)->credit.peer_window = KD_MAX_WINDOW_BYTES;
    kd_route_get_wire(fixture->route)->peer_max_data_bytes = KD_MAX_DATA_BYTES;
    for (KdPhase phase = KD_PHASE_HELLO; phase <= KD_PHASE_STREAMING; phase++) {
        kd_wire_advance(kd_route_get_wire(fixture->route), phase);
    }
    kd_test_pair(fds);
    fixture->line_fd = fds[0];
    kd_endpoint_init(&endpoint);
    kd_endpoint_take_fd(&endpoint, fds[1], KD_ENDPOINT_HALF_CLOSE, NULL);
    g_assert_true(kd_route_join(fixture->route, KD_SIDE_LINE, &endpoint, &error));
    kd_test_settle();
}

static void
stop(Fixture *fixture)
{
    kd_route_free(fixture->route);
    kd_test_peer_clear(&fixture->peer);
    if (fixture->line_fd >= 0) {
        close(fixture->line_fd);
    }
    kd_test_settle();
    kd_loop_stop();
}

static void
let_time_pass(Fixture *fixture)
{
    for (int i = 0; i < MANY_TICKS; i++) {
        fixture->route->tick.fn(&fixture->route->tick);
        kd_test_settle();
    }
}

/* What a line that takes nothing can be sent; returns how many bytes. */
static size_t
fill_window(Fixture *fixture)
{
    static const uint8_t bytes[16384];
    KdWire *wire = kd_route_get_wire(fixture->route);
    size_t total = 0;

    while (wire->credit.reported + KD_WINDOW_BYTES >= total + sizeof bytes) {
        kd_test_peer_send(&fixture->peer, KD_FRAME_DATA, bytes, sizeof bytes);
        total += sizeof bytes;
        kd_test_settle();
    }
    return total;
}

static void
say_fin(Fixture *fixture, uint64_t final)
{
    g_autoptr(GBytes) fin = kd_fin_build(final);

    kd_test_peer_send(&fixture->peer, KD_FRAME_FIN, g_bytes_get_data(fin, NULL),
                      g_bytes_get_size(fin));
    kd_test_settle();
}

/* Everything that the line is given until it is told that no more comes. */
static size_t
count_line(Fixture *fixture)
{
    static uint8_t buf[65536];
    size_t total = 0;
    gssize n = -1;

    for (int idle = 0; idle < 20; idle++) {
        while ((n = read(fixture->line_fd, buf, sizeof buf)) > 0) {
            total += (size_t)n;
            idle = 0;
        }
        kd_test_settle();
    }
    return total;
}

/* A slow line, or a target that stands still in its debugger, has all the time it needs. */
static void
test_line_takes_its_time(void)
{
    Fixture fixture;
    size_t sent;

    start(&fixture);
    sent = fill_window(&fixture);
    say_fin(&fixture, sent);
    let_time_pass(&fixture);
    g_assert_cmpuint(fixture.n_finished[KD_SIDE_PEER], ==, 0);
    g_assert_cmpuint(count_line(&fixture), ==, sent);
    g_assert_cmpuint(fixture.n_finished[KD_SIDE_PEER], ==, 1);
    stop(&fixture);
}

static void
test_drop_after_fin(void)
{
    Fixture fixture;
    size_t sent;

    start(&fixture);
    sent = fill_window(&fixture);
    say_fin(&fixture, sent);
    g_assert_cmpuint(kd_route_drop(fixture.route), >, 0);
    kd_test_settle();
    g_assert_cmpuint(fixture.n_finished[KD_SIDE_PEER], ==, 1);
    stop(&fixture);
}

/* Fills the way to a peer that does not read, and ends the line. */
static void
block_peer(Fixture *fixture)
{
    static const uint8_t bytes[65536];
    int idle = 0;

    while (idle < 20) {
        gssize n = write(fixture->line_fd, bytes, sizeof bytes);

        idle = n > 0 ? 0 : idle + 1;
        kd_test_settle();
    }
    g_assert_cmpuint(kd_ring_get_len(&fixture->route->flows[KD_SIDE_LINE].ring), >, 0);
}

static void
test_no_frame_is_cut(void)
{
    KdClose said = {.code = KD_CLOSE_TARGET_CLOSED, .text = (char *)"the target has ended"};
    Fixture fixture;
    KdFrameHeader header;

    start(&fixture);
    block_peer(&fixture);
    /* Its end can't be read yet, but may have come before: as if it had. */
    fixture.route->flows[KD_SIDE_LINE].is_ended = TRUE;
    let_time_pass(&fixture);
    g_assert_cmpuint(fixture.n_finished[KD_SIDE_LINE], ==, 1);
    kd_route_stop(fixture.route);
    kd_route_send(fixture.route, KD_FRAME_CLOSE, kd_close_build(&said));
    do {
        gint64 end_us = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;

        while (!kd_test_peer_try_frame(&fixture.peer, &header, NULL)) {
            g_assert_cmpint(g_get_monotonic_time(), <, end_us);
            kd_test_settle();
        }
    } while (header.type == KD_FRAME_DATA);
    g_assert_cmpuint(header.type, ==, KD_FRAME_CLOSE);
    g_assert_cmpuint(fixture.peer.in->len, ==, 0);
    stop(&fixture);
}

static void
test_line_gone_after_its_half(void)
{
    Fixture fixture;

    start(&fixture);
    close(fixture.line_fd);
    fixture.line_fd = -1;
    kd_test_settle();
    g_assert_cmpuint(fixture.n_finished[KD_SIDE_LINE], ==, 1);
    g_assert_cmpuint(fixture.n_failed, ==, 0);
    kd_test_peer_send(&fixture.peer, KD_FRAME_DATA, "abc", 3);
    kd_test_settle();
    g_assert_cmpuint(fixture.n_failed, ==, 1);
    stop(&fixture);
}

/* ---- a stream that takes less than it could, and so owes no edge ---- */

typedef struct {
    KdRingStream *ring;
    const KdStreamOps *ops;
    KdStream *base;
    KdStreamOps own;
} Sipping;

static Sipping sipping;

static gssize
on_sip(KdStream *stream, const void *buf, size_t len)
{
    return sipping.ops->write(stream, buf, MIN(len, 3));
}

static void
give_sipping(KdEndpoint *endpoint)
{
    sipping.ring = kd_ring_stream_new(65536, 65536, NULL, NULL);
    kd_endpoint_init(endpoint);
    kd_ring_stream_give(sipping.ring, endpoint, 0, NULL);
    sipping.ops = endpoint->ops;
    sipping.base = endpoint->stream;
    sipping.own = *endpoint->ops;
    sipping.own.write = on_sip;
    endpoint->ops = &sipping.own;
}

static void
test_sipping_peer(void)
{
    g_autoptr(GError) error = NULL;
    Fixture fixture = {.line_fd = -1};
    KdEndpoint endpoint;
    uint8_t buf[32];
    int fds[2];

    g_assert_true(kd_loop_start(&error));
    fixture.route = kd_route_new(&funcs, &fixture);
    give_sipping(&endpoint);
    g_assert_true(kd_route_join(fixture.route, KD_SIDE_PEER, &endpoint, &error));
    kd_test_pair(fds);
    fixture.line_fd = fds[0];
    kd_endpoint_init(&endpoint);
    kd_endpoint_take_fd(&endpoint, fds[1], 0, NULL);
    g_assert_true(kd_route_join(fixture.route, KD_SIDE_LINE, &endpoint, &error));
    kd_test_settle();
    g_assert_cmpint(write(fixture.line_fd, "0123456789", 10), ==, 10);
    kd_test_settle();
    g_assert_cmpuint(kd_ring_stream_take(sipping.ring, buf, sizeof buf), ==, 10);
    g_assert_cmpmem(buf, 10, "0123456789", 10);
    kd_route_free(fixture.route);
    close(fixture.line_fd);
    kd_test_settle();
    kd_loop_stop();
}

/* Only the core may put a layer over a descriptor. */
static void
test_stray_stream(void)
{
    g_autoptr(GError) error = NULL;
    Fixture fixture = {.line_fd = -1};
    KdEndpoint endpoint;
    uint8_t buf[32];
    int peer[2];
    int line[2];

    g_assert_true(kd_loop_start(&error));
    fixture.route = kd_route_new(&funcs, &fixture);
    kd_test_pair(peer);
    kd_test_pair(line);
    give_sipping(&endpoint);
    endpoint.fd = peer[1];
    g_assert_true(kd_route_join(fixture.route, KD_SIDE_PEER, &endpoint, &error));
    kd_endpoint_init(&endpoint);
    kd_endpoint_take_fd(&endpoint, line[1], 0, NULL);
    g_assert_true(kd_route_join(fixture.route, KD_SIDE_LINE, &endpoint, &error));
    g_assert_cmpint(write(line[0], "0123456789", 10), ==, 10);
    kd_test_settle();
    g_assert_cmpint(read(peer[0], buf, sizeof buf), ==, 10);
    kd_route_free(fixture.route);
    g_assert_cmpint(read(peer[0], buf, sizeof buf), ==, 0);
    close(peer[0]);
    close(line[0]);
    kd_test_settle();
    kd_loop_stop();
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    (void)signal(SIGPIPE, SIG_IGN); /* as every program of ours does */
    g_test_add_func("/route/ends/fin-waits-as-long-as-the-line-takes", test_line_takes_its_time);
    g_test_add_func("/route/ends/fin-is-told-when-the-rest-was-dropped", test_drop_after_fin);
    g_test_add_func("/route/ends/a-peer-that-does-not-read-gets-whole-frames",
                    test_no_frame_is_cut);
    g_test_add_func("/route/ends/a-line-gone-after-its-half-is-told",
                    test_line_gone_after_its_half);
    g_test_add_func("/route/ends/a-stream-that-takes-little-gets-all", test_sipping_peer);
    g_test_add_func("/route/ends/a-stream-beside-a-descriptor-is-not-used", test_stray_stream);
    return g_test_run();
}
