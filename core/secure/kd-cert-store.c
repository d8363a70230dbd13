/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where certificates and their keys lie: a user's folder, the machine's, or a PKCS #11 token. */
#include "kd-cert-store.h"

#include "kd-cert-folders.h"
#include "kd-cert-maker.h"
#include "kd-secret.h"
#include "kd-thumbprint.h"

#include <kdsrv/kd-plugin.h>

#include <glib/gstdio.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Most characters of a common name (RFC 5280, appendix A.1) */
#define MAX_NAME_CHARS 64

/* What would be something else in a string (`,`), a path (`/`), a pattern or a shell's line */
static gboolean
is_name_letter(gunichar letter)
{
    return g_unichar_isalnum(letter) ||
           (letter < 0x80 && letter != 0 && strchr(" ._-+:", (int)letter) != NULL);
}

/**
 * kd_cert_store_check_name:
 * @name: of a certificate to be made
 * @error: %KD_ERROR_PARAM_INVALID: why it can't be a name
 *
 * A name is that of two files, and what `certuser=` finds: letters, digits, spaces and `._-+`, at
 * most 64 characters; or an address.
 *
 * Returns: whether @name will do
 */
gboolean
kd_cert_store_check_name(const char *name, GError **error)
{
    g_autofree char *digits = kd_thumbprint_parse(name);
    const char *fault = NULL;

    if (!g_utf8_validate(name, -1, NULL) || *name == '\0') {
        fault = *name == '\0' ? "it is empty" : "it is not UTF-8";
    } else if (g_utf8_strlen(name, -1) > MAX_NAME_CHARS) {
        fault = "it has more than 64 characters";
    } else if (*name == '.' || *name == '-' || *name == ' ') {
        fault = "it begins with a dot, a dash or a space";
    } else if (digits != NULL || kd_thumbprint_count_torn(name) > 0) {
        fault = "it looks like a thumbprint";
    } else if (strchr(name, ':') != NULL && !g_hostname_is_ip_address(name)) {
        fault = "it has a colon, and is no address";
    }
    for (const char *at = name; fault == NULL && *at != '\0'; at = g_utf8_next_char(at)) {
        fault = is_name_letter(g_utf8_get_char(at))
                    ? NULL
                    : "only letters, digits, spaces and ._-+ can stand in it";
    }
    if (fault != NULL) {
        g_autofree char *shown = g_utf8_make_valid(name, -1);
        for (char *at = shown; *at != '\0'; at++) {
            *at = g_ascii_iscntrl(*at) ? '?' : *at;
        }
        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                    "`%.80s`: not a name of a certificate: %s", shown, fault);
    }
    return fault == NULL;
}

/**
 * kd_cert_store_build_paths:
 * @store: where
 * @name: of a certificate
 * @cert_path: (out) (transfer full): where kd_cert_store_make() puts the certificate
 * @key_path: (out) (transfer full): and its key
 *
 * Says where the two files are.
 */
void
kd_cert_store_build_paths(KdCertStore store, const char *name, char **cert_path, char **key_path)
{
    g_autofree char *certs = kd_cert_folders_build_certs(store);
    g_autofree char *keys = kd_cert_folders_build_keys(store);
    g_autofree char *cert_name = g_strconcat(name, ".crt", NULL);
    g_autofree char *key_name = g_strconcat(name, ".key", NULL);

    *cert_path = g_build_filename(certs, cert_name, NULL);
    *key_path = g_build_filename(keys, key_name, NULL);
}

static gboolean
set_errno_error(GError **error, const char *path, int code)
{
    g_set_error(error, G_IO_ERROR, g_io_error_from_errno(code), "%s: %s%s", path, g_strerror(code),
                code == EEXIST ? "; choose another name or delete it" : "");
    return FALSE;
}

/* With these permissions whatever the umask: others must be able to read the machine's
 * certificates. One that is there already stays as it is. */
static gboolean
make_one_folder(const char *folder, int mode, GError **error)
{
    if (g_mkdir(folder, mode) == 0) {
        (void)g_chmod(folder, mode);
    } else if (errno != EEXIST) {
        return set_errno_error(error, folder, errno);
    }
    return TRUE;
}

/* `kdsrv`, and the folder in it */
static gboolean
make_folders(const char *file, int mode, gboolean is_user, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(file);
    g_autofree char *ours = g_path_get_dirname(folder);
    g_autofree char *above = g_path_get_dirname(ours);

    if (g_mkdir_with_parents(above, 0700) < 0) {
        return set_errno_error(error, above, errno);
    }
    return make_one_folder(ours, is_user ? 0700 : 0755, error) &&
           make_one_folder(folder, mode, error);
}

/* A new file with all of the text in it, or none */
static gboolean
write_file(const char *path, mode_t mode, const char *text, GError **error)
{
    gsize len = strlen(text), n = 0;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);

    if (fd < 0) {
        return set_errno_error(error, path, errno);
    }
    (void)fchmod(fd, mode);
    while (n < len) {
        ssize_t written = write(fd, text + n, len - n);
        if (written < 0 && errno != EINTR) {
            break;
        }
        n += written > 0 ? (gsize)written : 0;
    }
    if (n < len || fsync(fd) < 0) {
        set_errno_error(error, path, errno);
        close(fd);
        g_unlink(path);
        return FALSE;
    }
    close(fd);
    return TRUE;
}

static gboolean
write_pair(KdCertStore store, const char *name, const KdCertPair *pair, GError **error)
{
    g_autofree char *cert_path = NULL;
    g_autofree char *key_path = NULL;
    const gboolean is_user = store == KD_CERT_STORE_USER;

    kd_cert_store_build_paths(store, name, &cert_path, &key_path);
    if (!make_folders(cert_path, is_user ? 0700 : 0755, is_user, error) ||
        !make_folders(key_path, 0700, is_user, error)) {
        return FALSE;
    }
    if (g_file_test(cert_path, G_FILE_TEST_EXISTS)) {
        return set_errno_error(error, cert_path, EEXIST);
    }
    if (!write_file(key_path, 0600, kd_secret_get_text(pair->key_pem), error)) {
        return FALSE;
    }
    if (!write_file(cert_path, is_user ? 0600 : 0644, pair->cert_pem, error)) {
        g_unlink(key_path);
        return FALSE;
    }
    return TRUE;
}

/**
 * kd_cert_store_make:
 * @store: where to put it
 * @name: of the certificate: common name and DNS name, or address
 * @error: %KD_ERROR_PARAM_INVALID: not a name; %G_IO_ERROR_EXISTS: there is one already; other
 *    G_IO_ERROR_*, %KD_ERROR_TLS
 *
 * Makes a key and a self-signed certificate for a server, good for ten years. The key is a file
 * that nobody else has ever had access to; in the machine's store it is in a folder of root's.
 *
 * Returns: (transfer full) (nullable): its SHA-256 thumbprint, 64 hex digits
 */
char *
kd_cert_store_make(KdCertStore store, const char *name, GError **error)
{
    KdCertPair pair = {0};

    if (!kd_cert_store_check_name(name, error) || !kd_cert_maker_make(name, &pair, error)) {
        return NULL;
    }
    char *sha256 = write_pair(store, name, &pair, error) ? g_strdup(pair.sha256) : NULL;
    kd_cert_pair_clear(&pair);
    return sha256;
}
