/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The target's side of KDNET for tests, datagram by datagram. */
#pragma once

#include "kdnet-cipher.h"
#include "kdnet-poke.h"

#define KD_NET_KEY "8.8.8.8"

/**
 * KdNetTarget:
 * @version: that it writes
 * @nonce: of its boot; counts its pokes
 * @poke_seq: of its last poke
 * @data: (nullable): what the last answer has made
 * @data_seq: of its last data
 * @response: the last answer
 * @is_connected: what its pokes say
 */
typedef struct {
    KdnetKey key;
    uint8_t version;
    uint8_t nonce[KDNET_NONCE_BYTES];
    uint64_t poke_seq;
    KdnetCipher *control;
    KdnetCipher *data;
    uint64_t data_seq;
    uint8_t response[KDNET_RESPONSE_BYTES];
    gboolean is_connected;
} KdNetTarget;

/* One datagram */
typedef struct {
    uint8_t bytes[KDNET_DATAGRAM_MAX_BYTES];
    size_t len;
} KdNetDatagram;

void kd_net_target_init(KdNetTarget *target, const char *key);
void kd_net_target_clear(KdNetTarget *target);
void kd_net_target_boot(KdNetTarget *target, uint8_t seed);
void kd_net_target_poke(KdNetTarget *target, KdNetDatagram *datagram);
gboolean kd_net_target_take_answer(KdNetTarget *target, const uint8_t *bytes, size_t len);
void kd_net_target_check(KdNetTarget *target, KdNetDatagram *datagram);
void kd_net_target_say(KdNetTarget *target, const void *body, size_t len, KdNetDatagram *datagram);
gboolean kd_net_target_hear(KdNetTarget *target, const uint8_t *bytes, size_t len,
                            KdnetOpened *opened);
