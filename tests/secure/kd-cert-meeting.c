/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A real handshake between two configurations, both ends in this process, on plain GnuTLS. */
#include "kd-cert-meeting.h"

#include <sys/socket.h>
#include <unistd.h>

/* Turns after which two ends that say nothing any more are stuck */
#define MAX_TURNS 10000

typedef struct {
    KdTlsConfig *config;
    KdTlsPeer *peer;
    GError **error;
    gnutls_session_t session;
    int fd;
    gboolean is_shaken;
    gboolean is_done;
    gboolean is_failed;
    const char *text;
} End;

/**
 * kd_meeting_new_params:
 * @first_key: (nullable): a key; then its value, and so on, ended by %NULL
 *
 * Returns: (transfer full): a{sv} of texts
 */
GVariant *
kd_meeting_new_params(const char *first_key, ...)
{
    g_auto(GVariantBuilder) builder = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE_VARDICT);
    va_list args;

    va_start(args, first_key);
    for (const char *key = first_key; key != NULL; key = va_arg(args, const char *)) {
        g_variant_builder_add(&builder, "{sv}", key,
                              g_variant_new_string(va_arg(args, const char *)));
    }
    va_end(args);
    return g_variant_ref_sink(g_variant_builder_end(&builder));
}

static int
on_verify(gnutls_session_t session)
{
    End *end = gnutls_session_get_ptr(session);

    return kd_tls_config_judge(end->config, session, end->peer, end->error) ? 0 : -1;
}

static void
begin(End *end, int fd)
{
    const gboolean is_server = kd_tls_config_get_role(end->config) == KD_TLS_SERVER;
    const char *name = kd_tls_config_get_server_name(end->config);
    const char *position = NULL;

    end->fd = fd;
    g_assert_cmpint(gnutls_init(&end->session, (is_server ? GNUTLS_SERVER : GNUTLS_CLIENT) |
                                                   GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL |
                                                   GNUTLS_NO_TICKETS),
                    >=, 0);
    g_assert_cmpint(gnutls_priority_set_direct(end->session,
                                               kd_tls_config_get_priority(end->config), &position),
                    >=, 0);
    gnutls_credentials_set(end->session, GNUTLS_CRD_CERTIFICATE,
                           kd_tls_config_get_credentials(end->config));
    gnutls_certificate_server_set_request(end->session, kd_tls_config_get_request(end->config));
    gnutls_session_set_ptr(end->session, end);
    gnutls_session_set_verify_function(end->session, on_verify);
    if (!is_server && name != NULL) {
        gnutls_server_name_set(end->session, GNUTLS_NAME_DNS, name, strlen(name));
    }
    gnutls_transport_set_int(end->session, fd);
}

/* Alerts are sent as they should be, so that the other end hears of a refusal. */
static void
fail(End *end, int status)
{
    g_test_message("%s: %s",
                   kd_tls_config_get_role(end->config) == KD_TLS_SERVER ? "server" : "client",
                   gnutls_strerror(status));
    gnutls_alert_send_appropriate(end->session, status);
    shutdown(end->fd, SHUT_WR);
    end->text = gnutls_strerror(status);
    end->is_failed = TRUE;
}

static void
turn(End *end)
{
    char byte = 'x';

    if (end->is_done || end->is_failed) {
        return;
    }
    if (!end->is_shaken) {
        int status = gnutls_handshake(end->session);
        if (status < 0 && gnutls_error_is_fatal(status) != 0) {
            fail(end, status);
        } else if (status >= 0) {
            end->is_shaken = TRUE;
            g_assert_cmpint(gnutls_record_send(end->session, &byte, 1), ==, 1);
        }
        return;
    }
    ssize_t got = gnutls_record_recv(end->session, &byte, 1);
    if (got == 1) {
        end->is_done = TRUE;
    } else if (got == 0 || gnutls_error_is_fatal((int)got) != 0) {
        fail(end, (int)got);
    }
}

/**
 * kd_meeting_hold:
 * @meeting: (out): how it ended; to be cleared
 * @server: a configuration
 * @client: another
 *
 * Lets two configurations shake hands over a pair of sockets.
 */
void
kd_meeting_hold(KdMeeting *meeting, KdTlsConfig *server, KdTlsConfig *client)
{
    End ends[2] = {{.config = server, .peer = &meeting->server, .error = &meeting->server_error},
                   {.config = client, .peer = &meeting->client, .error = &meeting->client_error}};
    int fds[2] = {-1, -1};

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), ==, 0);
    begin(&ends[0], fds[0]);
    begin(&ends[1], fds[1]);
    for (int i = 0; i < MAX_TURNS && !((ends[0].is_done || ends[0].is_failed) &&
                                       (ends[1].is_done || ends[1].is_failed));
         i++) {
        turn(&ends[i % 2]);
    }
    meeting->client_text = ends[1].text;
    meeting->is_met = ends[0].is_done && ends[1].is_done;
    if (meeting->is_met) {
        meeting->version =
            g_strdup(gnutls_protocol_get_name(gnutls_protocol_get_version(ends[1].session)));
        meeting->cipher = g_strdup(gnutls_cipher_get_name(gnutls_cipher_get(ends[1].session)));
    }
    for (int i = 0; i < 2; i++) {
        gnutls_deinit(ends[i].session);
        close(fds[i]);
    }
}

static void
clear_peer(KdTlsPeer *peer)
{
    g_clear_pointer(&peer->binding, g_bytes_unref);
    g_clear_pointer(&peer->version, g_free);
    g_clear_pointer(&peer->cipher, g_free);
    g_clear_pointer(&peer->name, g_free);
    g_clear_pointer(&peer->sha256, g_free);
}

/**
 * kd_meeting_clear:
 * @meeting: a meeting
 *
 * Frees what is in it.
 */
void
kd_meeting_clear(KdMeeting *meeting)
{
    clear_peer(&meeting->server);
    clear_peer(&meeting->client);
    g_clear_error(&meeting->server_error);
    g_clear_error(&meeting->client_error);
    g_clear_pointer(&meeting->version, g_free);
    g_clear_pointer(&meeting->cipher, g_free);
}
