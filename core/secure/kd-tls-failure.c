/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Why TLS ended, in words and as an errno. */
#include "kd-tls-failure-private.h"

#include "kd-tls-stream.h"
#include "kd-tls-text.h"

#include <errno.h>
#include <string.h>

/* Of the first record (RFC 8446, 5.1): change_cipher_spec to application_data, version 3.x */
#define RECORD_TYPE_MIN 0x14u
#define RECORD_TYPE_MAX 0x17u
#define RECORD_MAJOR    0x03u

static const char session_protocol[] = {'\x89', 'K', 'D', 'S'}; /* PROTOCOL.md, Preamble */

static const char *
get_peer_name(const KdTlsSession *session)
{
    return kd_tls_config_get_role(session->config) == KD_TLS_SERVER ? "the client" : "the server";
}

static gboolean
are_old_allowed(const KdTlsSession *session)
{
    return strstr(kd_tls_config_get_priority(session->config), "+VERS-TLS1.2") != NULL;
}

static const char *
get_versions(const KdTlsSession *session)
{
    return are_old_allowed(session) ? "TLS 1.2 or newer" : "TLS 1.3";
}

/**
 * kd_tls_failure_is_tls:
 * @session: a session
 *
 * An SSL 2 hello (RFC 5246, E.2) is TLS, if an old one.
 *
 * Returns: %FALSE: what has come begins as nothing of TLS does
 */
gboolean
kd_tls_failure_is_tls(const KdTlsSession *session)
{
    const uint8_t *first = session->first;

    if (session->n_in_bytes >= 3 && (first[0] & 0x80u) != 0 && first[2] == 1) {
        return TRUE;
    }
    return session->n_in_bytes < 2 ||
           (first[0] >= RECORD_TYPE_MIN && first[0] <= RECORD_TYPE_MAX && first[1] == RECORD_MAJOR);
}

static gboolean
is_alert_on_certificate(gnutls_alert_description_t alert)
{
    switch (alert) {
    case GNUTLS_A_BAD_CERTIFICATE:
    case GNUTLS_A_UNSUPPORTED_CERTIFICATE:
    case GNUTLS_A_CERTIFICATE_REVOKED:
    case GNUTLS_A_CERTIFICATE_EXPIRED:
    case GNUTLS_A_CERTIFICATE_UNKNOWN:
    case GNUTLS_A_UNKNOWN_CA:
        return TRUE;
    default:
        return FALSE;
    }
}

/* Where TLS 1.3 alone is spoken, GnuTLS tells an older client by its ciphers. */
static GError *
build_no_cipher(const KdTlsSession *session)
{
    const char *peer = get_peer_name(session);

    return are_old_allowed(session)
               ? g_error_new(KD_ERROR, KD_ERROR_TLS, "%s has no cipher in common with us", peer)
               : g_error_new(KD_ERROR, KD_ERROR_TLS,
                             "%s speaks no TLS 1.3, or has no cipher in common with us", peer);
}

/* Before TLS 1.3 there is no alert for it (RFC 5246, 7.4.6). */
static gboolean
is_certificate_missed(const KdTlsSession *session, gnutls_alert_description_t alert)
{
    return alert == GNUTLS_A_CERTIFICATE_REQUIRED ||
           (alert == GNUTLS_A_HANDSHAKE_FAILURE &&
            gnutls_certificate_client_get_request_status(session->gnutls) != 0 &&
            gnutls_certificate_get_ours(session->gnutls) == NULL);
}

static GError *
build_alert(const KdTlsSession *session)
{
    gnutls_alert_description_t alert = gnutls_alert_get(session->gnutls);
    const char *peer = get_peer_name(session);
    const char *name = gnutls_alert_get_name(alert);

    if (is_alert_on_certificate(alert)) {
        return g_error_new(KD_ERROR, KD_ERROR_TLS, "%s refuses our certificate: %s", peer, name);
    }
    if (is_certificate_missed(session, alert)) {
        return g_error_new(KD_ERROR, KD_ERROR_TLS,
                           "%s wants a certificate: name one by clientcert=", peer);
    }
    switch (alert) {
    case GNUTLS_A_ACCESS_DENIED:
        /* All that a server of ours says before TLS (kd_tls_refuse()) */
        return g_error_new(KD_ERROR, KD_ERROR_TLS,
                           "%s refused the connection: too many wrong passwords or connections "
                           "from here, try again in a minute",
                           peer);
    case GNUTLS_A_PROTOCOL_VERSION:
        return g_error_new(KD_ERROR, KD_ERROR_TLS, "%s speaks no %s", peer, get_versions(session));
    case GNUTLS_A_HANDSHAKE_FAILURE:
    case GNUTLS_A_INSUFFICIENT_SECURITY:
        return g_error_new(KD_ERROR, KD_ERROR_TLS, "%s found no version and cipher that we speak",
                           peer);
    default:
        return g_error_new(KD_ERROR, KD_ERROR_TLS, "%s ended the TLS handshake: %s", peer,
                           name != NULL ? name : "unknown alert");
    }
}

/* Whatever GnuTLS calls it: within a record it speaks of a wrong length. */
static gboolean
is_cut(const KdTlsSession *session, int code)
{
    return (session->has_ended || session->in_error != 0) && code != GNUTLS_E_PUSH_ERROR &&
           code != GNUTLS_E_FATAL_ALERT_RECEIVED;
}

