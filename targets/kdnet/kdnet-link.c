/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One open net link: its socket, its session with the target, and its port to the client. */
#include "kdnet-link.h"

#include "kd-link-port.h"
#include "kdnet-key-file.h"
#include "kdnet-search.h"
#include "kdnet-session.h"
#include "kdnet-socket.h"

#define COUNTS_APART_US (60 * G_GINT64_CONSTANT(1000000))

struct _KdnetLink {
    GObject parent_instance;
    const KdHost *host;
    const KdSink *sink;
    KdnetPlan *plan;
    KdnetSocket *socket;
    KdnetSession *session;
    KdLinkPort *port;
    GSource *clock;
    gint64 due_us;    /* when the clock is set to; G_MAXINT64: it is not */
    gint64 counts_us; /* when the counts were logged last */
    uint64_t n_dropped;
    gboolean is_closing;
};

G_DEFINE_TYPE(KdnetLink, kdnet_link, G_TYPE_OBJECT)

static void
clear_clock(KdnetLink *link)
{
    if (link->clock != NULL) {
        g_source_destroy(link->clock);
        g_clear_pointer(&link->clock, g_source_unref);
    }
}

static void
clear_parts(KdnetLink *link)
{
    clear_clock(link);
    g_clear_pointer(&link->port, kd_link_port_free);
    g_clear_pointer(&link->session, kdnet_session_free);
    g_clear_pointer(&link->socket, kdnet_socket_free);
}

static void
kdnet_link_finalize(GObject *object)
{
    KdnetLink *link = KDNET_LINK(object);

    clear_parts(link);
    g_clear_pointer(&link->plan, kdnet_plan_free);
    G_OBJECT_CLASS(kdnet_link_parent_class)->finalize(object);
}

static void
kdnet_link_class_init(KdnetLinkClass *klass)
{
    G_OBJECT_CLASS(klass)->finalize = kdnet_link_finalize;
}

static void
kdnet_link_init(KdnetLink *link)
{
    link->due_us = G_MAXINT64;
}

/* ---- the clock ------------------------------------------------------------------------------- */

/* Only forward: a deadline that has moved away is seen when the old one has come. */
static void
set_clock(KdnetLink *link)
{
    gint64 deadline_us = kdnet_session_get_deadline_us(link->session);

    if (deadline_us < link->due_us) {
        link->due_us = deadline_us;
        g_source_set_ready_time(link->clock, MAX(deadline_us, 0));
        g_main_context_wakeup(g_main_context_get_thread_default());
    }
}

static gboolean
on_clock(gpointer user_data)
{
    KdnetLink *link = user_data;

    link->due_us = G_MAXINT64;
    g_source_set_ready_time(link->clock, -1);
    if (!link->is_closing) {
        kdnet_session_tick(link->session, g_get_monotonic_time());
        set_clock(link);
    }
    return G_SOURCE_CONTINUE;
}

static gboolean
dispatch_clock(GSource *source, GSourceFunc fn, gpointer user_data)
{
    (void)source;
    return fn(user_data);
}

static void
start_clock(KdnetLink *link)
{
    static GSourceFuncs funcs = {.dispatch = dispatch_clock};

    link->clock = g_source_new(&funcs, sizeof(GSource));
    g_source_set_callback(link->clock, on_clock, link, NULL);
    g_source_attach(link->clock, g_main_context_get_thread_default());
    set_clock(link);
}

/* ---- between the parts ----------------------------------------------------------------------- */

