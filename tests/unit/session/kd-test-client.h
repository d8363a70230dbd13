/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The client of a session in a test: speaks frames by hand, over a socket or a plugin's stream. */
#pragma once

#include "kd-end.h"
#include "kd-message.h"

#include <kdsrv-support/kd-ring-stream.h>

/**
 * KdTestClient:
 * @fd: its end of a socketpair, or -1
 * @far: an endpoint that a transport's connect gave, or an empty one
 * @ring: (nullable): its side of a stream that the session reads and writes
 * @in: what came and was not taken apart yet
 * @bytes: of all DATA that came, in order
 * @sent: bytes of DATA that were sent
 * @ack: what its headers carry
 * @has_preamble: the server's has been taken
 * @has_ended: the server's direction has ended
 * @n_frames: that were taken apart, DATA included
 * @cork: (nullable): collects what is said, until kd_test_client_uncork()
 */
typedef struct {
    int fd;
    KdEndpoint far;
    KdRingStream *ring;
    GByteArray *in;
    GByteArray *bytes;
    uint64_t sent;
    uint64_t ack;
    gboolean has_preamble;
    gboolean has_ended;
    guint n_frames;
    GByteArray *cork;
} KdTestClient;

/* Turns the main context until something is so; fails the test after 20 s. */
#define KD_AWAIT(condition)                                                 \
    G_STMT_START                                                            \
    {                                                                       \
        gint64 await_end_us = g_get_monotonic_time() + 20 * G_USEC_PER_SEC; \
        while (!(condition)) {                                              \
            g_assert_cmpint(g_get_monotonic_time(), <, await_end_us);       \
            g_main_context_iteration(NULL, TRUE);                           \
        }                                                                   \
    }                                                                       \
    G_STMT_END

void kd_test_client_init(KdTestClient *client, gboolean is_stream, KdEndpoint *endpoint);
void kd_test_client_init_fd(KdTestClient *client, int fd);
void kd_test_client_init_far(KdTestClient *client, KdEndpoint *endpoint);
void kd_test_client_vanish(KdTestClient *client);
void kd_test_client_clear(KdTestClient *client);
void kd_test_client_cork(KdTestClient *client);
void kd_test_client_uncork(KdTestClient *client);
void kd_test_client_say(KdTestClient *client, const void *bytes, size_t len);
void kd_test_client_send(KdTestClient *client, KdFrameType type, GBytes *payload);
void kd_test_client_send_preamble(KdTestClient *client, uint16_t major);
void kd_test_client_send_hello(KdTestClient *client);
void kd_test_client_send_auth(KdTestClient *client, const char *mechanism);
void kd_test_client_send_open(KdTestClient *client, const char *trans);
void kd_test_client_send_bytes(KdTestClient *client, const void *bytes, size_t len);
void kd_test_client_send_fin(KdTestClient *client);
void kd_test_client_send_close(KdTestClient *client);
void kd_test_client_send_control(KdTestClient *client, uint32_t id, uint16_t op,
                                 gboolean is_urgent);
void kd_test_client_read(KdTestClient *client);
gboolean kd_test_client_take(KdTestClient *client, KdFrameHeader *header, GBytes **payload);
GBytes *kd_test_client_expect(KdTestClient *client, KdFrameType type);
KdListed *kd_test_client_expect_listed(KdTestClient *client);
KdClose *kd_test_client_expect_close(KdTestClient *client, KdCloseCode code);
KdResult *kd_test_client_expect_result(KdTestClient *client, uint32_t id);
void kd_test_client_expect_event(KdTestClient *client, uint16_t kind);
void kd_test_client_expect_bytes(KdTestClient *client, const char *bytes);
void kd_test_client_await_data(KdTestClient *client, guint len);
