/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The datagrams of KDNET: sealed for the way, and opened. */
#include "kdnet-cipher.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>

#define PLAIN_MAX_BYTES (KDNET_DATAGRAM_MAX_BYTES - KDNET_HEADER_BYTES - KDNET_TAG_BYTES)
#define HASH_BYTES      32u

#define SEQ_SHIFT     8u
#define FROM_HOST_BIT 0x80u
#define PAD_MASK      0x7fu

static const uint8_t magic[4] = {'M', 'D', 'B', 'G'};

/* A datagram is the header, then word, body and zeros in AES-256-CBC, then the first half of the
 * HMAC-SHA256 over all that in clear, which is the initialisation vector too. */
struct KdnetCipher {
    gnutls_cipher_hd_t aes;
    gnutls_hmac_hd_t hmac;
    uint8_t clear[KDNET_HEADER_BYTES + PLAIN_MAX_BYTES]; /* of the datagram opened last */
};

/**
 * kdnet_cipher_new:
 * @aes_key: of the channel
 * @hmac_key: of the target
 *
 * Makes what seals and opens the datagrams of one channel, without any allocation for each.
 *
 * Returns: (transfer full) (nullable): %NULL: GnuTLS refuses one of the algorithms
 */
KdnetCipher *
kdnet_cipher_new(const uint8_t aes_key[static KDNET_KEY_BYTES],
                 const uint8_t hmac_key[static KDNET_KEY_BYTES])
{
    g_autoptr(KdnetCipher) cipher = g_new0(KdnetCipher, 1);
    uint8_t aes_copy[KDNET_KEY_BYTES];
    gnutls_datum_t key = {.data = aes_copy, .size = sizeof aes_copy};
    int rc;

    memcpy(aes_copy, aes_key, sizeof aes_copy);
    rc = gnutls_cipher_init(&cipher->aes, GNUTLS_CIPHER_AES_256_CBC, &key, NULL);
    gnutls_memset(aes_copy, 0, sizeof aes_copy);
    if (rc != 0 ||
        gnutls_hmac_init(&cipher->hmac, GNUTLS_MAC_SHA256, hmac_key, KDNET_KEY_BYTES) != 0) {
        return NULL;
    }
    return g_steal_pointer(&cipher);
}

/**
 * kdnet_cipher_free:
 * @cipher: (nullable): wiped
 *
 * Ends it; what it has opened is not valid any more.
 */
void
kdnet_cipher_free(KdnetCipher *cipher)
{
    if (cipher == NULL) {
        return;
    }
    if (cipher->aes != NULL) {
        gnutls_cipher_deinit(cipher->aes);
    }
    if (cipher->hmac != NULL) {
        gnutls_hmac_deinit(cipher->hmac, NULL);
    }
    gnutls_memset(cipher, 0, sizeof *cipher);
    g_free(cipher);
}

/**
 * kdnet_cipher_is_plausible:
 * @datagram: as it came
 * @len_bytes: of @datagram
 *
 * What can be said without a key: size, alignment, magic and channel.
 */
gboolean
kdnet_cipher_is_plausible(const uint8_t *datagram, size_t len_bytes)
{
    return len_bytes >= KDNET_DATAGRAM_MIN_BYTES && len_bytes <= KDNET_DATAGRAM_MAX_BYTES &&
           (len_bytes - KDNET_HEADER_BYTES) % KDNET_BLOCK_BYTES == 0 &&
           memcmp(datagram, magic, sizeof magic) == 0 && datagram[5] <= KDNET_CHANNEL_CONTROL;
}

static gboolean
build_tag(KdnetCipher *cipher, const uint8_t *clear, size_t len_bytes,
          uint8_t tag[static KDNET_TAG_BYTES])
{
    uint8_t hash[HASH_BYTES];
    int rc = gnutls_hmac(cipher->hmac, clear, len_bytes);

    gnutls_hmac_output(cipher->hmac, hash); /* makes it ready for the next one */
    memcpy(tag, hash, KDNET_TAG_BYTES);
    gnutls_memset(hash, 0, sizeof hash);
    return rc == 0;
}

/**
 * kdnet_cipher_seal:
 * @version: of the datagram's format; both sides use the target's
 * @channel: %KDNET_CHANNEL_DATA or %KDNET_CHANNEL_CONTROL
 * @seq: 56 bits; a fresh one for each datagram, repetitions too
 * @is_from_host: the direction
 * @body: (nullable): a KD packet without a trailer, or a control body; %NULL when there is none
 * @body_bytes: at most %KDNET_BODY_MAX_BYTES
 * @datagram: (out caller-allocates): the result
 *
 * Returns: bytes in @datagram; 0: @body is too long, or GnuTLS has failed
 */
