/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One open serial link: opening it, waiting for it to come back, its speed and its end. */
#include "serial-link.h"

#include "serial-line.h"
#include "serial-params.h"

#include <kdsrv-support/kd-dial.h>

#include <sys/stat.h>
#include <unistd.h>

#define RETRY_FIRST_MS 50u
#define RETRY_LAST_MS  1000u
/* A link that lived longer than this is opened anew at once. */
#define STABLE_US (1000 * G_GINT64_CONSTANT(1000))
/* How long bytes may take to leave before the speed changes or the line is closed, and how often
 * that is looked at: the kernel does not report it */
#define SENT_LIMIT_US (1000 * G_GINT64_CONSTANT(1000))
#define SENT_TICK_MS  5u

struct _SerialLink {
    GObject parent_instance;
    const KdHost *host;
    const KdSink *sink;
    SerialPlan *plan;
    SerialLine *line; /* (nullable): only of a terminal */
    gint64 opened_us;
    guint retry_ms;
    /* of the opening under way */
    GTask *task;
    GSource *timer;
    GSource *cancel;
    GCancellable *dialling;
    gboolean is_told;
};

G_DEFINE_TYPE(SerialLink, serial_link, G_TYPE_OBJECT)

/* What an opening makes: dropped whole when it was cancelled */
typedef struct {
    int fd;
    SerialLine *line; /* (nullable) */
} Opened;

static void
opened_free(gpointer data)
{
    Opened *opened = data;
    g_clear_pointer(&opened->line, serial_line_free);
    if (opened->fd >= 0) {
        close(opened->fd);
    }
    g_free(opened);
}

static void
clear_source(GSource **source)
{
    if (*source != NULL) {
        g_source_destroy(*source);
    }
    g_clear_pointer(source, g_source_unref);
}

static void
clear_opening(SerialLink *link)
{
    clear_source(&link->timer);
    clear_source(&link->cancel);
    if (link->dialling != NULL) {
        g_cancellable_cancel(link->dialling);
    }
    g_clear_object(&link->dialling);
}

static void
serial_link_finalize(GObject *object)
{
    SerialLink *link = SERIAL_LINK(object);
    clear_opening(link);
    g_clear_pointer(&link->line, serial_line_free);
    g_clear_pointer(&link->plan, serial_plan_free);
    G_OBJECT_CLASS(serial_link_parent_class)->finalize(object);
}

static void
serial_link_class_init(SerialLinkClass *klass)
{
    G_OBJECT_CLASS(klass)->finalize = serial_link_finalize;
}

static void
serial_link_init(SerialLink *link)
{
    (void)link;
}

/* ---- opening --------------------------------------------------------------------------------- */

static void try_once(SerialLink *link);

static void
return_opened(SerialLink *link, int fd, SerialLine *line)
{
    g_autoptr(GTask) task = g_steal_pointer(&link->task);
    clear_opening(link);
    Opened *opened = g_new0(Opened, 1);
    opened->fd = fd;
    opened->line = line;
    g_task_return_pointer(task, opened, opened_free);
}

static void
return_error(SerialLink *link, GError *error)
{
    g_autoptr(GTask) task = g_steal_pointer(&link->task);
    clear_opening(link);
    g_task_return_error(task, error);
}

static gboolean
on_cancelled(GCancellable *cancellable, gpointer user_data)
{
    (void)cancellable;
    return_error(user_data, g_error_new_literal(G_IO_ERROR, G_IO_ERROR_CANCELLED,
                                                "com: opening was cancelled"));
    return G_SOURCE_REMOVE;
}

static gboolean
on_retry(gpointer user_data)
{
    SerialLink *link = user_data;
    clear_source(&link->timer);
    if (!link->is_told && link->sink != NULL && link->sink->event != NULL) {
        g_autofree char *note = g_strdup_printf("waiting for %s", link->plan->name);
        link->is_told = TRUE;
        link->sink->event(link->sink->user, KD_EVENT_NOTE, g_variant_new_string(note));
    }
    try_once(link);
    return G_SOURCE_REMOVE;
}

static void
start_retry(SerialLink *link)
{
    link->retry_ms = CLAMP(link->retry_ms * 2, RETRY_FIRST_MS, RETRY_LAST_MS);
    clear_source(&link->timer);
    link->timer = g_timeout_source_new(link->retry_ms);
    g_source_set_callback(link->timer, on_retry, link, NULL);
    g_source_attach(link->timer, g_task_get_context(link->task));
}

