/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One open serial link: opening it, waiting for it to come back, its controls and its end. */
#include "serial-link.h"

#include "serial-carrier.h"
#include "serial-control.h"
#include "serial-events.h"
#include "serial-faults.h"
#include "serial-opening.h"
#include "serial-sending.h"

#include <kdsrv-support/kd-dial.h>
#include <kdsrv-support/kd-source.h>

#define RETRY_FIRST_MS 50u
#define RETRY_LAST_MS  1000u
/* A link that lived longer than this is opened anew at once. */
#define STABLE_US (1000 * G_GINT64_CONSTANT(1000))
/* How long bytes may take to leave before the line is closed */
#define CLOSE_LIMIT_MS 1000u

/* What was said about a wait, once each */
typedef enum {
    TOLD_MISSING = 1u << 0,
    TOLD_BUSY = 1u << 1,
    TOLD_OTHER_ADAPTER = 1u << 2,
    TOLD_FAILURE = 1u << 3,
} SerialTold;

struct _SerialLink {
    GObject parent_instance;
    const KdHost *host;
    const KdSink *sink;
    SerialPlan *plan;
    /* while a terminal is open */
    SerialLine *line;
    SerialCarrier *carrier; /* (nullable) */
    SerialFaults *faults;   /* (nullable) */
    SerialControl *control; /* (nullable): under way */
    SerialSending *sending; /* (nullable): before the end */
    /* of the first opening */
    SerialAdapter *adapter;   /* (nullable) */
    SerialSettings *settings; /* (nullable): of what is no pty: what was found */
    gboolean is_device;       /* a terminal, and no pty */
    gboolean is_socket;
    gint64 opened_us;
    guint retry_ms;
    /* of the opening under way */
    GTask *task;
    GSource *timer;
    GSource *cancel;
    GCancellable *attempt;
    gboolean is_reopening;
    guint told; /* SerialTold */
};

G_DEFINE_TYPE(SerialLink, serial_link, G_TYPE_OBJECT)

static void
clear_opening(SerialLink *link)
{
    kd_source_clear(&link->timer);
    kd_source_clear(&link->cancel);
    if (link->attempt != NULL) {
        g_cancellable_cancel(link->attempt);
    }
    g_clear_object(&link->attempt);
}

/* The terminal, and all that looks at it */
static void
clear_line(SerialLink *link)
{
    /* Whoever is told of the end of an operation may want the next one, which finds no line. */
    SerialLine *line = g_steal_pointer(&link->line);
    if (link->control != NULL) {
        serial_control_abort(link->control, g_error_new(KD_ERROR, KD_ERROR_LINK_LOST, "%s was lost",
                                                        link->plan->name));
    }
    g_clear_pointer(&link->sending, serial_sending_free);
    g_clear_pointer(&link->carrier, serial_carrier_free);
    g_clear_pointer(&link->faults, serial_faults_free);
    serial_line_free(line);
}

