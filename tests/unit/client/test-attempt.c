/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How long a try to get to a server may take. */
#include "kd-attempt.h"
#include "kd-endpoint.h"
#include "kd-host.h"

#include <fcntl.h>
#include <unistd.h>

#define SLOW_MS 11000u /* longer than a server of the network has */

static guint n_under_way;

/* ---- transports that take their time ---- */

static const KdParamSpec slow_params[] = {{.key = "server",
                                           .type = KD_PARAM_HOST,
                                           .flags = KD_PARAM_REQUIRED | KD_PARAM_CLIENT,
                                           .help = "whom to dial"},
                                          {0}};

static gboolean
on_slowly(gpointer data)
{
    g_autoptr(GTask) task = data;

    n_under_way--;
    if (!g_task_return_error_if_cancelled(task)) {
        g_task_return_int(task, open("/dev/null", O_RDWR | O_NONBLOCK | O_CLOEXEC));
    }
    return G_SOURCE_REMOVE;
}

static void
slow_connect_async(const KdHost *host, GVariant *params, GCancellable *cancellable,
                   GAsyncReadyCallback callback, gpointer user_data)
{
    (void)host;
    (void)params;
    n_under_way++;
    g_timeout_add(SLOW_MS, on_slowly, g_task_new(NULL, cancellable, callback, user_data));
}

static gboolean
slow_connect_finish(GAsyncResult *result, KdEndpoint *endpoint, GError **error)
{
    gssize fd = g_task_propagate_int(G_TASK(result), error);

    if (fd < 0) {
        return FALSE;
    }
    kd_endpoint_take_fd(endpoint, (int)fd, 0, NULL);
    return TRUE;
}

#define SLOW(name, more_caps)                                                           \
    {                                                                                   \
        .struct_size = sizeof(KdTransport), .caps = KD_TRANSPORT_CONNECT | (more_caps), \
        .scheme = name, .summary = "takes its time", .params = slow_params,             \
        .connect_async = slow_connect_async, .connect_finish = slow_connect_finish,     \
    }

static const KdTransport far_transport = SLOW("far", 0);
static const KdTransport local_transport = SLOW("local", KD_TRANSPORT_LOCAL);
static const KdTransport *const slow_transports[] = {&far_transport, &local_transport, NULL};

static const KdPlugin slow_plugin = {
    .abi = KD_ABI_INIT(KdPlugin),
    .name = "slow",
    .version = "0",
    .license = "LGPL-2.1-or-later",
    .transports = slow_transports,
};

/* ---- tries ---- */

typedef struct {
    KdDialUp *dial_up;
    KdAttempt *attempt;
    gboolean is_told;
    gboolean is_connected;
    GError *error;
} Try;

static void
on_attempted(KdEndpoint *endpoint, const KdTlsPeer *peer, const GError *error, void *user)
{
    Try *one = user;

    g_assert_null(peer);
    g_assert_false(one->is_told);
    one->is_told = TRUE;
    one->is_connected = endpoint != NULL;
    one->error = error != NULL ? g_error_copy(error) : NULL;
    g_clear_pointer(&one->attempt, kd_attempt_free);
}

static void
begin(Try *one, const KdRegistry *registry, const char *server)
{
    *one = (Try){.dial_up = kd_dial_up_new(registry, server, NULL)};
    g_assert_nonnull(one->dial_up);
    g_assert_true(kd_dial_up_make_door(one->dial_up, NULL));
    one->attempt = kd_attempt_new(one->dial_up, on_attempted, one);
    g_assert_false(one->is_told);
}

static void
end(Try *one)
{
    kd_attempt_free(one->attempt);
    kd_dial_up_free(one->dial_up);
    g_clear_error(&one->error);
}

/* At the same time, since each takes that long. A local transport may be asking the user. */
static void
test_deadline(void)
{
    g_autoptr(KdReach) reach = kd_reach_new_everything();
    const KdHost *host = kd_host_new(reach);
    KdRegistry *registry = kd_registry_new(host);
    Try given_up;
    Try local;
    Try far;

    g_assert_true(kd_registry_add(registry, &slow_plugin, "/slow.so", NULL));
    kd_registry_seal(registry);
    begin(&far, registry, "far:server=h");
    begin(&local, registry, "local:server=h");
    begin(&given_up, registry, "local:server=h");
    g_clear_pointer(&given_up.attempt, kd_attempt_free);
    while (!far.is_told || !local.is_told || n_under_way > 0) {
        g_main_context_iteration(NULL, TRUE);
    }
    while (g_main_context_iteration(NULL, FALSE)) {
    }
    g_assert_error(far.error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
    g_assert_no_error(local.error);
    g_assert_true(local.is_connected);
    g_assert_false(given_up.is_told);
    end(&far);
    end(&local);
    end(&given_up);
    kd_registry_free(registry);
    kd_host_free(host);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/client/attempt/local-transports-alone-may-take-longer-than-10-s",
                    test_deadline);
    return g_test_run();
}
