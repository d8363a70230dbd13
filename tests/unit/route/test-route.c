/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The router between a framed peer and a line: order, credit, breaks, ends. */
#include "kd-message.h"
#include "kd-test-peer.h"

#include <errno.h>
#include <kdsrv-support/kd-ring-stream.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct {
    KdRoute *route;
    KdTestPeer peer;
    int line_fd;          /* the line's far end ... */
    KdRingStream *stream; /* ... or this one */
    guint n_finished[2];
    int finished_error[2];
    guint n_frames;
    uint8_t last_type;
    guint n_failed;
    KdCloseCode failed_code;
    guint n_reached;
    guint n_flushed;
    gboolean frees_on_frame;
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
    Fixture *fixture = user;

    (void)payload;
    fixture->n_frames++;
    fixture->last_type = header->type;
    if (fixture->frees_on_frame) {
        kd_route_free(route);
        fixture->route = NULL;
    }
}

static void
on_finished(KdRoute *route, KdSide side, int error, void *user)
{
    Fixture *fixture = user;

    (void)route;
    fixture->n_finished[side]++;
    fixture->finished_error[side] = error;
}

static void
on_failed(KdRoute *route, const GError *error, void *user)
{
    Fixture *fixture = user;

    (void)route;
    fixture->n_failed++;
    fixture->failed_code = kd_wire_get_close_code(error);
}

static void
on_reached(KdRoute *route, void *user)
{
    (void)route;
    ((Fixture *)user)->n_reached++;
}

static void
on_flushed(KdRoute *route, void *user)
{
    (void)route;
    ((Fixture *)user)->n_flushed++;
}

static const KdRouteFuncs funcs = {
    .preamble = on_preamble,
    .frame = on_frame,
    .finished = on_finished,
    .failed = on_failed,
    .reached = on_reached,
    .flushed = on_flushed,
};

static void
on_stream_gone(KdRingStream *stream, void *user)
{
    Fixture *fixture = user;

    (void)stream;
    fixture->stream = NULL;
}

static const KdRingStreamFuncs stream_funcs = {.gone = on_stream_gone};

/* `data` is non-NULL: the line has no descriptor. */
static void
set_up(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    KdEndpoint endpoint;
    uint8_t preamble[KD_PREAMBLE_BYTES];

    memset(fixture, 0, sizeof *fixture);
    g_assert_true(kd_loop_start(&error));
    fixture->route = kd_route_new_framed(KD_ROLE_SERVER, &funcs, fixture);
    kd_test_peer_init(&fixture->peer, &endpoint);
    g_assert_true(kd_route_join(fixture->route, KD_SIDE_PEER, &endpoint, &error));
    kd_preamble_store(preamble, KD_ROLE_CLIENT, KD_PROTOCOL_MAJOR, KD_PROTOCOL_MINOR);
    kd_test_peer_say(&fixture->peer, preamble, sizeof preamble);
    kd_route_get_wire(fixture->route)->credit.peer_window = KD_WINDOW_BYTES;
    kd_route_get_wire(fixture->route)->peer_max_data_bytes = KD_MAX_DATA_BYTES;
    for (KdPhase phase = KD_PHASE_HELLO; phase <= KD_PHASE_STREAMING; phase++) {
        kd_wire_advance(kd_route_get_wire(fixture->route), phase);
    }
    fixture->line_fd = -1;
    kd_endpoint_init(&endpoint);
    if (data != NULL) {
        fixture->stream = kd_ring_stream_new(16384, 16384, &stream_funcs, fixture);
        kd_ring_stream_give(fixture->stream, &endpoint, KD_ENDPOINT_HALF_CLOSE, NULL);
    } else {
        int fds[2];

        kd_test_pair(fds);
        fixture->line_fd = fds[0];
        kd_endpoint_take_fd(&endpoint, fds[1], KD_ENDPOINT_HALF_CLOSE, NULL);
    }
    g_assert_true(kd_route_join(fixture->route, KD_SIDE_LINE, &endpoint, &error));
    kd_test_settle();
}

