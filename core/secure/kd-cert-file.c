/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Certificates and keys in PEM files. */
#include "kd-cert-file.h"

#include "kd-tls-text.h"

#include <kdsrv/kd-plugin.h>

#include <glib/gstdio.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void
set_errno_error(GError **error, const char *path, int code)
{
    g_set_error(error, G_IO_ERROR, g_io_error_from_errno(code), "%s: %s", path, g_strerror(code));
}

/* A key that others can read is no secret; one of another user's is his. */
static gboolean
check_private(const char *path, const struct stat *status, GError **error)
{
    if (status->st_uid != 0 && status->st_uid != geteuid()) {
        g_set_error(error, KD_ERROR, KD_ERROR_TLS,
                    "%s: belongs to user %u, neither to root nor to the user that runs this; run "
                    "chown on it",
                    path, (unsigned)status->st_uid);
        return FALSE;
    }
    if ((status->st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        g_set_error(error, KD_ERROR, KD_ERROR_TLS,
                    "%s: others than its owner have access to it (mode %04o); run chmod 600 %s",
                    path, (unsigned)(status->st_mode & 07777), path);
        return FALSE;
    }
    return TRUE;
}

static gboolean
check_status(const char *path, const struct stat *status, gboolean is_private, GError **error)
{
    if (!S_ISREG(status->st_mode)) {
        g_set_error(error, KD_ERROR, KD_ERROR_TLS, "%s: not a regular file", path);
        return FALSE;
    }
    if (status->st_size > (off_t)KD_CERT_FILE_MAX_BYTES) {
        g_set_error(error, KD_ERROR, KD_ERROR_TLS, "%s: longer than %u bytes", path,
                    KD_CERT_FILE_MAX_BYTES);
        return FALSE;
    }
    return !is_private || check_private(path, status, error);
}

/* As many bytes as it had when it was opened; a file that grows meanwhile is none of ours */
static KdSecret *
read_bytes(int fd, gsize len_bytes, const char *path, GError **error)
{
    g_autofree char *bytes = g_malloc0(len_bytes + 1);
    gsize n = 0;

    while (n < len_bytes) {
        ssize_t got = read(fd, bytes + n, len_bytes - n);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            set_errno_error(error, path, errno);
            kd_secret_wipe(bytes, len_bytes);
            return NULL;
        }
        if (got == 0) {
            break;
        }
        n += (gsize)got;
    }
    KdSecret *content = kd_secret_new(bytes, (gssize)n);
    kd_secret_wipe(bytes, len_bytes);
    return content;
}

/**
 * kd_cert_file_read:
 * @path: of a regular file of at most %KD_CERT_FILE_MAX_BYTES
 * @is_private: whether nobody but us and root may have access to it
 * @error: G_IO_ERROR_*, or %KD_ERROR_TLS: it is not such a file
 *
 * Returns: (transfer full) (nullable): what is in it
 */
KdSecret *
kd_cert_file_read(const char *path, gboolean is_private, GError **error)
{
    struct stat status = {0};
    /* never waits for the other end of a pipe that somebody has put there */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0 || fstat(fd, &status) < 0) {
        set_errno_error(error, path, errno);
        if (fd >= 0) {
            close(fd);
        }
        return NULL;
    }
    KdSecret *content = check_status(path, &status, is_private, error)
                            ? read_bytes(fd, (gsize)status.st_size, path, error)
                            : NULL;
    close(fd);
    return content;
}

static char *
build_base(const char *path)
{
    char *base = g_path_get_basename(path);
    char *dot = strrchr(base, '.');

    if (dot != NULL && dot != base) {
        *dot = '\0';
    }
    return base;
}

/* Whether something is there; what is hidden by permissions is told when it is opened */
static gboolean
is_there(const char *path)
{
    GStatBuf status = {0};

    return g_stat(path, &status) == 0 || errno == EACCES;
}

