/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whom we let vouch for others' certificates: read once, asked often. */
#include "kd-tls-anchors.h"

#include "kd-cert-file.h"
#include "kd-tls-text.h"

#include <kdsrv/kd-plugin.h>

#include <string.h>

/* Files of one folder that are read */
#define MAX_FILES 1024u

/* At least 112 bits, so RSA of 2048 and no SHA-1, for all certificates on the way to an anchor */
#define VERIFY_FLAGS GNUTLS_PROFILE_TO_VFLAGS(GNUTLS_PROFILE_MEDIUM)

/* Until when a revocation list says something */
typedef struct {
    gnutls_datum_t issuer; /* its name, DER */
    gint64 end;            /* seconds; -1: it has none */
} Until;

struct KdTlsAnchors {
    gnutls_x509_trust_list_t own;
    GArray *untils;
    gboolean has_system;
};

static void
clear_until(gpointer item)
{
    gnutls_free(((Until *)item)->issuer.data);
}

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
    anchors->untils = g_array_new(FALSE, TRUE, sizeof(Until));
    g_array_set_clear_func(anchors->untils, clear_until);
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
        g_array_unref(anchors->untils);
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
        kd_tls_text_set_error(error, status, "%s: no certificate in PEM form", path);
        return FALSE;
    }
    *n_added += n;
    return TRUE;
}

/* GnuTLS asks once, when a list is added, whether it is out of date; we ask each time. */
static void
add_until(KdTlsAnchors *anchors, gnutls_x509_crl_t list)
{
    Until until = {.end = gnutls_x509_crl_get_next_update(list)};

    if (gnutls_x509_crl_get_raw_issuer_dn(list, &until.issuer) >= 0) {
        g_array_append_val(anchors->untils, until);
    }
}

/* Whether an anchor has signed it, be it out of date or not */
static gboolean
is_signed(const KdTlsAnchors *anchors, gnutls_x509_crl_t list)
{
    const unsigned of_time =
        GNUTLS_CERT_REVOCATION_DATA_SUPERSEDED | GNUTLS_CERT_REVOCATION_DATA_ISSUED_IN_FUTURE;
    gnutls_x509_trust_list_iter_t iter = NULL;
    gnutls_x509_crt_t anchor = NULL;
    gboolean is_found = FALSE;

    while (!is_found && gnutls_x509_trust_list_iter_get_ca(anchors->own, &iter, &anchor) >= 0) {
        unsigned status = 0;
        is_found = gnutls_x509_crl_check_issuer(list, anchor) != 0 &&
                   gnutls_x509_crl_verify(list, &anchor, 1, 0, &status) >= 0 &&
                   (status & ~(of_time | GNUTLS_CERT_INVALID)) == 0 &&
                   ((status & of_time) != 0 || status == 0);
        gnutls_x509_crt_deinit(anchor);
    }
    if (iter != NULL) {
        gnutls_x509_trust_list_iter_deinit(iter);
    }
    return is_found;
}

/* Takes the list in any case. */
static gboolean
add_list(KdTlsAnchors *anchors, gnutls_x509_crl_t list, const char *path, GError **error)
{
    if (!is_signed(anchors, list)) {
        g_set_error(error, KD_ERROR, KD_ERROR_TLS,
                    "%s: a revocation list that none of the anchors has signed", path);
        gnutls_x509_crl_deinit(list);
        return FALSE;
    }
    add_until(anchors, list);
    if (gnutls_x509_trust_list_add_crls(anchors->own, &list, 1, 0, 0) < 1) {
        g_set_error(error, KD_ERROR, KD_ERROR_TLS, "%s: a revocation list that is of no use", path);
        return FALSE;
    }
    return TRUE;
}

