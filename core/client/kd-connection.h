/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One session of a debugger with a target, over a server or on this machine. */
#pragma once

#include "kd-controls.h"
#include "kd-end.h"
#include "kd-plan.h"
#include "kd-registry.h"

typedef enum {
    KD_DEBUGGER_STDIO = 0, /* its end of file is a half-close for certain                      */
    KD_DEBUGGER_PTY = 1,   /* can be told nothing, and never ends                              */
    KD_DEBUGGER_UNIX = 2,  /* a socket that tells a half-close from being gone                  */
    KD_DEBUGGER_TCP = 3,   /* a socket that does not                                            */
} KdDebuggerKind;

/**
 * KdDebugger:
 * @kind: of its end
 * @fd: (unowned): what tells that it has hung up, -1: nothing does; stays open as long as the end
 *
 * What is known about a debugger.
 */
typedef struct {
    KdDebuggerKind kind;
    int fd;
} KdDebugger;

typedef struct KdConnection KdConnection;

/**
 * KdConnectionFuncs:
 * @opened: the target answers; kd_connection_join() may be called
 * @half_closed: the debugger has said its last byte and may yet be listening, or be gone: where
 *    another one waits, it may be given its place
 * @ended: the session is over: @error is %NULL for an end that is none of an error. Comes exactly
 *    once, after kd_connection_start() has returned, and the last of all
 *
 * What the owner of a connection is told. Each may free the connection.
 */
typedef struct {
    void (*opened)(KdConnection *connection, void *user);
    void (*half_closed)(KdConnection *connection, void *user);
    void (*ended)(KdConnection *connection, const GError *error, void *user);
} KdConnectionFuncs;

/**
 * KdConnectionOps:
 * @start: begins to open the target
 * @join: gives it the debugger
 * @control: asks for an operation of an open target, in order with what the debugger has said so
 *    far; its result goes to the connection's controls
 * @leave: ends it when all that the debugger said has arrived
 * @close: ends it
 * @free: frees it in whatever state it is
 *
 * The two kinds of connection.
 */
typedef struct {
    void (*start)(KdConnection *connection);
    gboolean (*join)(KdConnection *connection, const KdDebugger *debugger, KdEndpoint *endpoint,
                     GError **error);
    gboolean (*control)(KdConnection *connection, const KdControl *control, GError **error);
    void (*leave)(KdConnection *connection);
    void (*close)(KdConnection *connection);
    void (*free)(KdConnection *connection);
} KdConnectionOps;

/**
 * KdConnection:
 * @ops: of its kind
 * @funcs: of its owner
 * @user: for @funcs
 * @plan: (unowned): what to open, resolved and prepared; where it names no link, the server's are
 * listed: ended follows, and opened never comes
 * @registry: (unowned): loaded plugins
 * @controls: asked for and not answered
 * @offered: bit (1 << op) for each control operation of the open target
 * @dialect: (nullable): of the open target, as OPENED has it
 * @listed: (unowned) (nullable): what the server could open, where the plan names no link
 * @has_resets: whether @resets is known
 * @resets: reset packets that the debugger shall send, as the link's string has it
 * @is_open: the target answers, and the session goes on
 * @is_lost: the target was lost and is not back yet
 *
 * First member of both kinds.
 */
struct KdConnection {
    const KdConnectionOps *ops;
    const KdConnectionFuncs *funcs;
    void *user;
    const KdPlan *plan;
    const KdRegistry *registry;
    KdControls *controls;
    uint32_t offered;
    char *dialect;
    const KdListed *listed;
    gboolean has_resets;
    uint32_t resets;
    gboolean is_open;
    gboolean is_lost;
};

gboolean kd_connection_resolve(KdPlan *plan, const KdRegistry *registry,
                               GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_connection_prepare(KdPlan *plan, GError **error) G_GNUC_WARN_UNUSED_RESULT;
KdConnection *kd_connection_new(const KdPlan *plan, const KdRegistry *registry,
                                const KdConnectionFuncs *funcs, void *user);
void kd_connection_free(KdConnection *connection);
void kd_connection_start(KdConnection *connection);
gboolean kd_connection_join(KdConnection *connection, const KdDebugger *debugger,
                            KdEndpoint *endpoint, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_connection_has_control(const KdConnection *connection, uint32_t op);
gboolean kd_connection_control(KdConnection *connection, const KdControl *control,
                               KdControlledFunc fn, void *user);
void kd_connection_leave(KdConnection *connection);
void kd_connection_close(KdConnection *connection);
char *kd_connection_build_identity(void);
