/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One GnuTLS session over a base endpoint: how ciphertext comes and goes. */
#include "kd-tls-session-private.h"

#include "kd-endpoint.h"
#include "kd-tls-text.h"

#include <errno.h>
#include <stdalign.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define IN_BYTES           ((size_t)128 * 1024)
#define PAGE_BYTES         4096u
#define RECORD_BYTES       ((size_t)16384)
#define RECORD_EXTRA_BYTES ((size_t)512)
#define OUT_BYTES          (KD_TLS_GATHER_BYTES + 12 * RECORD_EXTRA_BYTES)

G_STATIC_ASSERT(KD_TLS_GATHER_BYTES / RECORD_BYTES + 1 < 12);

/* A handshake's longest message: a chain of certificates, which may be sent before anybody knows
 * who sends it. */
#define SERVER_MESSAGE_BYTES ((size_t)16 * 1024)
#define CLIENT_MESSAGE_BYTES ((size_t)64 * 1024)

/* Everybody's, as one call is over before the next one begins: a session that waits has no buffer.
 */
static alignas(PAGE_BYTES) uint8_t in_shared[IN_BYTES];
static alignas(PAGE_BYTES) uint8_t out_shared[OUT_BYTES];
static size_t out_shared_len;

/* ---- the base ---- */

