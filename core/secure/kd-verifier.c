/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a server keeps instead of a password (RFC 5803): enough to check it, not to prove it. */
#include "kd-verifier.h"

#include "kd-password.h"

#include <kdsrv/kd-plugin.h>

#include <gsasl.h>
#include <string.h>

#define NEW_SALT_BYTES 16u

/* Parts behind the prefix */
enum {
    PART_ITERATIONS = 0,
    PART_SALT = 1,
    PART_STORED_KEY = 2,
    PART_SERVER_KEY = 3,
    N_PARTS = 4,
};

/* Strict base64; FALSE: it is none, or has less than @min or more than @max bytes. */
static gboolean
decode(const char *text, size_t min, size_t max, uint8_t *out, size_t *len_bytes)
{
    char *bytes = NULL;
    size_t len = 0;
    gboolean is_right = FALSE;

    /* 4 characters for each 3 bytes, so nothing long is decoded in order to be refused */
    if (strlen(text) > 4 * ((max + 2) / 3) ||
        gsasl_base64_from(text, strlen(text), &bytes, &len) != GSASL_OK) {
        return FALSE;
    }
    is_right = len >= min && len <= max;
    if (is_right) {
        memcpy(out, bytes, len);
        *len_bytes = len;
    }
    kd_secret_wipe(bytes, len);
    gsasl_free(bytes);
    return is_right;
}

/**
 * kd_verifier_decode_salt:
 * @salt: base64
 * @out: (out): its bytes
 * @len_bytes: (out): how many, 8 to 64
 *
 * Returns: whether it is base64 of as many bytes as are taken
 */
gboolean
kd_verifier_decode_salt(const char *salt, uint8_t out[KD_VERIFIER_MAX_SALT_BYTES],
                        size_t *len_bytes)
{
    return decode(salt, KD_VERIFIER_MIN_SALT_BYTES, KD_VERIFIER_MAX_SALT_BYTES, out, len_bytes);
}

static KdVerifier *
alloc(guint iterations)
{
    KdVerifier *verifier = g_new0(KdVerifier, 1);

    g_ref_count_init(&verifier->n_refs);
    verifier->iterations = iterations;
    return verifier;
}

/**
 * kd_verifier_new:
 * @text: prepared with SASLprep
 * @iterations: of PBKDF2, which take their time: 65536 about 50 ms
 * @error: return location; %KD_ERROR_FAILED: there is no randomness
 *
 * Derives a verifier with a salt of its own.
 *
 * Returns: (transfer full) (nullable): the verifier
 */
KdVerifier *
kd_verifier_new(const KdSecret *text, guint iterations, GError **error)
{
    g_autoptr(KdVerifier) verifier = alloc(iterations);
    char salt[NEW_SALT_BYTES] = {0};
    char salted[GSASL_HASH_MAX_SIZE] = {0};
    char client_key[GSASL_HASH_MAX_SIZE] = {0};
    char server_key[GSASL_HASH_MAX_SIZE] = {0};
    char stored_key[GSASL_HASH_MAX_SIZE] = {0};
    int rc = gsasl_random(salt, sizeof salt);

    if (rc == GSASL_OK) {
        rc = gsasl_scram_secrets_from_password(GSASL_HASH_SHA256, kd_secret_get_text(text),
                                               iterations, salt, sizeof salt, salted, client_key,
                                               server_key, stored_key);
    }
    if (rc == GSASL_OK) {
        verifier->salt = g_base64_encode((const guchar *)salt, sizeof salt);
        verifier->stored_key = g_base64_encode((const guchar *)stored_key, KD_VERIFIER_KEY_BYTES);
        verifier->server_key = g_base64_encode((const guchar *)server_key, KD_VERIFIER_KEY_BYTES);
        memcpy(verifier->server_key_bytes, server_key, KD_VERIFIER_KEY_BYTES);
    }
    kd_secret_wipe(salted, sizeof salted);
    kd_secret_wipe(client_key, sizeof client_key);
    kd_secret_wipe(server_key, sizeof server_key);
    kd_secret_wipe(stored_key, sizeof stored_key);
    if (rc != GSASL_OK) {
        g_set_error(error, KD_ERROR, KD_ERROR_FAILED, "can't derive keys from the password: %s",
                    gsasl_strerror(rc));
        return NULL;
    }
    return g_steal_pointer(&verifier);
}

