/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How handshakes end: inside TLS, with a sentence that says why not, or let go of; nothing is left.
 */
#include "kd-test-tls.h"

#include <errno.h>
#include <gnutls/x509.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ONLY_TLS_11 "NORMAL:-VERS-ALL:+VERS-TLS1.1"
#define ONLY_TLS_12 "NORMAL:-VERS-ALL:+VERS-TLS1.2"
#define ONLY_TLS_13 "NORMAL:-VERS-ALL:+VERS-TLS1.3"

/* ---- success ---- */

static void
test_both(KdTestPair pair)
{
    g_autoptr(KdTlsConfig) one = kd_test_server_new(NULL);
    g_autoptr(KdTlsConfig) other = kd_test_client_new(NULL);
    KdTestShake server = {0};
    KdTestShake client = {0};
    KdEndpoint bases[2];

    kd_test_start();
    pair(&bases[0], &bases[1]);
    kd_test_shake_begin(&server, one, &bases[0]);
    kd_test_shake_begin(&client, other, &bases[1]);
    kd_test_shake_wait(&server);
    kd_test_shake_wait(&client);
    g_assert_no_error(server.error);
    g_assert_no_error(client.error);
    g_assert_cmpstr(server.peer->version, ==, "TLS1.3");
    g_assert_cmpstr(client.peer->version, ==, "TLS1.3");
    g_assert_nonnull(client.peer->cipher);
    g_assert_cmpuint(g_bytes_get_size(server.peer->binding), ==, 32);
    g_assert_true(g_bytes_equal(server.peer->binding, client.peer->binding));
    kd_test_shake_clear(&server);
    kd_test_shake_clear(&client);
    kd_test_stop();
}

static void
test_success(void)
{
    test_both(kd_test_unix_pair);
    test_both(kd_test_tcp_pair);
    test_both(kd_test_ring_pair);
}

static void
test_bindings_differ(void)
{
    KdTestStage stages[2];

    for (int i = 0; i < 2; i++) {
        kd_test_stage_run(&stages[i], kd_test_server_new(NULL), kd_test_client_new(NULL));
    }
    g_assert_false(g_bytes_equal(stages[0].server.peer->binding, stages[1].server.peer->binding));
    kd_test_stage_clear(&stages[0]);
    kd_test_start();
    kd_test_stage_clear(&stages[1]);
}

static void
test_tls_12(void)
{
    KdTestStage stage;

    kd_test_stage_run(&stage, kd_test_server_new(NULL), kd_test_client_new(ONLY_TLS_12));
    g_assert_no_error(stage.server.error);
    g_assert_cmpstr(stage.server.peer->version, ==, "TLS1.2");
    g_assert_true(g_bytes_equal(stage.server.peer->binding, stage.client.peer->binding));
    kd_test_stage_clear(&stage);
}

static void
test_untaken_is_closed(void)
{
    KdTestStage stage;
    guint n_fds;

    kd_test_stage_init(&stage, kd_test_server_new(NULL), kd_test_client_new(NULL));
    kd_test_settle();
    n_fds = kd_test_count_fds();
    stage.server.is_left = TRUE;
    kd_test_stage_begin(&stage);
    kd_test_shake_wait(&stage.server);
    g_assert_no_error(stage.server.error);
    g_assert_cmpuint(kd_test_count_fds(), ==, n_fds - 1);
    kd_test_stage_clear(&stage);
}

/* ---- refusals ---- */

static void
test_old_client(void)
{
    KdTestStage stage;

    kd_test_stage_run(&stage, kd_test_server_new(NULL), kd_test_client_new(ONLY_TLS_11));
    kd_test_assert_says(&stage.server, "the client speaks no TLS 1.2 or newer");
    kd_test_stage_clear(&stage);

    kd_test_stage_run(&stage, kd_test_server_new(ONLY_TLS_13), kd_test_client_new(ONLY_TLS_12));
    kd_test_assert_says(&stage.server,
                        "the client speaks no TLS 1.3, or has no cipher in common with us");
    kd_test_stage_clear(&stage);
}

static void
test_no_cipher(void)
{
    KdTestStage stage;

    kd_test_stage_run(&stage, kd_test_server_new(ONLY_TLS_13 ":-CIPHER-ALL:+AES-256-GCM"),
                      kd_test_client_new(ONLY_TLS_13 ":-CIPHER-ALL:+CHACHA20-POLY1305"));
    kd_test_assert_says(&stage.server,
                        "the client speaks no TLS 1.3, or has no cipher in common with us");
    kd_test_assert_says(&stage.client, "the server found no version and cipher that we speak");
    kd_test_stage_clear(&stage);
}