/* How much hostile traffic there is, once a minute at most */
static void
log_counts(KdnetLink *link, gint64 now_us)
{
    KdnetStatus status;
    uint64_t n_dropped;

    if (now_us - link->counts_us < COUNTS_APART_US) {
        return;
    }
    kdnet_session_get_status(link->session, &status);
    n_dropped = status.n_malformed + status.n_elsewhere + status.n_forged + status.n_old;
    link->counts_us = now_us;
    if (n_dropped != link->n_dropped) {
        link->n_dropped = n_dropped;
        g_info("UDP port %u: of %" G_GUINT64_FORMAT " datagrams %" G_GUINT64_FORMAT
               " malformed, %" G_GUINT64_FORMAT " from elsewhere, %" G_GUINT64_FORMAT
               " forged, %" G_GUINT64_FORMAT " old",
               link->plan->port, status.n_received, status.n_malformed, status.n_elsewhere,
               status.n_forged, status.n_old);
    }
}

static void
on_datagram(const uint8_t *bytes, size_t len_bytes, const KdnetAddress *from, void *user)
{
    KdnetLink *link = user;
    gint64 now_us = g_get_monotonic_time();

    if (link->is_closing) {
        return;
    }
    kdnet_session_receive(link->session, bytes, len_bytes, from, now_us);
    log_counts(link, now_us);
    set_clock(link);
}

static void
on_room(void *user)
{
    KdnetLink *link = user;

    if (!link->is_closing) {
        kd_link_port_ready(link->port);
    }
}

static gboolean
on_packet_to_target(const uint8_t *bytes, size_t len_bytes, void *user)
{
    KdnetLink *link = user;
    return kdnet_session_send(link->session, bytes, len_bytes);
}

static gboolean
on_datagram_to_target(const uint8_t *datagram, size_t len_bytes, const KdnetAddress *to, void *user)
{
    KdnetLink *link = user;
    return kdnet_socket_send(link->socket, datagram, len_bytes, to);
}

/* A packet that the port does not take is not acknowledged, and comes again. */
static void
on_packet_from_target(const uint8_t *packet, size_t len_bytes, void *user)
{
    KdnetLink *link = user;
    (void)kd_link_port_receive(link->port, packet, len_bytes);
}

static void
note_target(KdnetLink *link)
{
    KdnetStatus status;

    kdnet_session_get_status(link->session, &status);
    g_autofree char *peer = kdnet_address_build_text(&status.peer);
    kd_link_port_note(link->port, "found the target at %s, KDNET version %u", peer, status.version);
}

static void
on_changed(KdnetChange change, void *user)
{
    KdnetLink *link = user;

    switch (change) {
    case KDNET_CHANGE_HERE:
        kd_link_port_set_present(link->port, TRUE);
        note_target(link);
        break;
    case KDNET_CHANGE_GONE:
        kd_link_port_set_present(link->port, FALSE);
        break;
    case KDNET_CHANGE_RESTART:
    default:
        kd_link_port_restarted(link->port);
        break;
    }
}

static void
on_notice(KdnetNotice notice, const KdnetAddress *from, void *user)
{
    KdnetLink *link = user;
    unsigned port = link->plan->port;
    g_autofree char *peer = kdnet_address_build_text(from);

    switch (notice) {
    case KDNET_NOTICE_OTHER_KEY:
        kd_link_port_note(link->port,
                          "what %s sends to UDP port %u does not fit the key: compare it with the "
                          "target's",
                          peer, port);
        break;
    case KDNET_NOTICE_OTHER_VERSION:
        kd_link_port_note(link->port,
                          "the target at %s speaks a version of KDNET that is not known here, "
                          "which are %u to %u",
                          peer, KDNET_VERSION_MIN, KDNET_VERSION_MAX);
        break;
    case KDNET_NOTICE_OTHER_SOURCE:
    default:
        kd_link_port_note(link->port,
                          "a target with this key is at %s, which is not an address of %s: it is "
                          "not answered",
                          peer, link->plan->target);
        break;
    }
}

/* ---- opening --------------------------------------------------------------------------------- */

