/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a connection on which nothing was said to one inside TLS. */
#include "kd-tls-handshake.h"

#include "kd-endpoint.h"
#include "kd-loop.h"
#include "kd-tick.h"
#include "kd-tls-failure-private.h"
#include "kd-tls-stream-private.h"

#include <errno.h>
#include <gnutls/x509.h>
#include <sys/socket.h>

#define DEADLINE_S 5u
/* Of ciphertext: one step; a whole handshake of a client that nobody knows; of one with a server */
#define STEP_BYTES        ((size_t)16 * 1024)
#define SERVER_TAKE_BYTES ((guint64)64 * 1024)
#define CLIENT_TAKE_BYTES ((guint64)256 * 1024)
#define UNREAD_BYTES      ((size_t)16 * 1024)

/* alert, version 3.3, 2 bytes: fatal, access_denied (RFC 8446, 5.1 and 6) */
static const uint8_t refusal[] = {0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x31};

struct KdTlsHandshake {
    KdLoopWatch watch;
    KdTick tick;
    guint n_ticks;
    KdTlsSession *session;
    KdTlsPeer peer;
    GError *refusal; /* (nullable): why the other side's certificate won't do */
    KdTlsHandshakeFunc func;
    void *user;
    gboolean is_begun;
    gboolean is_ended; /* the owner was told, or let go */
    gboolean is_freed;
    gboolean is_gone; /* out of the loop */
};

static guint64 last_round; /* in which a step was made, whosever */

static KdTlsHandshake *
from_tick(KdTick *tick)
{
    return (KdTlsHandshake *)(void *)((char *)tick - offsetof(KdTlsHandshake, tick));
}

static void
clear_peer(KdTlsPeer *peer)
{
    g_clear_pointer(&peer->binding, g_bytes_unref);
    g_free(peer->version);
    g_free(peer->cipher);
    g_free(peer->name);
    g_free(peer->sha256);
}

static void
free_memory(KdTlsHandshake *handshake)
{
    clear_peer(&handshake->peer);
    g_clear_error(&handshake->refusal);
    g_free(handshake);
}

/* ---- how it ends ---- */

/* Before the session goes: nothing may name it any more. */
static void
leave_loop(KdTlsHandshake *handshake)
{
    KdEndpoint *base = &handshake->session->base;

    handshake->is_ended = TRUE;
    kd_tick_remove(&handshake->tick);
    kd_loop_remove(&handshake->watch);
    if (handshake->session->fd < 0) {
        base->ops->set_ready(base->stream, NULL, NULL);
    }
}

/* What the other side has said already must be read, or closing would reset the connection before
 * it has read our last word. */
static void
close_gently(KdEndpoint *base)
{
    uint8_t unread[1024];

    if (base->fd >= 0) {
        (void)shutdown(base->fd, SHUT_WR);
        for (size_t n = 0; n < UNREAD_BYTES; n += sizeof unread) {
            if (recv(base->fd, unread, sizeof unread, MSG_DONTWAIT) <= 0) {
                break;
            }
        }
    } else if (base->stream != NULL && base->ops->shutdown_write != NULL) {
        (void)base->ops->shutdown_write(base->stream);
    }
    kd_endpoint_clear(base);
}

static void
fail(KdTlsHandshake *handshake, const GError *error)
{
    KdTlsSession *session;

    leave_loop(handshake);
    session = g_steal_pointer(&handshake->session);
    close_gently(&session->base);
    kd_tls_session_free(session);
    handshake->func(NULL, &handshake->peer, error, handshake->user);
}

static void
send_alert(KdTlsSession *session, int code)
{
    gnutls_session_t gnutls = session->gnutls;

    kd_tls_session_begin(session, 0);
    if (code == KD_TLS_E_NO_BINDING) {
        (void)gnutls_alert_send(gnutls, GNUTLS_AL_FATAL, GNUTLS_A_INSUFFICIENT_SECURITY);
    } else if (code == GNUTLS_E_NO_CERTIFICATE_FOUND &&
               gnutls_protocol_get_version(gnutls) == GNUTLS_TLS1_2) {
        (void)gnutls_alert_send(gnutls, GNUTLS_AL_FATAL,
                                GNUTLS_A_HANDSHAKE_FAILURE); /* RFC 5246, 7.4.6 */
    } else {
        (void)gnutls_alert_send_appropriate(gnutls, code);
    }
    kd_tls_session_end(session);
}

static void
fail_by_code(KdTlsHandshake *handshake, int code)
{
    KdTlsSession *session = handshake->session;
    g_autoptr(GError) error = g_steal_pointer(&handshake->refusal);

    if (error == NULL) {
        error = kd_tls_failure_build(session, code);
    }
    if (code != GNUTLS_E_FATAL_ALERT_RECEIVED && !session->has_ended) {
        send_alert(session, code);
    }
    fail(handshake, error);
}