static gboolean
judge_badly(gnutls_session_t session, KdTlsPeer *peer, GError **error)
{
    (void)session;
    peer->verdict = KD_TLS_UNKNOWN;
    peer->name = g_strdup("CN=test");
    g_set_error_literal(error, KD_ERROR, KD_ERROR_TLS, "nobody vouches for CN=test");
    return FALSE;
}

static void
run_judged(KdTestStage *stage, const char *priority)
{
    kd_test_stage_run(stage, kd_test_server_new(NULL),
                      kd_tls_config_new_for_test(KD_TLS_CLIENT, kd_test_credentials_new(FALSE),
                                                 priority, GNUTLS_CERT_IGNORE, judge_badly));
    kd_test_assert_says(&stage->client, "nobody vouches for CN=test");
    g_assert_cmpint(stage->client.peer->verdict, ==, KD_TLS_UNKNOWN);
    g_assert_cmpstr(stage->client.peer->name, ==, "CN=test");
}

static void
test_client_refuses(void)
{
    KdTestStage stage;

    run_judged(&stage, NULL);
    kd_test_assert_says(&stage.server, "the client refuses our certificate: Certificate is bad");
    kd_test_stage_clear(&stage);
    run_judged(&stage, ONLY_TLS_12);
    kd_test_assert_says(&stage.server, "the client refuses our certificate: Certificate is bad");
    kd_test_stage_clear(&stage);
}

static gboolean
has_ended(void *user)
{
    return ((KdTestTalk *)user)->has_ended;
}

/* TLS 1.3 lets a client in before its certificate was judged: it hears of it when it reads. */
static void
test_server_refuses(void)
{
    KdTestTalk talk = {0};
    KdTestStage stage;

    kd_test_stage_run(&stage,
                      kd_tls_config_new_for_test(KD_TLS_SERVER, kd_test_credentials_new(TRUE), NULL,
                                                 GNUTLS_CERT_REQUIRE, judge_badly),
                      kd_tls_config_new_for_test(KD_TLS_CLIENT, kd_test_credentials_new(TRUE), NULL,
                                                 GNUTLS_CERT_IGNORE, NULL));
    kd_test_assert_says(&stage.server, "nobody vouches for CN=test");
    g_assert_no_error(stage.client.error);
    kd_test_talk_begin(&talk, &stage.client.endpoint, 1, 2);
    kd_test_wait(has_ended, &talk);
    g_assert_cmpint(talk.end_code, ==, -EKEYREJECTED);
    kd_test_talk_clear(&talk);
    kd_test_stage_clear(&stage);

    kd_test_stage_run(&stage,
                      kd_tls_config_new_for_test(KD_TLS_SERVER, kd_test_credentials_new(TRUE), NULL,
                                                 GNUTLS_CERT_REQUIRE, judge_badly),
                      kd_tls_config_new_for_test(KD_TLS_CLIENT, kd_test_credentials_new(TRUE),
                                                 ONLY_TLS_12, GNUTLS_CERT_IGNORE, NULL));
    kd_test_assert_says(&stage.client, "the server refuses our certificate: Certificate is bad");
    kd_test_stage_clear(&stage);
}

static void
test_no_client_certificate(void)
{
    KdTestTalk talk = {0};
    KdTestStage stage;

    kd_test_stage_run(&stage,
                      kd_tls_config_new_for_test(KD_TLS_SERVER, kd_test_credentials_new(TRUE), NULL,
                                                 GNUTLS_CERT_REQUIRE, NULL),
                      kd_test_client_new(NULL));
    kd_test_assert_says(&stage.server, "the client shows no certificate");
    g_assert_no_error(stage.client.error);
    kd_test_talk_begin(&talk, &stage.client.endpoint, 1, 2);
    kd_test_wait(has_ended, &talk);
    g_assert_cmpint(talk.end_code, ==, -ENOKEY);
    kd_test_talk_clear(&talk);
    kd_test_stage_clear(&stage);
}

static void
test_refused(void)
{
    KdTestStage stage;

    kd_test_stage_init(&stage, kd_test_server_new(NULL), kd_test_client_new(NULL));
    kd_test_shake_begin(&stage.client, stage.configs[1], &stage.bases[1]);
    kd_test_settle();
    kd_tls_refuse(&stage.bases[0]);
    g_assert_cmpint(stage.bases[0].fd, ==, -1);
    kd_test_shake_wait(&stage.client);
    kd_test_assert_says(&stage.client, "the server refused the connection: too many wrong "
                                       "passwords or connections from here, try again in a minute");
    kd_test_stage_clear(&stage);
}

