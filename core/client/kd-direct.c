/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A connection without a server: a link of this machine, opened by the same plugins. */
#include "kd-direct.h"

#include "kd-control-queue.h"
#include "kd-hangup.h"
#include "kd-notice.h"
#include "kd-params.h"
#include "kd-route.h"

#include <errno.h>

/* A loss that is mended sooner, or that ends the session, is not told as one. */
#define LOST_AFTER_MS 100u
#define SESSION_ID    1u

/**
 * KdDirect:
 * @waiting: (nullable): cancels the opening or reopening that goes on
 * @link: (nullable): the plugin's object
 * @queue: (nullable): control operations on @link
 * @line: opened, and not yet in the route
 * @lost_id: tells of the loss, 0 = it was told or there is none
 * @hangup_id: tells that the half-closed debugger is gone, 0 = none
 * @reason: (nullable): what ended() will tell
 */
typedef struct {
    KdConnection base;
    const KdTarget *target;
    KdSink sink;
    KdRoute *route;
    GCancellable *waiting;
    GObject *link;
    KdControlQueue *queue;
    KdEndpoint line;
    guint lost_id;
    guint hangup_id;
    GError *reason;
    KdDebugger debugger;
    int line_error;
    gboolean has_half_close;
    gboolean is_debugger_finished;
    gboolean is_line_finished;
    gboolean is_closing; /* the plugin's close_async goes on, or the session has ended          */
    gboolean is_freed;
} KdDirect;

static const char *
get_variable(const char *variable, void *user)
{
    (void)user;
    return g_getenv(variable);
}

static void
clear_sources(KdDirect *direct)
{
    g_clear_handle_id(&direct->lost_id, g_source_remove);
    g_clear_handle_id(&direct->hangup_id, g_source_remove);
}

static void
free_memory(KdDirect *direct)
{
    g_clear_pointer(&direct->queue, kd_control_queue_free);
    g_clear_object(&direct->link);
    g_clear_error(&direct->reason);
    g_free(direct);
}

static void
end_session(KdDirect *direct)
{
    GError *reason = g_steal_pointer(&direct->reason);

    direct->is_closing = TRUE;
    direct->base.is_open = FALSE;
    clear_sources(direct);
    g_clear_pointer(&direct->queue, kd_control_queue_free);
    g_clear_pointer(&direct->route, kd_route_free);
    kd_endpoint_clear(&direct->line);
    g_clear_object(&direct->link);
    direct->base.funcs->ended(&direct->base, reason, direct->base.user);
    g_clear_error(&reason);
}

static void
on_closed(GObject *source, GAsyncResult *result, gpointer data)
{
    KdDirect *direct = data;

    (void)source;
    direct->target->close_finish(direct->link, result);
    if (direct->is_freed) {
        free_memory(direct);
        return;
    }
    end_session(direct);
}

static void
on_controls_idle(void *user)
{
    KdDirect *direct = user;

    direct->target->close_async(direct->link, on_closed, direct);
}

/* The link is told while its endpoint is still open, and gone before the session's end is told. */
static void
close_link(KdDirect *direct, GError *reason)
{
    if (direct->reason == NULL) {
        direct->reason = g_steal_pointer(&reason);
    }
    g_clear_error(&reason);
    clear_sources(direct);
    if (direct->waiting != NULL) {
        g_cancellable_cancel(direct->waiting);
        return;
    }
    if (direct->is_closing || direct->link == NULL) {
        return;
    }
    direct->is_closing = TRUE;
    direct->base.is_open = FALSE;
    if (direct->route != NULL) {
        kd_route_stop(direct->route);
    }
    if (direct->queue == NULL || !kd_control_queue_stop(direct->queue, on_controls_idle, direct)) {
        on_controls_idle(direct);
    }
}