static gboolean
open_session(KdnetLink *link, GError **error)
{
    static const KdnetSessionFuncs funcs = {.send = on_datagram_to_target,
                                            .receive = on_packet_from_target,
                                            .changed = on_changed,
                                            .notice = on_notice};
    KdnetKey key = link->plan->key;
    gboolean is_read = link->plan->key_file == NULL ||
                       kdnet_key_file_read(link->host, link->plan->key_file, &key, error);

    if (is_read) {
        link->session = kdnet_session_new(&key, &funcs, link);
    }
    kdnet_key_clear(&key);
    kdnet_key_clear(&link->plan->key);
    if (is_read && link->session == NULL) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED,
                            "net: this system's GnuTLS refuses AES-256-CBC or HMAC-SHA256: its "
                            "policy must allow them");
    }
    return link->session != NULL;
}

static gboolean
open_parts(KdnetLink *link, GError **error)
{
    static const KdnetSocketFuncs socket_funcs = {.receive = on_datagram, .ready = on_room};
    static const KdLinkPortFuncs port_funcs = {.send = on_packet_to_target, .is_quiet = TRUE};

    if (!open_session(link, error)) {
        return FALSE;
    }
    link->socket = kdnet_socket_new(link->host, link->plan->port, link->plan->family, &socket_funcs,
                                    link, error);
    if (link->socket == NULL) {
        return FALSE;
    }
    link->port = kd_link_port_new(KD_DIALECT_NET, link->sink, &port_funcs, link);
    return TRUE;
}

static void
start_waiting(KdnetLink *link, const KdnetPlaces *places)
{
    if (places != NULL) {
        kdnet_session_ask(link->session, places->addresses, places->n, g_get_monotonic_time());
        kd_link_port_note(link->port, "asking %s for a connection, UDP port %u", link->plan->target,
                          link->plan->port);
    } else {
        kd_link_port_note(link->port, "waiting for a target on UDP port %u", link->plan->port);
    }
    start_clock(link);
}

static void
open_with(GTask *task, const KdnetPlaces *places)
{
    KdnetLink *link = g_task_get_source_object(task);
    GError *error = NULL;

    if (!open_parts(link, &error)) {
        clear_parts(link);
        g_task_return_error(task, error);
        return;
    }
    start_waiting(link, places);
    g_task_return_pointer(task, g_object_ref(link), g_object_unref);
}

static void
on_found(GObject *source, GAsyncResult *result, gpointer user_data)
{
    g_autoptr(GTask) task = user_data;
    GError *error = NULL;
    g_autofree KdnetPlaces *places = kdnet_search_finish(result, &error);

    (void)source;
    if (places == NULL) {
        g_task_return_error(task, error);
        return;
    }
    open_with(task, places);
}

/**
 * kdnet_link_open_async:
 * @plan: (transfer full)
 * @sink: told when the target comes and goes
 *
 * Takes the port and waits for a target, which need not be there yet.
 */
void
kdnet_link_open_async(const KdHost *host, KdnetPlan *plan, const KdSink *sink,
                      GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(KdnetLink) link = g_object_new(KDNET_TYPE_LINK, NULL);

    link->host = host;
    link->plan = plan;
    link->sink = sink;
    g_autoptr(GTask) task = g_task_new(link, cancellable, callback, user_data);
    g_task_set_source_tag(task, kdnet_link_open_async);
    if (g_task_return_error_if_cancelled(task)) {
        return;
    }
    if (plan->target == NULL) {
        open_with(task, NULL);
        return;
    }
    kdnet_search_async(host, plan->target, plan->port, cancellable, on_found, g_object_ref(task));
}

/**
 * kdnet_link_open_finish:
 *
 * Returns: (transfer full) (nullable): errors a caller branches on: %KD_ERROR_BUSY,
 *    %KD_ERROR_POLICY, %G_IO_ERROR_NOT_FOUND, %G_IO_ERROR_HOST_NOT_FOUND
 */
