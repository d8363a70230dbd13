/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One GnuTLS session over a base endpoint: how ciphertext comes and goes. Inside of this room
 * alone. */
#pragma once

#include "kd-tls-config-private.h"

#include <sys/types.h>

/* Most plaintext that one gathering takes, so that its records fit into one send. */
#define KD_TLS_GATHER_BYTES ((size_t)128 * 1024 + 4096)
#define KD_TLS_FIRST_BYTES  8u

/**
 * KdTlsSession:
 * @config: reffed; GnuTLS uses its credentials
 * @gnutls: the session
 * @base: where ciphertext passes; its descriptor is closed by whom it was given to
 * @fd: of @base, or -1
 * @in: ciphertext that was read; in @in_kept, or in the buffer of all sessions during a call
 * @in_kept: (nullable): what one call has left for the next
 * @budget_bytes: how much ciphertext the current call may still read
 * @may_stop: the current call has something to show: a short read ends it without another one
 * @is_dry: the descriptor has nothing more just now
 * @is_starved: the current call has asked in vain for ciphertext
 * @has_ended: the base has
 * @in_error: errno of the base's reading side
 * @n_in_bytes: ciphertext read in all
 * @first: the first bytes of it
 * @out_kept: (nullable): ciphertext that the base has not taken
 * @out_error: errno of the base's writing side
 * @is_last: @out_kept is followed by nothing: the base is shut down behind it
 *
 * What handshake and stream share.
 */
typedef struct {
    KdTlsConfig *config;
    gnutls_session_t gnutls;
    KdEndpoint base;
    int fd;

    const uint8_t *in;
    size_t in_at;
    size_t in_len;
    uint8_t *in_kept;
    size_t budget_bytes;
    gboolean may_stop;
    gboolean is_dry;
    gboolean is_starved;
    gboolean has_ended;
    int in_error;
    guint64 n_in_bytes;
    uint8_t first[KD_TLS_FIRST_BYTES];

    uint8_t *out_kept;
    size_t out_at;
    size_t out_len;
    int out_error;
    gboolean is_last;
} KdTlsSession;

KdTlsSession *kd_tls_session_new(KdTlsConfig *config, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_tls_session_free(KdTlsSession *session);
void kd_tls_session_take_base(KdTlsSession *session, KdEndpoint *base);
void kd_tls_session_begin(KdTlsSession *session, size_t budget_bytes);
void kd_tls_session_end(KdTlsSession *session);
int kd_tls_session_flush(KdTlsSession *session);
int kd_tls_session_shut(KdTlsSession *session);
gboolean kd_tls_session_has_read_all(const KdTlsSession *session);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdTlsSession, kd_tls_session_free)
