/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Certificates in folders: made, found, and shown in a handshake. */
#include "kd-cert-folders.h"
#include "kd-cert-meeting.h"
#include "kd-cert-shop.h"
#include "kd-cert-store.h"

#include <glib/gstdio.h>

#include <string.h>
#include <sys/stat.h>

static KdTlsConfig *
new_server(const char *key, const char *text, GError **error)
{
    g_autoptr(GVariant) params = kd_meeting_new_params(key, text, NULL);

    return kd_tls_config_new(KD_TLS_SERVER, "ssl", params, error);
}

static void
assert_server(const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KdTlsConfig) config = new_server("certuser", text, &error);

    g_assert_no_error(error);
    g_assert_nonnull(config);
}

static void
assert_no_server(const char *key, const char *text, const char *words)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KdTlsConfig) config = new_server(key, text, &error);

    g_assert_null(config);
    g_assert_nonnull(error);
    g_test_message("%s", error->message);
    g_assert_false(error->domain == KD_ERROR && error->code >= KD_ERROR_PARAM_UNKNOWN &&
                   error->code <= KD_ERROR_PARAM_INVALID);
    kd_shop_assert_words(error->message, words);
}

static void
test_made_one_serves(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *sha256 = kd_cert_store_make(KD_CERT_STORE_USER, "labhost", &error);
    g_assert_no_error(error);
    g_assert_nonnull(sha256);
    g_autoptr(KdTlsConfig) server = new_server("certuser", "labhost", &error);
    g_assert_no_error(error);
    g_autoptr(GVariant) params = kd_meeting_new_params("certuser", sha256, NULL);
    g_autoptr(KdTlsConfig) client = kd_tls_config_new(KD_TLS_CLIENT, "ssl", params, &error);
    g_assert_no_error(error);
    g_auto(KdMeeting) meeting = {0};

    kd_meeting_hold(&meeting, server, client);
    g_assert_no_error(meeting.client_error);
    g_assert_true(meeting.is_met);
    g_assert_cmpstr(meeting.version, ==, "TLS1.3");
    g_assert_cmpint(meeting.client.verdict, ==, KD_TLS_TRUSTED);
    g_assert_cmpstr(meeting.client.name, ==, "labhost");
    g_assert_cmpstr(meeting.client.sha256, ==, sha256);
}

static guint
get_mode(const char *path)
{
    GStatBuf status = {0};

    g_assert_cmpint(g_stat(path, &status), ==, 0);
    return status.st_mode & 07777;
}

static void
test_made_files(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *sha256 = kd_cert_store_make(KD_CERT_STORE_USER, "labhost", &error);
    g_assert_no_error(error);
    g_assert_nonnull(sha256);
    g_autofree char *cert = NULL;
    g_autofree char *key = NULL;
    kd_cert_store_build_paths(KD_CERT_STORE_USER, "labhost", &cert, &key);
    g_autofree char *folder = g_path_get_dirname(key);
    g_autofree char *own = kd_shop_read_thumbprint(cert, FALSE);

    g_assert_cmpuint(get_mode(folder), ==, 0700);
    g_assert_cmpuint(get_mode(key), ==, 0600);
    g_assert_cmpstr(own, ==, sha256);
}

static void
test_machine_files(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *machine = g_build_filename(kd_shop_get_folder(), "etc", NULL);
    kd_cert_folders_move_machine_for_test(machine);
    (void)umask(0077);
    g_autofree char *sha256 = kd_cert_store_make(KD_CERT_STORE_MACHINE, "labhost", &error);
    g_assert_no_error(error);
    g_assert_nonnull(sha256);
    g_autofree char *cert = NULL;
    g_autofree char *key = NULL;
    kd_cert_store_build_paths(KD_CERT_STORE_MACHINE, "labhost", &cert, &key);
    g_autofree char *certs = g_path_get_dirname(cert);
    g_autofree char *keys = g_path_get_dirname(key);
    g_autoptr(KdTlsConfig) config = new_server("machuser", "labhost", &error);

    g_assert_no_error(error);
    g_assert_nonnull(config);
    g_assert_cmpuint(get_mode(machine), ==, 0755);
    g_assert_cmpuint(get_mode(certs), ==, 0755);
    g_assert_cmpuint(get_mode(cert), ==, 0644);
    g_assert_cmpuint(get_mode(keys), ==, 0700);
    g_assert_cmpuint(get_mode(key), ==, 0600);
    assert_no_server("certuser", "labhost", "no such certificate|kdsrv --make-cert labhost makes");
    assert_no_server("machuser", "none",
                     "no such certificate|kdsrv --make-cert none --machine makes");
}

