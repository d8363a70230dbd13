/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The far end of a route in a test: speaks frames over a socketpair, by hand. */
#include "kd-test-peer.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEADLINE_US (20 * G_USEC_PER_SEC)

/**
 * kd_test_pair:
 * @fds: (out): both ends of a non-blocking stream
 */
void
kd_test_pair(int fds[2])
{
    g_assert_no_errno(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds));
}

static gboolean
on_deadline(gpointer user_data)
{
    (void)user_data;
    return G_SOURCE_CONTINUE;
}

/**
 * kd_test_wait:
 * @condition: asked after every turn of the main context
 * @user: for @condition
 *
 * Turns the main context until something has come; fails the test after 20 s.
 */
void
kd_test_wait(KdTestCondition condition, void *user)
{
    gint64 end_us = g_get_monotonic_time() + DEADLINE_US;
    guint id = g_timeout_add(5, on_deadline, NULL);

    while (!condition(user)) {
        g_assert_cmpint(g_get_monotonic_time(), <, end_us);
        g_main_context_iteration(NULL, TRUE);
    }
    g_source_remove(id);
}

/**
 * kd_test_settle:
 *
 * Lets everything happen that can happen without further input.
 */
void
kd_test_settle(void)
{
    for (int i = 0; i < 20; i++) {
        g_main_context_iteration(NULL, FALSE);
    }
}

/**
 * kd_test_peer_init:
 * @peer: any bytes
 * @endpoint: (out caller-allocates): the route's end
 *
 * Makes a peer and the endpoint that leads to it.
 */
void
kd_test_peer_init(KdTestPeer *peer, KdEndpoint *endpoint)
{
    int fds[2];

    kd_test_pair(fds);
    *peer = (KdTestPeer){.fd = fds[0], .in = g_byte_array_new()};
    kd_endpoint_init(endpoint);
    kd_endpoint_take_fd(endpoint, fds[1], KD_ENDPOINT_HALF_CLOSE, NULL);
}

/**
 * kd_test_peer_clear:
 * @peer: a peer
 *
 * Closes it.
 */
void
kd_test_peer_clear(KdTestPeer *peer)
{
    if (peer->fd >= 0) {
        close(peer->fd);
    }
    peer->fd = -1;
    g_clear_pointer(&peer->in, g_byte_array_unref);
}

/**
 * kd_test_peer_say:
 * @peer: a peer
 * @bytes: as they are
 * @len: of @bytes
 *
 * Sends bytes; the main context turns while the socket is full.
 */
void
kd_test_peer_say(KdTestPeer *peer, const void *bytes, size_t len)
{
    const uint8_t *next = bytes;

    while (len > 0) {
        gssize n = send(peer->fd, next, len, MSG_NOSIGNAL);

        if (n < 0) {
            g_assert_cmpint(errno, ==, EAGAIN);
            g_main_context_iteration(NULL, FALSE);
            continue;
        }
        next += n;
        len -= (size_t)n;
    }
}

/**
 * kd_test_peer_send:
 * @peer: a peer
 * @type: of the frame
 * @payload: (nullable): of the frame
 * @len: of @payload
 *
 * Sends a frame.
 */
void
kd_test_peer_send(KdTestPeer *peer, KdFrameType type, const void *payload, size_t len)
{
    KdFrameHeader header = {.type = (uint8_t)type, .length = (uint32_t)len, .ack = peer->ack};
    uint8_t head[KD_HEADER_BYTES];

    kd_frame_header_store(head, &header);
    kd_test_peer_say(peer, head, sizeof head);
    kd_test_peer_say(peer, payload, len);
}

/**
 * kd_test_peer_try_frame:
 * @peer: a peer
 * @header: (out): of the frame
 * @payload: (out) (nullable): of the frame
 *
 * Takes a frame that the route has sent. The preamble must have been taken before.
 *
 * Returns: whether a whole one has come
 */
gboolean
kd_test_peer_try_frame(KdTestPeer *peer, KdFrameHeader *header, GBytes **payload)
{
    uint8_t buf[4096];
    gssize n;

    while ((n = read(peer->fd, buf, sizeof buf)) > 0) {
        g_byte_array_append(peer->in, buf, (guint)n);
    }
    if (peer->in->len < KD_HEADER_BYTES) {
        return FALSE;
    }
    kd_frame_header_load(header, peer->in->data);
    if (peer->in->len < KD_HEADER_BYTES + header->length) {
        return FALSE;
    }
    if (payload != NULL) {
        *payload = g_bytes_new(peer->in->data + KD_HEADER_BYTES, header->length);
    }
    g_byte_array_remove_range(peer->in, 0, KD_HEADER_BYTES + header->length);
    return TRUE;
}

/**
 * kd_test_peer_expect:
 * @peer: a peer
 * @type: the next frame must be of this type
 * @header: (out): of the frame
 * @payload: (out) (nullable): of the frame
 *
 * Waits for a frame.
 */
void
kd_test_peer_expect(KdTestPeer *peer, KdFrameType type, KdFrameHeader *header, GBytes **payload)
{
    gint64 end_us = g_get_monotonic_time() + DEADLINE_US;

    while (!kd_test_peer_try_frame(peer, header, payload)) {
        g_assert_cmpint(g_get_monotonic_time(), <, end_us);
        g_main_context_iteration(NULL, FALSE);
    }
    g_assert_cmpstr(kd_frame_get_name(header->type), ==, kd_frame_get_name((uint8_t)type));
}
