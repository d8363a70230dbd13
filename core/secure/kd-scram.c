/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One SCRAM-SHA-256(-PLUS) exchange (RFC 5802, RFC 7677, RFC 9266), either side; no I/O. */
#include "kd-scram.h"

#include <kdsrv/kd-plugin.h>

/**
 * kd_scram_new_server:
 * @password: what clients must prove
 * @binding: (nullable): 32 bytes of tls-exporter: PLUS; %NULL: plain
 * @error: where to put an error
 *
 * Returns: (transfer full) (nullable): an exchange that waits for the client
 */
KdScram *
kd_scram_new_server(KdPassword *password, GBytes *binding, GError **error)
{
    (void)password;
    (void)binding;
    g_set_error_literal(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED, "not yet");
    return NULL;
}

/**
 * kd_scram_new_client:
 * @password: to be proved; not a verifier
 * @binding: (nullable): 32 bytes of tls-exporter: PLUS; %NULL: plain
 * @error: where to put an error
 *
 * Returns: (transfer full) (nullable): an exchange that begins
 */
KdScram *
kd_scram_new_client(KdPassword *password, GBytes *binding, GError **error)
{
    return kd_scram_new_server(password, binding, error);
}

/**
 * kd_scram_free:
 * @scram: (nullable): an exchange
 *
 * Wipes and frees it.
 */
void
kd_scram_free(KdScram *scram)
{
    (void)scram;
}

/**
 * kd_scram_get_mechanism:
 * @scram: an exchange
 *
 * Returns: %KD_SCRAM_PLAIN or %KD_SCRAM_BOUND
 */
const char *
kd_scram_get_mechanism(const KdScram *scram)
{
    (void)scram;
    return KD_SCRAM_PLAIN;
}

/**
 * kd_scram_step:
 * @scram: an exchange
 * @in: (nullable): the other side's step; %NULL for the client's first
 * @out: (out) (transfer full) (nullable): to be sent
 * @is_done: (out): the other side has proved that it knows the password
 * @error: %KD_ERROR_AUTH: it has not
 *
 * Returns: whether the exchange goes on, or is done
 */
gboolean
kd_scram_step(KdScram *scram, GBytes *in, GBytes **out, gboolean *is_done, GError **error)
{
    (void)scram;
    (void)in;
    (void)out;
    (void)is_done;
    g_set_error_literal(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED, "not yet");
    return FALSE;
}

/**
 * kd_scram_get_key:
 * @scram: an exchange
 * @key: (out): known to those two alone who know the password, or the verifier, and this exchange
 *
 * The client has it once it has made its proof, the server once it has checked that.
 *
 * Returns: whether it is known already
 */
gboolean
kd_scram_get_key(const KdScram *scram, uint8_t key[KD_SCRAM_KEY_BYTES])
{
    (void)scram;
    (void)key;
    return FALSE;
}
