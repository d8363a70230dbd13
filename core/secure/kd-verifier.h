/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a server keeps instead of a password (RFC 5803): enough to check it, not to prove it. */
#pragma once

#include "kd-secret.h"

#include <gio/gio.h>

#include <stdint.h>

#define KD_VERIFIER_PREFIX         "{SCRAM-SHA-256}"
#define KD_VERIFIER_KEY_BYTES      32u
#define KD_VERIFIER_MIN_SALT_BYTES 8u
#define KD_VERIFIER_MAX_SALT_BYTES 64u

/**
 * KdVerifier:
 * @iterations: of PBKDF2
 * @salt: base64, as it is sent
 * @stored_key: base64
 * @server_key: base64; who has it can play the server
 * @server_key_bytes: the same, decoded
 *
 * StoredKey and ServerKey of RFC 5802, section 3.
 */
typedef struct {
    /*< private >*/
    grefcount n_refs;
    /*< public >*/
    guint iterations;
    char *salt;
    char *stored_key;
    char *server_key;
    uint8_t server_key_bytes[KD_VERIFIER_KEY_BYTES];
} KdVerifier;

KdVerifier *kd_verifier_new(const KdSecret *text, guint iterations,
                            GError **error) G_GNUC_WARN_UNUSED_RESULT;
KdVerifier *kd_verifier_parse(const char *text, GError **error) G_GNUC_WARN_UNUSED_RESULT;
KdVerifier *kd_verifier_ref(KdVerifier *verifier);
void kd_verifier_unref(KdVerifier *verifier);
char *kd_verifier_build_text(const KdVerifier *verifier);
gboolean kd_verifier_decode_salt(const char *salt, uint8_t out[KD_VERIFIER_MAX_SALT_BYTES],
                                 size_t *len_bytes);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdVerifier, kd_verifier_unref)