static void
tear_down(Fixture *fixture, gconstpointer data)
{
    (void)data;
    kd_route_free(fixture->route);
    kd_test_peer_clear(&fixture->peer);
    if (fixture->line_fd >= 0) {
        close(fixture->line_fd);
    }
    kd_test_settle();
    kd_loop_stop();
}

static size_t
line_read(Fixture *fixture, void *buf, size_t len)
{
    gssize n;

    if (fixture->stream != NULL) {
        return kd_ring_stream_take(fixture->stream, buf, len);
    }
    n = read(fixture->line_fd, buf, len);
    return n > 0 ? (size_t)n : 0;
}

static size_t
line_write(Fixture *fixture, const void *buf, size_t len)
{
    gssize n;

    if (fixture->stream != NULL) {
        return kd_ring_stream_put(fixture->stream, buf, len);
    }
    n = send(fixture->line_fd, buf, len, MSG_NOSIGNAL);
    return n > 0 ? (size_t)n : 0;
}

/* Reads whatever the line gets until nothing more comes. */
static size_t
line_read_all(Fixture *fixture, uint8_t *buf, size_t len)
{
    size_t total = 0;

    for (int idle = 0; idle < 20;) {
        size_t n = line_read(fixture, buf + total, len - total);

        total += n;
        idle = n > 0 ? 0 : idle + 1;
        g_main_context_iteration(NULL, FALSE);
    }
    return total;
}

/* ---- */

static void
test_bytes_pass_before_their_frame_is_whole(Fixture *fixture, gconstpointer data)
{
    KdFrameHeader header = {.type = KD_FRAME_DATA, .length = 100};
    uint8_t head[KD_HEADER_BYTES];
    uint8_t buf[64];

    (void)data;
    kd_frame_header_store(head, &header);
    kd_test_peer_say(&fixture->peer, head, sizeof head);
    kd_test_peer_say(&fixture->peer, "abc", 3);
    g_assert_cmpuint(line_read_all(fixture, buf, sizeof buf), ==, 3);
    g_assert_cmpmem(buf, 3, "abc", 3);
}

static void
test_line_bytes_get_a_header(Fixture *fixture, gconstpointer data)
{
    KdFrameHeader header;
    g_autoptr(GBytes) payload = NULL;

    (void)data;
    kd_test_peer_send(&fixture->peer, KD_FRAME_DATA, "12345", 5);
    kd_test_settle();
    g_assert_cmpuint(line_write(fixture, "hello", 5), ==, 5);
    kd_test_peer_expect(&fixture->peer, KD_FRAME_DATA, &header, &payload);
    g_assert_cmpuint(g_bytes_get_size(payload), ==, 5);
    g_assert_cmpmem(g_bytes_get_data(payload, NULL), 5, "hello", 5);
    g_assert_cmpuint(header.ack, ==, 5);
}

static void
test_frames_in_pieces_are_put_together(Fixture *fixture, gconstpointer data)
{
    KdFrameHeader header = {.type = KD_FRAME_DATA, .length = 2};
    uint8_t bytes[2 * (KD_HEADER_BYTES + 2)];
    uint8_t buf[16];

    (void)data;
    for (size_t i = 0; i < 2; i++) {
        kd_frame_header_store(bytes + i * (KD_HEADER_BYTES + 2), &header);
        memcpy(bytes + i * (KD_HEADER_BYTES + 2) + KD_HEADER_BYTES, i == 0 ? "ab" : "cd", 2);
    }
    for (size_t i = 0; i < sizeof bytes; i++) {
        kd_test_peer_say(&fixture->peer, bytes + i, 1);
        kd_test_settle();
    }
    g_assert_cmpuint(line_read_all(fixture, buf, sizeof buf), ==, 4);
    g_assert_cmpmem(buf, 4, "abcd", 4);
}

