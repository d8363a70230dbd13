/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who the debugger is, and one session after the other. */
#include "kd-bridge.h"

#include "kd-breaks.h"
#include "kd-child.h"
#include "kd-connection.h"
#include "kd-debug-socket.h"
#include "kd-hangup.h"
#include "kd-notice.h"
#include "kd-outcome.h"
#include "kd-pty.h"
#include "kd-signals.h"
#include "kd-stdio.h"
#include "kd-told.h"

#include <glib-unix.h>
#include <signal.h>

#define LAST_BYTES_MS 3000u /* after the debugger has ended                                     */
#define PTY_READ_MS   2000u /* for somebody to read what a pty still holds                      */
#define AGAIN_US      G_TIME_SPAN_SECOND /* timeout(1) and shells send a signal twice           */
#define PTY_POLL_MS   20u
/* Reset packets that the debugger shall send: only the one who opens the link knows them */
#define RESETS_VARIABLE "KD_RESETS"

/**
 * KdBridge:
 * @connection: (nullable): the session there is
 * @debugger: one that is to get a session, or nothing
 * @hangup_id: tells that @debugger has gone before it got one, 0 = none
 * @timer_id: something is waited for at the end, 0 = nothing
 * @status: exit status
 * @is_open: the target answers
 * @is_joined: the session has its debugger
 * @is_quitting: no more sessions
 */
typedef struct {
    const KdPlan *plan;
    const KdRegistry *registry;
    const KdHandover *handover;
    GMainLoop *loop;
    KdConnection *connection;
    KdBreaks *breaks;
    KdTold *told;
    KdDebugSocket *socket;
    KdPty *pty;
    KdChild *child;
    KdEndpoint debugger;
    guint hangup_id;
    guint timer_id;
    guint n_polls;
    gint64 asked_us; /* when a signal asked for the end                                      */
    int status;
    gboolean has_debugger;
    gboolean has_child_run;
    gboolean is_open;
    gboolean is_joined;
    gboolean is_quitting;
} KdBridge;

static void start_session(KdBridge *bridge);
static void on_accepted(int fd, void *user);

static void
print_error(const GError *error)
{
    kd_notice_print("%s", error->message);
}

static void
drop_debugger(KdBridge *bridge)
{
    g_clear_handle_id(&bridge->hangup_id, g_source_remove);
    if (bridge->has_debugger) {
        bridge->has_debugger = FALSE;
        kd_endpoint_clear(&bridge->debugger);
    }
}

static void
set_connection(KdBridge *bridge, KdConnection *connection)
{
    bridge->connection = connection;
    kd_breaks_set_connection(bridge->breaks, connection);
    kd_told_set_connection(bridge->told, connection);
}

/* ---- the end ---- */

static gboolean
on_pty_poll(gpointer data)
{
    KdBridge *bridge = data;

    if (!kd_pty_is_read(bridge->pty) && ++bridge->n_polls < PTY_READ_MS / PTY_POLL_MS) {
        return G_SOURCE_CONTINUE;
    }
    bridge->timer_id = 0;
    g_main_loop_quit(bridge->loop);
    return G_SOURCE_REMOVE;
}

static void
quit_when_done(KdBridge *bridge)
{
    if (!bridge->is_quitting || bridge->connection != NULL || bridge->child != NULL) {
        return;
    }
    g_clear_handle_id(&bridge->timer_id, g_source_remove);
    if (bridge->pty != NULL && !kd_pty_is_read(bridge->pty)) {
        bridge->timer_id = g_timeout_add(PTY_POLL_MS, on_pty_poll, bridge);
        return;
    }
    g_main_loop_quit(bridge->loop);
}

static void
quit(KdBridge *bridge)
{
    bridge->is_quitting = TRUE;
    if (bridge->socket != NULL) {
        kd_debug_socket_pause(bridge->socket);
    }
    drop_debugger(bridge);
    if (bridge->child != NULL) {
        kd_child_terminate(bridge->child);
    }
    if (bridge->connection != NULL) {
        kd_connection_close(bridge->connection);
    }
    quit_when_done(bridge);
}

