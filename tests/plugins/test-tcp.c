/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tcp transport as a host sees it: the module, its table, real sockets. */
#include "kd-test-host.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static const KdTransport *tcp;

static gboolean
listen_with(const char *text, KdListening *listening, GError **error)
{
    g_autoptr(GVariant) params = kd_test_params("%s", text);
    KdTestDone done = {0};
    tcp->listen_async(kd_test_host_get(), params, NULL, kd_test_on_done, &done);
    g_assert_null(done.result);
    g_autoptr(GAsyncResult) result = kd_test_wait(&done);
    *listening = (KdListening){.struct_size = sizeof(*listening)};
    return tcp->listen_finish(result, listening, error);
}

static void
close_listening(KdListening *listening)
{
    for (uint32_t i = 0; i < listening->n_fds; i++)
        close(listening->fds[i]);
    g_clear_pointer(&listening->bound, g_variant_unref);
}

static void
get_bound(const KdListening *listening, uint16_t *low, uint16_t *high)
{
    g_assert_nonnull(listening->bound);
    g_assert_true(g_variant_lookup(listening->bound, "port", "(qq)", low, high));
}

static gboolean
connect_to(const char *server, uint16_t port, KdEndpoint *endpoint, GError **error)
{
    g_autoptr(GVariant) params = kd_test_params("{'server': <'%s'>, 'port': <(uint16 %u, "
                                                "uint16 %u)>}",
                                                server, port, port);
    KdTestDone done = {0};
    tcp->connect_async(kd_test_host_get(), params, NULL, kd_test_on_done, &done);
    g_assert_null(done.result);
    g_autoptr(GAsyncResult) result = kd_test_wait(&done);
    *endpoint = (KdEndpoint){.struct_size = sizeof(*endpoint), .fd = -1};
    return tcp->connect_finish(result, endpoint, error);
}

static void
close_endpoint(KdEndpoint *endpoint)
{
    close(endpoint->fd);
    g_clear_pointer(&endpoint->facts, g_variant_unref);
}

static gboolean
is_reached(const char *server, uint16_t port)
{
    KdEndpoint endpoint;
    if (!connect_to(server, port, &endpoint, NULL))
        return FALSE;
    close_endpoint(&endpoint);
    return TRUE;
}

static void
test_first_free(void)
{
    int held[3];
    uint16_t base = kd_test_hold_ports(held, 3);
    close(held[2]);
    g_autofree char *text = g_strdup_printf("{'port': <(uint16 %u, uint16 %u)>}", base, base + 10);
    KdListening listening;
    g_autoptr(GError) error = NULL;
    uint16_t low = 0;
    uint16_t high = 0;
    g_assert_true(listen_with(text, &listening, &error));
    g_assert_no_error(error);
    get_bound(&listening, &low, &high);
    g_assert_cmpuint(low, ==, base + 2);
    g_assert_cmpuint(high, ==, base + 10);
    close_listening(&listening);
    close(held[0]);
    close(held[1]);
}

