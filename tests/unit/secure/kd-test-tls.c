/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two ends of TLS in one loop: certificates made on the spot, handshakes, and bytes both ways. */
#include "kd-test-tls.h"

#include <kdsrv-support/kd-ring-stream.h>

#include <errno.h>
#include <glib-unix.h>
#include <gnutls/x509.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DEADLINE_US   (25 * G_USEC_PER_SEC)
#define PATTERN_BYTES 65521u /* a prime: no buffer is in step with it */
#define BLOCK_BYTES   ((size_t)128 * 1024)
#define RING_BYTES    ((size_t)20000)

static uint8_t pattern[PATTERN_BYTES + BLOCK_BYTES];
static uint8_t block[BLOCK_BYTES];

/* ---- the loop ---- */

/**
 * kd_test_start:
 *
 * Starts the loop.
 */
void
kd_test_start(void)
{
    g_autoptr(GError) error = NULL;
    gboolean is_started = kd_loop_start(&error);

    g_assert_no_error(error);
    g_assert_true(is_started);
    (void)signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof pattern; i++) {
        size_t at = i % PATTERN_BYTES;

        pattern[i] = (uint8_t)((at * 2654435761u) >> 13);
    }
}

/**
 * kd_test_stop:
 *
 * Stops the loop, which asserts that nobody has left a watch in it.
 */
void
kd_test_stop(void)
{
    kd_test_settle();
    kd_loop_stop();
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
 * Turns the main context until something has come; fails the test after 25 s.
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
 * kd_test_count_fds:
 *
 * Returns: how many descriptors this process has
 */
guint
kd_test_count_fds(void)
{
    g_autoptr(GDir) dir = g_dir_open("/proc/self/fd", 0, NULL);
    guint n = 0;

    while (g_dir_read_name(dir) != NULL) {
        n++;
    }
    return n;
}

/* ---- certificates ---- */

static void
assert_ok(int code)
{
    g_assert_cmpstr(code >= 0 ? "" : gnutls_strerror(code), ==, "");
}

/* A self-signed one for whoever needs one; nobody judges it but for a test's own function. */
static void
make_certificate(gnutls_x509_crt_t *certificate, gnutls_x509_privkey_t *key)
{
    static const uint8_t serial[] = {1};
    time_t now = time(NULL);

    assert_ok(gnutls_x509_privkey_init(key));
    assert_ok(gnutls_x509_privkey_generate(*key, GNUTLS_PK_ECDSA,
                                           GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0));
    assert_ok(gnutls_x509_crt_init(certificate));
    assert_ok(gnutls_x509_crt_set_version(*certificate, 3));
    assert_ok(gnutls_x509_crt_set_serial(*certificate, serial, sizeof serial));
    assert_ok(gnutls_x509_crt_set_activation_time(*certificate, now - 60));
    assert_ok(gnutls_x509_crt_set_expiration_time(*certificate, now + 3600));
    assert_ok(gnutls_x509_crt_set_key(*certificate, *key));
    assert_ok(gnutls_x509_crt_set_dn(*certificate, "CN=test", NULL));
    assert_ok(gnutls_x509_crt_sign2(*certificate, *certificate, *key, GNUTLS_DIG_SHA256, 0));
}

/**
 * kd_test_credentials_new:
 * @has_certificate: shows a self-signed one
 *
 * Returns: (transfer full): credentials
 */
gnutls_certificate_credentials_t
kd_test_credentials_new(gboolean has_certificate)
{
    static gnutls_x509_crt_t certificate;
    static gnutls_x509_privkey_t key;
    gnutls_certificate_credentials_t credentials;

    assert_ok(gnutls_certificate_allocate_credentials(&credentials));
    if (has_certificate && certificate == NULL) {
        make_certificate(&certificate, &key);
    }
    if (has_certificate) {
        assert_ok(gnutls_certificate_set_x509_key(credentials, &certificate, 1, key));
    }
    return credentials;
}

/**
 * kd_test_server_new:
 * @priority: (nullable): other than the usual one
 *
 * Returns: (transfer full): a server with a certificate
 */
KdTlsConfig *
kd_test_server_new(const char *priority)
{
    return kd_tls_config_new_for_test(KD_TLS_SERVER, kd_test_credentials_new(TRUE), priority,
                                      GNUTLS_CERT_IGNORE, NULL);
}

/**
 * kd_test_client_new:
 * @priority: (nullable): other than the usual one
 *
 * Returns: (transfer full): a client that trusts everybody
 */
KdTlsConfig *
kd_test_client_new(const char *priority)
{
    return kd_tls_config_new_for_test(KD_TLS_CLIENT, kd_test_credentials_new(FALSE), priority,
                                      GNUTLS_CERT_IGNORE, NULL);
}

/* ---- what TLS is put on ---- */

static void
take(KdEndpoint *endpoint, int fd)
{
    kd_endpoint_init(endpoint);
    kd_endpoint_take_fd(endpoint, fd, KD_ENDPOINT_HALF_CLOSE, NULL);
}

/**
 * kd_test_unix_pair:
 * @one: (out caller-allocates): an end
 * @other: (out caller-allocates): its other end
 *
 * Makes a pair of sockets.
 */
void
kd_test_unix_pair(KdEndpoint *one, KdEndpoint *other)
{
    int fds[2];

    g_assert_no_errno(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds));
    take(one, fds[0]);
    take(other, fds[1]);
}

