/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Dialling by a transport that the test plays. */
#include "kd-dialer.h"

#include <fcntl.h>
#include <kd-endpoint.h>
#include <unistd.h>

static const KdHost host = {.struct_size = sizeof host};
static char *seen;         /* params, as the transport was given them */
static gboolean is_broken; /* nobody answers                          */
static int last_fd = -1;   /* what a connection was                   */

static void
on_connect(const KdHost *given, GVariant *params, GCancellable *cancellable,
           GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, user_data);

    g_assert_true(given == &host);
    g_free(seen);
    seen = g_variant_print(params, FALSE);
    if (is_broken) {
        g_task_return_new_error(task, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED, "x: refused");
        return;
    }
    g_task_return_boolean(task, TRUE);
}

static gboolean
on_connect_finish(GAsyncResult *result, KdEndpoint *endpoint, GError **error)
{
    if (!g_task_propagate_boolean(G_TASK(result), error)) {
        return FALSE;
    }
    last_fd = dup(0);
    endpoint->fd = last_fd;
    return TRUE;
}

static const KdTransport transport = {
    .caps = KD_TRANSPORT_CONNECT,
    .scheme = "x",
    .connect_async = on_connect,
    .connect_finish = on_connect_finish,
};

static void
on_done(GObject *source, GAsyncResult *result, gpointer user_data)
{
    GAsyncResult **kept = user_data;

    (void)source;
    *kept = g_object_ref(result);
}

static GAsyncResult *
dial(const KdTransport *by, GCancellable *cancellable)
{
    g_autoptr(GVariant) params = g_variant_ref_sink(g_variant_new_parsed(
        "{'server': <'h'>, 'password': <'Secret1'>, 'certuser': <'lab'>, 'ca': <'/ca'>}"));
    GAsyncResult *result = NULL;

    kd_dialer_connect_async(&host, by, params, cancellable, on_done, &result);
    g_assert_null(result);
    while (result == NULL) {
        g_main_context_iteration(NULL, TRUE);
    }
    return result;
}

static void
test_base(void)
{
    g_autoptr(GAsyncResult) result = dial(&transport, NULL);
    g_autoptr(GError) error = NULL;
    KdEndpoint endpoint;

    g_assert_true(kd_dialer_connect_finish(result, &endpoint, &error));
    g_assert_no_error(error);
    g_assert_cmpint(endpoint.fd, >=, 0);
    g_assert_cmpstr(seen, ==, "{'server': <'h'>}");
    kd_endpoint_clear(&endpoint);
}

static void
assert_fails(const KdTransport *by, GCancellable *cancellable, GQuark domain, int code)
{
    g_autoptr(GAsyncResult) result = dial(by, cancellable);
    g_autoptr(GError) error = NULL;
    KdEndpoint endpoint = {0};

    g_assert_false(kd_dialer_connect_finish(result, &endpoint, &error));
    g_assert_error(error, domain, code);
    g_assert_cmpint(endpoint.fd, ==, -1);
}

static void
test_errors(void)
{
    static const KdTransport deaf = {.caps = KD_TRANSPORT_LISTEN, .scheme = "deaf"};
    g_autoptr(GCancellable) cancelled = g_cancellable_new();

    is_broken = TRUE;
    assert_fails(&transport, NULL, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED);
    is_broken = FALSE;
    assert_fails(&deaf, NULL, KD_ERROR, KD_ERROR_NOT_SUPPORTED);
    g_cancellable_cancel(cancelled);
    assert_fails(&transport, cancelled, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

/* A result that nobody asks for closes what it has */
static void
test_dropped(void)
{
    g_object_unref(dial(&transport, NULL));
    g_assert_cmpint(last_fd, >=, 0);
    g_assert_cmpint(fcntl(last_fd, F_GETFD), ==, -1);
}

int
main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/transport/dialer/hides-the-keys-of-the-host", test_base);
    g_test_add_func("/transport/dialer/tells-why-there-is-no-connection", test_errors);
    g_test_add_func("/transport/dialer/closes-what-nobody-takes", test_dropped);
    status = g_test_run();
    g_free(seen);
    return status;
}
