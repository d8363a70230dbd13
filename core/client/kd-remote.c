/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A connection over a server: dial, log in, open, move bytes, end. */
#include "kd-remote.h"

#include "kd-dialling.h"
#include "kd-hangup.h"
#include "kd-login.h"
#include "kd-outcome.h"
#include "kd-prompt.h"
#include "kd-tls-stream.h"

#include <errno.h>

#define LIST_MOST_MS    15000u /* for the server to list its links                            */
#define LEAVE_MOST_MS   2000u  /* for the target to take the debugger's last bytes              */
#define GOODBYE_MOST_MS 1000u  /* for the server to take CLOSE and close                        */
#define POLL_MS         10u
#define ASK_EVERY       10u /* polls for each PING: its answer carries the newest ack           */

/**
 * KdRemote:
 * @dialling: (nullable): that goes on, a question to the user included
 * @binding: (nullable): of the login to TLS
 * @timer_id: deadline of the current step, 0 = none
 * @end_id: the owner wants no session, which it is told yet, 0 = it does
 * @poll_id: asks whether bytes have arrived, 0 = none
 * @hangup_id: tells that the half-closed debugger is gone, 0 = none
 * @reason: (nullable): what ended() will tell
 */
typedef struct {
    KdConnection base;
    KdLogin login;
    KdRoute *route;
    KdDialling *dialling;
    GBytes *binding;
    guint timer_id;
    guint end_id;
    guint poll_id;
    guint hangup_id;
    guint n_polls;
    guint n_poll_limit;
    GError *reason;
    KdDebugger debugger;
    gboolean is_opened;
    gboolean is_joined;
    gboolean is_line_finished;
    gboolean is_peer_finished;
    gboolean is_leaving; /* waits until bytes have arrived, on either side                      */
    gboolean is_closing; /* our CLOSE is on its way                                             */
} KdRemote;

static void
clear_sources(KdRemote *remote)
{
    g_clear_handle_id(&remote->timer_id, g_source_remove);
    g_clear_handle_id(&remote->poll_id, g_source_remove);
    g_clear_handle_id(&remote->hangup_id, g_source_remove);
    g_clear_handle_id(&remote->end_id, g_source_remove);
}

static void
remote_free(KdConnection *connection)
{
    KdRemote *remote = (KdRemote *)connection;

    clear_sources(remote);
    g_clear_pointer(&remote->route, kd_route_free);
    g_clear_pointer(&remote->dialling, kd_dialling_free);
    g_clear_pointer(&remote->binding, g_bytes_unref);
    kd_login_clear(&remote->login);
    g_clear_error(&remote->reason);
    g_free(remote);
}

static void
end_session(KdRemote *remote)
{
    GError *reason = g_steal_pointer(&remote->reason);

    remote->base.is_open = FALSE;
    clear_sources(remote);
    if (reason != NULL && remote->route != NULL) {
        /* before, the transport names itself */
        g_prefix_error(&reason, "%s: ", remote->base.plan->dial_up->name);
    }
    if (g_error_matches(reason, KD_ERROR, KD_ERROR_AUTH)) {
        kd_dial_up_forget_password(remote->base.plan->dial_up);
    }
    g_clear_pointer(&remote->route, kd_route_free);
    remote->base.funcs->ended(&remote->base, reason, remote->base.user);
    g_clear_error(&reason);
}

/* The first reason stays: what follows from it is no news. */
static void
take_reason(KdRemote *remote, GError *error)
{
    if (remote->reason == NULL) {
        remote->reason = error;
    } else {
        g_clear_error(&error);
    }
}

static gboolean
on_goodbye_late(gpointer data)
{
    KdRemote *remote = data;

    remote->timer_id = 0;
    end_session(remote);
    return G_SOURCE_REMOVE;
}

/* Says CLOSE and waits for the server to close: it must not be lost in a reset connection. */
static void
say_goodbye(KdRemote *remote, KdCloseCode code)
{
    KdClose close = {.code = code};

    if (remote->is_closing) {
        return;
    }
    close.text = remote->reason != NULL ? remote->reason->message : (char *)"the client has ended";
    remote->is_closing = TRUE;
    clear_sources(remote);
    kd_route_send(remote->route, KD_FRAME_CLOSE, kd_close_build(&close));
    kd_route_stop(remote->route);
    kd_route_flush(remote->route);
    remote->timer_id = g_timeout_add(GOODBYE_MOST_MS, on_goodbye_late, remote);
}

static void
fail_session(KdRemote *remote, GError *error)
{
    KdCloseCode code = kd_wire_get_close_code(error);

    take_reason(remote, error);
    say_goodbye(remote, code);
}

