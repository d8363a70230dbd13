/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A secret that is looked for in all that left a program, in each form that somebody could make of
 * it.
 */
#include "kd-e2e-canary.h"

#include <string.h>

/**
 * KdE2eCanary:
 * @name: for messages
 * @forms: (element-type GBytes): what is looked for
 */
struct KdE2eCanary {
    char *name;
    GPtrArray *forms;
};

static void
add(KdE2eCanary *canary, const void *bytes, gsize len)
{
    g_ptr_array_add(canary->forms, g_bytes_new(bytes, len));
}

static char *
build_hex(const guint8 *bytes, gsize len, const char *before)
{
    GString *text = g_string_new(NULL);

    for (gsize i = 0; i < len; i++) {
        g_string_append_printf(text, "%s%02x", i > 0 || before[0] == '\\' ? before : "", bytes[i]);
    }
    return g_string_free(text, FALSE);
}

/* As it would stand within something longer: without what depends on the neighbours. */
static void
add_base64(KdE2eCanary *canary, const guint8 *bytes, gsize len)
{
    for (gsize shift = 0; shift < 3; shift++) {
        g_autofree guint8 *shifted = g_malloc0(shift + len);
        g_autofree char *text = NULL;
        gsize skip = shift == 0 ? 0 : shift + 1;

        memcpy(shifted + shift, bytes, len);
        text = g_base64_encode(shifted, shift + len);
        add(canary, text + skip, (shift + len) * 8 / 6 - skip);
    }
}

static void
add_texts(KdE2eCanary *canary, const guint8 *bytes, gsize len)
{
    g_autofree char *lower = build_hex(bytes, len, "");
    g_autofree char *upper = g_ascii_strup(lower, -1);
    g_autofree char *colons = build_hex(bytes, len, ":");
    g_autofree char *escaped = build_hex(bytes, len, "\\x"); /* what strace -xx makes of it */

    add(canary, bytes, len);
    add(canary, lower, strlen(lower));
    add(canary, upper, strlen(upper));
    add(canary, colons, strlen(colons));
    add(canary, escaped, strlen(escaped));
    add_base64(canary, bytes, len);
}

static void
add_digest(KdE2eCanary *canary, GChecksumType type, const guint8 *bytes, gsize len)
{
    g_autoptr(GChecksum) checksum = g_checksum_new(type);
    guint8 digest[64];
    gsize n = sizeof digest;

    g_checksum_update(checksum, bytes, (gssize)len);
    g_checksum_get_digest(checksum, digest, &n);
    add_texts(canary, digest, n);
}

static void
add_other_spellings(KdE2eCanary *canary, const guint8 *bytes, gsize len)
{
    g_autofree guint8 *wide = g_malloc0(2 * len);
    g_autofree guint8 *reversed = g_malloc(len);

    for (gsize i = 0; i < len; i++) {
        wide[2 * i] = bytes[i];
        reversed[len - 1 - i] = bytes[i];
    }
    add(canary, wide, 2 * len);
    add(canary, reversed, len);
}

/* Once more each, as strace -xx shows it. */
static void
add_escaped(KdE2eCanary *canary)
{
    guint n = canary->forms->len;

    for (guint i = 0; i < n; i++) {
        gsize len = 0;
        const guint8 *bytes = g_bytes_get_data(g_ptr_array_index(canary->forms, i), &len);
        g_autofree char *escaped = build_hex(bytes, len, "\\x");

        add(canary, escaped, strlen(escaped));
    }
}

/**
 * kd_e2e_canary_new:
 * @name: for messages
 * @secret: that nobody may find; at least 6 bytes that stand nowhere else
 *
 * Returns: (transfer full): that secret in all its forms: as it is, in hex and base64, in 16 bits,
 * reversed, and digests of it
 */
KdE2eCanary *
kd_e2e_canary_new(const char *name, const void *secret, gsize len)
{
    static const GChecksumType types[] = {G_CHECKSUM_MD5, G_CHECKSUM_SHA1, G_CHECKSUM_SHA256};
    KdE2eCanary *canary = g_new0(KdE2eCanary, 1);

    g_assert_cmpuint(len, >=, 6);
    canary->name = g_strdup(name);
    canary->forms = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    add_texts(canary, secret, len);
    add_other_spellings(canary, secret, len);
    for (gsize i = 0; i < G_N_ELEMENTS(types); i++) {
        add_digest(canary, types[i], secret, len);
    }
    add_escaped(canary);
    return canary;
}

/**
 * kd_e2e_canary_free:
 * @canary: (nullable): a secret
 *
 * Frees it.
 */
void
kd_e2e_canary_free(KdE2eCanary *canary)
{
    if (canary != NULL) {
        g_free(canary->name);
        g_ptr_array_unref(canary->forms);
        g_free(canary);
    }
}

/**
 * kd_e2e_canary_is_in:
 *
 * Returns: whether any form of it is there
 */
gboolean
kd_e2e_canary_is_in(const KdE2eCanary *canary, const void *bytes, gsize len)
{
    for (guint i = 0; i < canary->forms->len; i++) {
        gsize form_len = 0;
        const void *form = g_bytes_get_data(g_ptr_array_index(canary->forms, i), &form_len);

        if (memmem(bytes, len, form, form_len) != NULL) {
            g_test_message("form %u of %s", i, canary->name);
            return TRUE;
        }
    }
    return FALSE;
}

/**
 * kd_e2e_canary_expect_not_in:
 * @where: for messages
 *
 * Says that no form of it is there.
 */
void
kd_e2e_canary_expect_not_in(const KdE2eCanary *canary, const char *where, const void *bytes,
                            gsize len)
{
    if (kd_e2e_canary_is_in(canary, bytes, len)) {
        g_error("%s is in %s", canary->name, where);
    }
}

/**
 * kd_e2e_canary_expect_not_in_text:
 *
 * The same for a text.
 */
void
kd_e2e_canary_expect_not_in_text(const KdE2eCanary *canary, const char *where, const char *text)
{
    kd_e2e_canary_expect_not_in(canary, where, text, strlen(text));
}

/**
 * kd_e2e_canary_expect_not_in_file:
 *
 * The same for all that a file holds.
 */
void
kd_e2e_canary_expect_not_in_file(const KdE2eCanary *canary, const char *path)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    gsize len = 0;

    g_assert_true(g_file_get_contents(path, &text, &len, &error));
    g_assert_no_error(error);
    kd_e2e_canary_expect_not_in(canary, path, text, len);
}