static void
test_made_twice(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *first = kd_cert_store_make(KD_CERT_STORE_USER, "labhost", &error);
    g_assert_no_error(error);
    g_assert_nonnull(first);
    g_autofree char *second = kd_cert_store_make(KD_CERT_STORE_USER, "labhost", &error);

    g_assert_null(second);
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS);
    assert_server(first);
}

static void
test_names_to_make(void)
{
    static const char *const wrong[] = {
        "",         ".hidden",
        "-x",       "a/b",
        "../a",     "a,b",
        "a{b",      "a*",
        "pkcs11:x", "a\nb",
        "a\x1b[0m", "0123456789abcdef0123456789abcdef01234567",
        "\xff",     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    };

    for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *sha256 = kd_cert_store_make(KD_CERT_STORE_USER, wrong[i], &error);
        g_assert_null(sha256);
        g_assert_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID);
        g_assert_null(strpbrk(error->message, "\n\x1b"));
    }
    for (guint i = 0; i < 3; i++) {
        static const char *const right[] = {"Lab Server", "127.0.0.1", "::1"};
        g_autoptr(GError) error = NULL;
        g_autofree char *sha256 = kd_cert_store_make(KD_CERT_STORE_USER, right[i], &error);
        g_assert_no_error(error);
        g_assert_nonnull(sha256);
        assert_server(right[i]);
    }
}

static void
put_server(const char *store_name, const char *lines)
{
    kd_shop_make("server", NULL, lines);
    kd_shop_put("server", store_name);
}

static void
test_found_by_name(void)
{
    if (kd_shop_is_closed()) {
        return;
    }
    put_server("file-name", "cn = \"Lab Server\"\ndns_name = labhost.example\n"
                            "ip_address = 192.0.2.7\ntls_www_server\nsigning_key\n");
    assert_server("lab server");
    assert_server("LABHOST.example");
    assert_server("File-Name");
    assert_server("192.0.2.7");
    assert_no_server("certuser", "Lab", "no such certificate|ssl: certuser=Lab: ");
}

static void
test_found_by_thumbprint(void)
{
    if (kd_shop_is_closed()) {
        return;
    }
    put_server("labhost", KD_SHOP_SERVER);
    g_autofree char *path = kd_shop_build_path("server", ".crt");
    g_autofree char *sha1 = kd_shop_read_thumbprint(path, TRUE);
    g_autofree char *sha256 = kd_shop_read_thumbprint(path, FALSE);
    g_autofree char *upper = g_ascii_strup(sha256, -1);
    g_autofree char *pasted = g_strdup_printf("\u200e%.2s:%.2s %s", sha1, sha1 + 2, sha1 + 4);

    assert_server(sha1);
    assert_server(sha256);
    assert_server(upper);
    assert_server(pasted);
    sha256[0] = sha256[0] == '0' ? '1' : '0';
    assert_no_server("certuser", sha256, "no such certificate");
}

static void
test_found_by_path(void)
{
    if (kd_shop_is_closed()) {
        return;
    }
    kd_shop_make("server", NULL, KD_SHOP_SERVER);
    g_autofree char *path = kd_shop_build_path("server", ".crt");
    g_autofree char *key = kd_shop_build_path("server", ".key");
    g_autofree char *both = kd_shop_build_path("both", ".pem");
    g_autofree char *text = NULL;
    g_autofree char *key_text = NULL;

    assert_server(path);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_true(g_file_get_contents(key, &key_text, NULL, NULL));
    g_autofree char *joined = g_strconcat(text, key_text, NULL);
    kd_shop_write(both, joined, 0600);
    assert_server(both);
    assert_no_server("certuser", "/nowhere/x.pem", "/nowhere/x.pem: No such file");
}

static void
test_several(void)
{
    if (kd_shop_is_closed()) {
        return;
    }
    put_server("first", KD_SHOP_SERVER);
    g_autofree char *path = kd_shop_build_path("server", ".crt");
    g_autofree char *first = kd_shop_read_thumbprint(path, FALSE);
    put_server("second", KD_SHOP_SERVER);
    g_autofree char *second = kd_shop_read_thumbprint(path, FALSE);
    g_autofree char *words =
        g_strdup_printf("2 certificates match|thumbprint|%s|%s", first, second);

    assert_no_server("certuser", "labhost", words);
    assert_server("second");
    assert_server(first);
}

static void
test_only_fit(void)
{
    if (kd_shop_is_closed()) {
        return;
    }
    put_server("old", KD_SHOP_SERVER "activation_date = \"2020-01-01 00:00:00 UTC\"\n"
                                     "expiration_date = \"2021-01-01 00:00:00 UTC\"\n");
    put_server("client", "cn = labhost\ntls_www_client\nsigning_key\n");
    put_server("right", KD_SHOP_SERVER);
    assert_server("labhost");
}