/* ---- leaving: the debugger is gone, and what it said should still arrive ---- */

static void
ask_for_ack(KdRemote *remote)
{
    static const uint8_t cookie[8];

    kd_route_send(remote->route, KD_FRAME_PING, g_bytes_new_static(cookie, sizeof cookie));
}

static gboolean
on_leave_poll(gpointer data)
{
    KdRemote *remote = data;

    if (kd_route_is_taken(remote->route) || ++remote->n_polls >= remote->n_poll_limit) {
        remote->poll_id = 0;
        say_goodbye(remote, KD_CLOSE_NORMAL);
        return G_SOURCE_REMOVE;
    }
    if (remote->n_polls % ASK_EVERY == 0) {
        ask_for_ack(remote);
    }
    return G_SOURCE_CONTINUE;
}

static void
leave_session(KdRemote *remote)
{
    if (remote->is_leaving || remote->is_closing) {
        return;
    }
    remote->is_leaving = TRUE;
    g_clear_handle_id(&remote->hangup_id, g_source_remove);
    if (kd_route_is_taken(remote->route)) {
        say_goodbye(remote, KD_CLOSE_NORMAL);
        return;
    }
    ask_for_ack(remote);
    remote->n_poll_limit = LEAVE_MOST_MS / POLL_MS;
    remote->poll_id = g_timeout_add(POLL_MS, on_leave_poll, remote);
}

/* ---- the server's end ---- */

static gboolean
on_drain_poll(gpointer data)
{
    KdRemote *remote = data;
    const KdCredit *credit = &kd_route_get_wire(remote->route)->credit;

    if (credit->taken == credit->received || ++remote->n_polls >= remote->n_poll_limit) {
        remote->poll_id = 0;
        end_session(remote);
        return G_SOURCE_REMOVE;
    }
    return G_SOURCE_CONTINUE;
}

/* After the server's CLOSE: the debugger is still given what came before it. */
static void
drain_to_debugger(KdRemote *remote)
{
    const KdCredit *credit = &kd_route_get_wire(remote->route)->credit;
    KdEndpoint server;

    clear_sources(remote);
    remote->is_closing = TRUE;
    if (!remote->is_joined || remote->is_line_finished || credit->taken == credit->received) {
        end_session(remote);
        return;
    }
    if (kd_route_leave(remote->route, KD_SIDE_PEER, &server)) {
        kd_endpoint_clear(&server);
    }
    remote->n_polls = 0;
    remote->n_poll_limit = LEAVE_MOST_MS / POLL_MS;
    remote->poll_id = g_timeout_add(POLL_MS, on_drain_poll, remote);
}

/* ---- what the route tells ---- */

static void
on_preamble(KdRoute *route, uint16_t major, uint16_t minor, void *user)
{
    KdRemote *remote = user;
    GError *error = NULL;

    if (!kd_login_take_preamble(&remote->login, route, major, minor, &error)) {
        take_reason(remote, error);
        say_goodbye(remote, KD_CLOSE_VERSION);
    }
}

static gboolean
take_result(KdRemote *remote, const uint8_t *payload, size_t len, GError **error)
{
    g_autoptr(KdResult) result = kd_result_parse(payload, len, error);

    if (result == NULL) {
        return FALSE;
    }
    kd_controls_take_result(remote->base.controls, result);
    return TRUE;
}

static void
take_opened(KdRemote *remote)
{
    remote->base.offered = remote->login.opened->controls;
    remote->base.dialect = g_strdup(remote->login.opened->dialect);
    remote->base.has_resets = remote->login.opened->has_resets;
    remote->base.resets = remote->login.opened->resets;
    remote->base.is_open = TRUE;
    remote->base.funcs->opened(&remote->base, remote->base.user);
}

static gboolean on_login_late(gpointer data);
static void dial_with_password(KdRemote *remote);

/* Listing is all that was asked for. */
static void
take_listed(KdRemote *remote)
{
    if (remote->login.listed != NULL) {
        remote->base.listed = remote->login.listed;
        say_goodbye(remote, KD_CLOSE_NORMAL);
    } else if (remote->login.is_authenticated) {
        remote->timer_id = g_timeout_add(LIST_MOST_MS, on_login_late, remote);
    }
}