static gboolean
check_parts(KdVerifier *verifier, char **parts, const char **wrong)
{
    uint8_t salt[KD_VERIFIER_MAX_SALT_BYTES];
    uint8_t stored_key[KD_VERIFIER_KEY_BYTES];
    size_t len = 0;
    guint64 iterations = 0;
    gboolean is_right = FALSE;

    if (g_strv_length(parts) != N_PARTS) {
        *wrong = "has not four parts";
    } else if (!g_ascii_string_to_unsigned(parts[PART_ITERATIONS], 10, KD_PASSWORD_MIN_ITERATIONS,
                                           KD_PASSWORD_MAX_ITERATIONS, &iterations, NULL)) {
        *wrong = "has not 4096 to 262144 iterations, which are all that a client takes";
    } else if (!kd_verifier_decode_salt(parts[PART_SALT], salt, &len)) {
        *wrong = "has no salt of 8 to 64 bytes in base64";
    } else if (!decode(parts[PART_STORED_KEY], KD_VERIFIER_KEY_BYTES, KD_VERIFIER_KEY_BYTES,
                       stored_key, &len) ||
               !decode(parts[PART_SERVER_KEY], KD_VERIFIER_KEY_BYTES, KD_VERIFIER_KEY_BYTES,
                       verifier->server_key_bytes, &len)) {
        *wrong = "has not two keys of 32 bytes in base64";
    } else {
        is_right = TRUE;
    }
    kd_secret_wipe(stored_key, sizeof stored_key);
    verifier->iterations = (guint)iterations;
    return is_right;
}

static void
free_parts(char **parts)
{
    for (guint i = 0; parts[i] != NULL; i++) {
        kd_secret_wipe(parts[i], strlen(parts[i]));
    }
    g_strfreev(parts);
}

/**
 * kd_verifier_parse:
 * @text: `{SCRAM-SHA-256}iterations,salt,stored,server`, as `gsasl --mkpasswd` prints it
 * @error: return location; %KD_ERROR_FAILED: it is not such a text. Its message holds none of it
 *
 * Reads a verifier that was stored.
 *
 * Returns: (transfer full) (nullable): the verifier
 */
KdVerifier *
kd_verifier_parse(const char *text, GError **error)
{
    g_autoptr(KdVerifier) verifier = alloc(0);
    const char *wrong = "does not begin with " KD_VERIFIER_PREFIX;
    gboolean is_right = FALSE;

    if (g_str_has_prefix(text, KD_VERIFIER_PREFIX)) {
        char **parts = g_strsplit(text + strlen(KD_VERIFIER_PREFIX), ",", N_PARTS + 1);

        is_right = check_parts(verifier, parts, &wrong);
        if (is_right) {
            verifier->salt = g_strdup(parts[PART_SALT]);
            verifier->stored_key = g_strdup(parts[PART_STORED_KEY]);
            verifier->server_key = g_strdup(parts[PART_SERVER_KEY]);
        }
        free_parts(parts);
    }
    if (!is_right) {
        g_set_error(error, KD_ERROR, KD_ERROR_FAILED,
                    "the verifier %s; make one with kdsrv --make-verifier", wrong);
        return NULL;
    }
    return g_steal_pointer(&verifier);
}

/**
 * kd_verifier_ref:
 * @verifier: a verifier
 *
 * Returns: (transfer full): @verifier
 */
KdVerifier *
kd_verifier_ref(KdVerifier *verifier)
{
    g_ref_count_inc(&verifier->n_refs);
    return verifier;
}

/**
 * kd_verifier_unref:
 * @verifier: (nullable): a verifier
 *
 * Wipes and frees it when nobody else holds it.
 */
void
kd_verifier_unref(KdVerifier *verifier)
{
    if (verifier == NULL || !g_ref_count_dec(&verifier->n_refs)) {
        return;
    }
    g_free(verifier->salt);
    kd_secret_free_text(verifier->stored_key);
    kd_secret_free_text(verifier->server_key);
    kd_secret_wipe(verifier, sizeof *verifier);
    g_free(verifier);
}

/**
 * kd_verifier_build_text:
 * @verifier: a verifier
 *
 * Returns: (transfer full): what kd_verifier_parse() reads; freed with kd_secret_free_text()
 */
char *
kd_verifier_build_text(const KdVerifier *verifier)
{
    return g_strdup_printf(KD_VERIFIER_PREFIX "%u,%s,%s,%s", verifier->iterations, verifier->salt,
                           verifier->stored_key, verifier->server_key);
}