size_t
kdnet_cipher_seal(KdnetCipher *cipher, uint8_t version, uint8_t channel, uint64_t seq,
                  gboolean is_from_host, const uint8_t *body, size_t body_bytes,
                  uint8_t datagram[static KDNET_DATAGRAM_MAX_BYTES])
{
    uint8_t *plain = datagram + KDNET_HEADER_BYTES;
    size_t used_bytes = KDNET_WORD_BYTES + body_bytes;
    size_t pad_bytes = (KDNET_BLOCK_BYTES - used_bytes % KDNET_BLOCK_BYTES) % KDNET_BLOCK_BYTES;
    size_t plain_bytes = used_bytes + pad_bytes;
    uint8_t *tag = plain + plain_bytes;
    uint64_t word =
        GUINT64_TO_BE(seq << SEQ_SHIFT | (is_from_host ? FROM_HOST_BIT : 0u) | (uint64_t)pad_bytes);

    if (body_bytes > KDNET_BODY_MAX_BYTES) {
        return 0;
    }
    memcpy(datagram, magic, sizeof magic);
    datagram[4] = version;
    datagram[5] = channel;
    memcpy(plain, &word, sizeof word);
    if (body_bytes > 0) {
        memcpy(plain + KDNET_WORD_BYTES, body, body_bytes);
    }
    memset(plain + used_bytes, 0, pad_bytes);
    if (!build_tag(cipher, datagram, KDNET_HEADER_BYTES + plain_bytes, tag)) {
        return 0;
    }
    gnutls_cipher_set_iv(cipher->aes, tag, KDNET_TAG_BYTES);
    if (gnutls_cipher_encrypt2(cipher->aes, plain, plain_bytes, plain, plain_bytes) != 0) {
        return 0;
    }
    return KDNET_HEADER_BYTES + plain_bytes + KDNET_TAG_BYTES;
}

static gboolean
decrypt(KdnetCipher *cipher, const uint8_t *datagram, size_t len_bytes, size_t plain_bytes)
{
    uint8_t iv[KDNET_TAG_BYTES];

    memcpy(iv, datagram + len_bytes - KDNET_TAG_BYTES, sizeof iv);
    gnutls_cipher_set_iv(cipher->aes, iv, sizeof iv);
    return gnutls_cipher_decrypt2(cipher->aes, datagram + KDNET_HEADER_BYTES, plain_bytes,
                                  cipher->clear + KDNET_HEADER_BYTES, plain_bytes) == 0;
}

static uint64_t
read_word(const KdnetCipher *cipher)
{
    uint64_t word = 0;

    memcpy(&word, cipher->clear + KDNET_HEADER_BYTES, sizeof word);
    return GUINT64_FROM_BE(word);
}

/**
 * kdnet_cipher_peek:
 * @datagram: as it came
 * @len_bytes: of @datagram
 * @peeked: (out caller-allocates): untouched unless the result is %TRUE
 *
 * Decrypts the first block alone, unchecked: what it says is good for dropping a datagram cheaply,
 * for nothing else.
 *
 * Returns: %FALSE: it can't be authentic
 */
gboolean
kdnet_cipher_peek(KdnetCipher *cipher, const uint8_t *datagram, size_t len_bytes,
                  KdnetPeeked *peeked)
{
    uint64_t word;

    if (!kdnet_cipher_is_plausible(datagram, len_bytes) ||
        !decrypt(cipher, datagram, len_bytes, KDNET_BLOCK_BYTES)) {
        return FALSE;
    }
    word = read_word(cipher);
    if ((word & PAD_MASK) >= KDNET_BLOCK_BYTES) {
        return FALSE;
    }
    peeked->seq = word >> SEQ_SHIFT;
    peeked->is_from_host = (word & FROM_HOST_BIT) != 0;
    memcpy(peeked->start, cipher->clear + KDNET_HEADER_BYTES + KDNET_WORD_BYTES,
           sizeof peeked->start);
    return TRUE;
}

/**
 * kdnet_cipher_open:
 * @datagram: as it came
 * @len_bytes: of @datagram
 * @opened: (out caller-allocates): untouched unless the result is %TRUE
 *
 * Decrypts and then checks, for the tag is over what was in clear; takes any version.
 *
 * Returns: %TRUE: somebody who has the keys made it
 */
gboolean
kdnet_cipher_open(KdnetCipher *cipher, const uint8_t *datagram, size_t len_bytes,
                  KdnetOpened *opened)
{
    const uint8_t *plain = cipher->clear + KDNET_HEADER_BYTES;
    uint8_t tag[KDNET_TAG_BYTES] = {0};
    size_t plain_bytes;
    size_t pad_bytes;
    uint64_t word;

    if (!kdnet_cipher_is_plausible(datagram, len_bytes)) {
        return FALSE;
    }
    plain_bytes = len_bytes - KDNET_HEADER_BYTES - KDNET_TAG_BYTES;
    memcpy(cipher->clear, datagram, KDNET_HEADER_BYTES);
    if (!decrypt(cipher, datagram, len_bytes, plain_bytes) ||
        !build_tag(cipher, cipher->clear, KDNET_HEADER_BYTES + plain_bytes, tag) ||
        gnutls_memcmp(tag, datagram + len_bytes - KDNET_TAG_BYTES, sizeof tag) != 0) {
        return FALSE;
    }
    word = read_word(cipher);
    pad_bytes = word & PAD_MASK;
    if (pad_bytes >= KDNET_BLOCK_BYTES || pad_bytes > plain_bytes - KDNET_WORD_BYTES) {
        return FALSE;
    }
    *opened = (KdnetOpened){
        .version = datagram[4],
        .channel = datagram[5],
        .seq = word >> SEQ_SHIFT,
        .is_from_host = (word & FROM_HOST_BIT) != 0,
        .body = plain + KDNET_WORD_BYTES,
        .body_bytes = plain_bytes - KDNET_WORD_BYTES - pad_bytes,
    };
    return TRUE;
}
