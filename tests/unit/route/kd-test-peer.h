/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The far end of a route in a test: speaks frames over a socketpair, by hand. */
#pragma once

#include "kd-route.h"

/**
 * KdTestPeer:
 * @fd: its end of the socketpair, non-blocking
 * @in: bytes read and not yet taken apart
 * @ack: what its headers carry
 */
typedef struct {
    int fd;
    GByteArray *in;
    uint64_t ack;
} KdTestPeer;

/**
 * KdTestCondition:
 *
 * Returns: whether what is waited for has come
 */
typedef gboolean (*KdTestCondition)(void *user);

void kd_test_pair(int fds[2]);
void kd_test_wait(KdTestCondition condition, void *user);
void kd_test_settle(void);
void kd_test_peer_init(KdTestPeer *peer, KdEndpoint *endpoint);
void kd_test_peer_clear(KdTestPeer *peer);
void kd_test_peer_say(KdTestPeer *peer, const void *bytes, size_t len);
void kd_test_peer_send(KdTestPeer *peer, KdFrameType type, const void *payload, size_t len);
gboolean kd_test_peer_try_frame(KdTestPeer *peer, KdFrameHeader *header, GBytes **payload);
void kd_test_peer_expect(KdTestPeer *peer, KdFrameType type, KdFrameHeader *header,
                         GBytes **payload);