/**
 * kd_test_tcp_pair:
 * @one: (out caller-allocates): an end
 * @other: (out caller-allocates): its other end
 *
 * Makes a connection over the loopback interface.
 */
void
kd_test_tcp_pair(KdEndpoint *one, KdEndpoint *other)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int on = 1;
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int fds[2] = {-1, socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};

    g_assert_no_errno(bind(listening, (struct sockaddr *)&address, sizeof address));
    g_assert_no_errno(listen(listening, 1));
    g_assert_no_errno(getsockname(listening, (struct sockaddr *)&address, &len));
    g_assert_no_errno(connect(fds[1], (struct sockaddr *)&address, sizeof address));
    fds[0] = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    g_assert_no_errno(fds[0]);
    g_assert_no_errno(close(listening));
    for (int i = 0; i < 2; i++) {
        g_assert_true(g_unix_set_fd_nonblocking(fds[i], TRUE, NULL));
        g_assert_no_errno(setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
    }
    take(one, fds[0]);
    take(other, fds[1]);
}

/* Two streams of a plugin, each of which is the other's device. */
typedef struct {
    KdRingStream *streams[2];
    gboolean are_ended[2];
    guint n_refs;
} KdTestRings;

/* What one has written and the other has room for. */
static void
shovel(KdTestRings *rings)
{
    for (int from = 0; from < 2; from++) {
        KdRingStream *source = rings->streams[from];
        KdRingStream *sink = rings->streams[1 - from];
        uint8_t bytes[4096];

        while (source != NULL && sink != NULL) {
            size_t n = MIN(kd_ring_stream_get_room(sink), sizeof bytes);

            if (n == 0) {
                (void)kd_ring_stream_put(sink, "", 1); /* so that it tells when there is room */
                break;
            }
            n = kd_ring_stream_take(source, bytes, n);
            if (n == 0) {
                break;
            }
            g_assert_cmpuint(kd_ring_stream_put(sink, bytes, n), ==, n);
        }
        if (rings->are_ended[from] && sink != NULL &&
            (source == NULL || kd_ring_stream_get_pending(source) == 0)) {
            kd_ring_stream_end(sink, 0);
        }
    }
}

static void
on_ring_moved(KdRingStream *stream, void *user)
{
    (void)stream;
    shovel(user);
}

static void
on_ring_ended(KdRingStream *stream, void *user)
{
    KdTestRings *rings = user;

    rings->are_ended[rings->streams[0] == stream ? 0 : 1] = TRUE;
    shovel(rings);
}

static void
on_ring_gone(KdRingStream *stream, void *user)
{
    KdTestRings *rings = user;
    int side = rings->streams[0] == stream ? 0 : 1;

    shovel(rings);
    rings->streams[side] = NULL;
    rings->are_ended[side] = TRUE;
    shovel(rings);
    if (--rings->n_refs == 0) {
        g_free(rings);
    }
}

/**
 * kd_test_ring_pair:
 * @one: (out caller-allocates): an end
 * @other: (out caller-allocates): its other end
 *
 * Makes two streams without a descriptor, with little room.
 */
