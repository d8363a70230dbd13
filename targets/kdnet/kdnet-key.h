/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The key of a KDNET target, from its text, and the keys that follow from it. */
#pragma once

#include <gio/gio.h>

#include <stdint.h>

#define KDNET_KEY_BYTES      32u
#define KDNET_RESPONSE_BYTES 322u /* body of a response, which the data key depends on */

/**
 * KdnetKey:
 * @control: AES-256 key of the control channel
 * @hmac: HMAC-SHA256 key of both channels
 *
 * A secret: to be cleared by kdnet_key_clear() when it is not needed any more.
 */
typedef struct {
    uint8_t control[KDNET_KEY_BYTES];
    uint8_t hmac[KDNET_KEY_BYTES];
} KdnetKey;

gboolean kdnet_key_parse(const char *text, KdnetKey *key, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kdnet_key_clear(KdnetKey *key);
void kdnet_key_derive(const KdnetKey *key, const uint8_t response[static KDNET_RESPONSE_BYTES],
                      uint8_t data_key[static KDNET_KEY_BYTES]);
