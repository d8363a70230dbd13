/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys that never leave their token: softhsm2, with tokens of this case alone. */
#include "kd-cert-meeting.h"
#include "kd-cert-shop.h"

#include <glib/gstdio.h>

#include <string.h>

#define TOKEN "kdsrv-test"
#define PIN   "gehe1m-1234"

static gboolean
has_program(const char *name)
{
    g_autofree char *path = g_find_program_in_path(name);

    if (path == NULL) {
        g_autofree char *reason = g_strdup_printf("there is no %s", name);
        g_test_skip(reason);
    }
    return path != NULL;
}

/* A token of our own; the library reads its configuration when it is asked for the first time */
static gboolean
make_token(void)
{
    g_autofree char *tokens = kd_shop_build_path("tokens", "");
    g_autofree char *path = kd_shop_build_path("softhsm2", ".conf");
    const char *argv[] = {"softhsm2-util", "--init-token", "--free", "--label", TOKEN, "--pin", PIN,
                          "--so-pin",      "5678",         NULL};

    if (kd_shop_is_closed() || !has_program("softhsm2-util") || !has_program("p11tool")) {
        return FALSE;
    }
    g_assert_cmpint(g_mkdir(tokens, 0700), ==, 0);
    g_autofree char *text = g_strdup_printf("directories.tokendir = %s\n"
                                            "objectstore.backend = file\nlog.level = ERROR\n",
                                            tokens);
    kd_shop_write(path, text, 0600);
    g_setenv("SOFTHSM2_CONF", path, TRUE);
    kd_shop_run(argv);
    return TRUE;
}

static void
import(const char *option, const char *file, const char *label, const char *id)
{
    const char *argv[] = {"p11tool", "--login", "--write", option, file,
                          "--label", label,     "--id",    id,     "pkcs11:token=" TOKEN,
                          NULL};

    g_setenv("GNUTLS_PIN", PIN, TRUE);
    kd_shop_run(argv);
    g_unsetenv("GNUTLS_PIN");
}

/* A certificate that is in the token alone, with its key. Returns its thumbprint. */
static char *
make_cert(const char *name, const char *issuer, const char *lines, const char *id)
{
    kd_shop_make(name, issuer, lines);
    g_autofree char *cert = kd_shop_build_path(name, ".crt");
    g_autofree char *key = kd_shop_build_path(name, ".key");
    char *sha256 = kd_shop_read_thumbprint(cert, FALSE);

    import("--load-privkey", key, name, id);
    import("--load-certificate", cert, name, id);
    g_assert_cmpint(g_unlink(key), ==, 0);
    return sha256;
}

static KdTlsConfig *
new_config(KdTlsRole role, const char *text, GError **error)
{
    g_autoptr(GVariant) params = kd_meeting_new_params("certuser", text, NULL);

    return kd_tls_config_new(role, "ssl", params, error);
}

static void
assert_serves(const char *uri, const char *pin)
{
    g_autoptr(GError) error = NULL;
    g_auto(KdMeeting) meeting = {0};
    g_autoptr(KdTlsConfig) server = new_config(KD_TLS_SERVER, uri, &error);
    g_assert_no_error(error);
    g_autoptr(KdTlsConfig) client = new_config(KD_TLS_CLIENT, pin, &error);
    g_assert_no_error(error);

    kd_meeting_hold(&meeting, server, client);
    g_assert_no_error(meeting.client_error);
    g_assert_true(meeting.is_met);
}

static void
assert_refused(const char *uri, const char *words)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KdTlsConfig) config = new_config(KD_TLS_SERVER, uri, &error);

    g_assert_null(config);
    g_assert_nonnull(error);
    g_test_message("%s", error->message);
    kd_shop_assert_words(error->message, words);
    g_assert_null(strstr(error->message, PIN));
}

static void
test_pin_value(void)
{
    if (!make_token()) {
        return;
    }
    g_autofree char *sha256 = make_cert("server", NULL, KD_SHOP_SERVER, "01");

    assert_serves("pkcs11:token=" TOKEN ";object=server?pin-value=" PIN, sha256);
    assert_serves("pkcs11:token=" TOKEN ";id=%01;type=cert?pin-value=" PIN, sha256);
    assert_serves("PKCS11:token=" TOKEN "?pin-value=" PIN, "pkcs11:token=" TOKEN ";object=server");
}

static void
test_pin_source(void)
{
    if (!make_token()) {
        return;
    }
    g_autofree char *sha256 = make_cert("server", NULL, KD_SHOP_SERVER, "01");
    g_autofree char *pin = kd_shop_build_path("pin", "");
    g_autofree char *uri = g_strconcat("pkcs11:token=" TOKEN "?pin-source=", pin, NULL);
    g_autofree char *file_uri = g_strconcat("pkcs11:token=" TOKEN "?pin-source=file:", pin, NULL);

    kd_shop_write(pin, PIN "\n", 0600);
    assert_serves(uri, sha256);
    assert_serves(file_uri, sha256);
    g_assert_cmpint(g_chmod(pin, 0644), ==, 0);
    assert_refused(uri, "pin: others than its owner|chmod 600");
    assert_refused("pkcs11:token=" TOKEN "?pin-source=relative", "pin-source=|absolute path");
    assert_refused("pkcs11:token=" TOKEN "?pin-source=/nowhere/pin", "/nowhere/pin");
}