static void
direct_free(KdConnection *connection)
{
    KdDirect *direct = (KdDirect *)connection;

    gboolean is_busy = direct->waiting != NULL || direct->link != NULL;

    direct->is_freed = TRUE;
    if (direct->queue != NULL) {
        /* Also while the link is reopened, which closing waits for: the route goes now. */
        (void)kd_control_queue_stop(direct->queue, NULL, NULL);
    }
    close_link(direct, NULL); /* comes back yet, and then finds nobody */
    clear_sources(direct);
    g_clear_pointer(&direct->route, kd_route_free);
    kd_endpoint_clear(&direct->line);
    if (!is_busy) {
        free_memory(direct);
    }
}

/* ---- lost and back ---- */

/* Says each loss and each return once, whether the plugin or the end of its endpoint told it. */
static void
tell_lost(KdDirect *direct, gboolean is_lost)
{
    if (direct->base.is_lost != is_lost) {
        direct->base.is_lost = is_lost;
        kd_notice_print_event(is_lost ? KD_EVENT_LOST : KD_EVENT_BACK, NULL);
    }
}

static gboolean
on_lost_long(gpointer data)
{
    KdDirect *direct = data;

    direct->lost_id = 0;
    tell_lost(direct, TRUE);
    return G_SOURCE_REMOVE;
}

static void
end_lost(KdDirect *direct, GError *error)
{
    clear_sources(direct);
    if (direct->line_error == 0) {
        g_clear_error(&error); /* the target has closed the link: an end like any other */
    }
    close_link(direct, error);
}

static void
on_reopened(GObject *source, GAsyncResult *result, gpointer data)
{
    KdDirect *direct = data;
    GError *error = NULL;
    gboolean is_cancelled = g_cancellable_is_cancelled(direct->waiting);
    gboolean is_open;

    (void)source;
    kd_endpoint_init(&direct->line);
    is_open = direct->target->reopen_finish(direct->link, result, &direct->line, &error);
    g_clear_object(&direct->waiting);
    if (is_cancelled) {
        g_clear_error(&error);
        kd_endpoint_clear(&direct->line);
        close_link(direct, NULL);
        return;
    }
    if (!is_open || !kd_route_join(direct->route, KD_SIDE_LINE, &direct->line, &error)) {
        end_lost(direct, error);
        return;
    }
    g_clear_handle_id(&direct->lost_id, g_source_remove);
    tell_lost(direct, FALSE);
}

static void
take_line_end(KdDirect *direct, int code)
{
    KdEndpoint old;

    direct->line_error = code;
    if (code == 0 && direct->has_half_close && !direct->is_debugger_finished &&
        direct->debugger.kind != KD_DEBUGGER_PTY) {
        direct->is_line_finished = TRUE; /* in good order: the debugger may say more yet */
        kd_route_shut(direct->route, KD_SIDE_PEER);
        return;
    }
    if (direct->has_half_close && code == 0) {
        close_link(direct, NULL);
        return;
    }
    if (direct->is_debugger_finished || !(direct->target->caps & KD_TARGET_REOPEN)) {
        end_lost(direct, code == 0 ? NULL
                                   : g_error_new(KD_ERROR, KD_ERROR_LINK_LOST,
                                                 "the target is lost: %s", g_strerror(code)));
        return;
    }
    if (kd_route_leave(direct->route, KD_SIDE_LINE, &old)) {
        kd_endpoint_clear(&old);
    }
    direct->lost_id = g_timeout_add(LOST_AFTER_MS, on_lost_long, direct);
    direct->waiting = g_cancellable_new();
    direct->target->reopen_async(direct->link, direct->waiting, on_reopened, direct);
}

/* ---- the debugger's end ---- */

static gboolean
on_debugger_gone(gpointer data)
{
    KdDirect *direct = data;

    direct->hangup_id = 0;
    close_link(direct, NULL);
    return G_SOURCE_REMOVE;
}