static void
serial_link_finalize(GObject *object)
{
    SerialLink *link = SERIAL_LINK(object);
    clear_opening(link);
    clear_line(link);
    g_clear_pointer(&link->adapter, serial_adapter_free);
    g_clear_pointer(&link->settings, g_free);
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

static GTask *
steal_task(SerialLink *link)
{
    clear_opening(link);
    return g_steal_pointer(&link->task);
}

static void
return_error(SerialLink *link, GError *error)
{
    g_autoptr(GTask) task = steal_task(link);
    g_prefix_error(&error, "com: ");
    g_task_return_error(task, error);
}

static gboolean
on_cancelled(GCancellable *cancellable, gpointer user_data)
{
    (void)cancellable;
    return_error(user_data,
                 g_error_new_literal(G_IO_ERROR, G_IO_ERROR_CANCELLED, "opening was cancelled"));
    return G_SOURCE_REMOVE;
}

static gboolean
on_retry(gpointer user_data)
{
    SerialLink *link = user_data;
    kd_source_clear(&link->timer);
    try_once(link);
    return G_SOURCE_REMOVE;
}

static void
start_retry(SerialLink *link)
{
    link->retry_ms = CLAMP(link->retry_ms * 2, RETRY_FIRST_MS, RETRY_LAST_MS);
    kd_source_start_timer(&link->timer, link->retry_ms, on_retry, link);
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

/* A device that is plugged in again appears before its permissions do, answers late, and is looked
 * at by other programs. What no waiting mends has a code of ours: it is forbidden, no terminal, or
 * can't do what it is asked for. */
static gboolean
may_come_back(const GError *error)
{
    return error->domain == G_IO_ERROR || g_error_matches(error, KD_ERROR, KD_ERROR_BUSY) ||
           g_error_matches(error, KD_ERROR, KD_ERROR_LINK_LOST);
}

static gboolean
tell_once(SerialLink *link, SerialTold what)
{
    gboolean is_new = (link->told & what) == 0;
    link->told |= what;
    return is_new;
}

static void
note_wait(SerialLink *link, const GError *error)
{
    const char *name = link->plan->name;
    if (!link->is_device) {
        /* Of a loss the core says `target lost`: no note beside it. */
        if (!link->is_reopening && tell_once(link, TOLD_MISSING)) {
            serial_events_note(link->sink, "waiting for %s", name);
        }
    } else if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND)) {
        if (tell_once(link, TOLD_MISSING)) {
            serial_events_note(link->sink, "%s was unplugged: waiting for it", name);
        }
    } else if (g_error_matches(error, KD_ERROR, KD_ERROR_BUSY)) {
        if (tell_once(link, TOLD_BUSY)) {
            serial_events_note(link->sink, "%s: waiting for that to end", error->message);
        }
    } else if (g_error_matches(error, KD_ERROR, KD_ERROR_LINK_LOST)) {
        if (tell_once(link, TOLD_OTHER_ADAPTER)) {
            serial_events_note(link->sink, "%s: waiting for the former", error->message);
        }
    } else if (link->retry_ms >= RETRY_LAST_MS && tell_once(link, TOLD_FAILURE)) {
        /* Not at once: the first tries come before udev has set the rights. */
        serial_events_note(link->sink, "%s: trying on", error->message);
    }
}

static void
take_failure(SerialLink *link, GError *error)
{
    gboolean is_awaited = (link->is_reopening && link->is_device && may_come_back(error)) ||
                          (link->plan->is_waited_for && may_pass_by_itself(error));
    if (!is_awaited) {
        return_error(link, error);
        return;
    }
    note_wait(link, error);
    g_error_free(error);
    /* The note's taker may have ended it all. */
    if (link->task != NULL) {
        start_retry(link);
    }
}

static void
on_attempted(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GTask) task = user_data;
    SerialLink *link = g_task_get_source_object(task);
    GError *error = NULL;
    (void)source;
    g_autoptr(SerialOpened) opened = serial_opening_finish(result, &error);
    if (link->task != task) {
        /* The opening that asked for it has ended. */
        g_clear_error(&error);
        return;
    }
    g_clear_object(&link->attempt);
    if (opened == NULL) {
        take_failure(link, error);
        return;
    }
    g_autoptr(GTask) own = steal_task(link);
    g_task_return_pointer(own, g_steal_pointer(&opened), (GDestroyNotify)serial_opened_free);
}

static void
try_once(SerialLink *link)
{
    link->attempt = g_cancellable_new();
    serial_opening_async(link->host, link->plan, link->adapter, link->attempt, on_attempted,
                         g_object_ref(link->task));
}

static void
start_opening(SerialLink *link, GTask *task)
{
    GCancellable *cancellable = g_task_get_cancellable(task);
    link->task = g_object_ref(task);
    link->told = 0;
    if (cancellable == NULL) {
        return;
    }
    link->cancel = g_cancellable_source_new(cancellable);
    g_source_set_callback(link->cancel, G_SOURCE_FUNC(on_cancelled), link, NULL);
    g_source_attach(link->cancel, g_task_get_context(task));
}

