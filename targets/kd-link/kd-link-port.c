/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The client's side of a kdnet, usb or 1394 link: a link layer with its stream, its clock and its
 * events. A plugin adds the carrier. */
#include "kd-link-port.h"

#include <kdsrv-support/kd-ring-stream.h>

#include <errno.h>

/* Debuggers send one packet and wait; the layer keeps what they are to get. */
#define TO_HOST_BYTES   ((size_t)32 * 1024)
#define FROM_HOST_BYTES ((size_t)16 * 1024)

typedef struct {
    GSource base;
    KdLinkPort *port;
} PortClock;

struct KdLinkPort {
    const KdSink *sink;
    KdLinkPortFuncs funcs;
    void *user;
    KdLinkLayer *layer;
    KdRingStream *stream; /* NULL: the host has destroyed it */
    gboolean is_given;
    GSource *clock;
    gint64 armed_us; /* when the clock goes off; -1: not at all */
    gboolean is_present;
    gboolean is_lost; /* the host was told so */
    /* The layer is being called: what its functions cause waits for the end of that. */
    unsigned depth;
    gboolean has_ready;
    gboolean has_restarted;
    gboolean has_present;
    gboolean will_be_present;
};

/* The host's function may have changed what its main context waits for. */
static void
tell_host(KdLinkPort *port, uint32_t event, GVariant *arg)
{
    port->sink->event(port->sink->user, event, arg);
    g_main_context_wakeup(g_main_context_get_thread_default());
}

/* ---- the clock, and calls of the layer ---- */

/* Only ever earlier: each change costs a turn of the loop, and a clock that goes off too early does
 * no harm. An exchange of packets moves the deadline twice, the clock hardly ever. */
static void
arm(KdLinkPort *port)
{
    gint64 deadline_us = kd_link_layer_get_deadline_us(port->layer);

    if (deadline_us >= 0 && (port->armed_us < 0 || deadline_us < port->armed_us)) {
        port->armed_us = deadline_us;
        g_source_set_ready_time(port->clock, deadline_us);
        g_main_context_wakeup(g_main_context_get_thread_default());
    }
}

static gint64
enter(KdLinkPort *port)
{
    port->depth++;
    return g_get_monotonic_time();
}

static void
set_present(KdLinkPort *port, gboolean is_present)
{
    if (port->is_present == is_present) {
        return;
    }
    port->is_present = is_present;
    port->depth++;
    kd_link_layer_set_target(port->layer, is_present, g_get_monotonic_time());
    port->depth--;
    /* That it has come for the first time is no event: nobody took it for lost. */
    if (port->is_lost == is_present) {
        port->is_lost = !is_present;
        tell_host(port, is_present ? KD_EVENT_BACK : KD_EVENT_LOST, NULL);
    }
}

static void
restart(KdLinkPort *port)
{
    port->depth++;
    gboolean is_news = kd_link_layer_target_restarted(port->layer, g_get_monotonic_time());
    port->depth--;
    if (is_news) {
        tell_host(port, KD_EVENT_RESYNC, NULL);
    }
}

static void
leave(KdLinkPort *port)
{
    port->depth--;
    while (port->depth == 0 && (port->has_present || port->has_restarted || port->has_ready)) {
        if (port->has_restarted) {
            port->has_restarted = FALSE;
            restart(port);
        } else if (port->has_present) {
            port->has_present = FALSE;
            set_present(port, port->will_be_present);
        } else {
            port->has_ready = FALSE;
            port->depth++;
            kd_link_layer_target_ready(port->layer, g_get_monotonic_time());
            port->depth--;
        }
    }
    if (port->depth == 0) {
        arm(port);
    }
}

static gboolean
clock_dispatch(GSource *source, GSourceFunc callback, gpointer user_data)
{
    KdLinkPort *port = ((PortClock *)source)->port;

    (void)callback;
    (void)user_data;
    port->armed_us = G_MAXINT64; /* it is set below, once */
    port->depth++;
    kd_link_layer_tick(port->layer, g_get_monotonic_time());
    port->armed_us = -1;
    leave(port);
    if (port->armed_us < 0) {
        g_source_set_ready_time(source, -1);
    }
    return G_SOURCE_CONTINUE;
}

