/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A server that dials its one client (clicon=), until somebody answers. */
#include "kd-caller.h"

#include "kd-dialer.h"
#include "kd-endpoint.h"
#include "kd-source-name.h"

/* Pause between two attempts, doubled each time */
#define MIN_PAUSE_MS 100u
#define MAX_PAUSE_MS 2000u

struct KdCaller {
    const KdHost *host;
    const KdTransport *transport;
    GVariant *params;
    KdCallerFunc func;
    void *user;
    GCancellable *dialling; /* NULL: no attempt is under way */
    guint pause_id;
    guint pause_ms;
    guint patience_ms;
    guint patience_id;
    GError *last_error;
    gboolean is_stopped;
    gboolean is_freed; /* but the transport has not answered yet */
};

static void dial(KdCaller *caller);

/**
 * kd_caller_new:
 * @host: given to the transport
 * @transport: can dial
 * @params: a{sv}, parsed, with the host's keys
 * @func: told how it has ended
 * @user: for @func
 *
 * Returns: (transfer full): a caller that does not call yet
 */
KdCaller *
kd_caller_new(const KdHost *host, const KdTransport *transport, GVariant *params, KdCallerFunc func,
              void *user)
{
    KdCaller *caller = g_new0(KdCaller, 1);

    caller->host = host;
    caller->transport = transport;
    caller->params = g_variant_ref_sink(params);
    caller->func = func;
    caller->user = user;
    caller->pause_ms = MIN_PAUSE_MS;
    return caller;
}

static void
destroy(KdCaller *caller)
{
    g_clear_error(&caller->last_error);
    g_variant_unref(caller->params);
    g_free(caller);
}

static void
clear_timers(KdCaller *caller)
{
    g_clear_handle_id(&caller->pause_id, g_source_remove);
    g_clear_handle_id(&caller->patience_id, g_source_remove);
}

/**
 * kd_caller_free:
 * @caller: (nullable): a caller; its function is not called any more
 *
 * Ends it; what the transport still has of it is freed when that has answered.
 */
void
kd_caller_free(KdCaller *caller)
{
    if (caller == NULL) {
        return;
    }
    clear_timers(caller);
    if (caller->dialling != NULL) {
        caller->is_freed = TRUE;
        g_cancellable_cancel(caller->dialling);
        return;
    }
    destroy(caller);
}

static void
finish(KdCaller *caller, KdEndpoint *endpoint, const GError *error)
{
    g_autofree char *peer = NULL;

    clear_timers(caller);
    if (endpoint == NULL) {
        caller->func(caller, NULL, NULL, error, caller->user);
        return;
    }
    peer = kd_source_name_build_told(endpoint, caller->transport->scheme);
    caller->func(caller, endpoint, peer, NULL, caller->user);
}

static void
give_up(KdCaller *caller)
{
    g_autoptr(GError) error = NULL;

    if (caller->is_stopped) {
        error = g_error_new_literal(G_IO_ERROR, G_IO_ERROR_CANCELLED, "the server is ending");
    } else if (caller->last_error == NULL) {
        error = g_error_new(G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                            "%s: the client has not answered for %u s", caller->transport->scheme,
                            caller->patience_ms / 1000);
    } else {
        error = g_error_new(caller->last_error->domain, caller->last_error->code,
                            "%s (the client was dialled for %u s)", caller->last_error->message,
                            caller->patience_ms / 1000);
    }
    finish(caller, NULL, error);
}

static gboolean
on_pause_over(gpointer user_data)
{
    KdCaller *caller = user_data;

    caller->pause_id = 0;
    dial(caller);
    return G_SOURCE_REMOVE;
}

/* Not all at the same moment, where several servers wait for one machine to come up */
static void
pause_dialling(KdCaller *caller)
{
    guint quarter_ms = caller->pause_ms / 4;
    guint pause_ms = caller->pause_ms - quarter_ms + g_random_int() % (2 * quarter_ms + 1);

    caller->pause_id = g_timeout_add(pause_ms, on_pause_over, caller);
    caller->pause_ms = MIN(caller->pause_ms * 2, MAX_PAUSE_MS);
}

/* What no waiting mends: a rule, or a string that the transport can't dial with */
static gboolean
is_final(const GError *error)
{
    return error->domain == KD_ERROR && error->code != KD_ERROR_FAILED;
}

static void
on_connected(GObject *source, GAsyncResult *result, gpointer user_data)
{
    KdCaller *caller = user_data;
    g_autoptr(GError) error = NULL;
    KdEndpoint endpoint;
    gboolean is_good = kd_dialer_connect_finish(result, &endpoint, &error);

    (void)source;
    g_clear_object(&caller->dialling);
    if (caller->is_freed) {
        destroy(caller);
    } else if (is_good && !caller->is_stopped) {
        finish(caller, &endpoint, NULL);
    } else if (!caller->is_stopped && caller->patience_id != 0 && !is_final(error)) {
        if (caller->last_error == NULL) {
            g_message("%s: waiting for the client", error->message);
        }
        g_clear_error(&caller->last_error);
        caller->last_error = g_steal_pointer(&error);
        pause_dialling(caller);
    } else if (!caller->is_stopped && caller->patience_id != 0) {
        finish(caller, NULL, error);
    } else {
        give_up(caller);
    }
    kd_endpoint_clear(&endpoint);
}

static void
dial(KdCaller *caller)
{
    caller->dialling = g_cancellable_new();
    kd_dialer_connect_async(caller->host, caller->transport, caller->params, caller->dialling,
                            on_connected, caller);
}

static gboolean
on_patience_over(gpointer user_data)
{
    KdCaller *caller = user_data;

    caller->patience_id = 0;
    if (caller->dialling != NULL) {
        g_cancellable_cancel(caller->dialling);
    } else {
        give_up(caller);
    }
    return G_SOURCE_REMOVE;
}

/**
 * kd_caller_start:
 * @caller: new
 * @patience_ms: until it gives up
 *
 * Dials, and dials again while nobody answers: either side may start first. Once somebody has
 * answered there is no second time.
 */
void
kd_caller_start(KdCaller *caller, guint patience_ms)
{
    caller->patience_ms = patience_ms;
    caller->patience_id = g_timeout_add(patience_ms, on_patience_over, caller);
    dial(caller);
}

/**
 * kd_caller_stop:
 * @caller: started, its function was not called yet
 *
 * Ends calling; the function is told %G_IO_ERROR_CANCELLED, maybe before this returns.
 */
void
kd_caller_stop(KdCaller *caller)
{
    caller->is_stopped = TRUE;
    if (caller->dialling != NULL) {
        g_cancellable_cancel(caller->dialling);
    } else {
        give_up(caller);
    }
}
