/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The net target: Windows kernels on the other end of an encrypted UDP session (KDNET). */
#include "kd-link-port.h"
#include "kdnet-link.h"
#include "kdnet-params.h"

static gboolean
kdnet_check(GVariant *params, GError **error)
{
    g_autoptr(KdnetPlan) plan = kdnet_plan_new(params, error);
    return plan != NULL;
}

static char **
kdnet_build_lock_names(const KdHost *host, GVariant *params)
{
    g_autoptr(KdnetPlan) plan = kdnet_plan_new(params, NULL);
    g_autofree char *name = NULL;

    (void)host;
    if (plan == NULL) {
        return NULL;
    }
    name = g_strdup_printf("udp:%u", plan->port);
    return g_strsplit(name, "\n", 1);
}

static void
kdnet_open_async(const KdHost *host, GVariant *params, GVariant *session, const KdSink *sink,
                 GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
    GError *error = NULL;
    KdnetPlan *plan = kdnet_plan_new(params, &error);

    (void)session;
    if (plan == NULL) {
        g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, user_data);

        g_task_return_error(task, error);
        return;
    }
    kdnet_link_open_async(host, plan, sink, cancellable, callback, user_data);
}

static GObject *
kdnet_open_finish(GAsyncResult *result, KdEndpoint *endpoint, GError **error)
{
    KdnetLink *link = kdnet_link_open_finish(result, endpoint, error);
    return link != NULL ? G_OBJECT(link) : NULL;
}

static void
kdnet_control_async(GObject *link, uint32_t op, GVariant *arg, GCancellable *cancellable,
                    GAsyncReadyCallback callback, gpointer user_data)
{
    kdnet_link_control_async(KDNET_LINK(link), op, arg, cancellable, callback, user_data);
}

static gboolean
kdnet_control_finish(GObject *link, GAsyncResult *result, GVariant **out, GError **error)
{
    return kdnet_link_control_finish(KDNET_LINK(link), result, out, error);
}

static void
kdnet_close_async(GObject *link, GAsyncReadyCallback callback, gpointer user_data)
{
    kdnet_link_close_async(KDNET_LINK(link), callback, user_data);
}

static void
kdnet_close_finish(GObject *link, GAsyncResult *result)
{
    kdnet_link_close_finish(KDNET_LINK(link), result);
}

static const KdTarget kdnet_target = {
    .struct_size = sizeof(KdTarget),
    .caps = KD_LINK_PORT_CONTROLS,
    .scheme = "net",
    .summary = "Windows kernels over the network (KDNET)",
    .params = kdnet_params,
    .check = kdnet_check,
    .build_lock_names = kdnet_build_lock_names,
    .open_async = kdnet_open_async,
    .open_finish = kdnet_open_finish,
    .control_async = kdnet_control_async,
    .control_finish = kdnet_control_finish,
    .close_async = kdnet_close_async,
    .close_finish = kdnet_close_finish,
};

static const KdTarget *const kdnet_targets[] = {&kdnet_target, NULL};

KD_PLUGIN_DEFINE(.name = "net", .version = "0.1.0", .license = "LGPL-2.1-or-later",
                 .targets = kdnet_targets);
