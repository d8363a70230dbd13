/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One session of a debugger with a target, over a server or on this machine. */
#include "kd-connection.h"

#include "kd-control-queue.h"
#include "kd-direct.h"
#include "kd-remote.h"
#include "kd-text.h"

#include <string.h>

/**
 * kd_connection_resolve:
 * @plan: what is to be opened
 * @registry: loaded plugins; outlives the plan
 * @error: return location
 *
 * Looks at the strings before anything is opened; the link of a server is the server's to judge.
 *
 * Returns: %FALSE with an error of the user's, one of the KD_ERROR_PARAM_ codes or
 * %KD_ERROR_NOT_SUPPORTED
 */
gboolean
kd_connection_resolve(KdPlan *plan, const KdRegistry *registry, GError **error)
{
    return plan->server != NULL ? kd_plan_resolve(plan, registry, error)
                                : kd_direct_check(registry, plan->trans, error);
}

/**
 * kd_connection_prepare:
 * @plan: resolved
 * @error: return location
 *
 * Reads the certificates and the password that the strings name.
 *
 * Returns: %FALSE with an error of a file, %KD_ERROR_TLS, or one of the KD_ERROR_PARAM_ codes
 */
gboolean
kd_connection_prepare(KdPlan *plan, GError **error)
{
    return plan->dial_up == NULL || kd_dial_up_make_door(plan->dial_up, error);
}

/**
 * kd_connection_new:
 * @plan: resolved and prepared; outlives the connection
 * @registry: outlives the connection
 * @funcs: outlives the connection
 * @user: for @funcs
 *
 * Returns: (transfer full): a connection of the kind that the plan asks for
 */
KdConnection *
kd_connection_new(const KdPlan *plan, const KdRegistry *registry, const KdConnectionFuncs *funcs,
                  void *user)
{
    KdConnection *connection = plan->server != NULL ? kd_remote_new() : kd_direct_new();

    connection->plan = plan;
    connection->registry = registry;
    connection->funcs = funcs;
    connection->user = user;
    connection->controls = kd_controls_new();
    return connection;
}

/**
 * kd_connection_free:
 * @connection: (transfer full) (nullable): a connection
 *
 * Cuts what is still there; nothing is told any more, but that what is unanswered was not done.
 */
void
kd_connection_free(KdConnection *connection)
{
    if (connection != NULL) {
        connection->is_open = FALSE;
        kd_controls_free(g_steal_pointer(&connection->controls));
        g_clear_pointer(&connection->dialect, g_free);
        connection->ops->free(connection);
    }
}

/**
 * kd_connection_start:
 * @connection: a new connection
 *
 * Begins to open the target; opened or ended follows.
 */
void
kd_connection_start(KdConnection *connection)
{
    connection->ops->start(connection);
}

/**
 * kd_connection_join:
 * @connection: opened
 * @debugger: what is known about its end
 * @endpoint: (transfer full): left empty; untouched on error
 * @error: return location
 *
 * Lets bytes pass between a debugger and the target.
 *
 * Returns: whether the loop took the end
 */
gboolean
kd_connection_join(KdConnection *connection, const KdDebugger *debugger, KdEndpoint *endpoint,
                   GError **error)
{
    return connection->ops->join(connection, debugger, endpoint, error);
}

/**
 * kd_connection_has_control:
 * @connection: started
 * @op: KD_CONTROL_*
 *
 * Returns: whether its target is open and offers the operation
 */
gboolean
kd_connection_has_control(const KdConnection *connection, uint32_t op)
{
    return connection->is_open && op < 32 && (connection->offered & (1u << op)) != 0;
}

static gboolean
check_control(const KdConnection *connection, uint32_t op, GError **error)
{
    if (!connection->is_open) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_FAILED, "the target is not open");
        return FALSE;
    }
    if (!kd_connection_has_control(connection, op)) {
        g_propagate_error(error, kd_controls_build_refusal(op));
        return FALSE;
    }
    if (connection->is_lost) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_LINK_LOST, "the target is lost");
        return FALSE;
    }
    return TRUE;
}

/**
 * kd_connection_control:
 * @connection: started
 * @control: op, urgency and arguments; id and place are the connection's to fill in
 * @fn: takes the answer; may be called before this returns
 * @user: for @fn
 *
 * Asks for a control operation, in order with what the debugger has said so far. Errors a caller
 * branches on: %KD_ERROR_NOT_SUPPORTED, %KD_ERROR_LINK_LOST, %KD_ERROR_BUSY when %KD_MAX_CONTROLS
 * are unanswered.
 *
 * Returns: whether it is on its way; if not, @fn was called with the reason
 */
gboolean
kd_connection_control(KdConnection *connection, const KdControl *control, KdControlledFunc fn,
                      void *user)
{
    g_autoptr(GError) error = NULL;
    KdControl complete = *control;

    if (!check_control(connection, control->op, &error)) {
        fn(0, NULL, error, user);
        return FALSE;
    }
    complete.id = kd_controls_add(connection->controls, fn, user);
    if (complete.id == 0) {
        g_set_error(&error, KD_ERROR, KD_ERROR_BUSY, "%u requests are unanswered", KD_MAX_CONTROLS);
        fn(0, NULL, error, user);
        return FALSE;
    }
    if (!connection->ops->control(connection, &complete, &error)) {
        kd_controls_take_error(connection->controls, complete.id, error);
        return FALSE;
    }
    return TRUE;
}

/**
 * kd_connection_leave:
 * @connection: opened
 *
 * Ends the session once the target has all that the debugger said, or 2 s later.
 */
void
kd_connection_leave(KdConnection *connection)
{
    connection->ops->leave(connection);
}

/**
 * kd_connection_close:
 * @connection: started
 *
 * Ends the session, whatever it is doing; ended follows.
 */
void
kd_connection_close(KdConnection *connection)
{
    connection->ops->close(connection);
}

/**
 * kd_connection_build_identity:
 *
 * Returns: (transfer full): `HOST\user`, what those are shown who find the target in use
 */
char *
kd_connection_build_identity(void)
{
    g_autofree char *text = g_strconcat(g_get_host_name(), "\\", g_get_user_name(), NULL);

    return kd_text_dup_printable((const uint8_t *)text, strlen(text), KD_MAX_IDENTITY_BYTES);
}