static gboolean
may_pass_by_itself(const GError *error)
{
    static const int codes[] = {
        G_IO_ERROR_NOT_FOUND, G_IO_ERROR_CONNECTION_REFUSED, G_IO_ERROR_WOULD_BLOCK,
        G_IO_ERROR_TIMED_OUT, G_IO_ERROR_HOST_UNREACHABLE,   G_IO_ERROR_NETWORK_UNREACHABLE,
    };
    for (size_t i = 0; i < G_N_ELEMENTS(codes); i++) {
        if (g_error_matches(error, G_IO_ERROR, codes[i])) {
            return TRUE;
        }
    }
    return FALSE;
}

static void
take_failure(SerialLink *link, GError *error)
{
    if (link->plan->is_waited_for && may_pass_by_itself(error)) {
        g_error_free(error);
        start_retry(link);
        return;
    }
    g_prefix_error(&error, "com: ");
    return_error(link, error);
}

static void
on_dialled(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GTask) task = user_data;
    SerialLink *link = g_task_get_source_object(task);
    GError *error = NULL;
    (void)source;
    int fd = kd_dial_finish(result, &error);
    if (link->task != task) {
        /* The opening that asked for it has ended. */
        g_clear_error(&error);
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    g_clear_object(&link->dialling);
    if (fd >= 0) {
        return_opened(link, fd, NULL);
    } else {
        take_failure(link, error);
    }
}

static void
open_line(SerialLink *link, int path_fd)
{
    GError *error = NULL;
    /* What a VM shows as a terminal has no speed of its own. */
    uint32_t baud = link->plan->kind == SERIAL_LINE ? link->plan->baud : 0;
    g_autoptr(SerialLine) line = serial_line_open(path_fd, link->plan->name, baud, &error);
    int fd = line != NULL ? serial_line_dup_fd(line, &error) : -1;
    if (fd >= 0) {
        return_opened(link, fd, g_steal_pointer(&line));
    } else {
        take_failure(link, error);
    }
}

/* The path leads through a descriptor, which has to live as long as the dial may try again. */
typedef struct {
    GTask *task;
    int path_fd;
} PathDial;

static void
on_path_dialled(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autofree PathDial *dial = user_data;
    close(dial->path_fd);
    on_dialled(source, result, dial->task);
}

/* Opens what the path names, whatever it is just now: a VM may offer a socket or a terminal. */
static void
open_path(SerialLink *link)
{
    GError *error = NULL;
    struct stat info = {0};
    int path_fd = link->host->open_path(link->host, link->plan->name, &error);
    if (path_fd < 0) {
        take_failure(link, error);
        return;
    }
    if (fstat(path_fd, &info) == 0 && S_ISCHR(info.st_mode)) {
        open_line(link, path_fd);
        close(path_fd);
        return;
    }
    if (!S_ISSOCK(info.st_mode) || link->plan->kind != SERIAL_PIPE) {
        close(path_fd);
        take_failure(link, g_error_new(KD_ERROR, KD_ERROR_PARAM_INVALID,
                                       link->plan->kind == SERIAL_PIPE
                                           ? "%s is neither a socket nor a terminal"
                                           : "%s is not a terminal",
                                       link->plan->name));
        return;
    }
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", path_fd);
    link->dialling = g_cancellable_new();
    PathDial *dial = g_new0(PathDial, 1);
    dial->task = g_object_ref(link->task);
    dial->path_fd = path_fd;
    kd_dial_path_as_async(path, link->plan->name, link->dialling, on_path_dialled, dial);
}

static void
try_once(SerialLink *link)
{
    if (link->plan->kind != SERIAL_IP) {
        open_path(link);
        return;
    }
    link->dialling = g_cancellable_new();
    kd_dial_host_async(link->host, link->plan->name, link->plan->ip_port, KD_FAMILY_ANY, TRUE,
                       link->dialling, on_dialled, g_object_ref(link->task));
}

static void
start_opening(SerialLink *link, GTask *task)
{
    GCancellable *cancellable = g_task_get_cancellable(task);
    link->task = g_object_ref(task);
    if (cancellable == NULL) {
        return;
    }
    link->cancel = g_cancellable_source_new(cancellable);
    g_source_set_callback(link->cancel, G_SOURCE_FUNC(on_cancelled), link, NULL);
    g_source_attach(link->cancel, g_task_get_context(task));
}

/* No KD_ENDPOINT_HALF_CLOSE for sockets: QEMU and VirtualBox take the end of our bytes for a
 * disconnection and close their side, so the target's last words would be lost. */