/* Lists of what was revoked count for the anchors that were read before, so they come second. */
static gboolean
add_lists(KdTlsAnchors *anchors, const gnutls_datum_t *pem, const char *path, GError **error)
{
    gnutls_x509_crl_t *lists = NULL;
    unsigned n = 0;
    int status = gnutls_x509_crl_list_import2(&lists, &n, pem, GNUTLS_X509_FMT_PEM, 0);
    gboolean is_fine = TRUE;

    if (status < 0) {
        kd_tls_text_set_error(error, status, "%s: no revocation list in PEM form", path);
        return FALSE;
    }
    for (unsigned i = 0; i < n; i++) {
        if (is_fine) {
            is_fine = add_list(anchors, lists[i], path, error);
        } else {
            gnutls_x509_crl_deinit(lists[i]);
        }
    }
    gnutls_free(lists);
    return is_fine;
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
    const char *name;

    if (!g_file_test(path, G_FILE_TEST_IS_DIR)) {
        g_ptr_array_add(paths, g_strdup(path));
        return g_steal_pointer(&paths);
    }
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    if (dir == NULL) {
        g_set_error(error, KD_ERROR, KD_ERROR_TLS, "%s: the folder can't be read", path);
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

static gboolean
is_issued_by(gnutls_x509_crt_t crt, const gnutls_datum_t *issuer)
{
    gnutls_datum_t own = {NULL, 0};

    if (gnutls_x509_crt_get_raw_issuer_dn(crt, &own) < 0) {
        return FALSE;
    }
    gboolean is_equal = own.size == issuer->size && memcmp(own.data, issuer->data, own.size) == 0;
    gnutls_free(own.data);
    return is_equal;
}

/* Whether one of those that vouch has a list that is out of date */
static gboolean
has_old_list(const KdTlsAnchors *anchors, gnutls_x509_crt_t *chain, guint n_chain)
{
    gint64 now = g_get_real_time() / G_USEC_PER_SEC;

    for (guint i = 0; i < anchors->untils->len; i++) {
        const Until *until = &g_array_index(anchors->untils, Until, i);
        for (guint k = 0; k < n_chain && until->end >= 0 && until->end < now; k++) {
            if (is_issued_by(chain[k], &until->issuer)) {
                return TRUE;
            }
        }
    }
    return FALSE;
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
        return verify(get_system_list(), chain, n_chain, purpose);
    }
    return status |
           (has_old_list(anchors, chain, n_chain) ? GNUTLS_CERT_REVOCATION_DATA_SUPERSEDED : 0);
}

/* Whether a certificate could be asked about limits, and has its own added if there are any */
static gboolean
add_limits(gnutls_x509_name_constraints_t limits, gnutls_x509_crt_t crt)
{
    int status = gnutls_x509_crt_get_name_constraints(crt, limits,
                                                      GNUTLS_NAME_CONSTRAINTS_FLAG_APPEND, NULL);

    return status >= 0 || status == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE;
}

/* The same of the anchor that has signed it, if one has */
static gboolean
add_limits_of_anchor(gnutls_x509_name_constraints_t limits, gnutls_x509_trust_list_t list,
                     gnutls_x509_crt_t crt)
{
    gnutls_x509_crt_t anchor = NULL;

    if (list == NULL ||
        gnutls_x509_trust_list_get_issuer(list, crt, &anchor, GNUTLS_TL_GET_COPY) < 0) {
        return TRUE;
    }
    gboolean is_added = add_limits(limits, anchor);
    gnutls_x509_crt_deinit(anchor);
    return is_added;
}

/**
 * kd_tls_anchors_allow_name:
 * @anchors: anchors
 * @chain: that kd_tls_anchors_verify() has found right
 * @n_chain: how many
 * @name: common name of the first
 *
 * GnuTLS holds DNS names against what issuers may sign (RFC 5280, 4.2.1.10), and a common name only
 * where there is no DNS name.
 *
 * Returns: whether the issuers may sign for @name
 */
gboolean
kd_tls_anchors_allow_name(const KdTlsAnchors *anchors, const gnutls_x509_crt_t *chain,
                          guint n_chain, const char *name)
{
    gnutls_datum_t text = {(unsigned char *)name, (unsigned)strlen(name)};
    gnutls_x509_name_constraints_t limits = NULL;
    gboolean is_complete = gnutls_x509_name_constraints_init(&limits) >= 0;

    for (guint i = 0; is_complete && i < n_chain; i++) {
        is_complete =
            (i == 0 || add_limits(limits, chain[i])) &&
            add_limits_of_anchor(limits, anchors->own, chain[i]) &&
            (!anchors->has_system || add_limits_of_anchor(limits, get_system_list(), chain[i]));
    }
    gboolean is_allowed =
        is_complete && gnutls_x509_name_constraints_check(limits, GNUTLS_SAN_DNSNAME, &text) != 0;
    g_clear_pointer(&limits, gnutls_x509_name_constraints_deinit);
    return is_allowed;
}
