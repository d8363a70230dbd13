/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is said on the control channel: the target's offer (poke), and the host's answer. */
#include "kdnet-poke.h"

#include <string.h>

/* Bodies. Poke: type, nonce, address of the target, of its host as configured, of the host it is
 * connected with, each of 16 bytes and a port. Answer: type, that nonce, one of ours, zeros. */
#define NONCE_AT          2u
#define HOST_NONCE_AT     34u
#define CONNECTED_PORT_AT 86u
#define READ_BYTES        88u /* of a poke; what follows are zeros in all versions seen */

static const uint8_t poke_type[] = {1, 1};
static const uint8_t response_type[] = {1, 2};

/**
 * kdnet_poke_has_start:
 * @body: its first bytes
 *
 * Returns: whether a body on the control channel is a poke
 */
gboolean
kdnet_poke_has_start(const uint8_t *body, size_t len_bytes)
{
    return len_bytes >= sizeof poke_type && memcmp(body, poke_type, sizeof poke_type) == 0;
}

/**
 * kdnet_poke_parse:
 * @opened: an authentic datagram of the control channel
 * @poke: (out caller-allocates): without sender and time
 *
 * Returns: %FALSE: it is something else, or too short
 */
gboolean
kdnet_poke_parse(const KdnetOpened *opened, KdnetPoke *poke)
{
    const uint8_t *port = opened->body + CONNECTED_PORT_AT;

    memset(poke, 0, sizeof *poke);
    if (opened->is_from_host || opened->channel != KDNET_CHANNEL_CONTROL ||
        opened->body_bytes < READ_BYTES ||
        !kdnet_poke_has_start(opened->body, opened->body_bytes)) {
        return FALSE;
    }
    poke->version = opened->version;
    poke->seq = opened->seq;
    memcpy(poke->nonce, opened->body + NONCE_AT, sizeof poke->nonce);
    poke->is_connected = port[0] != 0 || port[1] != 0;
    return TRUE;
}

/**
 * kdnet_poke_build_response:
 * @host_nonce: random, of ours
 * @response: (out caller-allocates): a body, which the data key follows from
 *
 * Builds the answer to a poke; it is sent with the poke's own number.
 */
void
kdnet_poke_build_response(const KdnetPoke *poke, const uint8_t host_nonce[static KDNET_NONCE_BYTES],
                          uint8_t response[static KDNET_RESPONSE_BYTES])
{
    memset(response, 0, KDNET_RESPONSE_BYTES);
    memcpy(response, response_type, sizeof response_type);
    memcpy(response + NONCE_AT, poke->nonce, KDNET_NONCE_BYTES);
    memcpy(response + HOST_NONCE_AT, host_nonce, KDNET_NONCE_BYTES);
}