static void
test_same_twice(void)
{
    if (kd_shop_is_closed()) {
        return;
    }
    put_server("b", KD_SHOP_SERVER);
    g_autofree char *key = kd_shop_build_path("server", ".key");
    g_unlink(key);
    kd_shop_put("server", "a");
    assert_server("labhost");
}

static void
test_broken_neighbour(void)
{
    if (kd_shop_is_closed()) {
        return;
    }
    put_server("labhost", KD_SHOP_SERVER);
    g_autofree char *broken =
        g_build_filename(g_get_user_config_dir(), "kdsrv", "certs", "broken.pem", NULL);
    kd_shop_write(broken, "nothing", 0600);
    assert_server("labhost");
    assert_no_server("certuser", "broken", "broken.pem: no certificate in PEM form");
}

static void
test_chain_is_sent(void)
{
    if (kd_shop_is_closed()) {
        return;
    }
    kd_shop_make("root", NULL, KD_SHOP_CA);
    kd_shop_make("middle", "root", "cn = Middle\nca\ncert_signing_key\n");
    kd_shop_make("server", "middle", KD_SHOP_SERVER);
    kd_shop_append("server", "middle");
    kd_shop_put("server", "labhost");
    g_autofree char *ca = kd_shop_build_path("root", ".crt");
    g_autoptr(GError) error = NULL;
    g_autoptr(KdTlsConfig) server = new_server("certuser", "labhost", &error);
    g_assert_no_error(error);
    g_autoptr(GVariant) params = kd_meeting_new_params("ca", ca, "server", "labhost", NULL);
    g_autoptr(KdTlsConfig) client = kd_tls_config_new(KD_TLS_CLIENT, "ssl", params, &error);
    g_assert_no_error(error);
    g_auto(KdMeeting) meeting = {0};

    kd_meeting_hold(&meeting, server, client);
    g_assert_no_error(meeting.client_error);
    g_assert_true(meeting.is_met);
}

static void
test_reload(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *sha256 = kd_cert_store_make(KD_CERT_STORE_USER, "labhost", &error);
    g_assert_no_error(error);
    g_assert_nonnull(sha256);
    g_autoptr(KdTlsConfig) old_server = new_server("certuser", "labhost", &error);
    g_assert_no_error(error);
    g_autofree char *cert = NULL;
    g_autofree char *key = NULL;
    kd_cert_store_build_paths(KD_CERT_STORE_USER, "labhost", &cert, &key);
    g_assert_cmpint(g_unlink(cert), ==, 0);
    g_assert_cmpint(g_unlink(key), ==, 0);
    g_autofree char *new_sha256 = kd_cert_store_make(KD_CERT_STORE_USER, "labhost", &error);
    g_assert_no_error(error);
    g_assert_nonnull(new_sha256);
    g_autoptr(KdTlsConfig) new_one = new_server("certuser", "labhost", &error);
    g_assert_no_error(error);
    g_autoptr(GVariant) params = kd_meeting_new_params("certuser", sha256, NULL);
    g_autoptr(KdTlsConfig) client = kd_tls_config_new(KD_TLS_CLIENT, "ssl", params, &error);
    g_assert_no_error(error);
    g_auto(KdMeeting) with_old = {0};
    g_auto(KdMeeting) with_new = {0};

    kd_meeting_hold(&with_old, old_server, client);
    g_assert_true(with_old.is_met);
    kd_meeting_hold(&with_new, new_one, client);
    g_assert_false(with_new.is_met);
    g_assert_cmpstr(with_new.client.sha256, ==, new_sha256);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, G_TEST_OPTION_ISOLATE_DIRS, NULL);
    g_test_add_func("/secure/cert-store/made-certificate-serves", test_made_one_serves);
    g_test_add_func("/secure/cert-store/made-key-is-private", test_made_files);
    g_test_add_func("/secure/cert-store/machine-keeps-keys-apart", test_machine_files);
    g_test_add_func("/secure/cert-store/nothing-is-overwritten", test_made_twice);
    g_test_add_func("/secure/cert-store/names-to-make-are-checked", test_names_to_make);
    g_test_add_func("/secure/cert-store/found-by-any-of-its-names", test_found_by_name);
    g_test_add_func("/secure/cert-store/found-by-thumbprint", test_found_by_thumbprint);
    g_test_add_func("/secure/cert-store/found-by-path", test_found_by_path);
    g_test_add_func("/secure/cert-store/several-are-listed", test_several);
    g_test_add_func("/secure/cert-store/only-fit-one-is-taken", test_only_fit);
    g_test_add_func("/secure/cert-store/same-one-twice-is-one", test_same_twice);
    g_test_add_func("/secure/cert-store/broken-neighbour-does-no-harm", test_broken_neighbour);
    g_test_add_func("/secure/cert-store/chain-is-sent", test_chain_is_sent);
    g_test_add_func("/secure/cert-store/old-configuration-lives-on", test_reload);
    return g_test_run();
}