KdnetLink *
kdnet_link_open_finish(GAsyncResult *result, KdEndpoint *endpoint, GError **error)
{
    KdnetLink *link = g_task_propagate_pointer(G_TASK(result), error);

    if (link == NULL) {
        return NULL;
    }
    g_autofree char *peer =
        link->plan->target != NULL
            ? g_strdup_printf("%s, UDP port %u", link->plan->target, link->plan->port)
            : g_strdup_printf("UDP port %u", link->plan->port);
    kd_link_port_give(link->port, endpoint, peer);
    return link;
}

/* ---- controls -------------------------------------------------------------------------------- */

static void
insert_status(const KdnetLink *link, GVariantDict *dict)
{
    KdnetStatus status;

    kdnet_session_get_status(link->session, &status);
    g_variant_dict_insert(dict, "udp-port", "u", (guint32)link->plan->port);
    if (status.peer.port != 0) {
        g_autofree char *peer = kdnet_address_build_text(&status.peer);

        g_variant_dict_insert(dict, "target", "s", peer);
        g_variant_dict_insert(dict, "kdnet-version", "u", (guint32)status.version);
    }
    g_variant_dict_insert(dict, "answered", "t", status.n_answered);
    g_variant_dict_insert(dict, "received", "t", status.n_received);
    g_variant_dict_insert(dict, "malformed", "t", status.n_malformed);
    g_variant_dict_insert(dict, "elsewhere", "t", status.n_elsewhere);
    g_variant_dict_insert(dict, "forged", "t", status.n_forged);
    g_variant_dict_insert(dict, "old", "t", status.n_old);
}

/**
 * kdnet_link_control_async:
 * @arg: (nullable): as kd-plugin.h says
 *
 * Starts a control operation; of the status `udp-port` u, `target` s and `kdnet-version` u (once it
 * was heard), and the counts of datagrams `answered`, `received`, `malformed`, `elsewhere`,
 * `forged`, `old`, all t, are ours.
 */
void
kdnet_link_control_async(KdnetLink *link, uint32_t op, GVariant *arg, GCancellable *cancellable,
                         GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(link, cancellable, callback, user_data);
    g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);

    g_task_set_source_tag(task, kdnet_link_control_async);
    if (g_task_return_error_if_cancelled(task)) {
        return;
    }
    if (link->port == NULL || link->is_closing) {
        g_task_return_new_error(task, KD_ERROR, KD_ERROR_LINK_LOST, "net: the link is closed");
        return;
    }
    insert_status(link, &dict);
    kd_link_port_control(link->port, op, arg, &dict, task);
}

/**
 * kdnet_link_control_finish:
 * @out: (out) (transfer full) (nullable): the result, %NULL with an operation that has none
 * @error: %KD_ERROR_NOT_SUPPORTED: the link has no such operation
 *
 * Returns: whether it was done
 */
gboolean
kdnet_link_control_finish(KdnetLink *link, GAsyncResult *result, GVariant **out, GError **error)
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

static gboolean
on_close(gpointer user_data)
{
    g_autoptr(GTask) task = user_data;

    clear_parts(g_task_get_source_object(task));
    g_task_return_boolean(task, TRUE);
    return G_SOURCE_REMOVE;
}

/**
 * kdnet_link_close_async:
 *
 * Lets go of the port. The target is told nothing: it goes on making offers. The endpoint stays the
 * host's to close.
 */
void
kdnet_link_close_async(KdnetLink *link, GAsyncReadyCallback callback, gpointer user_data)
{
    g_autoptr(GTask) task = g_task_new(link, NULL, callback, user_data);

    g_task_set_source_tag(task, kdnet_link_close_async);
    link->is_closing = TRUE;
    /* Not from here: one of the parts may be in the call that led to this one. */
    g_idle_add(on_close, g_steal_pointer(&task));
}

/**
 * kdnet_link_close_finish:
 *
 * Ends closing.
 */
void
kdnet_link_close_finish(KdnetLink *link, GAsyncResult *result)
{
    (void)link;
    (void)g_task_propagate_boolean(G_TASK(result), NULL);
}