/* Fills the window of a line that takes nothing; returns bytes sent. */
static size_t
fill_window(Fixture *fixture)
{
    static uint8_t bytes[16384];
    size_t total = 0;
    KdWire *wire = kd_route_get_wire(fixture->route);

    while (wire->credit.reported + KD_WINDOW_BYTES >= total + sizeof bytes) {
        kd_test_peer_send(&fixture->peer, KD_FRAME_DATA, bytes, sizeof bytes);
        total += sizeof bytes;
        kd_test_settle();
        g_assert_cmpuint(total, <, 64u * 1024u * 1024u);
    }
    return total;
}

static void
test_ping_is_answered_while_the_line_is_blocked(Fixture *fixture, gconstpointer data)
{
    KdFrameHeader header;

    (void)data;
    fill_window(fixture);
    kd_test_peer_send(&fixture->peer, KD_FRAME_PING, "12345678", 8);
    do {
        g_autoptr(GBytes) payload = NULL;
        gboolean has_come = FALSE;

        while (!has_come) {
            has_come = kd_test_peer_try_frame(&fixture->peer, &header, &payload);
            g_main_context_iteration(NULL, FALSE);
        }
        if (header.type == KD_FRAME_PONG) {
            g_assert_cmpmem(g_bytes_get_data(payload, NULL), 8, "12345678", 8);
        }
    } while (header.type != KD_FRAME_PONG);
}

static void
test_more_than_the_window_is_refused(Fixture *fixture, gconstpointer data)
{
    static uint8_t bytes[16384];

    (void)data;
    fill_window(fixture);
    kd_test_peer_send(&fixture->peer, KD_FRAME_DATA, bytes, sizeof bytes);
    kd_test_settle();
    g_assert_cmpuint(fixture->n_failed, ==, 1);
    g_assert_cmpuint(fixture->failed_code, ==, KD_CLOSE_FLOW_VIOLATION);
}

static void
test_a_quarter_of_the_window_is_acked_without_data(Fixture *fixture, gconstpointer data)
{
    static uint8_t bytes[8192];
    static uint8_t sink[8192];
    KdFrameHeader header;

    (void)data;
    for (size_t sent = 0; sent < KD_WINDOW_BYTES / 4; sent += sizeof bytes) {
        kd_test_peer_send(&fixture->peer, KD_FRAME_DATA, bytes, sizeof bytes);
        g_assert_cmpuint(line_read_all(fixture, sink, sizeof sink), ==, sizeof sink);
    }
    kd_test_peer_expect(&fixture->peer, KD_FRAME_ACK, &header, NULL);
    g_assert_cmpuint(header.ack, ==, KD_WINDOW_BYTES / 4);
    g_assert_false(kd_test_peer_try_frame(&fixture->peer, &header, NULL));
}

static void
test_line_is_not_read_beyond_the_peers_window(Fixture *fixture, gconstpointer data)
{
    KdWire *wire = kd_route_get_wire(fixture->route);
    KdFrameHeader header;

    (void)data;
    wire->credit.peer_window = 4;
    line_write(fixture, "abcdefgh", 8);
    kd_test_peer_expect(&fixture->peer, KD_FRAME_DATA, &header, NULL);
    g_assert_cmpuint(header.length, ==, 4);
    kd_test_settle();
    g_assert_false(kd_test_peer_try_frame(&fixture->peer, &header, NULL));
    fixture->peer.ack = 4;
    kd_test_peer_send(&fixture->peer, KD_FRAME_ACK, NULL, 0);
    kd_test_peer_expect(&fixture->peer, KD_FRAME_DATA, &header, NULL);
    g_assert_cmpuint(header.length, ==, 4);
}