static GSourceFuncs clock_funcs = {.dispatch = clock_dispatch};

static GSource *
clock_new(KdLinkPort *port)
{
    GSource *source = g_source_new(&clock_funcs, sizeof(PortClock));

    ((PortClock *)source)->port = port;
    g_source_set_static_name(source, "kd-link");
    g_source_attach(source, g_main_context_get_thread_default());
    return source;
}

/* ---- what the layer says ---- */

static gboolean
on_to_target(const uint8_t *bytes, size_t len_bytes, void *user)
{
    KdLinkPort *port = user;

    return port->funcs.send(bytes, len_bytes, port->user);
}

static gboolean
on_to_client(const uint8_t *bytes, size_t len_bytes, void *user)
{
    KdLinkPort *port = user;

    return port->stream != NULL && kd_ring_stream_put_all(port->stream, bytes, len_bytes);
}

static gboolean
on_client_has_taken(void *user)
{
    KdLinkPort *port = user;

    return port->stream != NULL && kd_ring_stream_get_unread(port->stream) == 0;
}

static void
on_note(const char *text, void *user)
{
    kd_link_port_note(user, "%s", text);
}

/* ---- what the host does ---- */

static void
on_readable(KdRingStream *stream, void *user)
{
    KdLinkPort *port = user;
    KD_PACKET_UNFILLED uint8_t bytes[2 * KD_PACKET_MAX_BYTES];
    size_t n;
    gint64 now_us = enter(port);

    while ((n = kd_ring_stream_take(stream, bytes, sizeof bytes)) > 0) {
        kd_link_layer_from_client(port->layer, bytes, n, now_us);
    }
    leave(port);
}

static void
on_writable(KdRingStream *stream, void *user)
{
    KdLinkPort *port = user;

    (void)stream;
    kd_link_layer_client_ready(port->layer, enter(port));
    leave(port);
}

static void
on_attached(KdRingStream *stream, gboolean is_attached, void *user)
{
    KdLinkPort *port = user;

    /* Nothing of one session is for the next. */
    kd_ring_stream_purge(stream);
    kd_ring_stream_purge_unread(stream);
    kd_link_layer_set_client(port->layer, is_attached, enter(port));
    leave(port);
    if (port->funcs.attached != NULL) {
        port->funcs.attached(is_attached, port->user);
        g_main_context_wakeup(g_main_context_get_thread_default());
    }
}

static void
on_gone(KdRingStream *stream, void *user)
{
    KdLinkPort *port = user;

    (void)stream;
    port->stream = NULL;
    kd_link_layer_set_client(port->layer, FALSE, enter(port));
    leave(port);
}

static const KdRingStreamFuncs stream_funcs = {
    .readable = on_readable,
    .writable = on_writable,
    .gone = on_gone,
    .attached = on_attached,
};

/**
 * kd_link_port_new:
 * @dialect: of the target
 * @sink: where events go; outlives the port
 * @funcs: copied: the carrier
 * @user: for @funcs
 *
 * Makes the client's side of a link whose target is not there yet. Everything happens on the
 * thread's default main context.
 *
 * Returns: (transfer full): a port
 */
KdLinkPort *
kd_link_port_new(KdDialect dialect, const KdSink *sink, const KdLinkPortFuncs *funcs, void *user)
{
    static const KdLinkLayerFuncs layer_funcs = {
        .to_target = on_to_target,
        .to_client = on_to_client,
        .note = on_note,
        .client_has_taken = on_client_has_taken,
    };
    KdLinkPort *port = g_new0(KdLinkPort, 1);

    port->sink = sink;
    port->funcs = *funcs;
    port->user = user;
    port->layer = kd_link_layer_new(dialect, &layer_funcs, port);
    port->stream = kd_ring_stream_new(TO_HOST_BYTES, FROM_HOST_BYTES, &stream_funcs, port);
    port->clock = clock_new(port);
    port->armed_us = -1;
    return port;
}

