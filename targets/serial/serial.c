/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The com target: serial lines, the serial ports of virtual machines, and serial ports over TCP. */
#include "serial-link.h"
#include "serial-params.h"
#include "serial-ports.h"

static gboolean
serial_check(GVariant *params, GError **error)
{
    g_autoptr(SerialPlan) plan = serial_plan_new(params, error);
    return plan != NULL;
}

static char **
serial_build_lock_names(const KdHost *host, GVariant *params)
{
    g_autoptr(SerialPlan) plan = serial_plan_new(params, NULL);
    if (plan == NULL) {
        return NULL;
    }
    return serial_plan_build_lock_names(plan, host);
}

static void
serial_open_async(const KdHost *host, GVariant *params, GVariant *session, const KdSink *sink,
                  GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
    GError *error = NULL;
    SerialPlan *plan = serial_plan_new(params, &error);
    (void)session;
    if (plan == NULL) {
        g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, user_data);
        g_task_return_error(task, error);
        return;
    }
    serial_link_open_async(host, plan, sink, cancellable, callback, user_data);
}

static GObject *
serial_open_finish(GAsyncResult *result, KdEndpoint *endpoint, GError **error)
{
    SerialLink *link = serial_link_open_finish(result, endpoint, error);
    return link != NULL ? G_OBJECT(link) : NULL;
}

static void
serial_reopen_async(GObject *link, GCancellable *cancellable, GAsyncReadyCallback callback,
                    gpointer user_data)
{
    serial_link_reopen_async(SERIAL_LINK(link), cancellable, callback, user_data);
}

static gboolean
serial_reopen_finish(GObject *link, GAsyncResult *result, KdEndpoint *endpoint, GError **error)
{
    return serial_link_reopen_finish(SERIAL_LINK(link), result, endpoint, error);
}

static void
serial_control_async(GObject *link, uint32_t op, GVariant *arg, GCancellable *cancellable,
                     GAsyncReadyCallback callback, gpointer user_data)
{
    serial_link_control_async(SERIAL_LINK(link), op, arg, cancellable, callback, user_data);
}

static gboolean
serial_control_finish(GObject *link, GAsyncResult *result, GVariant **out, GError **error)
{
    return serial_link_control_finish(SERIAL_LINK(link), result, out, error);
}

static void
serial_close_async(GObject *link, GAsyncReadyCallback callback, gpointer user_data)
{
    serial_link_close_async(SERIAL_LINK(link), callback, user_data);
}

static void
serial_close_finish(GObject *link, GAsyncResult *result)
{
    serial_link_close_finish(SERIAL_LINK(link), result);
}

static const KdTarget serial_target = {
    .struct_size = sizeof(KdTarget),
    .caps = (1u << KD_CONTROL_BREAK) | (1u << KD_CONTROL_BAUD) | (1u << KD_CONTROL_PURGE) |
            (1u << KD_CONTROL_STATUS) | (1u << KD_CONTROL_LINES) | (1u << KD_CONTROL_DRAIN) |
            KD_TARGET_REOPEN,
    .scheme = "com",
    .summary = "serial lines, serial ports of virtual machines, serial ports over TCP",
    .params = serial_params,
    .check = serial_check,
    .build_lock_names = serial_build_lock_names,
    .enumerate_async = serial_ports_list_async,
    .enumerate_finish = serial_ports_list_finish,
    .open_async = serial_open_async,
    .open_finish = serial_open_finish,
    .reopen_async = serial_reopen_async,
    .reopen_finish = serial_reopen_finish,
    .control_async = serial_control_async,
    .control_finish = serial_control_finish,
    .close_async = serial_close_async,
    .close_finish = serial_close_finish,
};

static const KdTarget *const serial_targets[] = {&serial_target, NULL};

KD_PLUGIN_DEFINE(.name = "com", .version = "0.1.0", .license = "LGPL-2.1-or-later",
                 .targets = serial_targets);