static void
take_line(SerialLink *link, SerialLine *line)
{
    link->line = line;
    if (link->opened_us == 0 && !serial_line_is_pty(line)) {
        link->is_device = link->plan->kind == SERIAL_LINE;
        link->adapter = serial_adapter_find(serial_line_get_device(line));
        link->settings = serial_line_dup_saved(line);
    } else if (link->settings != NULL) {
        serial_line_set_saved(line, link->settings);
    }
    link->faults = serial_faults_new(line, link->sink);
    if (link->plan->has_modem) {
        link->carrier = serial_carrier_new(line, link->sink);
    }
}

/* No KD_ENDPOINT_HALF_CLOSE for sockets: QEMU and VirtualBox take the end of our bytes for a
 * disconnection and close their side, so the target's last words would be lost. */
static void
give_endpoint(SerialLink *link, SerialOpened *opened, KdEndpoint *endpoint)
{
    GVariantDict facts;
    g_variant_dict_init(&facts, NULL);
    g_variant_dict_insert(&facts, "dialect", "s", "bytes");
    if (link->plan->has_resets) {
        g_variant_dict_insert(&facts, "resets", "u", link->plan->resets);
    }
    link->is_socket = opened->line == NULL;
    if (opened->line != NULL) {
        take_line(link, g_steal_pointer(&opened->line));
        g_variant_dict_insert(&facts, "baud", "u", serial_line_get_baud(link->line));
        g_variant_dict_insert(&facts, "controls", "u",
                              serial_control_get_offered(link->line, link->plan));
    } else {
        g_autofree char *peer = kd_dial_build_peer_name(opened->fd);
        g_variant_dict_insert(&facts, "controls", "u", 0u);
        g_variant_dict_insert(&facts, "peer", "s", peer);
    }
    link->opened_us = g_get_monotonic_time();
    kd_endpoint_take_fd(endpoint, opened->fd, link->plan->is_drained ? KD_ENDPOINT_DRAIN : 0,
                        g_variant_dict_end(&facts));
    opened->fd = -1;
    serial_opened_free(opened);
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
    SerialOpened *opened = g_task_propagate_pointer(G_TASK(result), error);
    if (opened == NULL) {
        return NULL;
    }
    SerialLink *link = g_task_get_source_object(G_TASK(result));
    give_endpoint(link, opened, endpoint);
    return g_object_ref(link);
}

/* ---- opening it anew ------------------------------------------------------------------------- */

/* A socket that is closed is how a target ends; of a terminal that is told, for the client would
 * take it for the same. */
static void
return_end(SerialLink *link, GTask *task)
{
    const char *what = link->is_socket ? "closed the connection" : "hung up";
    if (!link->is_socket) {
        serial_events_note(link->sink, "%s has %s", link->plan->name, what);
    }
    g_task_return_new_error(task, KD_ERROR, KD_ERROR_LINK_LOST,
                            "com: %s has %s (with reconnect it would be waited for)",
                            link->plan->name, what);
}

/**
 * serial_link_reopen_async:
 *
 * Waits until the link can be opened again. A device is waited for in any case; a pty's name may be
 * somebody else's by then, so without `reconnect` its end is final, like a socket's:
 * %KD_ERROR_LINK_LOST.
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
    if (!link->plan->is_waited_for && !link->is_device) {
        return_end(link, task);
        return;
    }
    if (link->task != NULL) {
        g_task_return_new_error(task, KD_ERROR, KD_ERROR_BUSY, "com: %s is being opened already",
                                link->plan->name);
        return;
    }
    clear_line(link);
    link->is_reopening = TRUE;
    start_opening(link, task);
    if (g_get_monotonic_time() - link->opened_us >= STABLE_US) {
        link->retry_ms = 0;
        try_once(link);
    } else {
        /* What opens and hangs up at once must not make us spin. */
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
    SerialOpened *opened = g_task_propagate_pointer(G_TASK(result), error);
    if (opened == NULL) {
        return FALSE;
    }
    give_endpoint(link, opened, endpoint);
    return TRUE;
}