static void
take_debugger_end(KdDirect *direct, int error)
{
    gboolean is_socket = direct->debugger.fd >= 0;

    direct->is_debugger_finished = TRUE;
    if (error != 0 || direct->waiting != NULL || direct->is_line_finished) {
        close_link(direct, NULL);
        return;
    }
    if ((is_socket && kd_hangup_is_gone(direct->debugger.fd)) ||
        (direct->debugger.kind == KD_DEBUGGER_TCP && !direct->has_half_close)) {
        close_link(direct, NULL);
        return;
    }
    if (direct->has_half_close) {
        kd_route_shut(direct->route, KD_SIDE_LINE);
    }
    if (is_socket) {
        direct->hangup_id = kd_hangup_watch(direct->debugger.fd, on_debugger_gone, direct);
        direct->base.funcs->half_closed(&direct->base, direct->base.user);
    }
}

static void
on_finished(KdRoute *route, KdSide side, int error, void *user)
{
    KdDirect *direct = user;

    (void)route;
    if (direct->is_closing || direct->is_freed) {
        return;
    }
    if (side == KD_SIDE_PEER) {
        take_debugger_end(direct, error);
    } else {
        take_line_end(direct, error);
    }
}

static void
on_reached(KdRoute *route, void *user)
{
    (void)route;
    kd_control_queue_reached(((KdDirect *)user)->queue);
}

static void
on_answer(const KdResult *result, void *user)
{
    KdDirect *direct = user;

    if (!direct->is_freed) {
        kd_controls_take_result(direct->base.controls, result);
    }
}

/* A raw route has a debugger for its peer, which can neither break a protocol nor send frames. */
static const KdRouteFuncs route_funcs = {
    .finished = on_finished,
    .reached = on_reached,
};

/* ---- opening ---- */

static void
on_event(void *user, uint32_t event, GVariant *arg)
{
    KdDirect *direct = user;
    g_autoptr(GVariant) held = arg != NULL ? g_variant_ref_sink(arg) : NULL;
    const char *text = NULL;

    if (direct->is_freed) {
        return;
    }
    if (event == KD_EVENT_LOST || event == KD_EVENT_BACK) {
        /* While it is reopened, being back is ours to say. */
        if (event == KD_EVENT_LOST || direct->waiting == NULL) {
            tell_lost(direct, event == KD_EVENT_LOST);
        }
        return;
    }
    if (held != NULL && g_variant_is_of_type(held, G_VARIANT_TYPE_STRING)) {
        text = g_variant_get_string(held, NULL);
    }
    kd_notice_print_event(event, text);
}

static void
take_link(KdDirect *direct)
{
    KdControlLink link = {
        .target = direct->target,
        .object = direct->link,
        .offered = kd_control_find_offered(direct->target, direct->line.facts),
    };

    direct->has_half_close = (direct->line.flags & KD_ENDPOINT_HALF_CLOSE) != 0;
    if (direct->line.facts != NULL) {
        g_variant_lookup(direct->line.facts, "dialect", "s", &direct->base.dialect);
    }
    direct->base.has_resets =
        direct->line.facts != NULL &&
        g_variant_lookup(direct->line.facts, "resets", "u", &direct->base.resets);
    direct->route = kd_route_new(&route_funcs, direct);
    direct->queue = kd_control_queue_new(direct->route, &link, on_answer, direct);
    direct->base.offered = link.offered;
    direct->base.is_open = TRUE;
}

static void
on_opened(GObject *source, GAsyncResult *result, gpointer data)
{
    KdDirect *direct = data;
    gboolean is_cancelled = g_cancellable_is_cancelled(direct->waiting);
    GError *error = NULL;

    (void)source;
    g_clear_object(&direct->waiting);
    direct->link = direct->target->open_finish(result, &direct->line, &error);
    if (direct->link == NULL && direct->is_freed) {
        g_clear_error(&error);
        free_memory(direct);
        return;
    }
    if (direct->link == NULL) {
        if (is_cancelled) {
            g_clear_error(&error);
        } else {
            direct->reason = error;
        }
        end_session(direct);
        return;
    }
    if (is_cancelled) {
        close_link(direct, NULL);
        return;
    }
    take_link(direct);
    direct->base.funcs->opened(&direct->base, direct->base.user);
}

