/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys and certificates for one case, made by certtool in a folder of its own. */
#include "kd-cert-shop.h"

#include <glib/gstdio.h>
#include <gnutls/x509.h>

#include <string.h>

/**
 * kd_shop_is_closed:
 *
 * Returns: whether there is no certtool, so that the case was skipped
 */
gboolean
kd_shop_is_closed(void)
{
    g_autofree char *path = g_find_program_in_path("certtool");

    if (path == NULL) {
        g_test_skip("there is no certtool");
    }
    return path == NULL;
}

/**
 * kd_shop_get_folder:
 *
 * Returns: (transfer none): of this case alone, removed with it
 */
const char *
kd_shop_get_folder(void)
{
    g_assert_cmpint(g_mkdir_with_parents(g_get_user_data_dir(), 0700), ==, 0);
    return g_get_user_data_dir();
}

/**
 * kd_shop_build_path:
 * @name: of a certificate
 * @suffix: `.crt`, `.key` and so on
 *
 * Returns: (transfer full): its file
 */
char *
kd_shop_build_path(const char *name, const char *suffix)
{
    g_autofree char *file = g_strconcat(name, suffix, NULL);

    return g_build_filename(kd_shop_get_folder(), file, NULL);
}

/**
 * kd_shop_run:
 * @argv: a command
 *
 * Runs it, and fails when it does.
 */
void
kd_shop_run(const char *const *argv)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *text = NULL;
    int status = 0;

    g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL, NULL,
                 NULL, NULL, &text, &status, &error);
    g_assert_no_error(error);
    if (!g_spawn_check_wait_status(status, &error)) {
        g_error("%s: %s: %s", argv[0], error->message, text);
    }
}

/**
 * kd_shop_make_key:
 * @name: of the certificate to come
 * @kind: (nullable): options of certtool; %NULL: P-256
 *
 * Makes a key.
 */
void
kd_shop_make_key(const char *name, const char *kind)
{
    g_autofree char *path = kd_shop_build_path(name, ".key");
    g_auto(GStrv) options =
        g_strsplit(kind != NULL ? kind : "--key-type=ecdsa --curve=secp256r1", " ", -1);
    g_autoptr(GPtrArray) argv = g_ptr_array_new();

    g_ptr_array_add(argv, (char *)"certtool");
    g_ptr_array_add(argv, (char *)"--generate-privkey");
    for (char **at = options; *at != NULL; at++) {
        g_ptr_array_add(argv, *at);
    }
    g_ptr_array_add(argv, (char *)"--outfile");
    g_ptr_array_add(argv, path);
    g_ptr_array_add(argv, NULL);
    kd_shop_run((const char *const *)argv->pdata);
    g_assert_cmpint(g_chmod(path, 0600), ==, 0);
}

/**
 * kd_shop_write:
 * @path: of a file
 * @text: what is to be in it
 * @mode: its permissions
 *
 * Writes a file.
 */
void
kd_shop_write(const char *path, const char *text, int mode)
{
    g_autoptr(GError) error = NULL;

    g_file_set_contents(path, text, -1, &error);
    g_assert_no_error(error);
    g_assert_cmpint(g_chmod(path, mode), ==, 0);
}

static char *
write_template(const char *name, const char *lines)
{
    static guint serial = 1;
    char *path = kd_shop_build_path(name, ".cfg");
    g_autofree char *text =
        g_strdup_printf("serial = %u\n%s%s", serial++, lines,
                        strstr(lines, "expiration_date") == NULL ? "expiration_days = 30\n" : "");

    kd_shop_write(path, text, 0600);
    return path;
}

/**
 * kd_shop_sign:
 * @name: of the certificate; there is a key
 * @issuer: (nullable): who signs; %NULL: it does so itself
 * @lines: of certtool's template
 * @hash: `SHA256`
 *
 * Makes a certificate.
 */
void
kd_shop_sign(const char *name, const char *issuer, const char *lines, const char *hash)
{
    g_autofree char *template = write_template(name, lines);
    g_autofree char *key = kd_shop_build_path(name, ".key");
    g_autofree char *cert = kd_shop_build_path(name, ".crt");
    g_autofree char *issuer_key = kd_shop_build_path(issuer != NULL ? issuer : name, ".key");
    g_autofree char *issuer_cert = kd_shop_build_path(issuer != NULL ? issuer : name, ".crt");
    const char *by_itself[] = {"certtool",
                               "--generate-self-signed",
                               "--load-privkey",
                               key,
                               "--template",
                               template,
                               "--hash",
                               hash,
                               "--outfile",
                               cert,
                               NULL};
    const char *by_issuer[] = {"certtool",
                               "--generate-certificate",
                               "--load-privkey",
                               key,
                               "--load-ca-privkey",
                               issuer_key,
                               "--load-ca-certificate",
                               issuer_cert,
                               "--template",
                               template,
                               "--hash",
                               hash,
                               "--outfile",
                               cert,
                               NULL};

    kd_shop_run(issuer != NULL ? by_issuer : by_itself);
}

