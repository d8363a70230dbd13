/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The target link `fake:`: opens, reopens, controls and closes a fake device. */
#include "kd-fake-device.h"
#include "kd-fake-target-params.h"

#define DEFAULT_BAUD 115200u

#define KD_FAKE_TYPE_LINK (kd_fake_link_get_type())
G_DECLARE_FINAL_TYPE(KdFakeLink, kd_fake_link, KD_FAKE, LINK, GObject)

/* One asynchronous call that waits for something */
typedef struct {
    GTask *task;
    gulong cancel_id;
    gint64 due_us;
} Wait;

/* Holds the device from open_async until close_async has ended */
struct _KdFakeLink {
    GObject parent;
    KdFakeDevice *device;
    const KdSink *sink;
    KdFakeOptions options;
    Wait open;
    Wait reopen;
    Wait control;
    Wait close;
    uint32_t control_op;
    guint64 control_mark; /* begins when so many bytes have been taken or dropped */
    guint64 control_dropped;
    gboolean is_break_on; /* has begun, and lasts as long as the device says */
    gboolean holds;
};

G_DEFINE_TYPE(KdFakeLink, kd_fake_link, G_TYPE_OBJECT)

static void
link_release(KdFakeLink *link)
{
    KdFakeDevice *device = link->device;
    if (!link->holds)
        return;
    link->holds = FALSE;
    device->link = NULL;
    device->sink = NULL;
    if (device->steer != NULL)
        kd_fake_device_kick(device);
}

static void
kd_fake_link_finalize(GObject *object)
{
    link_release(KD_FAKE_LINK(object));
    G_OBJECT_CLASS(kd_fake_link_parent_class)->finalize(object);
}

static void
kd_fake_link_class_init(KdFakeLinkClass *klass)
{
    G_OBJECT_CLASS(klass)->finalize = kd_fake_link_finalize;
}

static void
kd_fake_link_init(KdFakeLink *link G_GNUC_UNUSED)
{
}

static void
on_cancelled(GCancellable *cancellable G_GNUC_UNUSED, KdFakeDevice *device)
{
    kd_fake_device_kick(device);
}

static void
wait_start(Wait *wait, GTask *task, KdFakeDevice *device, guint delay_ms)
{
    GCancellable *cancellable = g_task_get_cancellable(task);
    wait->task = task;
    wait->due_us = g_get_monotonic_time() + (gint64)delay_ms * 1000;
    if (cancellable != NULL)
        wait->cancel_id =
            g_cancellable_connect(cancellable, G_CALLBACK(on_cancelled), device, NULL);
    if (delay_ms == 0)
        kd_fake_device_kick(device);
    else
        kd_fake_device_wake_at(device, wait->due_us);
}

/* (transfer full) (nullable): the task, which waits no more */
static GTask *
wait_stop(Wait *wait)
{
    GTask *task = g_steal_pointer(&wait->task);
    if (wait->cancel_id != 0)
        g_cancellable_disconnect(g_task_get_cancellable(task), wait->cancel_id);
    wait->cancel_id = 0;
    return task;
}

static gboolean
wait_is_cancelled(const Wait *wait)
{
    return g_cancellable_is_cancelled(g_task_get_cancellable(wait->task));
}

/* Whether the time has come; asks for a wake-up when it has not. */
static gboolean
wait_is_due(const Wait *wait, KdFakeDevice *device)
{
    if (g_get_monotonic_time() >= wait->due_us)
        return TRUE;
    kd_fake_device_wake_at(device, wait->due_us);
    return FALSE;
}

static void
settle_open(KdFakeLink *link)
{
    KdFakeDevice *device = link->device;
    if (!wait_is_cancelled(&link->open) && !wait_is_due(&link->open, device))
        return;
    g_autoptr(GTask) task = wait_stop(&link->open);
    g_autofree char *failure = NULL;
    if (g_task_return_error_if_cancelled(task))
        return;
    if (device->open_failure != NULL)
        failure = g_steal_pointer(&device->open_failure);
    else if (device->is_away)
        failure = g_strdup("the device is away");
    if (failure == NULL) {
        g_task_return_boolean(task, TRUE);
        return;
    }
    device->stat.failed_opens++;
    g_task_return_new_error(task, KD_ERROR, KD_ERROR_FAILED, "fake:name=%" G_GUINT64_FORMAT ": %s",
                            device->name, failure);
}

