/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The datagrams of KDNET: sealed for the way, and opened. */
#pragma once

#include "kdnet-key.h"

#define KDNET_HEADER_BYTES       6u  /* magic, version, channel */
#define KDNET_WORD_BYTES         8u  /* sequence number, direction, padding */
#define KDNET_BLOCK_BYTES        16u /* what word, body and padding are a multiple of */
#define KDNET_TAG_BYTES          16u
#define KDNET_BODY_MAX_BYTES     4016u /* a KD packet */
#define KDNET_DATAGRAM_MIN_BYTES 38u
#define KDNET_DATAGRAM_MAX_BYTES 4054u

/* For a buffer of which nothing is read that was not written before: where compilers fill all
 * variables with zeros, doing so for each datagram costs as much as sealing it */
#if __has_attribute(uninitialized)
#define KDNET_UNFILLED __attribute__((uninitialized))
#else
#define KDNET_UNFILLED
#endif

enum {
    KDNET_CHANNEL_DATA = 0,
    KDNET_CHANNEL_CONTROL = 1,
};

typedef struct KdnetCipher KdnetCipher;

/**
 * KdnetOpened:
 * @version: as the sender wrote it
 * @channel: %KDNET_CHANNEL_DATA or %KDNET_CHANNEL_CONTROL
 * @seq: 56 bits
 * @is_from_host: the direction
 * @body: borrowed from the cipher until it looks at another one
 * @body_bytes: without padding
 */
typedef struct {
    uint8_t version;
    uint8_t channel;
    uint64_t seq;
    gboolean is_from_host;
    const uint8_t *body;
    size_t body_bytes;
} KdnetOpened;

/**
 * KdnetPeeked:
 * @seq: 56 bits
 * @is_from_host: the direction
 * @start: of the body
 *
 * The first block of a datagram, which may be anybody's.
 */
typedef struct {
    uint64_t seq;
    gboolean is_from_host;
    uint8_t start[KDNET_BLOCK_BYTES - KDNET_WORD_BYTES];
} KdnetPeeked;

KdnetCipher *kdnet_cipher_new(const uint8_t aes_key[static KDNET_KEY_BYTES],
                              const uint8_t hmac_key[static KDNET_KEY_BYTES]);
void kdnet_cipher_free(KdnetCipher *cipher);
gboolean kdnet_cipher_is_plausible(const uint8_t *datagram, size_t len_bytes);
size_t kdnet_cipher_seal(KdnetCipher *cipher, uint8_t version, uint8_t channel, uint64_t seq,
                         gboolean is_from_host, const uint8_t *body, size_t body_bytes,
                         uint8_t datagram[static KDNET_DATAGRAM_MAX_BYTES]);
gboolean kdnet_cipher_peek(KdnetCipher *cipher, const uint8_t *datagram, size_t len_bytes,
                           KdnetPeeked *peeked);
gboolean kdnet_cipher_open(KdnetCipher *cipher, const uint8_t *datagram, size_t len_bytes,
                           KdnetOpened *opened);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdnetCipher, kdnet_cipher_free)
