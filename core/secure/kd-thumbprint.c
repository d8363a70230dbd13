/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Thumbprints of certificates as people write and paste them. */
#include "kd-thumbprint.h"

#include <string.h>

/* From so many digits on it was hardly meant as a name */
#define TORN_DIGITS 32u

static const char *
skip_prefix(const char *text)
{
    static const char *const prefixes[] = {"sha256:", "sha-256:", "sha1:", "sha-1:"};

    for (guint i = 0; i < G_N_ELEMENTS(prefixes); i++) {
        gsize len = strlen(prefixes[i]);
        if (g_ascii_strncasecmp(text, prefixes[i], len) == 0) {
            return text + len;
        }
    }
    return text;
}

/* The hex digits in lower case, if all else in the text is neither a letter nor a digit */
static char *
collect_digits(const char *text)
{
    g_autoptr(GString) digits = g_string_new(NULL);

    if (!g_utf8_validate(text, -1, NULL)) {
        return NULL;
    }
    for (const char *at = skip_prefix(text); *at != '\0'; at = g_utf8_next_char(at)) {
        if (g_ascii_isxdigit(*at)) {
            g_string_append_c(digits, g_ascii_tolower(*at));
        } else if (g_unichar_isalnum(g_utf8_get_char(at))) {
            return NULL;
        }
    }
    return g_string_free(g_steal_pointer(&digits), FALSE);
}

/**
 * kd_thumbprint_parse:
 * @text: as typed or pasted
 *
 * Reads a SHA-1 or SHA-256 thumbprint: hex digits in any case, among them spaces, colons and what
 * else is neither a letter nor a digit (Windows' certificate manager puts U+200E in front), with or
 * without `sha256:` before them.
 *
 * Returns: (transfer full) (nullable): 40 or 64 lower-case digits; %NULL: it is none
 */
char *
kd_thumbprint_parse(const char *text)
{
    g_autofree char *digits = collect_digits(text);
    gsize n = digits != NULL ? strlen(digits) : 0;

    if (n != KD_THUMBPRINT_SHA1_DIGITS && n != KD_THUMBPRINT_SHA256_DIGITS) {
        return NULL;
    }
    return g_steal_pointer(&digits);
}

/**
 * kd_thumbprint_count_torn:
 * @text: as typed or pasted
 *
 * Recognises a thumbprint from which something is missing.
 *
 * Returns: how many digits there are; 0: it is a thumbprint, or looks like none
 */
gsize
kd_thumbprint_count_torn(const char *text)
{
    g_autofree char *digits = collect_digits(text);
    gsize n = digits != NULL ? strlen(digits) : 0;

    return n < TORN_DIGITS || n == KD_THUMBPRINT_SHA1_DIGITS || n == KD_THUMBPRINT_SHA256_DIGITS
               ? 0
               : n;
}

/**
 * kd_thumbprint_build:
 * @bytes: a hash
 * @len_bytes: of @bytes
 *
 * Returns: (transfer full): as lower-case hex digits
 */
char *
kd_thumbprint_build(const guint8 *bytes, gsize len_bytes)
{
    g_autoptr(GString) digits = g_string_sized_new(2 * len_bytes);

    for (gsize i = 0; i < len_bytes; i++) {
        g_string_append_printf(digits, "%02x", bytes[i]);
    }
    return g_string_free(g_steal_pointer(&digits), FALSE);
}