static void
settle_reopen(KdFakeLink *link)
{
    if (!wait_is_cancelled(&link->reopen) && link->device->is_away)
        return;
    g_autoptr(GTask) task = wait_stop(&link->reopen);
    if (!g_task_return_error_if_cancelled(task))
        g_task_return_boolean(task, TRUE);
}

static guint64
count_gone(const KdFakeDevice *device)
{
    return device->stat.in + device->stat.drops;
}

/* Whether the break condition, which begins when its bytes have left, has come and gone. */
static gboolean
is_break_over(KdFakeLink *link)
{
    KdFakeDevice *device = link->device;
    if (!link->is_break_on && count_gone(device) < link->control_mark)
        return FALSE;
    if (!link->is_break_on)
        kd_fake_device_start_break(device);
    link->is_break_on = TRUE;
    return !device->is_breaking;
}

static void
settle_control(KdFakeLink *link)
{
    KdFakeDevice *device = link->device;
    gboolean is_lost = device->is_away;
    gboolean is_over =
        link->control_op == KD_CONTROL_BREAK && !is_lost && !wait_is_cancelled(&link->control)
            ? is_break_over(link)
            : count_gone(device) >= link->control_mark;
    if (!wait_is_cancelled(&link->control) && !is_lost && !is_over)
        return;
    g_autoptr(GTask) task = wait_stop(&link->control);
    link->is_break_on = FALSE;
    device->is_breaking = FALSE;
    if (g_task_return_error_if_cancelled(task))
        return;
    if (is_lost) {
        g_task_return_new_error(task, KD_ERROR, KD_ERROR_LINK_LOST,
                                "fake:name=%" G_GUINT64_FORMAT ": the device is away",
                                device->name);
        return;
    }
    if (link->control_op == KD_CONTROL_DRAIN) {
        g_task_return_pointer(task, NULL, NULL);
        return;
    }
    g_task_return_pointer(task, g_variant_ref_sink(g_variant_new_uint64(link->control_dropped)),
                          (GDestroyNotify)g_variant_unref);
}

static void
settle_close(KdFakeLink *link)
{
    if (!wait_is_due(&link->close, link->device))
        return;
    g_autoptr(GTask) task = wait_stop(&link->close);
    link->device->stat.closes++;
    link_release(link);
    g_task_return_boolean(task, TRUE);
}

/* A completion may run at once and drop the link or start the next call. */
static void
settle(void *user)
{
    g_autoptr(KdFakeLink) link = g_object_ref(KD_FAKE_LINK(user));
    if (link->open.task != NULL)
        settle_open(link);
    if (link->reopen.task != NULL)
        settle_reopen(link);
    if (link->control.task != NULL)
        settle_control(link);
    if (link->close.task != NULL)
        settle_close(link);
}

static guint64
get_uint(GVariant *params, const char *key, guint64 otherwise)
{
    guint64 value = otherwise;
    (void)g_variant_lookup(params, key, "t", &value);
    return value;
}

static gboolean
get_flag(GVariant *params, const char *key)
{
    gboolean value = FALSE;
    return g_variant_lookup(params, key, "b", &value) && value;
}

static uint32_t
get_endpoint_flags(GVariant *params)
{
    return (get_flag(params, "half") ? KD_ENDPOINT_HALF_CLOSE : 0u) |
           (get_flag(params, "keep") ? KD_ENDPOINT_KEEP : 0u) |
           (get_flag(params, "drain") ? KD_ENDPOINT_DRAIN : 0u);
}

/* One of the words that live as long as the process */
static const char *
get_dialect(GVariant *params)
{
    const char *word = fake_dialects[0];

    g_variant_lookup(params, "dialect", "&s", &word);
    for (const char *const *known = fake_dialects; *known != NULL; known++) {
        if (strcmp(*known, word) == 0)
            return *known;
    }
    return fake_dialects[0];
}