static void
test_none_free(void)
{
    int held[2];
    uint16_t base = kd_test_hold_ports(held, 2);
    g_autofree char *text = g_strdup_printf("{'port': <(uint16 %u, uint16 %u)>}", base, base + 1);
    g_autofree char *expected =
        g_strdup_printf("tcp: none of the ports %u:%u is free", base, base + 1);
    KdListening listening;
    g_autoptr(GError) error = NULL;
    g_assert_false(listen_with(text, &listening, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_BUSY);
    g_assert_cmpstr(error->message, ==, expected);
    close(held[0]);
    close(held[1]);
}

static void
test_single(void)
{
    int held[1];
    uint16_t base = kd_test_hold_ports(held, 1);
    g_autofree char *text = g_strdup_printf("{'port': <(uint16 %u, uint16 %u)>}", base, base);
    KdListening listening;
    g_autoptr(GError) error = NULL;
    uint16_t low = 0;
    uint16_t high = 0;
    g_assert_false(listen_with(text, &listening, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_BUSY);
    g_clear_error(&error);
    close(held[0]);
    g_assert_true(listen_with(text, &listening, &error));
    g_assert_no_error(error);
    get_bound(&listening, &low, &high);
    g_assert_cmpuint(low, ==, base);
    g_assert_cmpuint(high, ==, base);
    close_listening(&listening);
}

static void
test_dual_stack(void)
{
    if (!kd_test_has_ipv6()) {
        g_test_skip("no IPv6 here");
        return;
    }
    KdListening listening;
    uint16_t port = 0;
    uint16_t high = 0;
    g_assert_true(listen_with("{'port': <(uint16 0, uint16 0)>}", &listening, NULL));
    get_bound(&listening, &port, &high);
    g_assert_true(is_reached("127.0.0.1", port));
    g_assert_true(is_reached("::1", port));
    close_listening(&listening);
}

static void
test_ipv6_only(void)
{
    if (!kd_test_has_ipv6()) {
        g_test_skip("no IPv6 here");
        return;
    }
    KdListening listening;
    uint16_t port = 0;
    uint16_t high = 0;
    g_assert_true(
        listen_with("{'port': <(uint16 0, uint16 0)>, 'ipversion': <uint64 6>}", &listening, NULL));
    get_bound(&listening, &port, &high);
    g_assert_false(is_reached("127.0.0.1", port));
    g_assert_true(is_reached("::1", port));
    close_listening(&listening);
}

static void
test_bind(void)
{
    KdListening listening;
    struct sockaddr_in address = {0};
    socklen_t len = sizeof(address);
    g_autoptr(GError) error = NULL;
    g_assert_true(
        listen_with("{'port': <(uint16 0, uint16 0)>, 'bind': <'127.0.0.1'>}", &listening, &error));
    g_assert_no_error(error);
    g_assert_cmpint(getsockname(listening.fds[0], (struct sockaddr *)&address, &len), ==, 0);
    g_assert_cmpuint(address.sin_family, ==, AF_INET);
    g_assert_cmpuint(ntohl(address.sin_addr.s_addr), ==, INADDR_LOOPBACK);
    close_listening(&listening);
}

static void
test_connect(void)
{
    uint16_t port = 0;
    int listener = kd_test_listen(AF_INET, 0, &port);
    KdEndpoint endpoint;
    const char *peer = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *expected = g_strdup_printf("127.0.0.1:%u", port);
    g_assert_true(connect_to("127.0.0.1", port, &endpoint, &error));
    g_assert_no_error(error);
    g_assert_cmpuint(endpoint.flags, ==, KD_ENDPOINT_HALF_CLOSE);
    g_assert_true(g_variant_lookup(endpoint.facts, "peer", "&s", &peer));
    g_assert_cmpstr(peer, ==, expected);
    close_endpoint(&endpoint);
    close(listener);
}

static void
test_refused(void)
{
    int held[1];
    uint16_t port = kd_test_hold_ports(held, 1);
    close(held[0]);
    KdEndpoint endpoint;
    g_autoptr(GError) error = NULL;
    g_autofree char *expected =
        g_strdup_printf("tcp: cannot connect to 127.0.0.1:%u: Connection refused", port);
    g_assert_false(connect_to("127.0.0.1", port, &endpoint, &error));
    g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);
    g_assert_cmpstr(error->message, ==, expected);
    g_assert_cmpint(endpoint.fd, ==, -1);
}

/* Before anything is opened: exit status 2 depends on it. */
static void
test_wrong_bind(void)
{
    static const char *const wrong[] = {
        "{'bind': <'localhost'>}",
        "{'bind': <'127.0.0.1'>, 'ipversion': <uint64 6>}",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(GVariant) params = kd_test_params("%s", wrong[i]);
        g_autoptr(GError) error = NULL;
        g_assert_false(tcp->check(params, &error));
        g_assert_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID);
        g_assert_true(g_str_has_prefix(error->message, "tcp: bind="));
    }
    g_autoptr(GVariant) right = kd_test_params("{'bind': <'[::1]'>, 'ipversion': <uint64 6>}");
    g_autoptr(GError) error = NULL;
    g_assert_true(tcp->check(right, &error));
    g_assert_no_error(error);
}

static void
test_clicon_check(void)
{
    g_autoptr(GVariant) params = kd_test_params("{'clicon': <'host'>}");
    g_autoptr(GError) error = NULL;
    g_assert_true(tcp->check(params, &error));
    g_assert_no_error(error);
}

static void
test_clicon_listen(void)
{
    int held[2];
    uint16_t base = kd_test_hold_ports(held, 2);
    close(held[1]);
    g_autofree char *text = g_strdup_printf(
        "{'clicon': <'127.0.0.1'>, 'port': <(uint16 %u, uint16 %u)>}", base, base + 10);
    KdListening listening;
    g_autoptr(GError) error = NULL;
    uint16_t low = 0;
    uint16_t high = 0;
    g_assert_true(listen_with(text, &listening, &error));
    g_assert_no_error(error);
    get_bound(&listening, &low, &high);
    g_assert_cmpuint(low, ==, base + 1);
    g_assert_cmpuint(high, ==, base + 10);
    close_listening(&listening);
    close(held[0]);
}

static void
test_clicon_connect(void)
{
    uint16_t port = 0;
    int listener = kd_test_listen(AF_INET, 0, &port);
    g_autoptr(GVariant) params =
        kd_test_params("{'clicon': <'127.0.0.1'>, 'port': <(uint16 %u, uint16 %u)>}", port, port);
    KdTestDone done = {0};
    KdEndpoint endpoint = {.struct_size = sizeof(endpoint), .fd = -1};
    const char *peer = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *expected = g_strdup_printf("127.0.0.1:%u", port);
    tcp->connect_async(kd_test_host_get(), params, NULL, kd_test_on_done, &done);
    g_autoptr(GAsyncResult) result = kd_test_wait(&done);
    g_assert_true(tcp->connect_finish(result, &endpoint, &error));
    g_assert_no_error(error);
    g_assert_true(g_variant_lookup(endpoint.facts, "peer", "&s", &peer));
    g_assert_cmpstr(peer, ==, expected);
    close_endpoint(&endpoint);
    close(listener);
}