static gssize
base_read(KdTlsSession *session, void *buf, size_t len)
{
    gssize n;

    if (session->fd < 0) {
        return session->base.ops->read(session->base.stream, buf, len);
    }
    do {
        n = read(session->fd, buf, len);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static gssize
base_write(KdTlsSession *session, const void *buf, size_t len)
{
    gssize n;

    if (session->fd < 0) {
        return session->base.ops->write(session->base.stream, buf, len);
    }
    do {
        n = write(session->fd, buf, len);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* ---- ciphertext in ---- */

static void
drop_in(KdTlsSession *session)
{
    g_clear_pointer(&session->in_kept, g_free);
    session->in = NULL;
    session->in_at = session->in_len = 0;
}

/* Reads as much as there is: GnuTLS would ask for five bytes, and then for the record. */
static gssize
fill(KdTlsSession *session)
{
    size_t len = MIN(session->budget_bytes, sizeof in_shared);
    gssize n;

    drop_in(session);
    if (session->in_error != 0 || session->has_ended) {
        return -session->in_error;
    }
    if (len == 0 || (session->is_dry && session->may_stop)) {
        return -EAGAIN;
    }
    n = base_read(session, in_shared, len);
    session->is_dry = n == -EAGAIN || (session->fd >= 0 && n > 0 && (size_t)n < len);
    if (n > 0) {
        if (session->n_in_bytes < KD_TLS_FIRST_BYTES) {
            memcpy(session->first + session->n_in_bytes, in_shared,
                   MIN((size_t)n, KD_TLS_FIRST_BYTES - (size_t)session->n_in_bytes));
        }
        session->n_in_bytes += (guint64)n;
        session->budget_bytes -= (size_t)n;
        session->in = in_shared;
        session->in_len = (size_t)n;
    } else if (n == 0) {
        session->has_ended = TRUE;
    } else if (n != -EAGAIN) {
        session->in_error = (int)-n;
    }
    return n;
}

static ssize_t
on_pull(gnutls_transport_ptr_t ptr, void *buf, size_t len)
{
    KdTlsSession *session = ptr;

    if (session->in_at == session->in_len) {
        gssize n = fill(session);

        if (session->in == NULL) {
            /* The errno itself is kept: of some GnuTLS believes that they pass. */
            session->is_starved = n == -EAGAIN;
            gnutls_transport_set_errno(session->gnutls, session->is_starved ? EAGAIN : EIO);
            return n == 0 ? 0 : -1;
        }
    }
    len = MIN(len, session->in_len - session->in_at);
    memcpy(buf, session->in + session->in_at, len);
    session->in_at += len;
    return (ssize_t)len;
}

/* ---- ciphertext out ---- */

/* Puts bytes that the base has not taken in front of those that wait, or behind them. */
static void
keep_out(KdTlsSession *session, const uint8_t *bytes, size_t len, gboolean is_first)
{
    size_t waiting = session->out_len - session->out_at;
    uint8_t *kept = g_malloc(waiting + len);

    memcpy(kept + (is_first ? 0 : waiting), bytes, len);
    if (session->out_kept != NULL) {
        memcpy(kept + (is_first ? len : 0), session->out_kept + session->out_at, waiting);
    }
    g_free(session->out_kept);
    session->out_kept = kept;
    session->out_at = 0;
    session->out_len = waiting + len;
}

static void
drop_out(KdTlsSession *session)
{
    g_clear_pointer(&session->out_kept, g_free);
    session->out_at = session->out_len = 0;
}

static ssize_t
on_push(gnutls_transport_ptr_t ptr, const void *buf, size_t len)
{
    KdTlsSession *session = ptr;

    if (session->out_error != 0) {
        gnutls_transport_set_errno(session->gnutls, EIO); /* as above */
        return -1;
    }
    if (session->out_kept == NULL && out_shared_len + len <= sizeof out_shared) {
        memcpy(out_shared + out_shared_len, buf, len);
        out_shared_len += len;
    } else {
        keep_out(session, buf, len, FALSE);
    }
    return (ssize_t)len;
}

/* Gives bytes to the base until it takes no more. Returns how many it took. */
static size_t
give(KdTlsSession *session, const uint8_t *bytes, size_t len)
{
    size_t done = 0;

    while (done < len && session->out_error == 0) {
        gssize n = base_write(session, bytes + done, len - done);

        if (n == -EAGAIN || n == 0) {
            break;
        }
        if (n < 0) {
            session->out_error = (int)-n;
            break;
        }
        done += (size_t)n;
    }
    return done;
}

static void
shut_base(KdTlsSession *session)
{
    session->is_last = FALSE;
    if (session->fd >= 0) {
        (void)shutdown(session->fd, SHUT_WR);
    } else if (session->base.ops->shutdown_write != NULL) {
        (void)session->base.ops->shutdown_write(session->base.stream);
    }
}

/**
 * kd_tls_session_flush:
 * @session: outside of kd_tls_session_begin() and kd_tls_session_end()
 *
 * Sends what the base had no room for.
 *
 * Returns: 0: nothing waits; -EAGAIN; another -errno: for good
 */
int
kd_tls_session_flush(KdTlsSession *session)
{
    if (session->out_kept != NULL && session->out_error == 0) {
        session->out_at +=
            give(session, session->out_kept + session->out_at, session->out_len - session->out_at);
    }
    if (session->out_error != 0) {
        drop_out(session);
        return -session->out_error;
    }
    if (session->out_at < session->out_len) {
        return -EAGAIN;
    }
    drop_out(session);
    if (session->is_last) {
        shut_base(session);
    }
    return 0;
}

/* ---- a call of GnuTLS ---- */

/**
 * kd_tls_session_begin:
 * @session: a session
 * @budget_bytes: most ciphertext to read
 *
 * Before any call of GnuTLS that may read or write; kd_tls_session_end() follows in the same run.
 */
void
kd_tls_session_begin(KdTlsSession *session, size_t budget_bytes)
{
    g_assert(out_shared_len == 0);
    session->budget_bytes = budget_bytes;
    session->may_stop = FALSE;
    session->is_dry = FALSE;
    session->is_starved = FALSE;
}

/**
 * kd_tls_session_end:
 * @session: after kd_tls_session_begin()
 *
 * Sends all records of the calls at once, and keeps what was read and not used, of which the
 * descriptor will not tell again. An error is kept for kd_tls_session_flush().
 */
void
kd_tls_session_end(KdTlsSession *session)
{
    size_t len = out_shared_len;

    out_shared_len = 0;
    if (len > 0) {
        size_t done = give(session, out_shared, len);

        if (done < len && session->out_error == 0) {
            keep_out(session, out_shared + done, len - done, TRUE);
        }
    }
    if (session->in_at == session->in_len) {
        drop_in(session);
    } else if (session->in == in_shared) {
        session->in_len -= session->in_at;
        session->in_kept = g_memdup2(in_shared + session->in_at, session->in_len);
        session->in = session->in_kept;
        session->in_at = 0;
    }
}

/**
 * kd_tls_session_has_read_all:
 * @session: after a call
 *
 * Returns: whether only the base can bring more plaintext, and will say so
 */
gboolean
kd_tls_session_has_read_all(const KdTlsSession *session)
{
    return session->is_dry && session->in_len == 0 && !session->has_ended &&
           session->in_error == 0 && gnutls_record_check_pending(session->gnutls) == 0;
}

/**
 * kd_tls_session_shut:
 * @session: a session
 *
 * Says close_notify (RFC 8446, 6.1), and shuts the base's direction down behind it.
 *
 * Returns: 0, also if it still waits; or -errno
 */
int
kd_tls_session_shut(KdTlsSession *session)
{
    int code;

    kd_tls_session_begin(session, 0);
    (void)gnutls_bye(session->gnutls, GNUTLS_SHUT_WR);
    kd_tls_session_end(session);
    session->is_last = TRUE;
    code = kd_tls_session_flush(session);
    return code == -EAGAIN ? 0 : code;
}

/* ---- its life ---- */

/* One for all sessions with the same words: its making takes time, and it has kilobytes. There are
 * as many as there are words for `proto=`. Returns: a code of GnuTLS */
static int
find_priority(const char *words, gnutls_priority_t *priority, const char **place)
{
    static GHashTable *known;
    int code;

    known = known != NULL ? known : g_hash_table_new(g_str_hash, g_str_equal);
    *priority = g_hash_table_lookup(known, words);
    if (*priority != NULL) {
        return 0;
    }
    code = gnutls_priority_init(priority, words, place);
    if (code == 0) {
        g_hash_table_insert(known, g_strdup(words), *priority);
    }
    return code;
}

static gboolean
set_up(KdTlsSession *session, GError **error)
{
    gboolean is_server = kd_tls_config_get_role(session->config) == KD_TLS_SERVER;
    const char *name = kd_tls_config_get_server_name(session->config);
    const char *place = NULL;
    gnutls_priority_t priority;
    int code = find_priority(kd_tls_config_get_priority(session->config), &priority, &place);

    if (code == 0) {
        code = gnutls_priority_set(session->gnutls, priority);
    }
    if (code == 0) {
        code = gnutls_credentials_set(session->gnutls, GNUTLS_CRD_CERTIFICATE,
                                      kd_tls_config_get_credentials(session->config));
    }
    if (code == 0 && !is_server && name != NULL) {
        code = gnutls_server_name_set(session->gnutls, GNUTLS_NAME_DNS, name, strlen(name));
    }
    if (code != 0) {
        kd_tls_text_set_error(error, code, "TLS can't begin%s%s", place != NULL ? ": " : "",
                              place != NULL ? place : "");
        return FALSE;
    }
    if (is_server) {
        gnutls_certificate_server_set_request(session->gnutls,
                                              kd_tls_config_get_request(session->config));
    }
    gnutls_handshake_set_max_packet_length(session->gnutls,
                                           is_server ? SERVER_MESSAGE_BYTES : CLIENT_MESSAGE_BYTES);
    gnutls_transport_set_ptr(session->gnutls, session);
    gnutls_transport_set_pull_function(session->gnutls, on_pull);
    gnutls_transport_set_push_function(session->gnutls, on_push);
    return TRUE;
}

/**
 * kd_tls_session_new:
 * @config: reffed
 * @error: where to put an error
 *
 * Makes a session without tickets, early data or renegotiation, in the role of @config.
 *
 * Returns: (transfer full) (nullable): a session without a base
 */
KdTlsSession *
kd_tls_session_new(KdTlsConfig *config, GError **error)
{
    unsigned role = kd_tls_config_get_role(config) == KD_TLS_SERVER ? GNUTLS_SERVER : GNUTLS_CLIENT;
    g_autoptr(KdTlsSession) session = g_new0(KdTlsSession, 1);
    int code = gnutls_init(&session->gnutls,
                           role | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS);

    kd_endpoint_init(&session->base);
    session->fd = -1;
    session->config = kd_tls_config_ref(config);
    if (code != 0) {
        session->gnutls = NULL;
        kd_tls_text_set_error(error, code, "TLS can't begin");
        return NULL;
    }
    return set_up(session, error) ? g_steal_pointer(&session) : NULL;
}

/**
 * kd_tls_session_take_base:
 * @session: without a base
 * @base: (transfer full): left empty
 *
 * Gives the session something to pass its records over.
 */
void
kd_tls_session_take_base(KdTlsSession *session, KdEndpoint *base)
{
    session->base = *base;
    session->fd = base->fd;
    kd_endpoint_init(base);
}

/**
 * kd_tls_session_free:
 * @session: (nullable): a session
 *
 * Forgets its keys, and closes the base as far as that was not given away.
 */
void
kd_tls_session_free(KdTlsSession *session)
{
    if (session == NULL) {
        return;
    }
    if (session->gnutls != NULL) {
        gnutls_deinit(session->gnutls);
    }
    drop_in(session);
    drop_out(session);
    kd_endpoint_clear(&session->base);
    kd_tls_config_unref(session->config);
    g_free(session);
}
