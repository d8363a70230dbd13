/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* In place of the library's function, which takes milliseconds by design: one round whatever is
 * asked for. Both sides of a fuzz target use it, so right proofs are right. */
#include <glib.h>

#include <gsasl.h>
#include <string.h>

static void
mac(const char *key, const char *text, size_t len, char *out)
{
    g_autoptr(GHmac) hmac = g_hmac_new(G_CHECKSUM_SHA256, (const guchar *)key, 32);
    guint8 digest[32];
    gsize n = sizeof digest;

    g_hmac_update(hmac, (const guchar *)text, (gssize)len);
    g_hmac_get_digest(hmac, digest, &n);
    memcpy(out, digest, n);
}

/**
 * gsasl_scram_secrets_from_password:
 *
 * Derives keys that have nothing to do with those of the library.
 */
int
gsasl_scram_secrets_from_password(Gsasl_hash hash, const char *password,
                                  unsigned int iteration_count, const char *salt, size_t saltlen,
                                  char *salted_password, char *client_key, char *server_key,
                                  char *stored_key)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    gsize n = 32;

    g_assert_cmpint(hash, ==, GSASL_HASH_SHA256);
    g_assert_cmpuint(iteration_count, >=, 4096);
    g_assert_cmpuint(iteration_count, <=, 262144);
    g_assert_cmpuint(saltlen, >=, 8);
    g_assert_cmpuint(saltlen, <=, 64);
    g_checksum_update(sum, (const guchar *)password, -1);
    g_checksum_update(sum, (const guchar *)salt, (gssize)saltlen);
    g_checksum_get_digest(sum, (guint8 *)salted_password, &n);
    mac(salted_password, "Client Key", 10, client_key);
    mac(salted_password, "Server Key", 10, server_key);
    g_checksum_reset(sum);
    g_checksum_update(sum, (const guchar *)client_key, 32);
    g_checksum_get_digest(sum, (guint8 *)stored_key, &n);
    return GSASL_OK;
}