static gboolean
on_end_signal(gpointer data)
{
    KdBridge *bridge = data;

    gint64 now_us = g_get_monotonic_time();

    if (bridge->asked_us == 0) {
        bridge->asked_us = now_us;
        quit(bridge);
    } else if (now_us - bridge->asked_us > AGAIN_US) {
        g_main_loop_quit(bridge->loop); /* without good manners */
    }
    return G_SOURCE_CONTINUE;
}

/* CTRL+C is the debugger's while it runs: the terminal sends it to both. */
static gboolean
on_interrupt(gpointer data)
{
    KdBridge *bridge = data;

    return bridge->child != NULL ? G_SOURCE_CONTINUE : on_end_signal(bridge);
}

static void
on_break_signal(gboolean is_urgent, void *user)
{
    kd_breaks_take_signal(((KdBridge *)user)->breaks, is_urgent);
}

/* ---- the started debugger ---- */

static gboolean
on_last_bytes_late(gpointer data)
{
    KdBridge *bridge = data;

    bridge->timer_id = 0;
    if (bridge->connection != NULL) {
        kd_connection_close(bridge->connection);
    }
    return G_SOURCE_REMOVE;
}

static void
on_child_ended(int status, void *user)
{
    KdBridge *bridge = user;

    bridge->status = status;
    g_clear_pointer(&bridge->child, kd_child_free);
    if (bridge->is_joined && !bridge->is_quitting) {
        /* Its socket has closed, so the session ends by itself once the last bytes are through. */
        bridge->is_quitting = TRUE;
        kd_debug_socket_pause(bridge->socket);
        bridge->timer_id = g_timeout_add(LAST_BYTES_MS, on_last_bytes_late, bridge);
        return;
    }
    quit(bridge);
}

static gboolean
spawn_child(KdBridge *bridge, const KdProfileStart *start, GError **error)
{
    const char *address = kd_debug_socket_get_address(bridge->socket);
    g_auto(GStrv) argv = kd_profile_start_build_argv(start, bridge->handover->argv, address);
    g_auto(GStrv) environment = kd_profile_start_build_environment(start, address);

    if (bridge->connection->has_resets) {
        g_autofree char *resets = g_strdup_printf("%u", bridge->connection->resets);

        environment = g_environ_setenv(environment, RESETS_VARIABLE, resets, TRUE);
    }
    bridge->child =
        kd_child_new((const char *const *)argv, environment, on_child_ended, bridge, error);
    return bridge->child != NULL;
}

/* Where it connects depends on what the link carries, which is known now. */
static void
start_child(KdBridge *bridge)
{
    const KdProfileStart *start =
        kd_profile_get_start(bridge->handover->profile, bridge->connection->dialect);
    g_autoptr(GError) error = NULL;

    bridge->has_child_run = TRUE;
    bridge->socket = kd_debug_socket_new_private(start->is_tcp, &error);
    if (bridge->socket == NULL || !spawn_child(bridge, start, &error)) {
        print_error(error);
        bridge->status = KD_EXIT_FAILED;
        quit(bridge);
        return;
    }
    kd_debug_socket_accept(bridge->socket, on_accepted, bridge);
}

/* ---- sessions ---- */

static KdDebuggerKind
get_debugger_kind(const KdBridge *bridge)
{
    switch (bridge->handover->kind) {
    case KD_HANDOVER_STDIO:
        return KD_DEBUGGER_STDIO;
    case KD_HANDOVER_PTY:
        return KD_DEBUGGER_PTY;
    default:
        return kd_debug_socket_is_tcp(bridge->socket) ? KD_DEBUGGER_TCP : KD_DEBUGGER_UNIX;
    }
}