/* Claims the device for a new link, or returns NULL when another link has it. */
static KdFakeLink *
claim_device(KdFakeDevice *device, GVariant *params, GVariant *session, const KdSink *sink)
{
    if (device->link != NULL)
        return NULL;
    KdFakeLink *link = g_object_new(KD_FAKE_TYPE_LINK, NULL);
    link->device = device;
    link->holds = TRUE;
    link->options.flags = get_endpoint_flags(params);
    link->options.ring_bytes = (size_t)get_uint(params, "size", 65536);
    link->options.resets = (guint32)get_uint(params, "resets", 0);
    link->options.has_resets = g_variant_lookup(params, "resets", "t", NULL);
    link->options.dialect = get_dialect(params);
    device->link = link;
    device->settle = settle;
    device->sink = sink;
    device->baud = (guint32)get_uint(params, "baud", DEFAULT_BAUD);
    device->is_echo = get_flag(params, "echo");
    g_clear_pointer(&device->session, g_variant_unref);
    if (session != NULL)
        device->session = g_variant_ref_sink(session);
    return link;
}

static void
fake_open_async(const KdHost *host G_GNUC_UNUSED, GVariant *params, GVariant *session,
                const KdSink *sink, GCancellable *cancellable, GAsyncReadyCallback callback,
                gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(NULL, cancellable, callback, user_data);
    KdFakeDevice *device = kd_fake_get(get_uint(params, "name", 0));
    GError *error = NULL;
    const char *path = NULL;

    g_task_set_source_tag(task, fake_open_async);
    if (g_variant_lookup(params, "steer", "&s", &path) &&
        !kd_fake_steer_listen(device, path, &error)) {
        g_task_return_error(task, error);
        return;
    }
    KdFakeLink *link = claim_device(device, params, session, sink);
    if (link == NULL) {
        device->stat.failed_opens++;
        g_task_return_new_error(task, KD_ERROR, KD_ERROR_BUSY,
                                "fake:name=%" G_GUINT64_FORMAT ": the device is in use",
                                device->name);
        return;
    }
    g_task_set_task_data(task, link, g_object_unref);
    guint delay_ms = MAX((guint)get_uint(params, "delay", 0), device->open_delay_ms);
    wait_start(&link->open, g_steal_pointer(&task), device, delay_ms);
}

static GObject *
fake_open_finish(GAsyncResult *result, KdEndpoint *endpoint, GError **error)
{
    GTask *task = G_TASK(result);
    KdFakeLink *link = g_task_get_task_data(task);
    if (!g_task_propagate_boolean(task, error)) {
        /* At once, so that the next opening finds it free even if the task lives on. */
        if (link != NULL)
            link_release(link);
        return NULL;
    }
    link->device->stat.opens++;
    kd_fake_device_open_stream(link->device, &link->options, endpoint);
    kd_fake_device_kick(link->device);
    return g_object_ref(G_OBJECT(link));
}

static void
fake_reopen_async(GObject *object, GCancellable *cancellable, GAsyncReadyCallback callback,
                  gpointer user_data)
{
    KdFakeLink *link = KD_FAKE_LINK(object);
    GTask *task = g_task_new(object, cancellable, callback, user_data);
    g_task_set_source_tag(task, fake_reopen_async);
    if (link->reopen.task != NULL || link->close.task != NULL || !link->holds) {
        g_task_return_new_error(task, KD_ERROR, KD_ERROR_BUSY,
                                "fake:name=%" G_GUINT64_FORMAT ": not now", link->device->name);
        g_object_unref(task);
        return;
    }
    wait_start(&link->reopen, task, link->device, 0);
}

static gboolean
fake_reopen_finish(GObject *object, GAsyncResult *result, KdEndpoint *endpoint, GError **error)
{
    KdFakeLink *link = KD_FAKE_LINK(object);
    if (!g_task_propagate_boolean(G_TASK(result), error))
        return FALSE;
    link->device->stat.reopens++;
    kd_fake_device_open_stream(link->device, &link->options, endpoint);
    kd_fake_device_kick(link->device);
    return TRUE;
}