static void
on_frame(KdRoute *route, const KdFrameHeader *header, const uint8_t *payload, void *user)
{
    KdRemote *remote = user;
    GError *error = NULL;

    if (remote->is_closing) {
        return;
    }
    if (header->type == KD_FRAME_RESULT) {
        if (!take_result(remote, payload, header->length, &error)) {
            fail_session(remote, error);
        }
        return;
    }
    if (!kd_login_take_frame(&remote->login, route, header, payload, &error)) {
        if (remote->login.wants_password && kd_prompt_is_possible()) {
            g_clear_error(&error);
            dial_with_password(remote);
        } else {
            fail_session(remote, error);
        }
        return;
    }
    if (remote->login.close != NULL) {
        if (!kd_outcome_from_close(remote->login.close, remote->is_opened, &error)) {
            take_reason(remote, error);
        }
        drain_to_debugger(remote);
        return;
    }
    if (remote->login.is_authenticated && !remote->is_leaving) {
        g_clear_handle_id(&remote->timer_id, g_source_remove);
    }
    if (remote->login.trans == NULL) {
        take_listed(remote);
        return;
    }
    remote->base.is_lost = remote->login.is_lost;
    if (remote->login.opened != NULL && !remote->is_opened) {
        remote->is_opened = TRUE;
        take_opened(remote);
    }
}

static gboolean
on_debugger_gone(gpointer data)
{
    KdRemote *remote = data;

    remote->hangup_id = 0;
    leave_session(remote);
    return G_SOURCE_REMOVE;
}

static void
take_debugger_end(KdRemote *remote, int error)
{
    gboolean has_half_close = remote->login.opened->has_half_close;
    gboolean is_socket = remote->debugger.fd >= 0;

    remote->is_line_finished = TRUE;
    if (remote->is_peer_finished || error != 0) {
        leave_session(remote);
        return;
    }
    if ((is_socket && kd_hangup_is_gone(remote->debugger.fd)) ||
        (remote->debugger.kind == KD_DEBUGGER_TCP && !has_half_close)) {
        leave_session(remote);
        return;
    }
    kd_route_shut(remote->route, KD_SIDE_PEER);
    if (is_socket) {
        remote->hangup_id = kd_hangup_watch(remote->debugger.fd, on_debugger_gone, remote);
        remote->base.funcs->half_closed(&remote->base, remote->base.user);
    }
}

static void
take_server_end(KdRemote *remote, int error)
{
    const char *text = kd_tls_stream_explain(error);

    if (error == 0) {
        remote->is_peer_finished = TRUE;
        kd_route_shut(remote->route, KD_SIDE_LINE);
        if (remote->is_line_finished || remote->debugger.kind == KD_DEBUGGER_PTY) {
            leave_session(remote);
        }
        return;
    }
    if (error == ECONNABORTED) {
        take_reason(remote, g_error_new_literal(G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED,
                                                "the server's connection was cut"));
    } else if (text != NULL) {
        take_reason(remote, g_error_new(KD_ERROR, KD_ERROR_TLS, "TLS: %s", text));
    } else {
        take_reason(remote, g_error_new(G_IO_ERROR, (gint)g_io_error_from_errno(error),
                                        "the server's connection failed: %s", g_strerror(error)));
    }
    end_session(remote);
}

static void
on_finished(KdRoute *route, KdSide side, int error, void *user)
{
    KdRemote *remote = user;

    (void)route;
    if (remote->is_closing) {
        if (side == KD_SIDE_PEER) {
            end_session(remote);
        }
        return;
    }
    if (side == KD_SIDE_LINE) {
        take_debugger_end(remote, error);
    } else {
        take_server_end(remote, error);
    }
}

static void
on_failed(KdRoute *route, const GError *error, void *user)
{
    KdRemote *remote = user;

    (void)route;
    if (remote->is_closing) {
        return;
    }
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT)) {
        take_reason(remote, g_error_new(G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                                        "the server is silent: %s", error->message));
        end_session(remote);
    } else if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED)) {
        take_reason(remote, g_error_copy(error));
        end_session(remote);
    } else {
        fail_session(remote, g_error_copy(error));
    }
}

static void
on_reached(KdRoute *route, void *user)
{
    (void)route;
    (void)user;
}

/* The server closes once it has read CLOSE, which finished tells, unless it has told FIN before. */
static void
on_flushed(KdRoute *route, void *user)
{
    KdRemote *remote = user;

    (void)route;
    if (remote->is_closing && remote->is_peer_finished) {
        end_session(remote);
    }
}

static const KdRouteFuncs route_funcs = {
    .preamble = on_preamble,
    .frame = on_frame,
    .finished = on_finished,
    .failed = on_failed,
    .reached = on_reached,
    .flushed = on_flushed,
};

/* ---- dialling ---- */

