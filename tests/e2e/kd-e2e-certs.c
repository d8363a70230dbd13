/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys and certificates for one test, made by certtool when they are needed. */
#include "kd-e2e-certs.h"

#include <glib/gstdio.h>

#include <string.h>

#define BEGIN "-----BEGIN CERTIFICATE-----"
#define END   "-----END CERTIFICATE-----"

/**
 * kd_e2e_certs_are_missing:
 *
 * Skips the test if certificates can't be made here.
 *
 * Returns: whether it was skipped
 */
gboolean
kd_e2e_certs_are_missing(void)
{
    return kd_e2e_is_missing("certtool");
}

/**
 * kd_e2e_certs_build_path:
 * @suffix: `crt`, `key`
 *
 * Returns: (transfer full): where it lies
 */
char *
kd_e2e_certs_build_path(const char *folder, const char *name, const char *suffix)
{
    g_autofree char *file = g_strconcat(name, ".", suffix, NULL);

    return g_build_filename(folder, file, NULL);
}

static void
run(const char *const *argv)
{
    g_autoptr(KdE2eProgram) certtool = kd_e2e_program_new(argv, NULL);
    int status = kd_e2e_program_wait(certtool);

    if (status != 0) {
        g_error("certtool: %s", kd_e2e_program_get_text(certtool, KD_E2E_STDERR));
    }
}

static void
make_key(const char *path)
{
    const char *const argv[] = {"certtool",  "--generate-privkey", "--key-type=ecdsa", "--curve",
                                "secp256r1", "--no-text",          "--outfile",        path,
                                NULL};

    run(argv);
    g_assert_cmpint(g_chmod(path, 0600), ==, 0);
}

/**
 * kd_e2e_certs_make:
 * @folder: where to put NAME.key and NAME.crt; made if it is not there
 * @name: of the files
 * @issuer: (nullable): name of the one in the same folder that signs it; %NULL: itself
 * @lines: of a template of certtool's. What says nothing of its validity is valid for a month
 *
 * Makes a key and its certificate.
 */
void
kd_e2e_certs_make(const char *folder, const char *name, const char *issuer, const char *lines)
{
    g_autofree char *key = kd_e2e_certs_build_path(folder, name, "key");
    g_autofree char *cert = kd_e2e_certs_build_path(folder, name, "crt");
    g_autofree char *template = kd_e2e_certs_build_path(folder, name, "template");
    g_autofree char *text = g_strconcat(
        lines, strstr(lines, "expiration_") == NULL ? "expiration_days = 30\n" : "", NULL);
    g_autoptr(GError) error = NULL;

    g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
    g_assert_true(g_file_set_contents(template, text, -1, &error));
    g_assert_no_error(error);
    make_key(key);
    if (issuer == NULL) {
        const char *const argv[] = {"certtool",       "--generate-self-signed",
                                    "--load-privkey", key,
                                    "--template",     template,
                                    "--outfile",      cert,
                                    "--no-text",      NULL};

        run(argv);
    } else {
        g_autofree char *ca_key = kd_e2e_certs_build_path(folder, issuer, "key");
        g_autofree char *ca_cert = kd_e2e_certs_build_path(folder, issuer, "crt");
        const char *const argv[] = {"certtool",
                                    "--generate-certificate",
                                    "--load-privkey",
                                    key,
                                    "--load-ca-privkey",
                                    ca_key,
                                    "--load-ca-certificate",
                                    ca_cert,
                                    "--template",
                                    template,
                                    "--outfile",
                                    cert,
                                    "--no-text",
                                    NULL};

        run(argv);
    }
    g_assert_cmpint(g_unlink(template), ==, 0);
}

/**
 * kd_e2e_certs_get_sha256:
 *
 * Returns: (transfer full): the thumbprint of a certificate, 64 hex digits
 */
char *
kd_e2e_certs_get_sha256(const char *folder, const char *name)
{
    g_autofree char *path = kd_e2e_certs_build_path(folder, name, "crt");
    g_autofree char *text = NULL;
    g_autofree guchar *der = NULL;
    g_autoptr(GError) error = NULL;
    char *end;
    gsize len = 0;

    g_assert_true(g_file_get_contents(path, &text, NULL, &error));
    g_assert_no_error(error);
    end = strstr(text, END);
    g_assert_true(g_str_has_prefix(text, BEGIN) && end != NULL);
    *end = '\0';
    der = g_base64_decode(text + strlen(BEGIN), &len);
    return g_compute_checksum_for_data(G_CHECKSUM_SHA256, der, len);
}

/**
 * kd_e2e_certs_make_store:
 *
 * Makes the folder in which `certuser=` of the stage's programs looks.
 *
 * Returns: (transfer full): its path
 */
char *
kd_e2e_certs_make_store(const KdE2eStage *stage)
{
    char *path = g_build_filename(stage->folder, "config", "kdsrv", "certs", NULL);

    g_assert_cmpint(g_mkdir_with_parents(path, 0700), ==, 0);
    return path;
}