static char *
find_key_path(const char *path, const char *base, const char *key_folder, const KdSecret *content)
{
    g_autofree char *folder = g_path_get_dirname(path);
    g_autofree char *name = g_strconcat(base, ".key", NULL);
    g_autofree char *beside = g_build_filename(folder, name, NULL);

    if (strstr(kd_secret_get_text(content), "PRIVATE KEY-----") != NULL) {
        return g_strdup(path);
    }
    if (key_folder != NULL) {
        g_autofree char *apart = g_build_filename(key_folder, name, NULL);
        if (is_there(apart)) {
            return g_steal_pointer(&apart);
        }
    }
    return is_there(beside) ? g_steal_pointer(&beside) : NULL;
}

static gboolean
import_chain(KdCert *cert, const KdSecret *content, GError **error)
{
    gnutls_datum_t pem = {(unsigned char *)kd_secret_get_text(content),
                          (unsigned)kd_secret_get_len(content)};
    unsigned n = KD_CERT_MAX_CHAIN;
    int status = gnutls_x509_crt_list_import(cert->chain, &n, &pem, GNUTLS_X509_FMT_PEM,
                                             GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);

    if (status == GNUTLS_E_SHORT_MEMORY_BUFFER) {
        g_set_error(error, KD_ERROR, KD_ERROR_TLS, "%s: more than %u certificates", cert->origin,
                    KD_CERT_MAX_CHAIN);
        return FALSE;
    }
    if (status <= 0) {
        kd_tls_text_set_error(error, status < 0 ? status : GNUTLS_E_NO_CERTIFICATE_FOUND,
                              "%s: no certificate in PEM form", cert->origin);
        return FALSE;
    }
    cert->n_chain = (guint)status;
    return TRUE;
}

/**
 * kd_cert_file_load:
 * @path: of a PEM file: a certificate, those that vouch for it, its key if it is there, too
 * @key_folder: (nullable): where its key may be; beside it otherwise
 * @error: G_IO_ERROR_*, or %KD_ERROR_TLS: it has no certificate
 *
 * Reads a certificate, and finds where its key is without reading that.
 *
 * Returns: (transfer full) (nullable): the certificate
 */
KdCert *
kd_cert_file_load(const char *path, const char *key_folder, GError **error)
{
    g_autoptr(KdSecret) content = kd_cert_file_read(path, FALSE, error);
    g_autoptr(KdCert) cert = kd_cert_new(path);

    if (content == NULL || !import_chain(cert, content, error)) {
        return NULL;
    }
    cert->base = build_base(path);
    cert->key_path = find_key_path(path, cert->base, key_folder, content);
    return g_steal_pointer(&cert);
}

/**
 * kd_cert_file_load_key:
 * @path: of a PEM file with a key that is not encrypted
 * @error: G_IO_ERROR_*, or %KD_ERROR_TLS: others have access to it, or it has no key
 *
 * Returns: (transfer full) (nullable): the key
 */
gnutls_privkey_t
kd_cert_file_load_key(const char *path, GError **error)
{
    g_autoptr(KdSecret) content = kd_cert_file_read(path, TRUE, error);
    gnutls_privkey_t key = NULL;

    if (content == NULL) {
        return NULL;
    }
    const char *text = kd_secret_get_text(content);
    if (strstr(text, "BEGIN ENCRYPTED PRIVATE KEY") != NULL ||
        strstr(text, "Proc-Type: 4,ENCRYPTED") != NULL) {
        g_set_error(error, KD_ERROR, KD_ERROR_TLS,
                    "%s: the key is encrypted, and there is nobody to ask for its pass phrase; "
                    "decrypt it with openssl pkey, or keep it in a token",
                    path);
        return NULL;
    }
    gnutls_datum_t pem = {(unsigned char *)text, (unsigned)kd_secret_get_len(content)};
    int status = gnutls_privkey_init(&key);
    if (status >= 0) {
        status = gnutls_privkey_import_x509_raw(key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0);
    }
    if (status < 0) {
        kd_tls_text_set_error(error, status, "%s: no private key in PEM form", path);
        g_clear_pointer(&key, gnutls_privkey_deinit);
    }
    return key;
}
