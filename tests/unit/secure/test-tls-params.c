/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a string may say about TLS, and how its server is called. */
#include "kd-tls-config.h"
#include "kd-tls-params.h"
#include "kd-tls-place.h"

#include <string.h>

static GVariant *
new_params(const char *text)
{
    return g_variant_ref_sink(g_variant_new_parsed(text));
}

static void
assert_fine(KdTlsRole role, const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) params = new_params(text);

    g_assert_true(kd_tls_config_check(role, "ssl", params, &error));
    g_assert_no_error(error);
}

static void
assert_wrong(KdTlsRole role, const char *text, KdError code, const char *message)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GVariant) params = new_params(text);

    g_assert_false(kd_tls_config_check(role, "ssl", params, &error));
    g_assert_error(error, KD_ERROR, (int)code);
    if (strstr(error->message, message) == NULL) {
        g_test_message("%s", error->message);
        g_test_fail();
    }
}

static void
test_protos(void)
{
    assert_fine(KD_TLS_CLIENT, "@a{sv} {}");
    assert_fine(KD_TLS_CLIENT, "{'proto': <'tls1'>}");
    assert_fine(KD_TLS_CLIENT, "{'proto': <'tls1.2'>}");
    assert_fine(KD_TLS_CLIENT, "{'proto': <'tls1.3'>}");
}

static void
test_dead_protos(void)
{
    assert_wrong(KD_TLS_CLIENT, "{'proto': <'ssl3'>}", KD_ERROR_PARAM_INVALID,
                 "ssl: proto=ssl3: not available in any supported TLS library, use proto=tls1");
    assert_wrong(KD_TLS_CLIENT, "{'proto': <'ssl2'>}", KD_ERROR_PARAM_INVALID, "proto=ssl2");
    assert_wrong(KD_TLS_SERVER, "{'proto': <'pct1'>, 'certuser': <'a'>}", KD_ERROR_PARAM_INVALID,
                 "proto=pct1");
    assert_wrong(KD_TLS_CLIENT, "{'proto': <'tls1.1'>}", KD_ERROR_PARAM_INVALID, "tls1.3");
}

static void
assert_versions(const char *text, gboolean has_12, gboolean has_13)
{
    g_autoptr(GVariant) params = new_params(text);
    const char *priority = kd_tls_params_get_priority(params);

    g_assert_cmpint(strstr(priority, "+VERS-TLS1.2") != NULL, ==, has_12);
    g_assert_cmpint(strstr(priority, "+VERS-TLS1.3") != NULL, ==, has_13);
    g_assert_true(g_str_has_prefix(priority, "NONE:"));
    g_assert_nonnull(strstr(priority, "%SERVER_PRECEDENCE"));
}

static void
test_versions(void)
{
    assert_versions("@a{sv} {}", TRUE, TRUE);
    assert_versions("{'proto': <'tls1'>}", TRUE, TRUE);
    assert_versions("{'proto': <'tls1.2'>}", TRUE, FALSE);
    assert_versions("{'proto': <'tls1.3'>}", FALSE, TRUE);
}

static void
test_server_needs_cert(void)
{
    assert_wrong(KD_TLS_SERVER, "@a{sv} {}", KD_ERROR_PARAM_MISSING, "--make-cert");
    assert_fine(KD_TLS_SERVER, "{'certuser': <'labhost'>}");
    assert_fine(KD_TLS_SERVER, "{'machuser': <'labhost'>}");
    assert_wrong(KD_TLS_SERVER, "{'machuser': <'a'>, 'certuser': <'a'>}", KD_ERROR_PARAM_INVALID,
                 "exclude each other");
}

static void
test_cert_texts(void)
{
    assert_fine(KD_TLS_CLIENT, "{'certuser': <'/etc/x.pem'>}");
    assert_fine(KD_TLS_CLIENT, "{'certuser': <'pkcs11:token=a'>}");
    assert_wrong(KD_TLS_CLIENT, "{'certuser': <'a/b.pem'>}", KD_ERROR_PARAM_INVALID, "absolute");
    assert_wrong(KD_TLS_CLIENT, "{'certuser': <''>}", KD_ERROR_PARAM_INVALID, "needed");
    assert_wrong(KD_TLS_CLIENT, "{'certuser': <'0123456789abcdef0123456789abcdef0123456'>}",
                 KD_ERROR_PARAM_INVALID, "39 hex digits");
    assert_wrong(KD_TLS_CLIENT, "{'clientcert': <'a/b'>}", KD_ERROR_PARAM_INVALID,
                 "clientcert=a/b");
}