static void
test_refusal_bytes(KdTestPair pair)
{
    static const uint8_t expected[] = {0x15, 3, 3, 0, 2, 2, 49};
    uint8_t got[64];
    KdEndpoint bases[2];

    kd_test_start();
    pair(&bases[0], &bases[1]);
    kd_tls_refuse(&bases[0]);
    if (bases[1].fd >= 0) {
        g_assert_cmpint(read(bases[1].fd, got, sizeof got), ==, sizeof expected);
        g_assert_cmpint(read(bases[1].fd, got + sizeof expected, 1), ==, 0);
    } else {
        g_assert_cmpint(bases[1].ops->read(bases[1].stream, got, sizeof got), ==, sizeof expected);
    }
    g_assert_cmpmem(got, sizeof expected, expected, sizeof expected);
    kd_endpoint_clear(&bases[1]);
    kd_test_stop();
}

static void
test_refusal(void)
{
    test_refusal_bytes(kd_test_tcp_pair);
    test_refusal_bytes(kd_test_ring_pair);
}

/* ---- peers that are something else ---- */

static void
expect_of_bytes(KdTlsConfig *config, const void *bytes, size_t len, const char *text)
{
    KdTestShake shake = {0};
    KdEndpoint bases[2];

    kd_test_start();
    kd_test_tcp_pair(&bases[0], &bases[1]);
    g_assert_cmpint(write(bases[1].fd, bytes, len), ==, (gssize)len);
    g_assert_no_errno(shutdown(bases[1].fd, SHUT_WR));
    kd_test_shake_begin(&shake, config, &bases[0]);
    kd_test_shake_wait(&shake);
    kd_test_assert_says(&shake, text);
    kd_test_shake_clear(&shake);
    kd_endpoint_clear(&bases[1]);
    kd_tls_config_unref(config);
    kd_test_stop();
}

/* Most of the preamble looks to GnuTLS as an SSL 2 record of 2379 bytes does, for which it waits.
 */
static void
test_no_tls_at_once(void)
{
    static const char preamble[16] = "\x89KDS\r\n\x1a\n\1\0\2\0\1\0\0";
    static const uint8_t alert[] = {0x15, 0x03};
    uint8_t got[16];
    KdTestShake shake = {0};
    KdTlsConfig *config = kd_test_server_new(NULL);
    KdEndpoint bases[2];

    kd_test_start();
    kd_test_tcp_pair(&bases[0], &bases[1]);
    g_assert_cmpint(write(bases[1].fd, preamble, sizeof preamble), ==, sizeof preamble);
    kd_test_shake_begin(&shake, config, &bases[0]);
    kd_test_shake_wait(&shake);
    kd_test_assert_says(&shake,
                        "the client speaks no TLS at all, but the session protocol in clear: use "
                        "the same transport on both sides");
    g_assert_cmpint(read(bases[1].fd, got, sizeof got), ==, 7);
    g_assert_cmpmem(got, sizeof alert, alert, sizeof alert);
    kd_test_shake_clear(&shake);
    kd_endpoint_clear(&bases[1]);
    kd_tls_config_unref(config);
    kd_test_stop();
}

