/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is said on the control channel: the target's offer (poke), and the host's answer. */
#pragma once

#include "kdnet-address.h"
#include "kdnet-boots.h"
#include "kdnet-cipher.h"

#define KDNET_POKE_BYTES 344u

/**
 * KdnetPoke:
 * @version: of its datagram
 * @seq: of its datagram
 * @nonce: of the target
 * @is_connected: the target has a data channel with some host
 * @from: where it came from
 * @since_us: when it came
 *
 * An offer that a target has made.
 */
typedef struct {
    uint8_t version;
    uint64_t seq;
    uint8_t nonce[KDNET_NONCE_BYTES];
    gboolean is_connected;
    KdnetAddress from;
    gint64 since_us;
} KdnetPoke;

gboolean kdnet_poke_has_start(const uint8_t *body, size_t len_bytes);
gboolean kdnet_poke_parse(const KdnetOpened *opened, KdnetPoke *poke);
void kdnet_poke_build_response(const KdnetPoke *poke,
                               const uint8_t host_nonce[static KDNET_NONCE_BYTES],
                               uint8_t response[static KDNET_RESPONSE_BYTES]);
