/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a connection on which nothing was said to one inside TLS. */
#include "kd-tls-handshake.h"

/**
 * kd_tls_handshake_new:
 * @config: reffed
 * @base: (transfer full): left empty; untouched on error
 * @func: told how it ended
 * @user: for @func
 * @error: where to put an error
 *
 * Begins a handshake in the role of @config.
 *
 * Returns: (transfer full) (nullable): the handshake; freeing it before its end closes @base
 */
KdTlsHandshake *
kd_tls_handshake_new(KdTlsConfig *config, KdEndpoint *base, KdTlsHandshakeFunc func, void *user,
                     GError **error)
{
    (void)config;
    (void)base;
    (void)func;
    (void)user;
    g_set_error_literal(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED, "not yet");
    return NULL;
}

/**
 * kd_tls_handshake_free:
 * @handshake: (nullable): a handshake
 *
 * Frees it; one that goes on ends, and its connection is closed.
 */
void
kd_tls_handshake_free(KdTlsHandshake *handshake)
{
    (void)handshake;
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
    g_clear_pointer(&peer->binding, g_bytes_unref);
    g_free(peer->version);
    g_free(peer->cipher);
    g_free(peer->name);
    g_free(peer->sha256);
    g_free(peer);
}

/**
 * kd_tls_refuse:
 * @base: a connection on which TLS was expected and nothing was said; closed afterwards
 *
 * Says in one alert that there will be no handshake.
 */
void
kd_tls_refuse(KdEndpoint *base)
{
    (void)base;
}
