/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From what a string says to the one certificate that is meant. */
#include "kd-cert-search.h"

#include "kd-cert-file.h"
#include "kd-cert-folders.h"
#include "kd-cert-token.h"
#include "kd-thumbprint.h"

#include <kdsrv/kd-plugin.h>

#include <glib/gstdio.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Files of a folder that are looked at, and certificates that an error lists */
#define MAX_FILES  1024u
#define MAX_LISTED 8u

static gint
compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* PEM files by name, always in the same order */
static GPtrArray *
list_files(const char *folder, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    int code = dir == NULL && g_access(folder, R_OK | X_OK) < 0 ? errno : ENOENT;
    const char *name;

    if (dir == NULL && code == ENOENT) {
        return g_steal_pointer(&names);
    }
    if (dir == NULL) {
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(code), "%s: %s", folder,
                    g_strerror(code));
        return NULL;
    }
    while ((name = g_dir_read_name(dir)) != NULL) {
        if (*name == '.' || (!g_str_has_suffix(name, ".crt") && !g_str_has_suffix(name, ".pem"))) {
            continue;
        }
        if (names->len == MAX_FILES) {
            g_set_error(error, KD_ERROR, KD_ERROR_TLS, "%s: more than %u certificates", folder,
                        MAX_FILES);
            return NULL;
        }
        g_ptr_array_add(names, g_strdup(name));
    }
    g_ptr_array_sort(names, compare_names);
    return g_steal_pointer(&names);
}

static gboolean
is_base(const char *file, const char *text)
{
    gsize len = strlen(text);

    return g_ascii_strncasecmp(file, text, len) == 0 && file[len] == '.' &&
           strchr(file + len + 1, '.') == NULL;
}

static gboolean
is_meant(const KdCert *cert, const char *text, const char *digits)
{
    gnutls_x509_crt_t leaf = kd_cert_get_leaf(cert);

    if (digits != NULL) {
        return kd_cert_has_thumbprint(leaf, digits);
    }
    return kd_cert_has_name(leaf, text) ||
           (cert->base != NULL && g_ascii_strcasecmp(cert->base, text) == 0);
}

static gboolean
search_folder(const KdCertWish *wish, const char *digits, GPtrArray *found, GError **error)
{
    g_autofree char *folder = kd_cert_folders_build_certs(wish->store);
    g_autofree char *keys = kd_cert_folders_build_keys(wish->store);
    g_autoptr(GPtrArray) names = list_files(folder, error);

    for (guint i = 0; names != NULL && i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        g_autofree char *path = g_build_filename(folder, name, NULL);
        g_autoptr(GError) own_error = NULL;
        g_autoptr(KdCert) cert = kd_cert_file_load(path, keys, &own_error);
        if (cert == NULL) {
            /* another file's trouble is not ours */
            if (digits == NULL && is_base(name, wish->text)) {
                g_propagate_error(error, g_steal_pointer(&own_error));
                return FALSE;
            }
            g_debug("%s", own_error->message);
        } else if (is_meant(cert, wish->text, digits)) {
            g_ptr_array_add(found, g_steal_pointer(&cert));
        }
    }
    return names != NULL;
}

static void
search_tokens(const KdCertWish *wish, const char *digits, GPtrArray *found)
{
    g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func((GDestroyNotify)kd_cert_free);

    kd_cert_token_list_all(all);
    for (guint i = 0; i < all->len;) {
        if (is_meant(g_ptr_array_index(all, i), wish->text, digits)) {
            g_ptr_array_add(found, g_ptr_array_steal_index(all, i));
        } else {
            i++;
        }
    }
}

static gboolean
has_key(const KdCert *cert)
{
    return cert->key_path != NULL || cert->key_uri != NULL;
}

static gboolean
is_same(const KdCert *a, const KdCert *b)
{
    return gnutls_x509_crt_equals(kd_cert_get_leaf(a), kd_cert_get_leaf(b)) != 0;
}

/* One certificate in several places is one: that with the key, else the first */
static void
merge_equal(GPtrArray *found)
{
    for (guint i = 0; i < found->len; i++) {
        for (guint k = i + 1; k < found->len;) {
            KdCert *first = g_ptr_array_index(found, i), *other = g_ptr_array_index(found, k);
            if (!is_same(first, other)) {
                k++;
            } else if (!has_key(first) && has_key(other)) {
                g_ptr_array_remove_index(found, i);
                k = i + 1;
            } else {
                g_ptr_array_remove_index(found, k);
            }
        }
    }
}

static gboolean
is_fit(const KdCert *cert, const KdCertWish *wish)
{
    g_autofree char *sentence = NULL;

    return kd_cert_find_fault(kd_cert_get_leaf(cert), wish->purpose, &sentence) ==
               KD_CERT_FAULT_NONE &&
           (!wish->needs_key || has_key(cert));
}