/* ---- controls -------------------------------------------------------------------------------- */

/**
 * serial_link_control_async:
 * @arg: (nullable): as kd-plugin.h says
 *
 * Starts a control operation; one at a time.
 */
void
serial_link_control_async(SerialLink *link, uint32_t op, GVariant *arg, GCancellable *cancellable,
                          GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(link, cancellable, callback, user_data);
    g_task_set_source_tag(task, serial_link_control_async);
    if (g_task_return_error_if_cancelled(task)) {
        return;
    }
    if (link->is_socket) {
        g_task_return_new_error(task, KD_ERROR, KD_ERROR_NOT_SUPPORTED,
                                "com: %s is a socket: it carries bytes, and no control operations",
                                link->plan->name);
    } else if (link->line == NULL) {
        g_task_return_new_error(task, KD_ERROR, KD_ERROR_LINK_LOST, "com: %s is not open",
                                link->plan->name);
    } else if (link->control != NULL) {
        g_task_return_new_error(task, KD_ERROR, KD_ERROR_BUSY,
                                "com: another control operation is under way on %s",
                                link->plan->name);
    } else {
        serial_control_start(&link->control, link->line, link->plan, op, arg,
                             g_steal_pointer(&task));
    }
}

/**
 * serial_link_control_finish:
 * @out: (out) (transfer full) (nullable): the result, %NULL with an operation that has none
 * @error: %KD_ERROR_NOT_SUPPORTED: the link has no such operation; %KD_ERROR_LINK_LOST: the device
 *    has gone; %G_IO_ERROR_TIMED_OUT: the line sends nothing
 *
 * Returns: whether it was done
 */
gboolean
serial_link_control_finish(SerialLink *link, GAsyncResult *result, GVariant **out, GError **error)
{
    GError *own = NULL;
    g_autoptr(GVariant) value = g_task_propagate_pointer(G_TASK(result), &own);
    (void)link;
    if (own != NULL) {
        g_propagate_error(error, own);
        return FALSE;
    }
    if (out != NULL) {
        *out = g_steal_pointer(&value);
    }
    return TRUE;
}

/* ---- the end --------------------------------------------------------------------------------- */

static void
on_sent(uint32_t unsent_bytes, gpointer user_data)
{
    g_autoptr(GTask) task = user_data;
    (void)unsent_bytes;
    clear_line(g_task_get_source_object(task));
    g_task_return_boolean(task, TRUE);
}

/**
 * serial_link_close_async:
 *
 * Ends what is under way, gives the line a second to send what it has taken, then restores its
 * settings. The endpoint stays the host's to close.
 */
void
serial_link_close_async(SerialLink *link, GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(link, NULL, callback, user_data);
    g_task_set_source_tag(task, serial_link_close_async);
    if (link->task != NULL) {
        return_error(link,
                     g_error_new_literal(G_IO_ERROR, G_IO_ERROR_CANCELLED, "the link was closed"));
    }
    if (link->control != NULL) {
        serial_control_abort(link->control, g_error_new_literal(G_IO_ERROR, G_IO_ERROR_CANCELLED,
                                                                "the link was closed"));
    }
    /* No event after the end, nor any more before. */
    g_clear_pointer(&link->carrier, serial_carrier_free);
    g_clear_pointer(&link->faults, serial_faults_free);
    if (link->line == NULL) {
        g_task_return_boolean(task, TRUE);
        return;
    }
    link->sending = serial_sending_new(link->line, CLOSE_LIMIT_MS, on_sent, g_steal_pointer(&task));
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