static void
test_held_bytes_wait_until_let_go(Fixture *fixture, gconstpointer data)
{
    uint8_t buf[16];

    (void)data;
    kd_route_hold(fixture->route, 3);
    kd_test_peer_send(&fixture->peer, KD_FRAME_DATA, "abcdef", 6);
    g_assert_cmpuint(line_read_all(fixture, buf, sizeof buf), ==, 3);
    g_assert_cmpuint(fixture->n_reached, ==, 1);
    kd_route_unhold(fixture->route);
    g_assert_cmpuint(line_read_all(fixture, buf, sizeof buf), ==, 3);
    g_assert_cmpmem(buf, 3, "def", 3);
    g_assert_cmpuint(fixture->n_reached, ==, 1);
}

static void
test_hold_at_a_place_already_passed_is_reached_at_once(Fixture *fixture, gconstpointer data)
{
    uint8_t buf[16];

    (void)data;
    kd_test_peer_send(&fixture->peer, KD_FRAME_DATA, "abc", 3);
    g_assert_cmpuint(line_read_all(fixture, buf, sizeof buf), ==, 3);
    kd_route_hold(fixture->route, 3);
    g_assert_cmpuint(fixture->n_reached, ==, 0);
    kd_test_settle();
    g_assert_cmpuint(fixture->n_reached, ==, 1);
}

static void
test_dropped_bytes_count_as_taken(Fixture *fixture, gconstpointer data)
{
    size_t sent = fill_window(fixture);
    KdCredit *credit = &kd_route_get_wire(fixture->route)->credit;
    uint64_t taken = credit->taken;

    (void)data;
    g_assert_cmpuint(kd_route_drop(fixture->route), ==, sent - taken);
    g_assert_cmpuint(credit->taken, ==, sent);
    kd_test_settle();
    g_assert_cmpuint(credit->reported, ==, sent);
}

static void
test_eof_without_close_is_a_cut(Fixture *fixture, gconstpointer data)
{
    (void)data;
    fill_window(fixture);
    kd_test_peer_clear(&fixture->peer);
    kd_test_settle();
    g_assert_cmpuint(fixture->n_finished[KD_SIDE_PEER], ==, 1);
    g_assert_cmpint(fixture->finished_error[KD_SIDE_PEER], !=, 0);
}

static void
test_fin_is_told_after_the_last_byte(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GBytes) fin = kd_fin_build(3);
    uint8_t buf[16];

    (void)data;
    kd_route_hold(fixture->route, 2);
    kd_test_peer_send(&fixture->peer, KD_FRAME_DATA, "abc", 3);
    kd_test_peer_send(&fixture->peer, KD_FRAME_FIN, g_bytes_get_data(fin, NULL),
                      g_bytes_get_size(fin));
    g_assert_cmpuint(line_read_all(fixture, buf, sizeof buf), ==, 2);
    g_assert_cmpuint(fixture->n_finished[KD_SIDE_PEER], ==, 0);
    kd_route_unhold(fixture->route);
    g_assert_cmpuint(line_read_all(fixture, buf, sizeof buf), ==, 1);
    g_assert_cmpuint(fixture->n_finished[KD_SIDE_PEER], ==, 1);
    g_assert_cmpint(fixture->finished_error[KD_SIDE_PEER], ==, 0);
}

static void
test_fin_with_a_wrong_offset_is_refused(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GBytes) fin = kd_fin_build(4);

    (void)data;
    kd_test_peer_send(&fixture->peer, KD_FRAME_DATA, "abc", 3);
    kd_test_peer_send(&fixture->peer, KD_FRAME_FIN, g_bytes_get_data(fin, NULL),
                      g_bytes_get_size(fin));
    kd_test_settle();
    g_assert_cmpuint(fixture->n_failed, ==, 1);
}