/* What both ends can compute, and nobody between them (RFC 9266). */
static gboolean
bind_peer(KdTlsHandshake *handshake)
{
    gnutls_session_t gnutls = handshake->session->gnutls;
    gnutls_datum_t binding = {NULL, 0};

    if (gnutls_session_channel_binding(gnutls, GNUTLS_CB_TLS_EXPORTER, &binding) != 0) {
        return FALSE;
    }
    handshake->peer.binding = g_bytes_new(binding.data, binding.size);
    gnutls_free(binding.data);
    handshake->peer.version =
        g_strdup(gnutls_protocol_get_name(gnutls_protocol_get_version(gnutls)));
    handshake->peer.cipher = g_strdup(gnutls_cipher_get_name(gnutls_cipher_get(gnutls)));
    return TRUE;
}

static void
succeed(KdTlsHandshake *handshake)
{
    KdEndpoint endpoint;

    if (!bind_peer(handshake)) {
        fail_by_code(handshake, KD_TLS_E_NO_BINDING);
        return;
    }
    leave_loop(handshake);
    gnutls_session_set_ptr(handshake->session->gnutls, NULL);
    kd_tls_stream_give(g_steal_pointer(&handshake->session), &endpoint);
    handshake->func(&endpoint, &handshake->peer, NULL, handshake->user);
    kd_endpoint_clear(&endpoint);
}

/* ---- its steps ---- */

static int
on_certificate(gnutls_session_t gnutls)
{
    KdTlsHandshake *handshake = gnutls_session_get_ptr(gnutls);

    return kd_tls_config_judge(handshake->session->config, gnutls, &handshake->peer,
                               &handshake->refusal)
               ? 0
               : GNUTLS_E_CERTIFICATE_ERROR;
}

static gboolean
has_taken_enough(const KdTlsHandshake *handshake)
{
    const KdTlsSession *session = handshake->session;

    return session->n_in_bytes > (kd_tls_config_get_role(session->config) == KD_TLS_SERVER
                                      ? SERVER_TAKE_BYTES
                                      : CLIENT_TAKE_BYTES);
}

/* Returns: what GnuTLS says; GNUTLS_E_AGAIN: there is nothing more to read, or it was enough */
static int
take_step(KdTlsSession *session)
{
    int code;

    kd_tls_session_begin(session, STEP_BYTES);
    do {
        code = gnutls_handshake(session->gnutls);
    } while (code == GNUTLS_E_INTERRUPTED ||
             (code < 0 && code != GNUTLS_E_AGAIN && gnutls_error_is_fatal(code) == 0) ||
             (code == GNUTLS_E_AGAIN && !session->is_starved));
    kd_tls_session_end(session);
    /* The session protocol in clear looks as an SSL 2 record of 2379 bytes does: not waited for. */
    return code == GNUTLS_E_AGAIN && session->n_in_bytes >= KD_TLS_FIRST_BYTES &&
                   !kd_tls_failure_is_tls(session)
               ? GNUTLS_E_UNEXPECTED_PACKET
               : code;
}

/* Sends what waits, and sees to it that we hear of room for the rest. */
static void
flush(KdTlsHandshake *handshake)
{
    if (kd_tls_session_flush(handshake->session) == -EAGAIN) {
        kd_loop_await_out(&handshake->watch);
    }
}

/* One at most in a round: it takes up to a thousand times as long as the copying of a session that
 * waits for its turn. */
static gboolean
on_run(KdLoopWatch *watch)
{
    KdTlsHandshake *handshake = (KdTlsHandshake *)watch;
    KdTlsSession *session = handshake->session;
    int code;

    flush(handshake);
    if (handshake->is_begun && (watch->ready & (KD_READY_IN | KD_READY_HUP)) == 0) {
        return FALSE;
    }
    if (last_round == kd_loop_get_round()) {
        return TRUE;
    }
    last_round = kd_loop_get_round();
    kd_loop_turn();
    handshake->is_begun = TRUE;
    code = take_step(session);
    flush(handshake);
    if (code == 0) {
        succeed(handshake);
        return FALSE;
    }
    if (code != GNUTLS_E_AGAIN || has_taken_enough(handshake)) {
        fail_by_code(handshake,
                     code != GNUTLS_E_AGAIN ? code : GNUTLS_E_TOO_MANY_HANDSHAKE_PACKETS);
        return FALSE;
    }
    if (!session->is_dry) {
        return TRUE;
    }
    watch->ready &= ~(uint32_t)(KD_READY_IN | KD_READY_HUP);
    return FALSE;
}

static void
on_gone(KdLoopWatch *watch)
{
    KdTlsHandshake *handshake = (KdTlsHandshake *)watch;

    handshake->is_gone = TRUE;
    if (handshake->is_freed) {
        free_memory(handshake);
    }
}