static GVariant *
build_status(const KdFakeDevice *device)
{
    GVariantDict status;
    g_variant_dict_init(&status, NULL);
    g_variant_dict_insert(&status, "in", "t", device->stat.in);
    g_variant_dict_insert(&status, "out", "t", device->stat.out);
    g_variant_dict_insert(&status, "pending", "t", (guint64)kd_fake_get_pending(device));
    g_variant_dict_insert(&status, "breaks", "t", device->stat.breaks);
    g_variant_dict_insert(&status, "baud", "u", device->baud);
    g_variant_dict_insert(&status, "lines", "u", device->lines);
    return g_variant_dict_end(&status);
}

/* The operations that are over at once; FALSE for those that wait for bytes to leave. */
static gboolean
control_now(KdFakeDevice *device, uint32_t op, GVariant *arg, GVariant **out)
{
    switch (op) {
    case KD_CONTROL_RESET:
        device->stat.resets++;
        return TRUE;
    case KD_CONTROL_BAUD:
        device->baud = g_variant_get_uint32(arg);
        *out = g_variant_new_uint32(device->baud);
        return TRUE;
    case KD_CONTROL_PURGE:
        *out = g_variant_new_uint64(kd_fake_device_purge(device));
        return TRUE;
    case KD_CONTROL_STATUS:
        *out = build_status(device);
        return TRUE;
    case KD_CONTROL_LINES: {
        guint32 mask = 0;
        guint32 value = 0;
        g_variant_get(arg, "(uu)", &mask, &value);
        device->lines = (device->lines & ~mask) | (value & mask);
        *out = g_variant_new_uint32(device->lines);
        return TRUE;
    }
    default:
        return FALSE;
    }
}

static char *
build_control_line(uint32_t op, GVariant *arg)
{
    static const char *const names[] = {"none",  "break",  "reset", "baud",
                                        "purge", "status", "lines", "drain"};
    g_autofree char *value = arg != NULL ? g_variant_print(arg, FALSE) : NULL;
    return g_strconcat(op < G_N_ELEMENTS(names) ? names[op] : "unknown", value != NULL ? " " : NULL,
                       value, NULL);
}

static const char *
get_arg_type(uint32_t op)
{
    switch (op) {
    case KD_CONTROL_BREAK:
    case KD_CONTROL_BAUD:
        return "u";
    case KD_CONTROL_LINES:
        return "(uu)";
    case KD_CONTROL_RESET:
    case KD_CONTROL_PURGE:
    case KD_CONTROL_STATUS:
    case KD_CONTROL_DRAIN:
        return "";
    default:
        return NULL;
    }
}

static GError *
check_control(KdFakeLink *link, uint32_t op, GVariant *arg)
{
    KdFakeDevice *device = link->device;
    const char *type = get_arg_type(op);
    g_autofree char *failure = NULL;
    if (type == NULL)
        return g_error_new(KD_ERROR, KD_ERROR_NOT_SUPPORTED, "fake: control %u is not offered", op);
    if (*type == '\0' ? arg != NULL : arg == NULL || !g_variant_is_of_type(arg, (void *)type))
        return g_error_new(KD_ERROR, KD_ERROR_PARAM_INVALID, "fake: control %u: wrong argument",
                           op);
    if (link->control.task != NULL)
        return g_error_new(KD_ERROR, KD_ERROR_BUSY, "fake: another control call is running");
    if (link->close.task != NULL || !link->holds)
        return g_error_new(KD_ERROR, KD_ERROR_FAILED, "fake: the link is closed");
    failure = g_steal_pointer(&device->control_failure);
    if (failure != NULL)
        return g_error_new(KD_ERROR, KD_ERROR_FAILED, "fake:name=%" G_GUINT64_FORMAT ": %s",
                           device->name, failure);
    return NULL;
}