static void
test_no_tls(void)
{
    static const char http[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    static const char get[] = "GET / HTTP/1.1\r\nHost: example\r\n\r\n";
    static const char preamble[16] = "\x89KDS\r\n\x1a\n\1\0\2\0\2\0\0";
    static const char ssh[] = "SSH-2.0-OpenSSH_9.2\r\n";

    expect_of_bytes(kd_test_client_new(NULL), http, sizeof http - 1,
                    "the server speaks no TLS at all");
    expect_of_bytes(kd_test_client_new(NULL), ssh, sizeof ssh - 1,
                    "the server speaks no TLS at all");
    expect_of_bytes(kd_test_server_new(NULL), get, sizeof get - 1,
                    "the client speaks no TLS at all");
    expect_of_bytes(kd_test_server_new(NULL), preamble, sizeof preamble,
                    "the client speaks no TLS at all, but the session protocol in clear: use the "
                    "same transport on both sides");
    expect_of_bytes(kd_test_client_new(NULL), preamble, sizeof preamble,
                    "the server speaks no TLS at all, but the session protocol in clear: use the "
                    "same transport on both sides");
}

static void
test_old_server(void)
{
    /* RFC 5246, 7.4.1.3, with version 3.2; and an alert instead */
    static const uint8_t hello[47] = {0x16, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2, [45] = 0x2f};
    static const uint8_t alert[] = {0x15, 3, 1, 0, 2, 2, 70};
    KdTestStage stage;

    expect_of_bytes(kd_test_client_new(NULL), hello, sizeof hello,
                    "the server speaks no TLS 1.2 or newer");
    expect_of_bytes(kd_test_client_new(NULL), alert, sizeof alert,
                    "the server speaks no TLS 1.2 or newer");
    kd_test_stage_run(&stage, kd_test_server_new(ONLY_TLS_12), kd_test_client_new(ONLY_TLS_13));
    kd_test_assert_says(&stage.client, "the server found no version and cipher that we speak");
    kd_test_stage_clear(&stage);
}

static void
test_ssl2(void)
{
    /* RFC 6101, E.1, with version 3.0 and one cipher */
    static const uint8_t hello[] = {0x80, 0x1f, 1, 3, 0, 0, 3, 0, 0, 0, 16, 0, 0, 4, 1, 2, 3,
                                    4,    5,    6, 7, 8, 9, 1, 2, 3, 4, 5,  6, 7, 8, 9, 1};

    expect_of_bytes(kd_test_server_new(NULL), hello, sizeof hello,
                    "the client speaks no TLS 1.2 or newer");
}

static void
test_cut(void)
{
    static const uint8_t half[] = {0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc};

    expect_of_bytes(kd_test_server_new(NULL), "", 0,
                    "the client closed the connection before the TLS handshake");
    expect_of_bytes(kd_test_server_new(NULL), half, sizeof half,
                    "the client cut the connection in the middle of the TLS handshake");
    expect_of_bytes(kd_test_client_new(NULL), half, sizeof half,
                    "the server cut the connection in the middle of the TLS handshake");
}

/* A ClientHello of 40 kB, of which nobody has asked for the end. */
static void
test_too_much(void)
{
    KdTestShake shake = {0};
    g_autoptr(KdTlsConfig) config = kd_test_server_new(NULL);
    g_autofree uint8_t *bytes = g_malloc0(4 * 16389);
    KdEndpoint bases[2];

    kd_test_start();
    kd_test_unix_pair(&bases[0], &bases[1]);
    for (int i = 0; i < 4; i++) {
        memcpy(bytes + i * 16389, "\x16\3\1\x40\0", 5);
    }
    memcpy(bytes + 5, "\1\0\xff\xff\3\3", 6);
    g_assert_cmpint(write(bases[1].fd, bytes, (size_t)4 * 16389), ==, 4 * 16389);
    kd_test_shake_begin(&shake, config, &bases[0]);
    kd_test_shake_wait(&shake);
    g_assert_error(shake.error, KD_ERROR, KD_ERROR_TLS);
    kd_test_shake_clear(&shake);
    kd_endpoint_clear(&bases[1]);
    kd_test_stop();
}

static void
test_deadline(void)
{
    KdTestStage stage;
    KdEndpoint silent[2];
    gint64 start_us = g_get_monotonic_time();
    gint64 took_us;

    kd_test_stage_init(&stage, kd_test_server_new(NULL), kd_test_client_new(NULL));
    silent[0] = stage.bases[1];
    kd_test_unix_pair(&silent[1], &stage.bases[1]);
    kd_test_stage_begin(&stage);
    g_assert_cmpint(write(silent[0].fd, "\x16\3\1", 3), ==, 3);
    kd_test_shake_wait(&stage.server);
    kd_test_shake_wait(&stage.client);
    took_us = g_get_monotonic_time() - start_us;
    kd_test_assert_says(&stage.server, "the client did not end the TLS handshake within 5 s");
    kd_test_assert_says(&stage.client, "the server did not end the TLS handshake within 5 s");
    g_assert_cmpint(took_us, >, 4 * G_USEC_PER_SEC);
    kd_endpoint_clear(&silent[0]);
    kd_endpoint_clear(&silent[1]);
    kd_test_stage_clear(&stage);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, fn) g_test_add_func("/secure/tls-handshake/" name, fn)
    ADD("ends-with-one-binding-at-both-ends", test_success);
    ADD("binds-each-connection-to-itself", test_bindings_differ);
    ADD("takes-tls-1-2", test_tls_12);
    ADD("closes-what-its-owner-leaves", test_untaken_is_closed);
    ADD("says-when-a-client-is-too-old", test_old_client);
    ADD("says-when-a-server-is-too-old", test_old_server);
    ADD("says-when-there-is-no-common-cipher", test_no_cipher);
    ADD("tells-a-server-that-its-certificate-was-refused", test_client_refuses);
    ADD("tells-a-client-that-its-certificate-was-refused", test_server_refuses);
    ADD("tells-a-client-that-a-certificate-is-wanted", test_no_client_certificate);
    ADD("tells-a-client-that-it-was-refused", test_refused);
    ADD("refuses-in-one-alert", test_refusal);
    ADD("says-when-the-other-side-speaks-no-tls", test_no_tls);
    ADD("says-at-once-when-the-client-speaks-in-clear", test_no_tls_at_once);
    ADD("says-when-the-other-side-speaks-ssl-2", test_ssl2);
    ADD("says-when-it-was-cut", test_cut);
    ADD("takes-no-endless-message", test_too_much);
    ADD("has-five-seconds", test_deadline);
#undef ADD
    return g_test_run();
}
