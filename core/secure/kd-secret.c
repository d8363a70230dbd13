/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bytes that nobody else may see: wiped at the end, never dumped. */
#include "kd-secret.h"

#include <string.h>
#include <sys/prctl.h>

struct KdSecret {
    gatomicrefcount n_refs;
    gsize len_bytes;
    char text[];
};

/**
 * kd_secret_new:
 * @text: copied
 * @len_bytes: of @text; -1: it ends with a zero
 *
 * Returns: (transfer full): a copy that is wiped when it is freed
 */
KdSecret *
kd_secret_new(const char *text, gssize len_bytes)
{
    gsize len = len_bytes < 0 ? strlen(text) : (gsize)len_bytes;
    KdSecret *secret = g_malloc0(sizeof *secret + len + 1);

    g_atomic_ref_count_init(&secret->n_refs);
    secret->len_bytes = len;
    memcpy(secret->text, text, len);
    return secret;
}

/**
 * kd_secret_ref:
 * @secret: a secret
 *
 * Returns: (transfer full): @secret
 */
KdSecret *
kd_secret_ref(KdSecret *secret)
{
    g_atomic_ref_count_inc(&secret->n_refs);
    return secret;
}

/**
 * kd_secret_unref:
 * @secret: (nullable): a secret
 *
 * Wipes and frees it when nobody else holds it.
 */
void
kd_secret_unref(KdSecret *secret)
{
    if (secret != NULL && g_atomic_ref_count_dec(&secret->n_refs)) {
        kd_secret_wipe(secret->text, secret->len_bytes);
        g_free(secret);
    }
}

/**
 * kd_secret_get_text:
 * @secret: a secret
 *
 * Returns: its bytes, with a zero behind them; valid as long as the secret
 */
const char *
kd_secret_get_text(const KdSecret *secret)
{
    return secret->text;
}

/**
 * kd_secret_get_len:
 * @secret: a secret
 *
 * Returns: how many bytes it has
 */
gsize
kd_secret_get_len(const KdSecret *secret)
{
    return secret->len_bytes;
}

/**
 * kd_secret_wipe:
 * @bytes: about to be freed
 * @len_bytes: how many
 *
 * Overwrites them; no compiler leaves that out.
 */
void
kd_secret_wipe(void *bytes, gsize len_bytes)
{
    explicit_bzero(bytes, len_bytes);
}

/**
 * kd_secret_free_text:
 * @text: (transfer full) (nullable): ends with a zero
 *
 * Wipes and frees a string.
 */
void
kd_secret_free_text(char *text)
{
    if (text != NULL) {
        kd_secret_wipe(text, strlen(text));
        g_free(text);
    }
}

/**
 * kd_secret_guard_process:
 *
 * From now on the process leaves no core dump, and no other process of its user reads its memory.
 */
void
kd_secret_guard_process(void)
{
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