static void
set_ambiguous_error(GError **error, const GPtrArray *found)
{
    g_autoptr(GString) list = g_string_new(NULL);

    for (guint i = 0; i < MIN(found->len, MAX_LISTED); i++) {
        const KdCert *cert = g_ptr_array_index(found, i);
        g_autofree char *sha256 =
            kd_cert_build_thumbprint(kd_cert_get_leaf(cert), GNUTLS_DIG_SHA256);
        g_string_append_printf(list, "%s%s (%s)", i > 0 ? ", " : "", sha256, cert->origin);
    }
    g_set_error(error, KD_ERROR, KD_ERROR_TLS,
                "%u certificates match; give the thumbprint, path or URI of one instead: %s%s",
                found->len, list->str, found->len > MAX_LISTED ? ", ..." : "");
}

/* The only one, or the only one that is of use */
static gboolean
choose(const KdCertWish *wish, GPtrArray *found, KdCert **chosen, GError **error)
{
    guint n_fit = 0, fit = 0;

    merge_equal(found);
    for (guint i = 0; i < found->len; i++) {
        if (is_fit(g_ptr_array_index(found, i), wish)) {
            fit = i;
            n_fit++;
        }
    }
    if (found->len > 1 && n_fit != 1) {
        set_ambiguous_error(error, found);
        return FALSE;
    }
    *chosen = found->len > 0 ? g_ptr_array_steal_index(found, found->len > 1 ? fit : 0) : NULL;
    return TRUE;
}

static gboolean
search_uri(const KdCertWish *wish, KdCert **found, GError **error)
{
    g_autoptr(GPtrArray) certs = g_ptr_array_new_with_free_func((GDestroyNotify)kd_cert_free);

    if (!kd_cert_token_list(wish->text, certs, error)) {
        return FALSE;
    }
    if (certs->len == 0) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_TLS,
                            "no token has such a certificate; p11tool --list-all-certs "
                            "URI-OF-THE-TOKEN shows what it has");
        return FALSE;
    }
    return choose(wish, certs, found, error);
}

static gboolean
search_path(const KdCertWish *wish, KdCert **found, GError **error)
{
    g_autofree char *certs = kd_cert_folders_build_certs(wish->store);
    g_autofree char *keys = kd_cert_folders_build_keys(wish->store);
    g_autofree char *folder = g_path_get_dirname(wish->text);

    *found = kd_cert_file_load(wish->text, strcmp(folder, certs) == 0 ? keys : NULL, error);
    return *found != NULL;
}

/**
 * kd_cert_search:
 * @wish: what is looked for
 * @found: (out) (transfer full) (nullable): %NULL: nothing has that name or thumbprint
 * @error: %KD_ERROR_TLS: several match, or something could not be read; G_IO_ERROR_* of a path
 *
 * Looks in the store's folder, then in the tokens. Of several that match, the one that is valid,
 * made for the purpose and has a key is taken if there is only one such.
 *
 * Returns: whether the search came to an end
 */
gboolean
kd_cert_search(const KdCertWish *wish, KdCert **found, GError **error)
{
    g_autofree char *digits = NULL;
    g_autoptr(GPtrArray) certs = g_ptr_array_new_with_free_func((GDestroyNotify)kd_cert_free);

    *found = NULL;
    if (kd_cert_token_is_uri(wish->text)) {
        return search_uri(wish, found, error);
    }
    if (g_path_is_absolute(wish->text)) {
        return search_path(wish, found, error);
    }
    digits = kd_thumbprint_parse(wish->text);
    if (!search_folder(wish, digits, certs, error)) {
        return FALSE;
    }
    if (certs->len == 0) {
        search_tokens(wish, digits, certs);
    }
    return choose(wish, certs, found, error);
}

/**
 * kd_cert_search_load_key:
 * @cert: found
 * @error: %KD_ERROR_TLS: it has none, or it must not be used; G_IO_ERROR_* of its file
 *
 * Reads the key of a certificate into it.
 *
 * Returns: whether it has one now
 */
gboolean
kd_cert_search_load_key(KdCert *cert, GError **error)
{
    if (cert->key_path != NULL) {
        cert->key = kd_cert_file_load_key(cert->key_path, error);
    } else if (cert->key_uri != NULL) {
        cert->key = kd_cert_token_load_key(cert, error);
    } else {
        g_set_error(error, KD_ERROR, KD_ERROR_TLS,
                    "%s: has no key: neither in the file nor in %s.key", cert->origin, cert->base);
    }
    return cert->key != NULL;
}