static void
test_client_request(void)
{
    assert_fine(KD_TLS_SERVER, "{'certuser': <'a'>, 'clientcert': <'require'>}");
    assert_fine(KD_TLS_SERVER, "{'certuser': <'a'>, 'clientcert': <'request'>, 'ca': <'/x'>}");
    assert_wrong(KD_TLS_SERVER, "{'certuser': <'a'>, 'ca': <'/x'>}", KD_ERROR_PARAM_INVALID,
                 "clientcert=");
    assert_wrong(KD_TLS_SERVER, "{'certuser': <'a'>, 'clientcert': <'b'>}", KD_ERROR_PARAM_INVALID,
                 "not one of");
}

static void
assert_place(const char *scheme, const char *text, const char *expected)
{
    g_autoptr(GVariant) params = new_params(text);
    g_autofree char *place = kd_tls_place_build(scheme, params);

    g_assert_cmpstr(place, ==, expected);
}

static void
test_places(void)
{
    assert_place("ssl", "{'server': <'LabHost'>, 'port': <(@q 1027, @q 1027)>}",
                 "ssl:labhost:1027");
    assert_place("ssl", "{'server': <'fd00::1'>, 'port': <(@q 1, @q 1)>}", "ssl:[fd00::1]:1");
    assert_place("ssl", "{'server': <'[fd00::1]'>, 'port': <(@q 1, @q 1)>}", "ssl:[fd00::1]:1");
    assert_place("ssl", "{'server': <'a'>, 'port': <(@q 1, @q 9)>}", "ssl:a:1-9");
    assert_place("ssl", "{'clicon': <'a'>, 'port': <(@q 1, @q 9)>}", "ssl:a:clicon");
    assert_place("spipe", "{'server': <'.'>, 'pipe': <'kd'>}", "spipe:localhost:kd");
    assert_place("spipe", "{'server': <'far'>, 'pipe': <'kd'>}", "spipe:far:kd");
}

static void
test_hosts(void)
{
    g_autoptr(GVariant) pipe = new_params("{'server': <'.'>, 'pipe': <'kd'>}");
    g_autoptr(GVariant) port = new_params("{'server': <'localhost'>, 'port': <(@q 1, @q 1)>}");
    g_auto(GStrv) pipe_hosts = kd_tls_place_build_hosts(pipe);
    g_auto(GStrv) port_hosts = kd_tls_place_build_hosts(port);
    g_autoptr(GVariant) bracketed = new_params("{'server': <'[fd00::1]'>}");
    g_auto(GStrv) bare_hosts = kd_tls_place_build_hosts(bracketed);

    g_assert_true(g_strv_contains((const char *const *)pipe_hosts, "localhost"));
    g_assert_true(g_strv_contains((const char *const *)pipe_hosts, g_get_host_name()));
    g_assert_cmpuint(g_strv_length(port_hosts), ==, 1);
    g_assert_cmpstr(bare_hosts[0], ==, "fd00::1");
}

static void
test_server_names(void)
{
    g_autoptr(GVariant) pipe = new_params("{'server': <'.'>, 'pipe': <'kd'>}");
    g_autoptr(GVariant) name = new_params("{'server': <'labhost'>}");
    g_autoptr(GVariant) address = new_params("{'server': <'127.0.0.1'>}");
    g_autoptr(GVariant) absolute = new_params("{'server': <'labhost.'>}");
    g_autoptr(GVariant) bracketed = new_params("{'server': <'[127.0.0.1]'>}");
    g_autoptr(GVariant) scoped = new_params("{'server': <'fe80::1%eth0'>}");
    g_autofree char *of_name = kd_tls_place_build_server_name(name);
    g_autofree char *of_absolute = kd_tls_place_build_server_name(absolute);

    g_assert_null(kd_tls_place_build_server_name(pipe));
    g_assert_null(kd_tls_place_build_server_name(address));
    g_assert_null(kd_tls_place_build_server_name(bracketed));
    g_assert_null(kd_tls_place_build_server_name(scoped));
    g_assert_cmpstr(of_name, ==, "labhost");
    g_assert_cmpstr(of_absolute, ==, "labhost");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/secure/tls-params/proto-is-taken", test_protos);
    g_test_add_func("/secure/tls-params/dead-proto-is-refused-with-a-reason", test_dead_protos);
    g_test_add_func("/secure/tls-params/proto-pins-versions", test_versions);
    g_test_add_func("/secure/tls-params/server-needs-one-certificate", test_server_needs_cert);
    g_test_add_func("/secure/tls-params/certificate-is-name-thumbprint-path-or-uri",
                    test_cert_texts);
    g_test_add_func("/secure/tls-params/anchors-need-a-request", test_client_request);
    g_test_add_func("/secure/tls-params/place-names-the-server", test_places);
    g_test_add_func("/secure/tls-params/local-pipe-has-the-names-of-this-machine", test_hosts);
    g_test_add_func("/secure/tls-params/handshake-names-hosts-only", test_server_names);
    return g_test_run();
}
