/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The link `probe:interval=MS`, for benchmarks only: a timer in the server's own main loop that
 * tells its session how late it is, one little-endian 32-bit number of microseconds each time. */
#include <kdsrv/kd-plugin.h>

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEFAULT_INTERVAL_MS 10u

#define PROBE_TYPE_LINK (probe_link_get_type())
G_DECLARE_FINAL_TYPE(ProbeLink, probe_link, PROBE, LINK, GObject)

struct _ProbeLink {
    GObject parent_instance;
    int fd; /* our end of the session's stream */
    guint timer;
};

G_DEFINE_FINAL_TYPE(ProbeLink, probe_link, G_TYPE_OBJECT)

static void
probe_link_stop(ProbeLink *link)
{
    g_clear_handle_id(&link->timer, g_source_remove);
    if (link->fd >= 0) {
        close(link->fd);
        link->fd = -1;
    }
}

static void
probe_link_finalize(GObject *object)
{
    probe_link_stop(PROBE_LINK(object));
    G_OBJECT_CLASS(probe_link_parent_class)->finalize(object);
}

static void
probe_link_class_init(ProbeLinkClass *klass)
{
    G_OBJECT_CLASS(klass)->finalize = probe_link_finalize;
}

static void
probe_link_init(ProbeLink *link)
{
    link->fd = -1;
}

static gboolean
on_timer(gpointer user)
{
    ProbeLink *link = user;
    gint64 due_us = g_source_get_ready_time(g_main_current_source());
    gint64 late_us = g_get_monotonic_time() - due_us;
    guint32 value = GUINT32_TO_LE((guint32)CLAMP(late_us, 0, G_MAXUINT32));

    /* nobody reads: that sample is lost, the loop is not held up for it */
    if (write(link->fd, &value, sizeof value) < 0 && errno != EAGAIN) {
        link->timer = 0;
        return G_SOURCE_REMOVE;
    }
    return G_SOURCE_CONTINUE;
}

static void
probe_open_async(const KdHost *host, GVariant *params, GVariant *session, const KdSink *sink,
                 GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, user_data);
    guint64 interval_ms = DEFAULT_INTERVAL_MS;

    (void)host;
    (void)session;
    (void)sink;
    g_variant_lookup(params, "interval", "t", &interval_ms);
    g_task_return_int(task, (gssize)interval_ms);
}

static GObject *
probe_open_finish(GAsyncResult *result, KdEndpoint *endpoint, GError **error)
{
    gssize interval_ms = g_task_propagate_int(G_TASK(result), error);
    g_autoptr(ProbeLink) link = NULL;
    int pair[2];

    if (interval_ms < 0) {
        return NULL;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) {
        int saved = errno;

        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(saved), "probe: %s",
                    g_strerror(saved));
        return NULL;
    }
    link = g_object_new(PROBE_TYPE_LINK, NULL);
    link->fd = pair[0];
    link->timer = g_timeout_add((guint)interval_ms, on_timer, link);
    kd_endpoint_take_fd(endpoint, pair[1], 0, NULL);
    return G_OBJECT(g_steal_pointer(&link));
}

static void
probe_close_async(GObject *link, GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(link, NULL, callback, user_data);

    probe_link_stop(PROBE_LINK(link));
    g_task_return_boolean(task, TRUE);
}

static void
probe_close_finish(GObject *link, GAsyncResult *result)
{
    (void)link;
    (void)g_task_propagate_boolean(G_TASK(result), NULL);
}

static const KdParamSpec probe_params[] = {
    {.key = "interval",
     .type = KD_PARAM_UINT,
     .min = 1,
     .max = 1000,
     .default_value = "10",
     .placeholder = "MS",
     .help = "milliseconds between two samples"},
    {.key = NULL},
};

static const KdTarget probe_target = {
    .struct_size = sizeof(KdTarget),
    .caps = KD_TARGET_SHARED,
    .scheme = "probe",
    .summary = "how late a timer of the server is, for benchmarks",
    .params = probe_params,
    .open_async = probe_open_async,
    .open_finish = probe_open_finish,
    .close_async = probe_close_async,
    .close_finish = probe_close_finish,
};

static const KdTarget *const probe_targets[] = {&probe_target, NULL};

KD_PLUGIN_DEFINE(.name = "probe", .version = "0", .license = "LGPL-2.1-or-later",
                 .origin = "tests/bench", .targets = probe_targets);
