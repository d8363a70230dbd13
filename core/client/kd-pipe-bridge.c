/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stdin and stdout as a pipe of this machine: what ssh runs on the far side. */
#include "kd-pipe-bridge.h"

#include "kd-hangup.h"
#include "kd-loop.h"
#include "kd-notice.h"
#include "kd-outcome.h"
#include "kd-route.h"
#include "kd-stdio.h"

#include <signal.h>

#define SCHEME "npipe"

/* The npipe transport of the near side waits for this line on stderr. */
#define READY_TEXT "pipe-bridge: ready"

/**
 * KdPipeBridge:
 * @pipe: connected, and not yet in the route
 * @pipe_fd: its descriptor, -1 = it has none
 * @hangup_id: tells that the pipe's server has gone after its last byte, 0 = none
 * @has_input_ended: stdin has
 */
typedef struct {
    const KdTransport *transport;
    GMainLoop *loop;
    KdRoute *route;
    KdEndpoint pipe;
    int pipe_fd;
    guint hangup_id;
    gboolean has_input_ended;
    int status;
} KdPipeBridge;

static void
fail(KdPipeBridge *bridge, const GError *error)
{
    kd_notice_print("%s", error->message);
    bridge->status = kd_outcome_get_status(error);
    g_main_loop_quit(bridge->loop);
}

static void
on_stdout_broken(void *user)
{
    KdPipeBridge *bridge = user;

    bridge->status = KD_EXIT_FAILED;
    g_main_loop_quit(bridge->loop);
}

static gboolean
on_server_gone(gpointer data)
{
    KdPipeBridge *bridge = data;

    bridge->hangup_id = 0;
    g_main_loop_quit(bridge->loop);
    return G_SOURCE_REMOVE;
}

/* Each end's last byte is passed on as such; a server that is gone wants no more input. */
static void
on_finished(KdRoute *route, KdSide side, int error, void *user)
{
    KdPipeBridge *bridge = user;

    if (error != 0) {
        kd_notice_print("%s: %s", side == KD_SIDE_PEER ? "stdin" : "pipe", g_strerror(error));
        bridge->status = KD_EXIT_FAILED;
        g_main_loop_quit(bridge->loop);
    } else if (side == KD_SIDE_PEER) {
        bridge->has_input_ended = TRUE;
        kd_route_shut(route, KD_SIDE_LINE);
    } else if (bridge->has_input_ended || bridge->pipe_fd < 0 ||
               kd_hangup_is_gone(bridge->pipe_fd)) {
        g_main_loop_quit(bridge->loop);
    } else {
        kd_route_shut(route, KD_SIDE_PEER);
        bridge->hangup_id = kd_hangup_watch(bridge->pipe_fd, on_server_gone, bridge);
    }
}

static const KdRouteFuncs route_funcs = {.finished = on_finished};

static gboolean
join(KdPipeBridge *bridge, GError **error)
{
    KdEndpoint stdio;
    gboolean is_joined;

    kd_endpoint_init(&stdio);
    if (!kd_stdio_open(&stdio, on_stdout_broken, bridge, error)) {
        return FALSE;
    }
    bridge->pipe_fd = bridge->pipe.fd;
    bridge->route = kd_route_new(&route_funcs, bridge);
    kd_notice_print(READY_TEXT);
    is_joined = kd_route_join(bridge->route, KD_SIDE_PEER, &stdio, error) &&
                kd_route_join(bridge->route, KD_SIDE_LINE, &bridge->pipe, error);
    kd_endpoint_clear(&stdio);
    return is_joined;
}

static void
on_connected(GObject *source, GAsyncResult *result, gpointer data)
{
    KdPipeBridge *bridge = data;
    g_autoptr(GError) error = NULL;

    (void)source;
    if (!bridge->transport->connect_finish(result, &bridge->pipe, &error) ||
        !join(bridge, &error)) {
        fail(bridge, error);
    }
}

static GVariant *
build_params(const char *name)
{
    GVariantDict params;

    g_variant_dict_init(&params, NULL);
    g_variant_dict_insert(&params, "server", "s", ".");
    g_variant_dict_insert(&params, "pipe", "s", name);
    return g_variant_ref_sink(g_variant_dict_end(&params));
}

static gboolean
start(KdPipeBridge *bridge, const char *name, const KdRegistry *registry, GError **error)
{
    g_autoptr(GVariant) params = NULL;

    if (!g_utf8_validate(name, -1, NULL)) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                            "--pipe-bridge: a pipe's name is UTF-8");
        return FALSE;
    }
    params = build_params(name);
    bridge->transport = kd_registry_find_transport(registry, SCHEME, error);
    if (bridge->transport == NULL ||
        (bridge->transport->check != NULL && !bridge->transport->check(params, error)) ||
        !kd_loop_start(error)) {
        return FALSE;
    }
    bridge->transport->connect_async(kd_registry_get_host(registry), params, NULL, on_connected,
                                     bridge);
    return TRUE;
}

/**
 * kd_pipe_bridge_run:
 * @name: of a pipe of this machine
 * @registry: loaded plugins
 *
 * Connects stdin and stdout with a pipe, byte for byte, until the pipe's server ends it. Says on
 * stderr when that begins. Errors are printed.
 *
 * Returns: exit status of kd: 1 if there is no such pipe
 */
int
kd_pipe_bridge_run(const char *name, const KdRegistry *registry)
{
    KdPipeBridge bridge = {.pipe_fd = -1, .status = KD_EXIT_CLEAN};
    g_autoptr(GError) error = NULL;

    (void)signal(SIGPIPE, SIG_IGN);
    bridge.loop = g_main_loop_new(NULL, FALSE);
    kd_endpoint_init(&bridge.pipe);
    if (start(&bridge, name, registry, &error)) {
        g_main_loop_run(bridge.loop);
    } else {
        fail(&bridge, error);
    }
    g_clear_handle_id(&bridge.hangup_id, g_source_remove);
    g_clear_pointer(&bridge.route, kd_route_free);
    kd_endpoint_clear(&bridge.pipe);
    g_main_loop_unref(bridge.loop);
    return bridge.status;
}