/**
 * kd_link_port_free:
 * @port: (transfer full) (nullable): not being called
 *
 * Frees a port. The host may keep its end of the stream for a while: it reads the rest of it, and
 * then the end.
 */
void
kd_link_port_free(KdLinkPort *port)
{
    if (port == NULL) {
        return;
    }
    if (port->stream != NULL && port->is_given) {
        kd_ring_stream_detach(port->stream);
    } else {
        kd_ring_stream_free(port->stream);
    }
    g_source_destroy(port->clock);
    g_source_unref(port->clock);
    kd_link_layer_free(port->layer);
    g_free(port);
}

/**
 * kd_link_port_give:
 * @endpoint: (out caller-allocates): the host's
 * @peer: of the target, for people
 *
 * Fills the endpoint of the link: a stream of KDCOM that is kept between sessions.
 */
void
kd_link_port_give(KdLinkPort *port, KdEndpoint *endpoint, const char *peer)
{
    GVariantDict facts;

    g_variant_dict_init(&facts, NULL);
    g_variant_dict_insert(&facts, "peer", "s", peer);
    g_variant_dict_insert(&facts, "dialect", "s", "kdcom");
    g_variant_dict_insert(&facts, "controls", "u", (guint32)KD_LINK_PORT_CONTROLS);
    port->is_given = TRUE;
    kd_ring_stream_give(port->stream, endpoint,
                        KD_ENDPOINT_KEEP | (port->funcs.is_quiet ? KD_ENDPOINT_QUIET : 0u),
                        g_variant_dict_end(&facts));
}

/* ---- what the carrier does ---- */

/**
 * kd_link_port_receive:
 * @bytes: (nullable): one packet in the dialect's form
 * @len_bytes: its length
 *
 * Takes what the target has sent. Not to be called from `send`.
 *
 * Returns: %FALSE: it is to be left in the mailbox and read again later; where the target repeats
 *    by itself what is not acknowledged, nothing is to be done
 */
gboolean
kd_link_port_receive(KdLinkPort *port, const uint8_t *bytes, size_t len_bytes)
{
    g_return_val_if_fail(port->depth == 0, FALSE);
    gboolean is_taken = kd_link_layer_from_target(port->layer, bytes, len_bytes, enter(port));
    leave(port);
    return is_taken;
}

/**
 * kd_link_port_ready:
 *
 * The carrier takes packets again. From within `send` it counts when that has returned.
 */
void
kd_link_port_ready(KdLinkPort *port)
{
    port->has_ready = TRUE;
    port->depth++;
    leave(port);
}

/**
 * kd_link_port_set_present:
 *
 * Says whether there is a target to send to, and tells the host of a loss and of its end. From
 * within `send` it counts when that has returned.
 */
void
kd_link_port_set_present(KdLinkPort *port, gboolean is_present)
{
    port->has_present = TRUE;
    port->will_be_present = is_present;
    port->depth++;
    leave(port);
}

/**
 * kd_link_port_restarted:
 *
 * The target has restarted its side. The host is told, unless nothing was heard from the target
 * before. From within `send` it counts when that has returned.
 */
void
kd_link_port_restarted(KdLinkPort *port)
{
    port->has_restarted = TRUE;
    port->depth++;
    leave(port);
}

/**
 * kd_link_port_note:
 * @format: one sentence; what comes from the target in it is made printable here
 *
 * Tells log and client.
 */
void
kd_link_port_note(KdLinkPort *port, const char *format, ...)
{
    va_list args;
    GString *printable = g_string_new(NULL);

    va_start(args, format);
    g_autofree char *raw = g_strdup_vprintf(format, args);
    va_end(args);
    g_autofree char *text = g_utf8_make_valid(raw, -1);
    for (const char *at = text; *at != '\0'; at = g_utf8_next_char(at)) {
        gunichar c = g_utf8_get_char(at);

        g_string_append_unichar(printable, g_unichar_isprint(c) ? c : '?');
    }
    tell_host(port, KD_EVENT_NOTE, g_variant_new_take_string(g_string_free(printable, FALSE)));
}