static void
join_debugger(KdBridge *bridge)
{
    KdDebugger debugger = {.kind = get_debugger_kind(bridge), .fd = bridge->debugger.fd};
    g_autoptr(GError) error = NULL;

    g_clear_handle_id(&bridge->hangup_id, g_source_remove);
    bridge->is_joined = TRUE;
    bridge->has_debugger = FALSE;
    if (!kd_breaks_wrap(bridge->breaks, &bridge->debugger, &error) ||
        !kd_connection_join(bridge->connection, &debugger, &bridge->debugger, &error)) {
        print_error(error);
        kd_endpoint_clear(&bridge->debugger);
        kd_connection_close(bridge->connection);
    }
}

static void
on_opened(KdConnection *connection, void *user)
{
    KdBridge *bridge = user;

    (void)connection;
    bridge->is_open = TRUE;
    if (bridge->has_debugger) {
        join_debugger(bridge);
    } else if (bridge->handover->kind == KD_HANDOVER_CHILD && !bridge->has_child_run) {
        start_child(bridge);
    }
}

static void
on_half_closed(KdConnection *connection, void *user)
{
    KdBridge *bridge = user;

    (void)connection;
    if (bridge->socket != NULL && !bridge->is_quitting) {
        kd_debug_socket_accept(bridge->socket, on_accepted, bridge);
    }
}

/* What follows the end of a session: the next one, waiting for a debugger, or the end of kd. */
static void
go_on(KdBridge *bridge, gboolean was_joined, int status)
{
    gboolean is_served_again =
        bridge->child != NULL || bridge->handover->kind == KD_HANDOVER_LISTEN;

    if (!is_served_again && !bridge->is_quitting) {
        bridge->status = status;
        quit(bridge);
    } else if (bridge->is_quitting) {
        quit_when_done(bridge);
    } else if (bridge->has_debugger && was_joined) {
        start_session(bridge); /* it came while the last one had half gone */
    } else {
        drop_debugger(bridge);
        kd_debug_socket_accept(bridge->socket, on_accepted, bridge);
    }
}

static void
on_ended(KdConnection *connection, const GError *error, void *user)
{
    KdBridge *bridge = user;
    gboolean was_joined = bridge->is_joined;
    g_autofree char *lost = kd_stdio_build_error();
    int status = kd_outcome_get_status(error);

    if (error != NULL) {
        print_error(error);
    } else if (lost != NULL) {
        kd_notice_print("--stdio: %s", lost);
        status = KD_EXIT_FAILED;
    }
    set_connection(bridge, NULL);
    bridge->is_open = FALSE;
    bridge->is_joined = FALSE;
    kd_connection_free(connection);
    go_on(bridge, was_joined, status);
}

static const KdConnectionFuncs connection_funcs = {
    .opened = on_opened,
    .half_closed = on_half_closed,
    .ended = on_ended,
};

static void
start_session(KdBridge *bridge)
{
    set_connection(bridge,
                   kd_connection_new(bridge->plan, bridge->registry, &connection_funcs, bridge));
    kd_connection_start(bridge->connection);
}

/* ---- debuggers that come ---- */

static gboolean
on_debugger_gone(gpointer data)
{
    KdBridge *bridge = data;

    bridge->hangup_id = 0;
    drop_debugger(bridge);
    if (!bridge->is_joined) {
        kd_connection_close(bridge->connection); /* nobody waits for the target any more */
    }
    return G_SOURCE_REMOVE;
}

static void
on_accepted(int fd, void *user)
{
    KdBridge *bridge = user;

    kd_endpoint_take_fd(&bridge->debugger, fd, KD_ENDPOINT_HALF_CLOSE, NULL);
    bridge->has_debugger = TRUE;
    if (bridge->is_open && !bridge->is_joined) {
        join_debugger(bridge);
        return;
    }
    bridge->hangup_id = kd_hangup_watch(fd, on_debugger_gone, bridge);
    if (bridge->connection != NULL) {
        kd_connection_leave(bridge->connection);
    } else {
        start_session(bridge);
    }
}

static void
on_stdout_broken(void *user)
{
    KdBridge *bridge = user;

    if (bridge->connection == NULL) {
        return;
    }
    if (bridge->is_joined) {
        kd_connection_leave(bridge->connection);
    } else {
        kd_connection_close(bridge->connection);
    }
}