static void
test_end_of_the_line_is_told_after_its_last_byte(Fixture *fixture, gconstpointer data)
{
    KdWire *wire = kd_route_get_wire(fixture->route);
    KdFrameHeader header;

    (void)data;
    wire->credit.peer_window = 4;
    line_write(fixture, "abcdefgh", 8);
    if (fixture->stream != NULL) {
        kd_ring_stream_end(fixture->stream, 0);
    } else {
        close(fixture->line_fd);
        fixture->line_fd = -1;
    }
    kd_test_settle();
    g_assert_cmpuint(fixture->n_finished[KD_SIDE_LINE], ==, 0);
    fixture->peer.ack = 4;
    kd_test_peer_send(&fixture->peer, KD_FRAME_ACK, NULL, 0);
    kd_test_peer_expect(&fixture->peer, KD_FRAME_DATA, &header, NULL);
    kd_test_peer_expect(&fixture->peer, KD_FRAME_DATA, &header, NULL);
    fixture->peer.ack = 8;
    kd_test_peer_send(&fixture->peer, KD_FRAME_ACK, NULL, 0);
    kd_test_settle();
    g_assert_cmpuint(fixture->n_finished[KD_SIDE_LINE], ==, 1);
}

static void
test_a_callback_may_free_the_route(Fixture *fixture, gconstpointer data)
{
    KdClose close = {.code = KD_CLOSE_NORMAL, .text = (char *)"bye"};
    g_autoptr(GBytes) payload = kd_close_build(&close);

    (void)data;
    fixture->frees_on_frame = TRUE;
    kd_test_peer_send(&fixture->peer, KD_FRAME_CLOSE, g_bytes_get_data(payload, NULL),
                      g_bytes_get_size(payload));
    kd_test_settle();
    g_assert_cmpuint(fixture->n_frames, ==, 1);
    g_assert_null(fixture->route);
}

static void
test_flushed_comes_after_the_last_frame_is_out(Fixture *fixture, gconstpointer data)
{
    KdClose close = {.code = KD_CLOSE_NORMAL, .text = (char *)"bye"};
    KdFrameHeader header;

    (void)data;
    kd_route_stop(fixture->route);
    kd_route_send(fixture->route, KD_FRAME_CLOSE, kd_close_build(&close));
    kd_route_flush(fixture->route);
    g_assert_cmpuint(fixture->n_flushed, ==, 0);
    kd_test_peer_expect(&fixture->peer, KD_FRAME_CLOSE, &header, NULL);
    kd_test_settle();
    g_assert_cmpuint(fixture->n_flushed, ==, 1);
}

static void
test_the_line_can_be_exchanged(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    KdEndpoint endpoint;
    uint8_t buf[16];
    int fds[2];

    (void)data;
    g_assert_true(kd_route_leave(fixture->route, KD_SIDE_LINE, &endpoint));
    kd_endpoint_clear(&endpoint);
    kd_test_peer_send(&fixture->peer, KD_FRAME_DATA, "abc", 3);
    kd_test_settle();
    kd_test_pair(fds);
    kd_endpoint_take_fd(&endpoint, fds[1], 0, NULL);
    g_assert_true(kd_route_join(fixture->route, KD_SIDE_LINE, &endpoint, &error));
    kd_test_settle();
    g_assert_cmpint(read(fds[0], buf, sizeof buf), ==, 3);
    close(fds[0]);
}