static void
give_endpoint(SerialLink *link, Opened *opened, KdEndpoint *endpoint)
{
    GVariantDict facts;
    g_variant_dict_init(&facts, NULL);
    g_variant_dict_insert(&facts, "dialect", "s", "bytes");
    link->line = g_steal_pointer(&opened->line);
    link->opened_us = g_get_monotonic_time();
    if (link->line != NULL) {
        g_variant_dict_insert(&facts, "baud", "u", serial_line_get_baud(link->line));
    } else {
        g_variant_dict_insert(&facts, "controls", "u", 0u); /* a socket has no speed */
        g_autofree char *peer = kd_dial_build_peer_name(opened->fd);
        g_variant_dict_insert(&facts, "peer", "s", peer);
    }
    kd_endpoint_take_fd(endpoint, opened->fd, link->plan->is_drained ? KD_ENDPOINT_DRAIN : 0,
                        g_variant_dict_end(&facts));
    opened->fd = -1;
    opened_free(opened);
}

/**
 * serial_link_open_async:
 * @plan: (transfer full)
 * @sink: told once when the link has to be waited for
 *
 * Opens what @plan names, and with `reconnect` waits until it can.
 */
void
serial_link_open_async(const KdHost *host, SerialPlan *plan, const KdSink *sink,
                       GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(SerialLink) link = g_object_new(SERIAL_TYPE_LINK, NULL);
    link->host = host;
    link->plan = plan;
    link->sink = sink;
    g_autoptr(GTask) task = g_task_new(link, cancellable, callback, user_data);
    g_task_set_source_tag(task, serial_link_open_async);
    if (g_task_return_error_if_cancelled(task)) {
        return;
    }
    start_opening(link, task);
    try_once(link);
}

/**
 * serial_link_open_finish:
 *
 * Returns: (transfer full) (nullable): errors a caller branches on: %KD_ERROR_BUSY,
 *    %KD_ERROR_POLICY, %G_IO_ERROR_NOT_FOUND
 */
SerialLink *
serial_link_open_finish(GAsyncResult *result, KdEndpoint *endpoint, GError **error)
{
    Opened *opened = g_task_propagate_pointer(G_TASK(result), error);
    if (opened == NULL) {
        return NULL;
    }
    SerialLink *link = g_task_get_source_object(G_TASK(result));
    give_endpoint(link, opened, endpoint);
    return g_object_ref(link);
}

/**
 * serial_link_reopen_async:
 *
 * Waits until the link can be opened again; without `reconnect` fails with %KD_ERROR_LINK_LOST.
 */
void
serial_link_reopen_async(SerialLink *link, GCancellable *cancellable, GAsyncReadyCallback callback,
                         gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(link, cancellable, callback, user_data);
    g_task_set_source_tag(task, serial_link_reopen_async);
    if (g_task_return_error_if_cancelled(task)) {
        return;
    }
    if (!link->plan->is_waited_for) {
        g_task_return_new_error(task, KD_ERROR, KD_ERROR_LINK_LOST,
                                "com: the link to %s was lost (reconnect would wait for it)",
                                link->plan->name);
        return;
    }
    if (link->task != NULL) {
        g_task_return_new_error(task, KD_ERROR, KD_ERROR_BUSY, "com: %s is being opened already",
                                link->plan->name);
        return;
    }
    g_clear_pointer(&link->line, serial_line_free);
    /* The core says `target lost`: no note beside it. */
    link->is_told = TRUE;
    start_opening(link, task);
    if (g_get_monotonic_time() - link->opened_us >= STABLE_US) {
        link->retry_ms = 0;
        try_once(link);
    } else {
        /* What accepts and hangs up at once must not make us spin. */
        start_retry(link);
    }
}

/**
 * serial_link_reopen_finish:
 *
 * Returns: whether @endpoint was filled
 */
gboolean
serial_link_reopen_finish(SerialLink *link, GAsyncResult *result, KdEndpoint *endpoint,
                          GError **error)
{
    Opened *opened = g_task_propagate_pointer(G_TASK(result), error);
    if (opened == NULL) {
        return FALSE;
    }
    give_endpoint(link, opened, endpoint);
    return TRUE;
}

/* ---- after the bytes have left --------------------------------------------------------------- */

/* Waits until the line has sent all, then does what the task is for. */
typedef struct {
    gint64 deadline_us;
    uint32_t baud;
    void (*then)(GTask *task);
} Sending;

