/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whom we let vouch for others' certificates: read once, asked often. */
#include "kd-tls-anchors.h"

#include "kd-cert-file.h"

#include <kdsrv/kd-plugin.h>

#include <string.h>

/* Files of one folder that are read */
#define MAX_FILES 1024u

/* At least 112 bits, so RSA of 2048 and no SHA-1, for all certificates on the way to an anchor */
#define VERIFY_FLAGS GNUTLS_PROFILE_TO_VFLAGS(GNUTLS_PROFILE_MEDIUM)

struct KdTlsAnchors {
    gnutls_x509_trust_list_t own;
    gboolean has_system;
};

/* The system's, read by the first client that needs them: it takes some 10 ms. They stay. */
static gnutls_x509_trust_list_t
get_system_list(void)
{
    static gnutls_x509_trust_list_t list = NULL;

    if (list == NULL && gnutls_x509_trust_list_init(&list, 0) >= 0) {
        int n = gnutls_x509_trust_list_add_system_trust(list, 0, 0);
        g_debug("%d anchors of the system", n);
    }
    return list;
}

/**
 * kd_tls_anchors_new:
 * @has_system: whether the system's anchors count, too
 *
 * Returns: (transfer full): without any of its own yet
 */
KdTlsAnchors *
kd_tls_anchors_new(gboolean has_system)
{
    KdTlsAnchors *anchors = g_new0(KdTlsAnchors, 1);

    anchors->has_system = has_system;
    if (gnutls_x509_trust_list_init(&anchors->own, 0) < 0) {
        anchors->own = NULL;
    }
    return anchors;
}

/**
 * kd_tls_anchors_free:
 * @anchors: (nullable): anchors
 *
 * Frees them.
 */
void
kd_tls_anchors_free(KdTlsAnchors *anchors)
{
    if (anchors != NULL) {
        if (anchors->own != NULL) {
            gnutls_x509_trust_list_deinit(anchors->own, 1);
        }
        g_free(anchors);
    }
}

static gboolean
add_certs(KdTlsAnchors *anchors, const gnutls_datum_t *pem, const char *path, guint *n_added,
          GError **error)
{
    gnutls_x509_crt_t *certs = NULL;
    unsigned n = 0;
    int status = gnutls_x509_crt_list_import2(&certs, &n, pem, GNUTLS_X509_FMT_PEM, 0);

    if (status >= 0) {
        status = gnutls_x509_trust_list_add_cas(anchors->own, certs, n, GNUTLS_TL_NO_DUPLICATES);
        /* the list owns them, all of them, whatever it answers */
        gnutls_free(certs);
    }
    if (status < 0) {
        g_set_error(error, KD_ERROR, KD_ERROR_TLS, "%s: no certificate in PEM form: %s", path,
                    gnutls_strerror(status));
        return FALSE;
    }
    *n_added += n;
    return TRUE;
}

/* Lists of what was revoked count for the anchors that were read before, so they come second. */
static gboolean
add_lists(KdTlsAnchors *anchors, const gnutls_datum_t *pem, const char *path, GError **error)
{
    gnutls_x509_crl_t *lists = NULL;
    unsigned n = 0;
    int status = gnutls_x509_crl_list_import2(&lists, &n, pem, GNUTLS_X509_FMT_PEM, 0);

    if (status >= 0) {
        status = gnutls_x509_trust_list_add_crls(anchors->own, lists, n, GNUTLS_TL_VERIFY_CRL, 0);
        gnutls_free(lists);
        if (status >= 0 && (unsigned)status < n) {
            g_set_error(error, KD_ERROR, KD_ERROR_TLS,
                        "%s: a revocation list that none of the anchors has signed", path);
            return FALSE;
        }
    }
    if (status < 0) {
        g_set_error(error, KD_ERROR, KD_ERROR_TLS, "%s: no revocation list in PEM form: %s", path,
                    gnutls_strerror(status));
        return FALSE;
    }
    return TRUE;
}