/**
 * kd_shop_make:
 * @name: of the certificate
 * @issuer: (nullable): who signs; %NULL: it does so itself
 * @lines: of certtool's template
 *
 * Makes a P-256 key and a certificate.
 */
void
kd_shop_make(const char *name, const char *issuer, const char *lines)
{
    kd_shop_make_key(name, NULL);
    kd_shop_sign(name, issuer, lines, "SHA256");
}

/**
 * kd_shop_revoke:
 * @issuer: who revokes; gets a list `ISSUER.crl`
 * @name: what is revoked
 * @lines: of the list's template
 *
 * Makes a revocation list.
 */
void
kd_shop_revoke(const char *issuer, const char *name, const char *lines)
{
    g_autofree char *template = kd_shop_build_path("crl", ".cfg");
    g_autofree char *key = kd_shop_build_path(issuer, ".key");
    g_autofree char *cert = kd_shop_build_path(issuer, ".crt");
    g_autofree char *list = kd_shop_build_path(issuer, ".crl");
    g_autofree char *revoked = kd_shop_build_path(name, ".crt");
    const char *argv[] = {"certtool",
                          "--generate-crl",
                          "--load-ca-privkey",
                          key,
                          "--load-ca-certificate",
                          cert,
                          "--load-certificate",
                          revoked,
                          "--template",
                          template,
                          "--outfile",
                          list,
                          NULL};

    kd_shop_write(template, lines, 0600);
    kd_shop_run(argv);
}

/**
 * kd_shop_append:
 * @name: a certificate, whose file becomes longer
 * @other: the certificate that is put behind it
 *
 * Makes a chain.
 */
void
kd_shop_append(const char *name, const char *other)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = kd_shop_build_path(name, ".crt");
    g_autofree char *other_path = kd_shop_build_path(other, ".crt");
    g_autofree char *text = NULL;
    g_autofree char *other_text = NULL;

    g_file_get_contents(path, &text, NULL, &error);
    g_assert_no_error(error);
    g_file_get_contents(other_path, &other_text, NULL, &error);
    g_assert_no_error(error);
    g_autofree char *both = g_strconcat(text, other_text, NULL);
    kd_shop_write(path, both, 0600);
}

static void
copy(const char *name, const char *suffix, const char *folder, const char *store_name)
{
    g_autofree char *from = kd_shop_build_path(name, suffix);
    g_autofree char *file = g_strconcat(store_name, suffix, NULL);
    g_autofree char *to = g_build_filename(folder, file, NULL);
    g_autofree char *text = NULL;

    if (g_file_get_contents(from, &text, NULL, NULL)) {
        kd_shop_write(to, text, 0600);
    }
}

/**
 * kd_shop_put:
 * @name: a certificate
 * @store_name: how its files are called in the user's store
 *
 * Puts a certificate and its key, if there is one, into the user's store.
 */
void
kd_shop_put(const char *name, const char *store_name)
{
    g_autofree char *folder = g_build_filename(g_get_user_config_dir(), "kdsrv", "certs", NULL);

    g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
    copy(name, ".crt", folder, store_name);
    copy(name, ".key", folder, store_name);
}

/**
 * kd_shop_read_thumbprint:
 * @path: of a certificate
 * @is_sha1: SHA-1 instead of SHA-256
 *
 * Returns: (transfer full): its thumbprint, by GnuTLS alone
 */
char *
kd_shop_read_thumbprint(const char *path, gboolean is_sha1)
{
    g_autofree char *text = NULL;
    g_autoptr(GString) digits = g_string_new(NULL);
    guint8 hash[32];
    size_t len = sizeof hash;
    gsize text_len = 0;
    gnutls_x509_crt_t crt = NULL;

    g_assert_true(g_file_get_contents(path, &text, &text_len, NULL));
    gnutls_datum_t pem = {(unsigned char *)text, (unsigned)text_len};
    g_assert_cmpint(gnutls_x509_crt_init(&crt), >=, 0);
    g_assert_cmpint(gnutls_x509_crt_import(crt, &pem, GNUTLS_X509_FMT_PEM), >=, 0);
    g_assert_cmpint(gnutls_x509_crt_get_fingerprint(
                        crt, is_sha1 ? GNUTLS_DIG_SHA1 : GNUTLS_DIG_SHA256, hash, &len),
                    >=, 0);
    gnutls_x509_crt_deinit(crt);
    for (gsize i = 0; i < len; i++) {
        g_string_append_printf(digits, "%02x", hash[i]);
    }
    return g_string_free(g_steal_pointer(&digits), FALSE);
}

/**
 * kd_shop_assert_words:
 * @text: a message
 * @words: that must be in it, separated by `|`
 *
 * Fails the case, and says what is missing.
 */
void
kd_shop_assert_words(const char *text, const char *words)
{
    g_auto(GStrv) wanted = g_strsplit(words, "|", -1);

    g_assert_null(strpbrk(text, "\n\x1b"));
    for (char **word = wanted; *word != NULL; word++) {
        if (strstr(text, *word) == NULL) {
            g_test_message("no `%s` in: %s", *word, text);
            g_test_fail();
        }
    }
}
