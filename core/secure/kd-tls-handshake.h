/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a connection on which nothing was said to one inside TLS. */
#pragma once

#include "kd-tls-config.h"

/* What a client thinks of a server's certificate */
typedef enum {
    KD_TLS_REFUSED = 0, /* also what nobody has judged yet                                       */
    KD_TLS_UNKNOWN = 1, /* right in all else, but nobody vouches for it: the user may confirm it */
    KD_TLS_TRUSTED = 2,
} KdTlsVerdict;

/**
 * KdTlsPeer:
 * @verdict: on its certificate
 * @binding: (nullable): tls-exporter (RFC 9266), 32 bytes; after a handshake
 * @version: (nullable): `TLS1.3`
 * @cipher: (nullable): of the suite
 * @name: (nullable): subject of its certificate, printable; %NULL: it has shown none
 * @sha256: (nullable): thumbprint of its certificate, 64 hex digits
 *
 * What a handshake has found out about the other side, as far as it came.
 */
typedef struct {
    KdTlsVerdict verdict;
    GBytes *binding;
    char *version;
    char *cipher;
    char *name;
    char *sha256;
} KdTlsPeer;

typedef struct KdTlsHandshake KdTlsHandshake;

/**
 * KdTlsHandshakeFunc:
 * @endpoint: (nullable): inside TLS, taken by leaving it empty; %NULL on error
 * @peer: (nullable): what is known of the other side, also on error; taken by kd_tls_peer_copy()
 * @error: (nullable): why there is none: %KD_ERROR_TLS
 *
 * Told once how a handshake ended; never before kd_tls_handshake_new() has returned. The handshake
 * is freed by its owner, here or later.
 */
typedef void (*KdTlsHandshakeFunc)(KdEndpoint *endpoint, const KdTlsPeer *peer, const GError *error,
                                   void *user);

KdTlsHandshake *kd_tls_handshake_new(KdTlsConfig *config, KdEndpoint *base, KdTlsHandshakeFunc func,
                                     void *user, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_tls_handshake_free(KdTlsHandshake *handshake);
KdTlsPeer *kd_tls_peer_copy(const KdTlsPeer *peer);
void kd_tls_peer_free(KdTlsPeer *peer);
void kd_tls_refuse(KdEndpoint *base);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdTlsHandshake, kd_tls_handshake_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdTlsPeer, kd_tls_peer_free)