static gboolean
add_file(KdTlsAnchors *anchors, const char *path, gboolean is_lists, guint *n_added, GError **error)
{
    g_autoptr(KdSecret) content = kd_cert_file_read(path, FALSE, error);

    if (content == NULL) {
        return FALSE;
    }
    const char *text = kd_secret_get_text(content);
    gnutls_datum_t pem = {(unsigned char *)text, (unsigned)kd_secret_get_len(content)};
    gboolean has_lists = strstr(text, "-----BEGIN X509 CRL-----") != NULL;
    gboolean has_certs = strstr(text, "-----BEGIN CERTIFICATE-----") != NULL ||
                         strstr(text, "-----BEGIN X509 CERTIFICATE-----") != NULL;
    if (is_lists) {
        return !has_lists || add_lists(anchors, &pem, path, error);
    }
    return (has_lists && !has_certs) || add_certs(anchors, &pem, path, n_added, error);
}

static gboolean
is_pem_name(const char *name)
{
    static const char *const suffixes[] = {".pem", ".crt", ".cer", ".crl"};

    for (guint i = 0; i < G_N_ELEMENTS(suffixes); i++) {
        if (*name != '.' && g_str_has_suffix(name, suffixes[i])) {
            return TRUE;
        }
    }
    return FALSE;
}

/* Files of a folder, or the file itself */
static GPtrArray *
list_paths(const char *path, GError **error)
{
    g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) own_error = NULL;
    const char *name;

    if (!g_file_test(path, G_FILE_TEST_IS_DIR)) {
        g_ptr_array_add(paths, g_strdup(path));
        return g_steal_pointer(&paths);
    }
    g_autoptr(GDir) dir = g_dir_open(path, 0, &own_error);
    if (dir == NULL) {
        g_set_error(error, KD_ERROR, KD_ERROR_TLS, "%s", own_error->message);
        return NULL;
    }
    while ((name = g_dir_read_name(dir)) != NULL && paths->len < MAX_FILES) {
        g_autofree char *file = g_build_filename(path, name, NULL);
        if (is_pem_name(name) && g_file_test(file, G_FILE_TEST_IS_REGULAR)) {
            g_ptr_array_add(paths, g_steal_pointer(&file));
        }
    }
    return g_steal_pointer(&paths);
}

/**
 * kd_tls_anchors_add_path:
 * @anchors: anchors
 * @path: of a PEM file, or of a folder of such (.pem, .crt, .cer, .crl); with revocation lists
 * among them or without
 * @n_added: (inout): grows by the anchors found
 * @error: %KD_ERROR_TLS or G_IO_ERROR_*: a file that is no such file, or is not there
 *
 * Reads anchors.
 *
 * Returns: whether all files could be read
 */
gboolean
kd_tls_anchors_add_path(KdTlsAnchors *anchors, const char *path, guint *n_added, GError **error)
{
    g_autoptr(GPtrArray) paths = list_paths(path, error);

    for (int is_lists = FALSE; paths != NULL && is_lists <= TRUE; is_lists++) {
        for (guint i = 0; i < paths->len; i++) {
            if (!add_file(anchors, g_ptr_array_index(paths, i), is_lists, n_added, error)) {
                return FALSE;
            }
        }
    }
    return paths != NULL;
}

static guint
verify(gnutls_x509_trust_list_t list, gnutls_x509_crt_t *chain, guint n_chain, const char *purpose)
{
    gnutls_typed_vdata_st wanted = {GNUTLS_DT_KEY_PURPOSE_OID, (unsigned char *)purpose, 0};
    unsigned status = 0;
    int result = gnutls_x509_trust_list_verify_crt2(list, chain, n_chain, &wanted, 1, VERIFY_FLAGS,
                                                    &status, NULL);

    return result < 0 ? GNUTLS_CERT_INVALID : status;
}

/**
 * kd_tls_anchors_verify:
 * @anchors: anchors
 * @chain: as shown, its own certificate first; may be sorted anew
 * @n_chain: how many
 * @purpose: %GNUTLS_KP_TLS_WWW_SERVER or %GNUTLS_KP_TLS_WWW_CLIENT
 *
 * Looks for a way from a certificate to an anchor.
 *
 * Returns: what is wrong: #gnutls_certificate_status_t; 0: nothing
 */
guint
kd_tls_anchors_verify(KdTlsAnchors *anchors, gnutls_x509_crt_t *chain, guint n_chain,
                      const char *purpose)
{
    guint status =
        anchors->own != NULL ? verify(anchors->own, chain, n_chain, purpose) : GNUTLS_CERT_INVALID;

    if ((status & GNUTLS_CERT_SIGNER_NOT_FOUND) != 0 && anchors->has_system &&
        get_system_list() != NULL) {
        status = verify(get_system_list(), chain, n_chain, purpose);
    }
    return status;
}
