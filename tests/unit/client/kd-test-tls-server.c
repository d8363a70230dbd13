/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A server of plain GnuTLS in a thread: says one word to whom it lets in. */
#include "kd-test-tls-server.h"

#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DAY_S 86400

struct KdTestTlsServer {
    GThread *thread;
    int fd;
    guint port;
    GMutex lock;
    GCond up;
    gboolean is_up;                               /* under lock */
    gnutls_certificate_credentials_t credentials; /* under lock */
    char *sha256;
};

static void
check(int status)
{
    g_assert_cmpstr(status < 0 ? gnutls_strerror(status) : NULL, ==, NULL);
}

static void
set_names(gnutls_x509_crt_t crt)
{
    const uint8_t address[] = {127, 0, 0, 1};

    check(gnutls_x509_crt_set_dn(crt, "CN=localhost", NULL));
    check(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, "localhost", 9,
                                               GNUTLS_FSAN_SET));
    check(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, address, sizeof address,
                                               GNUTLS_FSAN_APPEND));
    check(gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0));
    check(gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE));
}

static char *
build_sha256(gnutls_x509_crt_t crt)
{
    GString *text = g_string_new(NULL);
    uint8_t print[32];
    size_t len = sizeof print;

    check(gnutls_x509_crt_get_fingerprint(crt, GNUTLS_DIG_SHA256, print, &len));
    for (size_t i = 0; i < len; i++) {
        g_string_append_printf(text, "%02x", (guint)print[i]);
    }
    return g_string_free(text, FALSE);
}

/**
 * kd_test_tls_server_change_certificate:
 *
 * Makes a new one, self-signed, for `localhost` and 127.0.0.1; who dials from now on is shown it.
 */
void
kd_test_tls_server_change_certificate(KdTestTlsServer *server)
{
    static uint8_t serial;
    gnutls_certificate_credentials_t credentials;
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t crt;

    serial++;
    check(gnutls_x509_privkey_init(&key));
    check(gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
                                       GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0));
    check(gnutls_x509_crt_init(&crt));
    check(gnutls_x509_crt_set_version(crt, 3));
    check(gnutls_x509_crt_set_serial(crt, &serial, sizeof serial));
    check(gnutls_x509_crt_set_activation_time(crt, time(NULL) - DAY_S));
    check(gnutls_x509_crt_set_expiration_time(crt, time(NULL) + DAY_S));
    check(gnutls_x509_crt_set_key(crt, key));
    set_names(crt);
    check(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0));
    check(gnutls_certificate_allocate_credentials(&credentials));
    check(gnutls_certificate_set_x509_key(credentials, &crt, 1, key));
    g_free(server->sha256);
    server->sha256 = build_sha256(crt);
    g_mutex_lock(&server->lock);
    if (server->credentials != NULL) {
        gnutls_certificate_free_credentials(server->credentials);
    }
    server->credentials = credentials;
    g_mutex_unlock(&server->lock);
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_privkey_deinit(key);
}

/* The lock is held: a certificate is changed between two clients. */
static void
serve(KdTestTlsServer *server, int fd)
{
    gnutls_session_t session;
    char byte;

    check(gnutls_init(&session, GNUTLS_SERVER));
    check(gnutls_set_default_priority(session));
    check(gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, server->credentials));
    gnutls_transport_set_int(session, fd);
    if (gnutls_handshake(session) == 0 &&
        gnutls_record_send(session, KD_TEST_TLS_WORD, strlen(KD_TEST_TLS_WORD)) > 0) {
        (void)gnutls_record_recv(session, &byte, 1); /* until the client has gone */
    }
    gnutls_deinit(session);
}

static gpointer
run(gpointer data)
{
    KdTestTlsServer *server = data;

    g_mutex_lock(&server->lock);
    server->is_up = TRUE;
    g_cond_signal(&server->up);
    g_mutex_unlock(&server->lock);
    for (;;) {
        int fd = accept(server->fd, NULL, NULL);

        if (fd < 0) {
            return NULL;
        }
        g_mutex_lock(&server->lock);
        serve(server, fd);
        g_mutex_unlock(&server->lock);
        (void)close(fd);
    }
}

/**
 * kd_test_tls_server_new:
 *
 * Returns: (transfer full): a server on a port of 127.0.0.1, one client at a time
 */
KdTestTlsServer *
kd_test_tls_server_new(void)
{
    KdTestTlsServer *server = g_new0(KdTestTlsServer, 1);
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof address;

    g_mutex_init(&server->lock);
    kd_test_tls_server_change_certificate(server);
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    g_assert_cmpint(bind(server->fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_cmpint(listen(server->fd, 8), ==, 0);
    g_assert_cmpint(getsockname(server->fd, (struct sockaddr *)&address, &len), ==, 0);
    server->port = ntohs(address.sin_port);
    g_cond_init(&server->up);
    server->thread = g_thread_new("server", run, server);
    kd_test_tls_server_pause(server);
    kd_test_tls_server_resume(server);
    return server;
}

/**
 * kd_test_tls_server_pause:
 *
 * Waits until its thread does nothing, and lets it do nothing: a process may be forked, which would
 * get locks of the allocator that nobody gives back if the thread had them.
 */
void
kd_test_tls_server_pause(KdTestTlsServer *server)
{
    g_mutex_lock(&server->lock);
    while (!server->is_up) {
        g_cond_wait(&server->up, &server->lock);
    }
}

/**
 * kd_test_tls_server_resume:
 *
 * Lets it serve again.
 */
void
kd_test_tls_server_resume(KdTestTlsServer *server)
{
    g_mutex_unlock(&server->lock);
}

/**
 * kd_test_tls_server_free:
 *
 * Ends it; its clients have gone.
 */
void
kd_test_tls_server_free(KdTestTlsServer *server)
{
    (void)shutdown(server->fd, SHUT_RDWR);
    (void)g_thread_join(server->thread);
    (void)close(server->fd);
    gnutls_certificate_free_credentials(server->credentials);
    g_cond_clear(&server->up);
    g_mutex_clear(&server->lock);
    g_free(server->sha256);
    g_free(server);
}

/**
 * kd_test_tls_server_get_port:
 *
 * Returns: where it listens on 127.0.0.1
 */
guint
kd_test_tls_server_get_port(const KdTestTlsServer *server)
{
    return server->port;
}

/**
 * kd_test_tls_server_get_sha256:
 *
 * Returns: thumbprint of its certificate, 64 hex digits
 */
const char *
kd_test_tls_server_get_sha256(const KdTestTlsServer *server)
{
    return server->sha256;
}