static GError *
build_cut(const KdTlsSession *session, int code)
{
    const char *peer = get_peer_name(session);

    if (code != 0) {
        return g_error_new(KD_ERROR, KD_ERROR_TLS,
                           "%s was lost in the middle of the TLS handshake: %s", peer,
                           g_strerror(code));
    }
    if (session->n_in_bytes == 0) {
        return g_error_new(KD_ERROR, KD_ERROR_TLS,
                           "%s closed the connection before the TLS handshake", peer);
    }
    return g_error_new(KD_ERROR, KD_ERROR_TLS,
                       "%s cut the connection in the middle of the TLS handshake", peer);
}

static GError *
build_not_tls(const KdTlsSession *session)
{
    gboolean is_ours = memcmp(session->first, session_protocol, sizeof session_protocol) == 0;

    return g_error_new(KD_ERROR, KD_ERROR_TLS, "%s speaks no TLS at all%s", get_peer_name(session),
                       is_ours ? ", but the session protocol in clear: use the same transport on "
                                 "both sides"
                               : "");
}

/**
 * kd_tls_failure_build:
 * @session: its handshake has failed
 * @code: of GnuTLS, or %KD_TLS_E_NO_BINDING
 *
 * Returns: (transfer full): %KD_ERROR_TLS: one sentence that says why
 */
GError *
kd_tls_failure_build(const KdTlsSession *session, int code)
{
    const char *peer = get_peer_name(session);
    GError *error = NULL;

    if (!kd_tls_failure_is_tls(session)) {
        return build_not_tls(session);
    }
    if (is_cut(session, code)) {
        return build_cut(session, session->in_error);
    }
    switch (code) {
    case GNUTLS_E_FATAL_ALERT_RECEIVED:
        return build_alert(session);
    case GNUTLS_E_PUSH_ERROR:
        return build_cut(session, session->out_error);
    case GNUTLS_E_UNSUPPORTED_VERSION_PACKET:
        return g_error_new(KD_ERROR, KD_ERROR_TLS, "%s speaks no %s", peer, get_versions(session));
    case GNUTLS_E_NO_CIPHER_SUITES:
    case GNUTLS_E_NO_COMMON_KEY_SHARE:
    case GNUTLS_E_INSUFFICIENT_SECURITY:
        return build_no_cipher(session);
    case GNUTLS_E_NO_CERTIFICATE_FOUND:
    case GNUTLS_E_CERTIFICATE_REQUIRED:
        return g_error_new(KD_ERROR, KD_ERROR_TLS, "%s shows no certificate", peer);
    case KD_TLS_E_NO_BINDING:
        return g_error_new(KD_ERROR, KD_ERROR_TLS,
                           "%s speaks TLS 1.2 without an extended master secret, so that nobody "
                           "could tell a man in the middle",
                           peer);
    default:
        kd_tls_text_set_error(&error, code, "the TLS handshake with %s failed", peer);
        return error;
    }
}

/**
 * kd_tls_failure_get_errno:
 * @session: a read or a write on it has failed
 * @code: of GnuTLS
 *
 * Returns: the errno that kd_tls_stream_explain() knows
 */
int
kd_tls_failure_get_errno(const KdTlsSession *session, int code)
{
    gnutls_alert_description_t alert;

    if (is_cut(session, code)) {
        return session->in_error != 0 ? session->in_error : ECONNABORTED;
    }
    switch (code) {
    case GNUTLS_E_PUSH_ERROR:
        return session->out_error != 0 ? session->out_error : EPIPE;
    case GNUTLS_E_INVALID_SESSION:
    case GNUTLS_E_SESSION_EOF:
        return EPIPE;
    case GNUTLS_E_DECRYPTION_FAILED:
        return EBADMSG;
    case GNUTLS_E_FATAL_ALERT_RECEIVED:
        break;
    default:
        return EPROTO;
    }
    alert = gnutls_alert_get(session->gnutls);
    if (is_alert_on_certificate(alert)) {
        return EKEYREJECTED;
    }
    if (alert == GNUTLS_A_CERTIFICATE_REQUIRED) {
        return ENOKEY;
    }
    if (alert == GNUTLS_A_BAD_RECORD_MAC) {
        return EBADMSG;
    }
    return alert == GNUTLS_A_ACCESS_DENIED ? EACCES : EPROTO;
}

/**
 * kd_tls_stream_explain:
 * @error: errno of a read or a write inside TLS
 *
 * A client may be through with its handshake before the server has judged its certificate (RFC
 * 8446, 4.4.2.4), so the refusal comes as the answer to its first read.
 *
 * Returns: (nullable): what it means there; %NULL: what it always means
 */
const char *
kd_tls_stream_explain(int error)
{
    switch (error) {
    case ECONNABORTED:
        return "the connection was cut";
    case EKEYREJECTED:
        return "the other side refuses our certificate";
    case ENOKEY:
        return "the other side wants a certificate: name one by clientcert=";
    case EACCES:
        return "the other side refused the connection";
    case EBADMSG:
        return "the connection was tampered with";
    case EPROTO:
        return "the other side broke the rules of TLS, or ended it";
    default:
        return NULL;
    }
}