static gboolean
listen_for_debugger(KdBridge *bridge, GError **error)
{
    g_autofree char *name = NULL;

    bridge->socket = kd_debug_socket_new(bridge->handover->where, error);
    if (bridge->socket == NULL) {
        return FALSE;
    }
    name = kd_debug_socket_build_name(bridge->socket);
    kd_notice_print("listening on %s", name);
    if (kd_debug_socket_is_exposed(bridge->socket)) {
        kd_notice_print("%s: whoever reaches this address drives the target", name);
    }
    kd_debug_socket_accept(bridge->socket, on_accepted, bridge);
    return TRUE;
}

static gboolean
prepare(KdBridge *bridge, GError **error)
{
    switch (bridge->handover->kind) {
    case KD_HANDOVER_STDIO:
        bridge->has_debugger = kd_stdio_open(&bridge->debugger, on_stdout_broken, bridge, error);
        return bridge->has_debugger;
    case KD_HANDOVER_PTY:
        bridge->pty = kd_pty_new(bridge->handover->where, &bridge->debugger, error);
        bridge->has_debugger = bridge->pty != NULL;
        if (bridge->pty != NULL) {
            kd_notice_print("pty %s", kd_pty_get_name(bridge->pty));
        }
        return bridge->has_debugger;
    case KD_HANDOVER_LISTEN:
        return listen_for_debugger(bridge, error);
    case KD_HANDOVER_CHILD:
    default:
        return TRUE;
    }
}

static void
clear_bridge(KdBridge *bridge)
{
    KdConnection *connection;

    kd_signals_stop();
    g_clear_handle_id(&bridge->timer_id, g_source_remove);
    connection = bridge->connection;
    set_connection(bridge, NULL);
    kd_connection_free(connection);
    g_clear_pointer(&bridge->told, kd_told_free);
    g_clear_pointer(&bridge->breaks, kd_breaks_free);
    drop_debugger(bridge);
    g_clear_pointer(&bridge->socket, kd_debug_socket_free);
    g_clear_pointer(&bridge->pty, kd_pty_free);
    g_clear_pointer(&bridge->child, kd_child_free);
    g_main_loop_unref(bridge->loop);
}

/**
 * kd_bridge_run:
 * @plan: what to open
 * @registry: loaded plugins
 * @handover: who the debugger is
 *
 * Serves the debugger, or one after the other, until there is no more to do or a signal ends it.
 * Needs kd_loop_start(). Errors are printed.
 *
 * Returns: exit status of kd
 */
int
kd_bridge_run(const KdPlan *plan, const KdRegistry *registry, const KdHandover *handover)
{
    KdBridge bridge = {.plan = plan, .registry = registry, .handover = handover};
    g_autoptr(GError) error = NULL;

    bridge.loop = g_main_loop_new(NULL, FALSE);
    bridge.breaks = kd_breaks_new(handover->profile != NULL && handover->profile->has_kgdb_break);
    bridge.told = kd_told_new(plan, registry, bridge.breaks);
    kd_endpoint_init(&bridge.debugger);
    (void)signal(SIGPIPE, SIG_IGN);
    /* Never removed: GLib would restore the default action, and a signal that comes while things
     * are cleared away would leave them behind. Nothing turns the main context any more then. */
    g_unix_signal_add(SIGTERM, on_end_signal, &bridge);
    g_unix_signal_add(SIGHUP, on_end_signal, &bridge);
    g_unix_signal_add(SIGINT, on_interrupt, &bridge);
    if (!kd_signals_start(on_break_signal, &bridge, &error) || !prepare(&bridge, &error)) {
        print_error(error);
        clear_bridge(&bridge);
        return kd_outcome_get_status(error);
    }
    if (handover->kind != KD_HANDOVER_LISTEN) {
        start_session(&bridge);
    }
    g_main_loop_run(bridge.loop);
    clear_bridge(&bridge);
    return bridge.status;
}
