/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two ends of TLS in one loop: certificates made on the spot, handshakes, and bytes both ways. */
#pragma once

#include "kd-end.h"
#include "kd-tls-config-private.h"

/**
 * KdTestShake:
 * @handshake: (nullable): until kd_test_shake_clear()
 * @endpoint: what it gave
 * @peer: (nullable): what it has found out
 * @error: (nullable): why it failed
 * @n_told: how often its function was called
 * @is_freed_when_told: the function frees the handshake
 * @is_left: the function leaves the endpoint where it is
 * @round: of the loop, in which it was told
 *
 * A handshake and its end.
 */
typedef struct {
    KdTlsHandshake *handshake;
    KdEndpoint endpoint;
    KdTlsPeer *peer;
    GError *error;
    guint n_told;
    gboolean is_freed_when_told;
    gboolean is_left;
    guint64 round;
} KdTestShake;

/**
 * KdTestTalk:
 * @end: (nullable): of a stream
 * @salt: which bytes it says; the other side hears those of its own
 * @to_send: how many bytes it says
 * @n_sent: how many were taken
 * @n_got: how many came, all of them right
 * @read_most: a read asks for 1 to so many bytes; 0: always for a full buffer
 * @write_most: a write gives 1 to so many; 0: a full buffer
 * @stalls: now and then it does nothing for a while
 * @shuts: says that nothing more comes after its last byte
 * @is_deaf: reads nothing
 * @has_ended: a read said so
 * @end_code: what it said: 0 or -errno
 *
 * One end that talks and listens.
 */
typedef struct {
    KdEnd *end;
    guint salt;
    guint64 to_send;
    guint64 n_sent;
    guint64 n_got;
    guint64 heard_salt;
    guint read_most;
    guint write_most;
    gboolean stalls;
    gboolean shuts;
    gboolean is_deaf;
    gboolean has_ended;
    gssize end_code;
    GRand *rand;
    guint wake_id;
} KdTestTalk;

/**
 * KdTestStage:
 * @configs: of the server and of the client
 * @server: its handshake
 * @client: its handshake
 * @bases: what they are to have, before they begin
 *
 * Both ends of a handshake, over a pair of sockets.
 */
typedef struct {
    KdTlsConfig *configs[2];
    KdTestShake server;
    KdTestShake client;
    KdEndpoint bases[2];
} KdTestStage;

typedef gboolean (*KdTestCondition)(void *user);

void kd_test_start(void);
void kd_test_stop(void);
void kd_test_wait(KdTestCondition condition, void *user);
void kd_test_settle(void);
guint kd_test_count_fds(void);

gnutls_certificate_credentials_t kd_test_credentials_new(gboolean has_certificate);
KdTlsConfig *kd_test_server_new(const char *priority);
KdTlsConfig *kd_test_client_new(const char *priority);

void kd_test_unix_pair(KdEndpoint *one, KdEndpoint *other);
void kd_test_tcp_pair(KdEndpoint *one, KdEndpoint *other);
void kd_test_ring_pair(KdEndpoint *one, KdEndpoint *other);
typedef void (*KdTestPair)(KdEndpoint *one, KdEndpoint *other);

void kd_test_shake_begin(KdTestShake *shake, KdTlsConfig *config, KdEndpoint *base);
void kd_test_shake_wait(KdTestShake *shake);
void kd_test_shake_clear(KdTestShake *shake);
void kd_test_tls_pair(KdTestPair pair, const char *priority, KdEndpoint *server,
                      KdEndpoint *client);

void kd_test_stage_init(KdTestStage *stage, KdTlsConfig *server, KdTlsConfig *client);
void kd_test_stage_begin(KdTestStage *stage);
void kd_test_stage_run(KdTestStage *stage, KdTlsConfig *server, KdTlsConfig *client);
void kd_test_stage_clear(KdTestStage *stage);
void kd_test_assert_says(const KdTestShake *shake, const char *text);

const uint8_t *kd_test_get_pattern(guint64 salt, guint64 at);
void kd_test_talk_begin(KdTestTalk *talk, KdEndpoint *endpoint, guint salt, guint heard_salt);
void kd_test_talk_wake(KdTestTalk *talk);
void kd_test_talk_clear(KdTestTalk *talk);