/* Pure but for the step, which says so. */
static const KdLoopWatchFuncs watch_funcs = {.run = on_run, .gone = on_gone, .is_pure = TRUE};

static void
on_base_ready(void *user, uint32_t ready)
{
    KdTlsHandshake *handshake = user;

    kd_loop_ready(&handshake->watch, ready);
}

static void
on_second(KdTick *tick)
{
    KdTlsHandshake *handshake = from_tick(tick);

    if (++handshake->n_ticks >= DEADLINE_S) {
        gboolean is_server = kd_tls_config_get_role(handshake->session->config) == KD_TLS_SERVER;
        g_autoptr(GError) error =
            g_error_new(KD_ERROR, KD_ERROR_TLS, "%s did not end the TLS handshake within %u s",
                        is_server ? "the client" : "the server", DEADLINE_S);

        fail(handshake, error);
    }
}

/**
 * kd_tls_handshake_new:
 * @config: reffed
 * @base: (transfer full): left empty; untouched on error
 * @func: told how it ended
 * @user: for @func
 * @error: where to put an error
 *
 * Begins a handshake in the role of @config, which has to end within 5 s. Not to be called from a
 * pure run function.
 *
 * Returns: (transfer full) (nullable): the handshake; freeing it before its end closes @base
 */
KdTlsHandshake *
kd_tls_handshake_new(KdTlsConfig *config, KdEndpoint *base, KdTlsHandshakeFunc func, void *user,
                     GError **error)
{
    KdTlsHandshake *handshake = g_new0(KdTlsHandshake, 1);

    handshake->watch = (KdLoopWatch){.funcs = &watch_funcs, .fd = base->fd};
    handshake->func = func;
    handshake->user = user;
    handshake->session = kd_tls_session_new(config, error);
    if (handshake->session == NULL || !kd_loop_add(&handshake->watch, error)) {
        kd_tls_session_free(handshake->session);
        g_free(handshake);
        return NULL;
    }
    kd_tls_session_take_base(handshake->session, base);
    gnutls_session_set_ptr(handshake->session->gnutls, handshake);
    gnutls_session_set_verify_function(handshake->session->gnutls, on_certificate);
    kd_tick_add(&handshake->tick, on_second);
    handshake->watch.ready = KD_READY_OUT;
    if (handshake->session->fd < 0) {
        base = &handshake->session->base;
        base->ops->set_ready(base->stream, on_base_ready, handshake);
        kd_loop_ready(&handshake->watch, KD_READY_IN);
    } else if (kd_tls_config_get_role(config) == KD_TLS_SERVER) {
        handshake->is_begun = TRUE; /* the client speaks first, and the descriptor will tell */
    } else {
        kd_loop_ready(&handshake->watch, 0);
    }
    return handshake;
}

/**
 * kd_tls_handshake_free:
 * @handshake: (nullable): a handshake
 *
 * Frees it; one that goes on ends, and its connection is closed. @func is not called any more.
 */
void
kd_tls_handshake_free(KdTlsHandshake *handshake)
{
    if (handshake == NULL) {
        return;
    }
    handshake->is_freed = TRUE;
    if (!handshake->is_ended) {
        leave_loop(handshake);
        kd_tls_session_free(g_steal_pointer(&handshake->session));
    }
    if (handshake->is_gone) {
        free_memory(handshake);
    }
}

/**
 * kd_tls_peer_copy:
 * @peer: what is known
 *
 * Returns: (transfer full): a copy
 */
KdTlsPeer *
kd_tls_peer_copy(const KdTlsPeer *peer)
{
    KdTlsPeer *copy = g_new0(KdTlsPeer, 1);

    copy->verdict = peer->verdict;
    copy->binding = peer->binding != NULL ? g_bytes_ref(peer->binding) : NULL;
    copy->version = g_strdup(peer->version);
    copy->cipher = g_strdup(peer->cipher);
    copy->name = g_strdup(peer->name);
    copy->sha256 = g_strdup(peer->sha256);
    return copy;
}

/**
 * kd_tls_peer_free:
 * @peer: (nullable): what was known
 *
 * Frees it.
 */
void
kd_tls_peer_free(KdTlsPeer *peer)
{
    if (peer == NULL) {
        return;
    }
    clear_peer(peer);
    g_free(peer);
}

/**
 * kd_tls_refuse:
 * @base: a connection on which TLS was expected and nothing was said; closed afterwards
 *
 * Says in one alert that there will be no handshake, which costs no cryptography.
 */
void
kd_tls_refuse(KdEndpoint *base)
{
    if (base->fd >= 0) {
        (void)send(base->fd, refusal, sizeof refusal, MSG_DONTWAIT | MSG_NOSIGNAL);
    } else if (base->stream != NULL) {
        (void)base->ops->write(base->stream, refusal, sizeof refusal);
    }
    close_gently(base);
}