static void
fake_control_async(GObject *object, uint32_t op, GVariant *arg, GCancellable *cancellable,
                   GAsyncReadyCallback callback, gpointer user_data)
{
    KdFakeLink *link = KD_FAKE_LINK(object);
    KdFakeDevice *device = link->device;
    g_autoptr(GTask) task = g_task_new(object, cancellable, callback, user_data);
    g_autoptr(GVariant) own = arg != NULL ? g_variant_ref_sink(arg) : NULL;
    GVariant *out = NULL;

    g_task_set_source_tag(task, fake_control_async);
    kd_fake_device_note_control(device, build_control_line(op, own));
    GError *error = check_control(link, op, own);
    if (error != NULL) {
        g_task_return_error(task, error);
        return;
    }
    if (g_task_return_error_if_cancelled(task))
        return;
    kd_fake_device_kick(device);
    if (control_now(device, op, own, &out)) {
        if (out != NULL)
            g_variant_ref_sink(out);
        g_task_return_pointer(task, out, (GDestroyNotify)g_variant_unref);
        return;
    }
    link->control_op = op;
    link->control_dropped =
        op == KD_CONTROL_BREAK && g_variant_get_uint32(own) != 0 ? kd_fake_device_purge(device) : 0;
    link->control_mark = count_gone(device) + kd_fake_get_pending(device);
    if (op == KD_CONTROL_BREAK)
        (void)is_break_over(link); /* one that need not wait for bytes begins at once */
    wait_start(&link->control, g_steal_pointer(&task), device, 0);
}

static gboolean
fake_control_finish(GObject *object G_GNUC_UNUSED, GAsyncResult *result, GVariant **out,
                    GError **error)
{
    GError *own = NULL;
    GVariant *value = g_task_propagate_pointer(G_TASK(result), &own);
    if (own != NULL) {
        g_propagate_error(error, own);
        return FALSE;
    }
    if (out != NULL)
        *out = value;
    else if (value != NULL)
        g_variant_unref(value);
    return TRUE;
}

static void
fake_close_async(GObject *object, GAsyncReadyCallback callback, gpointer user_data)
{
    KdFakeLink *link = KD_FAKE_LINK(object);
    GTask *task = g_task_new(object, NULL, callback, user_data);
    g_task_set_source_tag(task, fake_close_async);
    Wait *waits[] = {&link->reopen, &link->control};
    for (size_t i = 0; i < G_N_ELEMENTS(waits); i++) {
        if (waits[i]->task == NULL)
            continue;
        g_autoptr(GTask) pending = wait_stop(waits[i]);
        g_task_return_new_error(pending, G_IO_ERROR, G_IO_ERROR_CANCELLED,
                                "fake: the link was closed");
    }
    wait_start(&link->close, task, link->device, link->device->close_delay_ms);
}

static void
fake_close_finish(GObject *object G_GNUC_UNUSED, GAsyncResult *result)
{
    (void)g_task_propagate_boolean(G_TASK(result), NULL);
}

static char **
fake_build_lock_names(const KdHost *host G_GNUC_UNUSED, GVariant *params)
{
    g_autoptr(GStrvBuilder) names = g_strv_builder_new();
    g_autofree char *name = g_strdup_printf("fake:%" G_GUINT64_FORMAT, get_uint(params, "name", 0));
    g_strv_builder_add(names, name);
    return g_strv_builder_end(names);
}

const KdTarget kd_fake_target = {
    .struct_size = sizeof(KdTarget),
    .caps = 1u << KD_CONTROL_BREAK | 1u << KD_CONTROL_RESET | 1u << KD_CONTROL_BAUD |
            1u << KD_CONTROL_PURGE | 1u << KD_CONTROL_STATUS | 1u << KD_CONTROL_LINES |
            1u << KD_CONTROL_DRAIN | KD_TARGET_REOPEN,
    .scheme = "fake",
    .summary = "device without hardware, steered by a test",
    .params = fake_params,
    .build_lock_names = fake_build_lock_names,
    .enumerate_async = kd_fake_enumerate_async,
    .enumerate_finish = kd_fake_enumerate_finish,
    .open_async = fake_open_async,
    .open_finish = fake_open_finish,
    .reopen_async = fake_reopen_async,
    .reopen_finish = fake_reopen_finish,
    .control_async = fake_control_async,
    .control_finish = fake_control_finish,
    .close_async = fake_close_async,
    .close_finish = fake_close_finish,
};
