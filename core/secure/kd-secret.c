/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bytes that nobody else may see: wiped at the end, never dumped. */
#include "kd-secret.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

struct KdSecret {
    gatomicrefcount n_refs;
    gsize len_bytes;
    gsize map_bytes; /* whole pages, of this secret alone */
    char text[];
};

/* Pages that are in no dump and no child, and on no disk as far as the limits allow it. */
static void *
map_pages(gsize map_bytes)
{
    void *pages = mmap(NULL, map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (pages == MAP_FAILED) {
        g_error("no memory for a secret of %" G_GSIZE_FORMAT " bytes", map_bytes);
    }
    (void)madvise(pages, map_bytes, MADV_DONTDUMP);
    (void)madvise(pages, map_bytes, MADV_WIPEONFORK);
    (void)mlock(pages, map_bytes);
    return pages;
}

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
    gsize page_bytes = (gsize)sysconf(_SC_PAGESIZE);
    gsize map_bytes = (sizeof(KdSecret) + len + page_bytes) / page_bytes * page_bytes;
    KdSecret *secret = map_pages(map_bytes);

    secret->map_bytes = map_bytes;
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
        gsize map_bytes = secret->map_bytes;

        kd_secret_wipe(secret, map_bytes);
        (void)munmap(secret, map_bytes);
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
 * kd_secret_wipe_value:
 * @values: a{sv} that is about to be freed
 * @key: of a text that is not to be used any more, by whoever else holds it
 *
 * Overwrites a text where GLib keeps it; it does nothing of the kind itself.
 */
void
kd_secret_wipe_value(GVariant *values, const char *key)
{
    const char *text = NULL;

    if (g_variant_lookup(values, key, "&s", &text)) {
        kd_secret_wipe((char *)text, strlen(text));
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