static void
test_wrong_pin(void)
{
    if (!make_token()) {
        return;
    }
    g_autofree char *sha256 = make_cert("server", NULL, KD_SHOP_SERVER, "01");

    assert_refused("pkcs11:token=" TOKEN "?pin-value=0000" PIN, "token=" TOKEN "|PIN");
    assert_refused("pkcs11:token=" TOKEN, "token=" TOKEN "|PIN|pin-source=");
    assert_serves("pkcs11:token=" TOKEN "?pin-value=" PIN, sha256);
}

static void
test_found_by_name(void)
{
    if (!make_token()) {
        return;
    }
    g_autofree char *sha256 = make_cert("server", NULL, KD_SHOP_SERVER, "01");
    g_autoptr(GError) error = NULL;
    g_autoptr(KdTlsConfig) client = new_config(KD_TLS_CLIENT, "labhost", &error);
    g_auto(KdMeeting) meeting = {0};

    g_assert_no_error(error);
    /* it is found, but what is a name has no PIN */
    assert_refused("labhost", "certuser=labhost: |token=" TOKEN "|PIN|pin-source=");
    assert_refused(sha256, "token=" TOKEN "|PIN|pin-source=");
    g_autoptr(KdTlsConfig) server =
        new_config(KD_TLS_SERVER, "pkcs11:token=" TOKEN "?pin-value=" PIN, &error);
    g_assert_no_error(error);
    kd_meeting_hold(&meeting, server, client);
    g_assert_true(meeting.is_met);
}

static void
test_missing(void)
{
    if (!make_token()) {
        return;
    }
    assert_refused("pkcs11:token=nowhere?pin-value=" PIN,
                   "certuser=pkcs11:token=nowhere: no token|p11tool");
    assert_refused("pkcs11:token=" TOKEN ";object=x?pin-value=" PIN, "no token has");
    assert_refused("pkcs11:%zz?pin-value=" PIN, "pkcs11:%zz");
}

static void
test_several(void)
{
    if (!make_token()) {
        return;
    }
    g_autofree char *first = make_cert("server", NULL, KD_SHOP_SERVER, "01");
    g_autofree char *second = make_cert("second", NULL, KD_SHOP_SERVER, "02");
    g_autofree char *words = g_strdup_printf("2 certificates match|%s|%s", first, second);

    assert_refused("pkcs11:token=" TOKEN "?pin-value=" PIN, words);
    assert_serves("pkcs11:token=" TOKEN ";object=second?pin-value=" PIN, second);
}

static void
test_key_is_missing(void)
{
    if (!make_token()) {
        return;
    }
    kd_shop_make("server", NULL, KD_SHOP_SERVER);
    g_autofree char *cert = kd_shop_build_path("server", ".crt");

    import("--load-certificate", cert, "server", "01");
    assert_refused("pkcs11:token=" TOKEN "?pin-value=" PIN, "no private key");
}

static void
test_chain(void)
{
    g_autoptr(GError) error = NULL;
    g_auto(KdMeeting) meeting = {0};

    if (!make_token()) {
        return;
    }
    kd_shop_make("root", NULL, KD_SHOP_CA);
    kd_shop_make("middle", "root", "cn = Middle\nca\ncert_signing_key\n");
    g_autofree char *middle = kd_shop_build_path("middle", ".crt");
    g_autofree char *ca = kd_shop_build_path("root", ".crt");
    g_autofree char *sha256 = make_cert("server", "middle", KD_SHOP_SERVER, "01");
    g_assert_nonnull(sha256);
    import("--load-certificate", middle, "middle", "02");
    g_autoptr(KdTlsConfig) server =
        new_config(KD_TLS_SERVER, "pkcs11:token=" TOKEN ";object=server?pin-value=" PIN, &error);
    g_assert_no_error(error);
    g_autoptr(GVariant) params = kd_meeting_new_params("ca", ca, "server", "labhost", NULL);
    g_autoptr(KdTlsConfig) client = kd_tls_config_new(KD_TLS_CLIENT, "ssl", params, &error);
    g_assert_no_error(error);

    kd_meeting_hold(&meeting, server, client);
    g_assert_no_error(meeting.client_error);
    g_assert_true(meeting.is_met);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, G_TEST_OPTION_ISOLATE_DIRS, NULL);
    g_test_add_func("/secure/cert-token/key-in-token-serves", test_pin_value);
    g_test_add_func("/secure/cert-token/pin-comes-from-a-private-file", test_pin_source);
    g_test_add_func("/secure/cert-token/wrong-pin-is-told-but-not-shown", test_wrong_pin);
    g_test_add_func("/secure/cert-token/certificate-is-found-by-name", test_found_by_name);
    g_test_add_func("/secure/cert-token/missing-certificate-is-told", test_missing);
    g_test_add_func("/secure/cert-token/several-are-listed", test_several);
    g_test_add_func("/secure/cert-token/missing-key-is-told", test_key_is_missing);
    g_test_add_func("/secure/cert-token/chain-is-sent", test_chain);
    return g_test_run();
}