/* Both ways at once, in pieces of random size, with readers that sometimes take nothing. */
static void
test_no_byte_is_lost_or_changed(Fixture *fixture, gconstpointer data)
{
    const int total = 2 * 1024 * 1024;
    g_autofree uint8_t *sent = g_malloc((size_t)total);
    g_autoptr(GByteArray) got_line = g_byte_array_new();
    g_autoptr(GByteArray) got_peer = g_byte_array_new();
    g_autoptr(GRand) rand = g_rand_new_with_seed(20241);
    static uint8_t buf[65536];
    size_t to_line = 0;
    size_t to_peer = 0;
    KdWire *wire = kd_route_get_wire(fixture->route);
    gint64 end_us = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;

    (void)data;
    for (size_t i = 0; i < (size_t)total; i++) {
        sent[i] = (uint8_t)(i * 31 + i / 256 + i / 65536);
    }
    while (got_line->len < (guint)total || got_peer->len < (guint)total) {
        size_t n = (size_t)g_rand_int_range(rand, 1, 30000);
        KdFrameHeader header;
        g_autoptr(GBytes) payload = NULL;

        g_assert_cmpint(g_get_monotonic_time(), <, end_us);
        n = MIN(n, (size_t)total - to_line);
        if (n > 0 && to_line + n <= wire->credit.reported + KD_WINDOW_BYTES) {
            kd_test_peer_send(&fixture->peer, KD_FRAME_DATA, sent + to_line, n);
            to_line += n;
        }
        n = (size_t)g_rand_int_range(rand, 1, 30000);
        to_peer += line_write(fixture, sent + to_peer, MIN(n, (size_t)total - to_peer));
        if (g_rand_int_range(rand, 0, 4) != 0) {
            n = line_read(fixture, buf, (size_t)g_rand_int_range(rand, 1, 65536));
            g_byte_array_append(got_line, buf, (guint)n);
        }
        if (g_rand_int_range(rand, 0, 4) != 0 &&
            kd_test_peer_try_frame(&fixture->peer, &header, &payload) &&
            header.type == KD_FRAME_DATA) {
            g_byte_array_append(got_peer, g_bytes_get_data(payload, NULL), header.length);
            fixture->peer.ack += header.length;
            kd_test_peer_send(&fixture->peer, KD_FRAME_ACK, NULL, 0);
        }
        g_main_context_iteration(NULL, FALSE);
    }
    g_assert_cmpuint(got_line->len, ==, total);
    g_assert_cmpuint(got_peer->len, ==, total);
    g_assert_cmpmem(got_line->data, total, sent, total);
    g_assert_cmpmem(got_peer->data, total, sent, total);
}

static void
add(const char *name, void (*fn)(Fixture *, gconstpointer))
{
    g_autofree char *with_fd = g_strconcat("/route/descriptor/", name, NULL);
    g_autofree char *with_stream = g_strconcat("/route/stream/", name, NULL);

    g_test_add(with_fd, Fixture, NULL, set_up, fn, tear_down);
    g_test_add(with_stream, Fixture, "", set_up, fn, tear_down);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("bytes-pass-before-their-frame-is-whole", test_bytes_pass_before_their_frame_is_whole);
    add("line-bytes-get-a-header", test_line_bytes_get_a_header);
    add("frames-in-pieces-are-put-together", test_frames_in_pieces_are_put_together);
    add("ping-is-answered-while-the-line-is-blocked",
        test_ping_is_answered_while_the_line_is_blocked);
    add("more-than-the-window-is-refused", test_more_than_the_window_is_refused);
    add("a-quarter-of-the-window-is-acked-without-data",
        test_a_quarter_of_the_window_is_acked_without_data);
    add("line-is-not-read-beyond-the-peers-window", test_line_is_not_read_beyond_the_peers_window);
    add("held-bytes-wait-until-let-go", test_held_bytes_wait_until_let_go);
    add("hold-at-a-place-already-passed-is-reached-at-once",
        test_hold_at_a_place_already_passed_is_reached_at_once);
    add("dropped-bytes-count-as-taken", test_dropped_bytes_count_as_taken);
    add("eof-without-close-is-a-cut", test_eof_without_close_is_a_cut);
    add("fin-is-told-after-the-last-byte", test_fin_is_told_after_the_last_byte);
    add("fin-with-a-wrong-offset-is-refused", test_fin_with_a_wrong_offset_is_refused);
    add("end-of-the-line-is-told-after-its-last-byte",
        test_end_of_the_line_is_told_after_its_last_byte);
    add("a-callback-may-free-the-route", test_a_callback_may_free_the_route);
    add("flushed-comes-after-the-last-frame-is-out",
        test_flushed_comes_after_the_last_frame_is_out);
    add("the-line-can-be-exchanged", test_the_line_can_be_exchanged);
    add("no-byte-is-lost-or-changed", test_no_byte_is_lost_or_changed);
    return g_test_run();
}