static gboolean
on_login_late(gpointer data)
{
    KdRemote *remote = data;
    guint most_ms =
        remote->login.is_authenticated ? LIST_MOST_MS : kd_phase_get_deadline_ms(KD_PHASE_AUTH);

    remote->timer_id = 0;
    take_reason(remote, g_error_new(G_IO_ERROR, G_IO_ERROR_TIMED_OUT,
                                    "the server has not answered within %u s", most_ms / 1000));
    say_goodbye(remote, KD_CLOSE_TIMEOUT);
    return G_SOURCE_REMOVE;
}

static void
on_dialled(KdEndpoint *endpoint, GBytes *binding, const GError *dial_error, void *user)
{
    KdRemote *remote = user;
    GError *error = NULL;

    if (dial_error != NULL) {
        g_clear_pointer(&remote->dialling, kd_dialling_free);
        take_reason(remote, g_error_copy(dial_error));
        end_session(remote);
        return;
    }
    remote->binding = binding != NULL ? g_bytes_ref(binding) : NULL;
    remote->login.trans = remote->base.plan->trans;
    remote->login.password = remote->base.plan->dial_up->password;
    remote->login.binding = remote->binding;
    remote->route = kd_route_new_framed(KD_ROLE_CLIENT, &route_funcs, remote);
    if (!kd_route_join(remote->route, KD_SIDE_PEER, endpoint, &error)) {
        g_clear_pointer(&remote->dialling, kd_dialling_free);
        take_reason(remote, error);
        end_session(remote);
        return;
    }
    g_clear_pointer(&remote->dialling, kd_dialling_free);
    remote->timer_id =
        g_timeout_add(kd_phase_get_deadline_ms(KD_PHASE_AUTH), on_login_late, remote);
    kd_login_start(&remote->login, remote->route);
}

/* The server does not wait for as long as people need, so its connection is given up meanwhile. */
static void
dial_with_password(KdRemote *remote)
{
    clear_sources(remote);
    g_clear_pointer(&remote->route, kd_route_free);
    g_clear_pointer(&remote->binding, g_bytes_unref);
    kd_login_clear(&remote->login);
    remote->login = (KdLogin){0};
    remote->dialling =
        kd_dialling_new_with_password(remote->base.plan->dial_up, on_dialled, remote);
}

static void
remote_start(KdConnection *connection)
{
    KdRemote *remote = (KdRemote *)connection;

    remote->dialling = kd_dialling_new(connection->plan->dial_up, on_dialled, remote);
}

/* ---- for the owner ---- */

static gboolean
remote_join(KdConnection *connection, const KdDebugger *debugger, KdEndpoint *endpoint,
            GError **error)
{
    KdRemote *remote = (KdRemote *)connection;

    remote->debugger = *debugger;
    remote->is_joined = kd_route_join(remote->route, KD_SIDE_LINE, endpoint, error);
    return remote->is_joined;
}

/* Every DATA frame before it was queued before it, so the place is the count of what was sent. */
static gboolean
remote_control(KdConnection *connection, const KdControl *control, GError **error)
{
    KdRemote *remote = (KdRemote *)connection;
    KdControl complete = *control;

    if (remote->is_closing || remote->is_leaving) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_FAILED, "the session is ending");
        return FALSE;
    }
    complete.at = kd_route_get_wire(remote->route)->credit.sent;
    kd_route_send(remote->route, KD_FRAME_CONTROL, kd_control_build(&complete));
    return TRUE;
}

static void
remote_leave(KdConnection *connection)
{
    leave_session((KdRemote *)connection);
}

static gboolean
on_given_up(gpointer data)
{
    KdRemote *remote = data;

    remote->end_id = 0;
    end_session(remote);
    return G_SOURCE_REMOVE;
}

static void
remote_close(KdConnection *connection)
{
    KdRemote *remote = (KdRemote *)connection;

    if (remote->dialling != NULL) {
        g_clear_pointer(&remote->dialling, kd_dialling_free);
        remote->end_id = g_idle_add(on_given_up, remote);
    } else if (remote->route != NULL && !remote->is_closing) {
        say_goodbye(remote, KD_CLOSE_NORMAL);
    }
}

static const KdConnectionOps remote_ops = {
    .start = remote_start,
    .join = remote_join,
    .control = remote_control,
    .leave = remote_leave,
    .close = remote_close,
    .free = remote_free,
};

/**
 * kd_remote_new:
 *
 * Returns: (transfer full): a connection that goes over the plan's server
 */
KdConnection *
kd_remote_new(void)
{
    KdRemote *remote = g_new0(KdRemote, 1);

    remote->base.ops = &remote_ops;
    remote->debugger.fd = -1;
    return &remote->base;
}