void
kd_test_ring_pair(KdEndpoint *one, KdEndpoint *other)
{
    static const KdRingStreamFuncs funcs = {
        .readable = on_ring_moved,
        .writable = on_ring_moved,
        .ended = on_ring_ended,
        .gone = on_ring_gone,
    };
    KdTestRings *rings = g_new0(KdTestRings, 1);
    KdEndpoint *ends[] = {one, other};

    rings->n_refs = 2;
    for (int i = 0; i < 2; i++) {
        rings->streams[i] = kd_ring_stream_new(RING_BYTES, RING_BYTES, &funcs, rings);
        kd_endpoint_init(ends[i]);
        kd_ring_stream_give(rings->streams[i], ends[i], KD_ENDPOINT_HALF_CLOSE, NULL);
    }
}

/* ---- handshakes ---- */

static void
on_shaken(KdEndpoint *endpoint, const KdTlsPeer *peer, const GError *error, void *user)
{
    KdTestShake *shake = user;

    g_assert_nonnull(shake->handshake); /* never before new has returned */
    g_assert_true((endpoint != NULL) != (error != NULL));
    shake->n_told++;
    shake->round = kd_loop_get_round();
    shake->peer = kd_tls_peer_copy(peer);
    if (error != NULL) {
        shake->error = g_error_copy(error);
    } else if (!shake->is_left) {
        shake->endpoint = *endpoint;
        kd_endpoint_init(endpoint);
    }
    if (shake->is_freed_when_told) {
        kd_tls_handshake_free(g_steal_pointer(&shake->handshake));
    }
}

/**
 * kd_test_shake_begin:
 * @shake: zeroed, but for what it is to do
 * @config: reffed
 * @base: (transfer full): what to put TLS on
 *
 * Begins a handshake.
 */
void
kd_test_shake_begin(KdTestShake *shake, KdTlsConfig *config, KdEndpoint *base)
{
    g_autoptr(GError) error = NULL;

    kd_endpoint_init(&shake->endpoint);
    shake->handshake = kd_tls_handshake_new(config, base, on_shaken, shake, &error);
    g_assert_no_error(error);
    g_assert_cmpint(base->fd, ==, -1);
    g_assert_null(base->stream);
    g_assert_cmpuint(shake->n_told, ==, 0);
}

static gboolean
is_told(void *user)
{
    return ((KdTestShake *)user)->n_told > 0;
}

/**
 * kd_test_shake_wait:
 * @shake: begun
 *
 * Waits for the end of a handshake.
 */
void
kd_test_shake_wait(KdTestShake *shake)
{
    kd_test_wait(is_told, shake);
}

/**
 * kd_test_shake_clear:
 * @shake: begun
 *
 * Frees what it holds.
 */
void
kd_test_shake_clear(KdTestShake *shake)
{
    kd_tls_handshake_free(shake->handshake);
    kd_endpoint_clear(&shake->endpoint);
    kd_tls_peer_free(shake->peer);
    g_clear_error(&shake->error);
    *shake = (KdTestShake){0};
}

/**
 * kd_test_tls_pair:
 * @pair: what to put TLS on
 * @priority: (nullable): other than the usual one
 * @server: (out caller-allocates): one end of the plaintext
 * @client: (out caller-allocates): the other
 *
 * Connects two ends by TLS.
 */
void
kd_test_tls_pair(KdTestPair pair, const char *priority, KdEndpoint *server, KdEndpoint *client)
{
    KdTlsConfig *configs[] = {kd_test_server_new(priority), kd_test_client_new(priority)};
    KdTestShake shakes[2] = {{0}, {0}};
    KdEndpoint bases[2];

    pair(&bases[0], &bases[1]);
    kd_test_shake_begin(&shakes[0], configs[0], &bases[0]);
    kd_test_shake_begin(&shakes[1], configs[1], &bases[1]);
    for (int i = 0; i < 2; i++) {
        kd_test_shake_wait(&shakes[i]);
        g_assert_no_error(shakes[i].error);
    }
    *server = shakes[0].endpoint;
    *client = shakes[1].endpoint;
    for (int i = 0; i < 2; i++) {
        kd_endpoint_init(&shakes[i].endpoint);
        kd_test_shake_clear(&shakes[i]);
        kd_tls_config_unref(configs[i]);
    }
}

