/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The key of a KDNET target, from its text, and the keys that follow from it. */
#include "kdnet-key.h"

#include <kdsrv/kd-plugin.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>

#define N_PARTS        4u
#define PART_MAX_CHARS 13u /* of a 64-bit number to the base 36 */
#define BASE           36u

static gboolean
parse_digit(char c, uint64_t *value)
{
    if (c >= '0' && c <= '9') {
        *value = (uint64_t)(c - '0');
        return TRUE;
    }
    if (c >= 'a' && c <= 'z') {
        *value = (uint64_t)(c - 'a') + 10;
        return TRUE;
    }
    return FALSE;
}

/* One number up to a dot or the end; the cursor is left there. */
static gboolean
parse_part(const char **cursor, uint64_t *part, const char **why)
{
    const char *at = *cursor;
    uint64_t sum = 0;
    uint64_t digit = 0;

    for (; parse_digit(*at, &digit); at++) {
        if ((size_t)(at - *cursor) >= PART_MAX_CHARS) {
            *why = "one of its numbers has more than 13 characters";
            return FALSE;
        }
        if (sum > (UINT64_MAX - digit) / BASE) {
            *why = "one of its numbers does not fit in 64 bits";
            return FALSE;
        }
        sum = sum * BASE + digit;
    }
    if (at == *cursor) {
        *why = "one of its numbers is missing, or has other characters than 0 to 9 and a to z";
        return FALSE;
    }
    *cursor = at;
    *part = sum;
    return TRUE;
}

static gboolean
parse_parts(const char *text, uint64_t parts[static N_PARTS], const char **why)
{
    for (size_t i = 0; i < N_PARTS; i++) {
        if (!parse_part(&text, &parts[i], why)) {
            return FALSE;
        }
        if (*text != (i + 1 < N_PARTS ? '.' : '\0')) {
            *why = "it is not four numbers of 0 to 9 and a to z with dots between them";
            return FALSE;
        }
        text++;
    }
    return TRUE;
}

/**
 * kdnet_key_parse:
 * @text: `w.x.y.z`, four numbers to the base 36 of 64 bits each
 * @key: (out caller-allocates): zeros after an error
 *
 * Reads a key as the target's set-up shows it; no error repeats a part of @text.
 *
 * Returns: %FALSE with %KD_ERROR_PARAM_INVALID
 */
gboolean
kdnet_key_parse(const char *text, KdnetKey *key, GError **error)
{
    uint64_t parts[N_PARTS] = {0};
    const char *why = NULL;

    memset(key, 0, sizeof *key);
    if (!parse_parts(text, parts, &why)) {
        gnutls_memset(parts, 0, sizeof parts);
        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                    "the key is not usable: %s; it must be the w.x.y.z of the target's set-up",
                    why);
        return FALSE;
    }
    for (size_t i = 0; i < N_PARTS; i++) {
        uint64_t part = GUINT64_TO_LE(parts[i]);

        memcpy(&key->control[i * sizeof part], &part, sizeof part);
        gnutls_memset(&part, 0, sizeof part);
    }
    for (size_t i = 0; i < sizeof key->hmac; i++) {
        key->hmac[i] = (uint8_t)~key->control[i];
    }
    gnutls_memset(parts, 0, sizeof parts);
    return TRUE;
}

/**
 * kdnet_key_clear:
 * @key: not needed any more
 *
 * Overwrites it.
 */
void
kdnet_key_clear(KdnetKey *key)
{
    gnutls_memset(key, 0, sizeof *key);
}

/**
 * kdnet_key_derive:
 * @key: of the target
 * @response: the body that the host has answered a poke with
 * @data_key: (out caller-allocates): a secret: AES-256 key of the data channel from now on
 *
 * SHA-256 over control key and response.
 */
void
kdnet_key_derive(const KdnetKey *key, const uint8_t response[static KDNET_RESPONSE_BYTES],
                 uint8_t data_key[static KDNET_KEY_BYTES])
{
    uint8_t input[KDNET_KEY_BYTES + KDNET_RESPONSE_BYTES];
    int rc;

    memcpy(input, key->control, KDNET_KEY_BYTES);
    memcpy(input + KDNET_KEY_BYTES, response, KDNET_RESPONSE_BYTES);
    rc = gnutls_hash_fast(GNUTLS_DIG_SHA256, input, sizeof input, data_key);
    gnutls_memset(input, 0, sizeof input);
    if (rc != 0) {
        g_error("GnuTLS has no SHA-256: %s", gnutls_strerror(rc));
    }
}