static gboolean
is_due(GTask *task)
{
    SerialLink *link = g_task_get_source_object(task);
    Sending *sending = g_task_get_task_data(task);
    return link->line == NULL || serial_line_is_sent(link->line) ||
           g_cancellable_is_cancelled(g_task_get_cancellable(task)) ||
           g_get_monotonic_time() >= sending->deadline_us;
}

static gboolean
on_sent_tick(gpointer user_data)
{
    GTask *task = user_data;
    if (!is_due(task)) {
        return G_SOURCE_CONTINUE;
    }
    ((Sending *)g_task_get_task_data(task))->then(task);
    return G_SOURCE_REMOVE;
}

static void
after_sending(GTask *task, uint32_t baud, void (*then)(GTask *task))
{
    Sending *sending = g_new0(Sending, 1);
    sending->deadline_us = g_get_monotonic_time() + SENT_LIMIT_US;
    sending->baud = baud;
    sending->then = then;
    g_task_set_task_data(task, sending, g_free);
    if (is_due(task)) {
        then(task);
        return;
    }
    g_autoptr(GSource) source = g_timeout_source_new(SENT_TICK_MS);
    g_source_set_callback(source, on_sent_tick, g_object_ref(task), g_object_unref);
    g_source_attach(source, g_task_get_context(task));
}

static void
then_set_baud(GTask *task)
{
    SerialLink *link = g_task_get_source_object(task);
    Sending *sending = g_task_get_task_data(task);
    GError *error = NULL;
    if (g_task_return_error_if_cancelled(task)) {
        return;
    }
    if (link->line == NULL) {
        g_task_return_new_error(task, KD_ERROR, KD_ERROR_LINK_LOST, "com: %s is not open",
                                link->plan->name);
    } else if (!serial_line_set_baud(link->line, sending->baud, &error)) {
        g_prefix_error(&error, "com: ");
        g_task_return_error(task, error);
    } else {
        link->plan->baud = sending->baud; /* also after reopening */
        uint32_t got = serial_line_get_baud(link->line);
        g_task_return_int(task, got != 0 ? got : sending->baud);
    }
}

/**
 * serial_link_set_baud_async:
 *
 * Changes the speed once what the line has taken so far has left, or after a second.
 */
void
serial_link_set_baud_async(SerialLink *link, uint32_t baud, GCancellable *cancellable,
                           GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(link, cancellable, callback, user_data);
    g_task_set_source_tag(task, serial_link_set_baud_async);
    if (link->plan->kind != SERIAL_LINE) {
        g_task_return_new_error(task, KD_ERROR, KD_ERROR_NOT_SUPPORTED, "com: %s has no speed",
                                link->plan->name);
    } else if (baud < SERIAL_BAUD_MIN || baud > SERIAL_BAUD_MAX) {
        g_task_return_new_error(task, KD_ERROR, KD_ERROR_PARAM_INVALID,
                                "com: baud=%u is not in %u..%u", baud, SERIAL_BAUD_MIN,
                                SERIAL_BAUD_MAX);
    } else {
        after_sending(task, baud, then_set_baud);
    }
}

/**
 * serial_link_set_baud_finish:
 *
 * Returns: the speed in effect, or 0
 */
uint32_t
serial_link_set_baud_finish(SerialLink *link, GAsyncResult *result, GError **error)
{
    (void)link;
    gssize baud = g_task_propagate_int(G_TASK(result), error);
    return baud > 0 ? (uint32_t)baud : 0;
}

static void
then_close(GTask *task)
{
    SerialLink *link = g_task_get_source_object(task);
    g_clear_pointer(&link->line, serial_line_free);
    g_task_return_boolean(task, TRUE);
}

/**
 * serial_link_close_async:
 *
 * Gives the line a second to send what it has taken, then restores its settings. The endpoint stays
 * the host's to close.
 */
void
serial_link_close_async(SerialLink *link, GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(link, NULL, callback, user_data);
    g_task_set_source_tag(task, serial_link_close_async);
    if (link->task != NULL) {
        return_error(link, g_error_new_literal(G_IO_ERROR, G_IO_ERROR_CANCELLED,
                                               "com: the link was closed"));
    }
    after_sending(task, 0, then_close);
}

/**
 * serial_link_close_finish:
 *
 * Ends closing.
 */
void
serial_link_close_finish(SerialLink *link, GAsyncResult *result)
{
    (void)link;
    (void)g_task_propagate_boolean(G_TASK(result), NULL);
}
