/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The target's side of KDNET for tests, datagram by datagram. */
#include "kd-net-target.h"

#include <string.h>

#define POKE_SEQS 3u /* what a target's number grows by from poke to poke */

/**
 * kd_net_target_init:
 * @key: as text
 *
 * Makes a target in its boot 1.
 */
void
kd_net_target_init(KdNetTarget *target, const char *key)
{
    g_autoptr(GError) error = NULL;
    memset(target, 0, sizeof *target);
    gboolean is_parsed = kdnet_key_parse(key, &target->key, &error);
    g_assert_no_error(error);
    g_assert_true(is_parsed);
    target->version = 5;
    target->control = kdnet_cipher_new(target->key.control, target->key.hmac);
    g_assert_nonnull(target->control);
    kd_net_target_boot(target, 1);
}

/**
 * kd_net_target_clear:
 *
 * Frees what it has.
 */
void
kd_net_target_clear(KdNetTarget *target)
{
    g_clear_pointer(&target->control, kdnet_cipher_free);
    g_clear_pointer(&target->data, kdnet_cipher_free);
}

/**
 * kd_net_target_boot:
 * @seed: another one for each boot
 *
 * Starts it over: no session, another nonce, numbers from the beginning.
 */
void
kd_net_target_boot(KdNetTarget *target, uint8_t seed)
{
    for (size_t i = 0; i < sizeof target->nonce; i++)
        target->nonce[i] = (uint8_t)(seed * 37 + i * 11);
    target->nonce[0] = 0xfe; /* the count carries soon */
    target->nonce[KDNET_NONCE_COUNT_BYTES - 1] = 0;
    target->poke_seq = 0;
    g_clear_pointer(&target->data, kdnet_cipher_free);
    target->data_seq = 0;
    target->is_connected = FALSE;
}

/**
 * kd_net_target_poke:
 * @datagram: (out): its next offer
 */
void
kd_net_target_poke(KdNetTarget *target, KdNetDatagram *datagram)
{
    uint8_t body[KDNET_POKE_BYTES] = {1, 1};
    memcpy(body + 2, target->nonce, sizeof target->nonce);
    if (target->is_connected) {
        body[86] = 0xc3;
        body[87] = 0x50;
    }
    for (size_t i = 0; i < KDNET_NONCE_COUNT_BYTES && ++target->nonce[i] == 0; i++)
        continue;
    target->poke_seq += POKE_SEQS;
    datagram->len = kdnet_cipher_seal(target->control, target->version, KDNET_CHANNEL_CONTROL,
                                      target->poke_seq, FALSE, body, sizeof body, datagram->bytes);
    g_assert_cmpuint(datagram->len, ==, 374);
}

/**
 * kd_net_target_take_answer:
 *
 * Looks whether a datagram answers an offer of this boot; if so it has a session from now on.
 */
gboolean
kd_net_target_take_answer(KdNetTarget *target, const uint8_t *bytes, size_t len)
{
    KdnetOpened opened = {0};
    uint8_t data_key[KDNET_KEY_BYTES];
    if (!kdnet_cipher_open(target->control, bytes, len, &opened) || !opened.is_from_host ||
        opened.channel != KDNET_CHANNEL_CONTROL || opened.body_bytes != KDNET_RESPONSE_BYTES ||
        opened.body[0] != 1 || opened.body[1] != 2 ||
        memcmp(opened.body + 2 + KDNET_NONCE_COUNT_BYTES, target->nonce + KDNET_NONCE_COUNT_BYTES,
               KDNET_BOOT_ID_BYTES) != 0)
        return FALSE;
    g_assert_cmpuint(opened.version, ==, target->version);
    g_assert_cmpuint(opened.seq, <=, target->poke_seq);
    memcpy(target->response, opened.body, sizeof target->response);
    kdnet_key_derive(&target->key, target->response, data_key);
    kdnet_cipher_free(target->data);
    target->data = kdnet_cipher_new(data_key, target->key.hmac);
    target->data_seq = 0;
    target->is_connected = TRUE;
    return TRUE;
}

/**
 * kd_net_target_say:
 * @body: a KD packet
 * @datagram: (out): with the next number
 */
void
kd_net_target_say(KdNetTarget *target, const void *body, size_t len, KdNetDatagram *datagram)
{
    g_assert_nonnull(target->data);
    datagram->len = kdnet_cipher_seal(target->data, target->version, KDNET_CHANNEL_DATA,
                                      ++target->data_seq, FALSE, body, len, datagram->bytes);
    g_assert_cmpuint(datagram->len, >, 0);
}

/**
 * kd_net_target_check:
 * @datagram: (out): what a target sends first
 */
void
kd_net_target_check(KdNetTarget *target, KdNetDatagram *datagram)
{
    static const uint8_t check[12] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 168, 192};
    kd_net_target_say(target, check, sizeof check, datagram);
}

/**
 * kd_net_target_hear:
 * @opened: (out): valid until the next datagram
 *
 * Looks whether a datagram is the host's and for the data channel.
 */
gboolean
kd_net_target_hear(KdNetTarget *target, const uint8_t *bytes, size_t len, KdnetOpened *opened)
{
    return target->data != NULL && kdnet_cipher_open(target->data, bytes, len, opened) &&
           opened->is_from_host && opened->channel == KDNET_CHANNEL_DATA;
}
