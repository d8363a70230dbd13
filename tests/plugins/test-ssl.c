/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ssl transport as a host sees it: what tcp does, under its own name and with the flag. */
#include "kd-test-host.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const KdTransport *ssl;

static const KdParamSpec *
find_row(const char *key)
{
    for (const KdParamSpec *row = ssl->params; row->key != NULL; row++) {
        if (strcmp(row->key, key) == 0)
            return row;
    }
    return NULL;
}

static void
test_flag(void)
{
    g_assert_cmpstr(ssl->scheme, ==, "ssl");
    g_assert_cmpuint(ssl->caps, ==, KD_TRANSPORT_LISTEN | KD_TRANSPORT_CONNECT | KD_TRANSPORT_TLS);
}

/* Certificates and passwords never reach a plugin. */
static void
test_keys(void)
{
    static const char *const of_host[] = {"proto", "certuser",      "machuser", "clientcert",
                                          "ca",    "password-file", "password"};
    for (size_t i = 0; i < G_N_ELEMENTS(of_host); i++)
        g_assert_null(find_row(of_host[i]));
    g_assert_nonnull(find_row("port"));
}

static void
test_busy(void)
{
    int held[1];
    uint16_t base = kd_test_hold_ports(held, 1);
    g_autoptr(GVariant) params = kd_test_params("{'port': <(uint16 %u, uint16 %u)>}", base, base);
    g_autofree char *expected =
        g_strdup_printf("ssl: cannot listen on port %u: Address already in use", base);
    KdListening listening = {.struct_size = sizeof(listening)};
    KdTestDone done = {0};
    g_autoptr(GError) error = NULL;
    ssl->listen_async(kd_test_host_get(), params, NULL, kd_test_on_done, &done);
    g_autoptr(GAsyncResult) result = kd_test_wait(&done);
    g_assert_false(ssl->listen_finish(result, &listening, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_BUSY);
    g_assert_cmpstr(error->message, ==, expected);
    close(held[0]);
}

/* Plain bytes pass: TLS is the host's. */
static void
test_connect(void)
{
    uint16_t port = 0;
    int listener = kd_test_listen(AF_INET, 0, &port);
    g_autoptr(GVariant) params =
        kd_test_params("{'clicon': <'127.0.0.1'>, 'port': <(uint16 %u, uint16 %u)>}", port, port);
    KdEndpoint endpoint = {.struct_size = sizeof(endpoint), .fd = -1};
    KdTestDone done = {0};
    char byte = 0;
    g_autoptr(GError) error = NULL;
    ssl->connect_async(kd_test_host_get(), params, NULL, kd_test_on_done, &done);
    g_autoptr(GAsyncResult) result = kd_test_wait(&done);
    g_assert_true(ssl->connect_finish(result, &endpoint, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(endpoint.flags, ==, KD_ENDPOINT_HALF_CLOSE);
    int accepted = accept(listener, NULL, NULL);
    g_assert_cmpint(accepted, >=, 0);
    g_assert_cmpint(send(endpoint.fd, "x", 1, 0), ==, 1);
    g_assert_cmpint(recv(accepted, &byte, 1, 0), ==, 1);
    g_assert_cmpint(byte, ==, 'x');
    close(accepted);
    close(endpoint.fd);
    g_variant_unref(endpoint.facts);
    close(listener);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (g_getenv("KD_PLUGINDIR") != NULL)
        ssl = kd_test_load_plugin("kdsrv-transport-ssl.so")->transports[0];
    g_test_add_func("/ssl/table/asks-the-host-for-tls", test_flag);
    g_test_add_func("/ssl/table/has-no-key-of-the-host", test_keys);
    g_test_add_func("/ssl/listen/busy-port-is-named-by-ssl", test_busy);
    g_test_add_func("/ssl/connect/gives-plain-bytes", test_connect);
    return g_test_run();
}