/**
 * kd_link_port_fail:
 * @error: an errno
 *
 * Ends the link's stream: waiting does not mend this.
 */
void
kd_link_port_fail(KdLinkPort *port, int error)
{
    if (port->stream != NULL) {
        kd_ring_stream_end(port->stream, error);
    }
}

/* ---- control operations ---- */

static const char *
get_state_word(KdTargetState state)
{
    switch (state) {
    case KD_TARGET_STATE_RUNNING:
        return "running";
    case KD_TARGET_STATE_HALTED:
        return "halted";
    case KD_TARGET_STATE_UNKNOWN:
    default:
        return "unknown";
    }
}

static GVariant *
build_status(const KdLinkPort *port, GVariantDict *status)
{
    KdLinkLayerStatus known;

    kd_link_layer_get_status(port->layer, &known);
    g_variant_dict_insert(status, "present", "b", port->is_present);
    g_variant_dict_insert(status, "state", "s", get_state_word(known.state));
    g_variant_dict_insert(status, "from-target", "t", known.n_packets_from_target);
    g_variant_dict_insert(status, "to-target", "t", known.n_packets_to_target);
    g_variant_dict_insert(status, "repeated", "t", known.n_retransmissions);
    g_variant_dict_insert(status, "duplicates", "t", known.n_duplicates);
    g_variant_dict_insert(status, "damaged", "t", known.n_damaged);
    g_variant_dict_insert(status, "unseen-prints", "t", known.n_unseen_prints);
    return g_variant_dict_end(status);
}

static GVariant *
order(KdLinkPort *port, uint32_t op)
{
    gint64 now_us = enter(port);
    GVariant *result = NULL;

    if (op == KD_CONTROL_BREAK) {
        /* Nothing waits to be sent that the target has not been sent: no bytes are dropped. */
        kd_link_layer_break_in(port->layer, now_us);
        result = g_variant_new_uint64(0);
    } else {
        kd_link_layer_resync(port->layer, now_us);
    }
    leave(port);
    return result;
}

/**
 * kd_link_port_control:
 * @op: KD_CONTROL_BREAK, KD_CONTROL_RESET or KD_CONTROL_STATUS
 * @arg: (nullable): as kd-plugin.h says
 * @status: (nullable): what the carrier adds to its status, initialised; cleared here
 * @task: gets the result, a #GVariant or %NULL. Errors a caller branches on:
 *    KD_ERROR_NOT_SUPPORTED, KD_ERROR_PARAM_INVALID
 *
 * Does one control operation, at once. `status` has `present` b, `state` s (unknown, running,
 * halted), and counts t: `from-target`, `to-target`, `repeated`, `duplicates`, `damaged`,
 * `unseen-prints`.
 */
void
kd_link_port_control(KdLinkPort *port, uint32_t op, GVariant *arg, GVariantDict *status,
                     GTask *task)
{
    g_auto(GVariantDict) own = G_VARIANT_DICT_INIT(NULL);
    GVariantDict *dict = status != NULL ? status : &own;
    GVariant *result = NULL;

    if (op == KD_CONTROL_BREAK &&
        (arg == NULL || !g_variant_is_of_type(arg, G_VARIANT_TYPE_UINT32))) {
        g_variant_dict_clear(dict);
        g_task_return_new_error(task, KD_ERROR, KD_ERROR_PARAM_INVALID,
                                "the argument of control operation %u is wrong", (unsigned)op);
        return;
    }
    if (op > 31 || (KD_LINK_PORT_CONTROLS & 1u << op) == 0) {
        g_variant_dict_clear(dict);
        g_task_return_new_error(task, KD_ERROR, KD_ERROR_NOT_SUPPORTED,
                                "this link has no control operation %u", (unsigned)op);
        return;
    }
    if (op == KD_CONTROL_STATUS) {
        result = build_status(port, dict);
    } else {
        g_variant_dict_clear(dict);
        result = order(port, op);
    }
    g_task_return_pointer(task, result != NULL ? g_variant_ref_sink(result) : NULL,
                          (GDestroyNotify)g_variant_unref);
}