/* ---- talking ---- */

static size_t
choose(KdTestTalk *talk, guint most)
{
    return most == 0 ? BLOCK_BYTES : (size_t)g_rand_int_range(talk->rand, 1, (gint32)most + 1);
}

/**
 * kd_test_get_pattern:
 * @salt: of a talker
 * @at: offset in what it says
 *
 * Returns: the next 128 KiB
 */
const uint8_t *
kd_test_get_pattern(guint64 salt, guint64 at)
{
    return pattern + (at + salt * 7919u) % PATTERN_BYTES;
}

static void
say(KdTestTalk *talk)
{
    while (talk->n_sent < talk->to_send && kd_end_is_writable(talk->end)) {
        size_t len = choose(talk, talk->write_most);
        struct iovec vec = {(void *)kd_test_get_pattern(talk->salt, talk->n_sent),
                            MIN(len, talk->to_send - talk->n_sent)};
        gssize n = kd_end_write(talk->end, &vec, 1);

        if (n < 0) {
            break;
        }
        talk->n_sent += (guint64)n;
    }
    if (talk->shuts && talk->n_sent == talk->to_send) {
        kd_end_shutdown_write(talk->end);
    }
}

/* Returns: whether there may be more */
static gboolean
hear(KdTestTalk *talk)
{
    for (int i = 0; i < 16; i++) {
        size_t len = choose(talk, talk->read_most);
        gssize n;

        if (!kd_end_is_readable(talk->end) || talk->has_ended) {
            return FALSE;
        }
        n = kd_end_read(talk->end, block, len);
        if (n == -EAGAIN) {
            return FALSE;
        }
        if (n <= 0) {
            talk->has_ended = TRUE;
            talk->end_code = n;
            return FALSE;
        }
        g_assert_cmpuint((size_t)n, <=, len);
        g_assert_true(
            memcmp(block, kd_test_get_pattern(talk->heard_salt, talk->n_got), (size_t)n) == 0);
        talk->n_got += (guint64)n;
    }
    return TRUE;
}

static gboolean
on_wake(gpointer user_data)
{
    KdTestTalk *talk = user_data;

    talk->wake_id = 0;
    kd_test_talk_wake(talk);
    return G_SOURCE_REMOVE;
}

static gboolean
on_talk_run(KdLoopWatch *watch)
{
    KdTestTalk *talk = ((KdEnd *)watch)->owner;

    if (talk->wake_id != 0) {
        return FALSE;
    }
    if (talk->stalls && g_rand_int_range(talk->rand, 0, 16) == 0) {
        talk->wake_id = g_timeout_add(1, on_wake, talk);
        return FALSE;
    }
    if (kd_end_flush(talk->end)) {
        say(talk);
    }
    return !talk->is_deaf && hear(talk);
}

/**
 * kd_test_talk_begin:
 * @talk: zeroed, but for what it is to do
 * @endpoint: (transfer full): of a stream
 * @salt: which bytes it says
 * @heard_salt: which bytes it is to hear
 *
 * Begins to talk and to listen.
 */
void
kd_test_talk_begin(KdTestTalk *talk, KdEndpoint *endpoint, guint salt, guint heard_salt)
{
    static const KdLoopWatchFuncs funcs = {.run = on_talk_run, .gone = kd_end_gone};
    g_autoptr(GError) error = NULL;

    talk->salt = salt;
    talk->heard_salt = heard_salt;
    talk->rand = g_rand_new_with_seed(salt + 1);
    talk->end = kd_end_new(endpoint, &funcs, talk, &error);
    g_assert_no_error(error);
    kd_test_talk_wake(talk);
}

/**
 * kd_test_talk_wake:
 * @talk: begun
 *
 * Lets it go on, after it was told to do something else.
 */
void
kd_test_talk_wake(KdTestTalk *talk)
{
    kd_loop_ready(&talk->end->watch, 0);
}

/**
 * kd_test_talk_clear:
 * @talk: begun
 *
 * Closes its end.
 */
void
kd_test_talk_clear(KdTestTalk *talk)
{
    if (talk->wake_id != 0) {
        g_source_remove(talk->wake_id);
    }
    kd_end_free(talk->end);
    g_rand_free(talk->rand);
    *talk = (KdTestTalk){0};
}