static void
test_cancel_listen(void)
{
    kd_test_turn();
    guint before = kd_test_count_fds();
    for (guint moment = 0; moment < 3; moment++) {
        g_autoptr(GVariant) params = kd_test_params("{'port': <(uint16 0, uint16 0)>}");
        g_autoptr(GCancellable) cancellable = g_cancellable_new();
        g_autoptr(GError) error = NULL;
        KdTestDone done = {0};
        KdListening listening = {.struct_size = sizeof(listening)};
        if (moment == 0)
            g_cancellable_cancel(cancellable);
        tcp->listen_async(kd_test_host_get(), params, cancellable, kd_test_on_done, &done);
        g_assert_null(done.result);
        if (moment == 1)
            g_cancellable_cancel(cancellable);
        g_autoptr(GAsyncResult) result = kd_test_wait(&done);
        /* The last moment: the result is there, and nobody has asked for it. */
        g_cancellable_cancel(cancellable);
        g_assert_false(tcp->listen_finish(result, &listening, &error));
        g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
        g_assert_cmpuint(listening.n_fds, ==, 0);
    }
    kd_test_turn();
    g_assert_cmpuint(kd_test_count_fds(), ==, before);
}

static void
test_cancel_connect(void)
{
    uint16_t port = 0;
    int listener = kd_test_listen(AF_INET, 0, &port);
    kd_test_turn();
    guint before = kd_test_count_fds();
    for (guint moment = 0; moment < 3; moment++) {
        g_autoptr(GVariant) params = kd_test_params("{'server': <'127.0.0.1'>, 'port': <(uint16 "
                                                    "%u, uint16 %u)>}",
                                                    port, port);
        g_autoptr(GCancellable) cancellable = g_cancellable_new();
        g_autoptr(GError) error = NULL;
        KdTestDone done = {0};
        KdEndpoint endpoint = {.struct_size = sizeof(endpoint), .fd = -1};
        if (moment == 0)
            g_cancellable_cancel(cancellable);
        tcp->connect_async(kd_test_host_get(), params, cancellable, kd_test_on_done, &done);
        g_assert_null(done.result);
        if (moment == 1)
            g_cancellable_cancel(cancellable);
        GAsyncResult *result = kd_test_wait(&done);
        g_cancellable_cancel(cancellable);
        g_assert_false(tcp->connect_finish(result, &endpoint, &error));
        g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
        g_assert_cmpint(endpoint.fd, ==, -1);
        g_object_unref(result);
    }
    kd_test_turn();
    g_assert_cmpuint(kd_test_count_fds(), ==, before);
    close(listener);
}

static void
test_no_leak(void)
{
    guint before = 0;
    for (guint round = 0; round < 1000; round++) {
        KdListening listening;
        KdEndpoint endpoint;
        uint16_t port = 0;
        uint16_t high = 0;
        g_autoptr(GError) error = NULL;
        g_assert_true(listen_with("{'port': <(uint16 0, uint16 0)>}", &listening, &error));
        g_assert_no_error(error);
        get_bound(&listening, &port, &high);
        g_assert_true(connect_to("127.0.0.1", port, &endpoint, &error));
        g_assert_no_error(error);
        close_endpoint(&endpoint);
        close_listening(&listening);
        if (round == 0)
            before = kd_test_count_fds();
    }
    g_assert_cmpuint(kd_test_count_fds(), ==, before);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (g_getenv("KD_PLUGINDIR") != NULL)
        tcp = kd_test_load_plugin("kdsrv-transport-tcp.so")->transports[0];
    g_test_add_func("/tcp/listen/takes-the-first-free-port", test_first_free);
    g_test_add_func("/tcp/listen/none-free-names-the-range", test_none_free);
    g_test_add_func("/tcp/listen/single-port-is-listed-alone", test_single);
    g_test_add_func("/tcp/listen/both-families-by-default", test_dual_stack);
    g_test_add_func("/tcp/listen/ipversion-6-refuses-ipv4", test_ipv6_only);
    g_test_add_func("/tcp/listen/bind-takes-one-address", test_bind);
    g_test_add_func("/tcp/listen/cancel-leaves-nothing", test_cancel_listen);
    g_test_add_func("/tcp/connect/tells-the-peer", test_connect);
    g_test_add_func("/tcp/connect/refusal-names-host-and-port", test_refused);
    g_test_add_func("/tcp/connect/cancel-leaves-nothing", test_cancel_connect);
    g_test_add_func("/tcp/connect/thousand-rounds-keep-no-descriptor", test_no_leak);
    g_test_add_func("/tcp/clicon/check-lets-it-pass", test_clicon_check);
    g_test_add_func("/tcp/clicon/client-takes-the-first-free-port", test_clicon_listen);
    g_test_add_func("/tcp/clicon/server-dials-the-client", test_clicon_connect);
    g_test_add_func("/tcp/check/wrong-bind-is-refused", test_wrong_bind);
    return g_test_run();
}