static const KdTarget *
parse_link(const KdRegistry *registry, const char *trans, GVariant **params, GError **error)
{
    KdParamsSource source = {.environment = get_variable, .machine = g_get_host_name()};

    return kd_registry_resolve_target(registry, trans, &source, params, error);
}

static GVariant *
build_session(void)
{
    g_autofree char *identity = kd_connection_build_identity();
    GVariantBuilder builder;

    g_variant_builder_init(&builder, G_VARIANT_TYPE_VARDICT);
    g_variant_builder_add(&builder, "{sv}", "id", g_variant_new_uint64(SESSION_ID));
    g_variant_builder_add(&builder, "{sv}", "identity", g_variant_new_string(identity));
    g_variant_builder_add(&builder, "{sv}", "peer", g_variant_new_string("local"));
    return g_variant_ref_sink(g_variant_builder_end(&builder));
}

static gboolean
on_start_failed(gpointer data)
{
    end_session(data);
    return G_SOURCE_REMOVE;
}

static void
direct_start(KdConnection *connection)
{
    KdDirect *direct = (KdDirect *)connection;
    g_autoptr(GVariant) params = NULL;
    g_autoptr(GVariant) session = NULL;

    direct->target =
        parse_link(connection->registry, connection->plan->trans, &params, &direct->reason);
    if (direct->target == NULL) {
        direct->lost_id = g_idle_add(on_start_failed, direct);
        return;
    }
    session = build_session();
    direct->sink = (KdSink){.struct_size = sizeof(KdSink), .event = on_event, .user = direct};
    direct->waiting = g_cancellable_new();
    direct->target->open_async(kd_registry_get_host(connection->registry), params, session,
                               &direct->sink, direct->waiting, on_opened, direct);
}

/* ---- for the owner ---- */

static gboolean
direct_join(KdConnection *connection, const KdDebugger *debugger, KdEndpoint *endpoint,
            GError **error)
{
    KdDirect *direct = (KdDirect *)connection;

    direct->debugger = *debugger;
    return kd_route_join(direct->route, KD_SIDE_PEER, endpoint, error) &&
           kd_route_join(direct->route, KD_SIDE_LINE, &direct->line, error);
}

static gboolean
direct_control(KdConnection *connection, const KdControl *control, GError **error)
{
    KdDirect *direct = (KdDirect *)connection;
    KdControl complete = *control;

    complete.at = kd_route_get_heard(direct->route);
    return kd_control_queue_add(direct->queue, &complete, error);
}

static void
direct_close(KdConnection *connection)
{
    close_link((KdDirect *)connection, NULL);
}

static const KdConnectionOps direct_ops = {
    .start = direct_start,
    .join = direct_join,
    .control = direct_control,
    .leave = direct_close,
    .close = direct_close,
    .free = direct_free,
};

/**
 * kd_direct_new:
 *
 * Returns: (transfer full): a connection that opens the plan's link on this machine
 */
KdConnection *
kd_direct_new(void)
{
    KdDirect *direct = g_new0(KdDirect, 1);

    direct->base.ops = &direct_ops;
    direct->debugger.fd = -1;
    kd_endpoint_init(&direct->line);
    return &direct->base;
}

/**
 * kd_direct_check:
 * @registry: loaded plugins
 * @trans: a link's string
 * @error: return location
 *
 * Returns: whether the string can be opened on this machine; else one of the KD_ERROR_PARAM_ codes,
 * or %KD_ERROR_NOT_SUPPORTED
 */
gboolean
kd_direct_check(const KdRegistry *registry, const char *trans, GError **error)
{
    g_autoptr(GVariant) params = NULL;

    return parse_link(registry, trans, &params, error) != NULL;
}
