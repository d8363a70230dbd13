/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One open target link: opening, using and closing it as a session does. */
#include "kd-check-link.h"

static void
on_event(void *user, uint32_t event, GVariant *arg)
{
    KdCheckLink *link = user;
    static const char *const types[] = {NULL, "", "", "", "u", "s"};
    g_assert_false(link->is_closed);
    g_assert_cmpuint(event, >=, KD_EVENT_LOST);
    g_assert_cmpuint(event, <=, KD_EVENT_NOTE);
    link->n_events++;
    if (arg == NULL) {
        g_assert_cmpstr(types[event], ==, "");
        return;
    }
    g_variant_ref_sink(arg);
    g_assert_cmpstr(g_variant_get_type_string(arg), ==, types[event]);
    if (event == KD_EVENT_NOTE) {
        for (const char *c = g_variant_get_string(arg, NULL); *c != '\0'; c++)
            g_assert_false(g_ascii_iscntrl(*c));
    }
    g_variant_unref(arg);
}

static GVariant *
build_session(void)
{
    GVariantDict session;
    g_variant_dict_init(&session, NULL);
    g_variant_dict_insert(&session, "id", "t", (guint64)1);
    g_variant_dict_insert(&session, "identity", "s", "check");
    g_variant_dict_insert(&session, "peer", "s", "here");
    g_variant_dict_insert(&session, "role", "s", "debug");
    return g_variant_ref_sink(g_variant_dict_end(&session));
}

/**
 * kd_check_link_prepare:
 * @peer: outlives the link
 *
 * Makes all that open_async wants.
 */
void
kd_check_link_prepare(KdCheckLink *link, const KdCheckSubject *subject, KdCheckPeer *peer)
{
    *link = (KdCheckLink){.target = subject->target, .peer = peer};
    link->params =
        kd_check_parse(link->target->scheme, link->target->params, KD_FORM_TARGET, peer->spec);
    link->session = build_session();
    link->sink = (KdSink){.struct_size = sizeof(KdSink), .event = on_event, .user = link};
    kd_check_end_prepare(&link->end);
}

/**
 * kd_check_link_start_open:
 *
 * Calls open_async.
 */
void
kd_check_link_start_open(KdCheckLink *link, KdCheckCall *call)
{
    kd_check_call_begin(call, "open_async");
    link->target->open_async(&kd_check_host, link->params, link->session, &link->sink,
                             call->cancellable, kd_check_call_on_done, call);
    kd_check_call_returned(call);
}

/**
 * kd_check_link_finish_open:
 *
 * Calls open_finish.
 *
 * Returns: whether the link is open
 */
gboolean
kd_check_link_finish_open(KdCheckLink *link, KdCheckCall *call, GError **error)
{
    g_autoptr(GError) own = NULL;
    kd_check_clock_start();
    link->object = link->target->open_finish(call->result, &link->end.endpoint, &own);
    kd_check_clock_stop("open_finish");
    g_assert_true((link->object != NULL) == (own == NULL));
    if (own != NULL) {
        kd_check_error_is_sane(own);
        g_assert_cmpint(link->end.endpoint.fd, ==, -1);
        g_assert_null(link->end.endpoint.stream);
        g_assert_null(link->end.endpoint.facts);
        g_propagate_error(error, g_steal_pointer(&own));
        return FALSE;
    }
    kd_check_end_start(&link->end);
    return TRUE;
}

/**
 * kd_check_link_open:
 *
 * Opens a link, which must succeed.
 */
void
kd_check_link_open(KdCheckLink *link, const KdCheckSubject *subject, KdCheckPeer *peer)
{
    KdCheckCall call = {0};
    g_autoptr(GError) error = NULL;
    kd_check_link_prepare(link, subject, peer);
    kd_check_link_start_open(link, &call);
    kd_check_call_await(&call);
    (void)kd_check_link_finish_open(link, &call, &error);
    g_assert_no_error(error);
    kd_check_call_clear(&call);
}

/**
 * kd_check_link_close:
 *
 * Closes the link and then its end, in the order of a host.
 *
 * Returns: how long close_async took, in microseconds
 */
gint64
kd_check_link_close(KdCheckLink *link)
{
    KdCheckCall call = {0};
    gint64 started_us = g_get_monotonic_time();
    kd_check_call_begin(&call, "close_async");
    link->target->close_async(link->object, kd_check_call_on_done, &call);
    kd_check_call_returned(&call);
    kd_check_call_await(&call);
    gint64 taken_us = g_get_monotonic_time() - started_us;
    link->target->close_finish(link->object, call.result);
    link->is_closed = TRUE;
    kd_check_call_clear(&call);
    kd_check_end_close(&link->end);
    /* The closed link may not be kept by anybody else, or its device is not free. */
    g_object_add_weak_pointer(link->object, (gpointer *)&link->object);
    g_object_unref(link->object);
    kd_check_settle();
    g_assert_null(link->object);
    kd_check_link_clear(link);
    return taken_us;
}

/**
 * kd_check_link_clear:
 *
 * Frees what kd_check_link_prepare() has made.
 */
void
kd_check_link_clear(KdCheckLink *link)
{
    g_clear_pointer(&link->params, g_variant_unref);
    g_clear_pointer(&link->session, g_variant_unref);
}

/**
 * kd_check_link_echo:
 *
 * Sends bytes to the peer and reads them back, if it is one that echoes.
 */
void
kd_check_link_echo(KdCheckLink *link, guint64 total, size_t chunk)
{
    KdCheckFlow flow = {&link->end, &link->end, total, chunk, 0, 0};
    if (!link->peer->adapter->is_mute)
        kd_check_run_flows(&flow, 1);
}

/**
 * kd_check_link_start_reopen:
 *
 * Calls reopen_async.
 */
void
kd_check_link_start_reopen(KdCheckLink *link, KdCheckCall *call)
{
    kd_check_call_begin(call, "reopen_async");
    link->target->reopen_async(link->object, call->cancellable, kd_check_call_on_done, call);
    kd_check_call_returned(call);
}

/**
 * kd_check_link_finish_reopen:
 * @end: prepared; is started
 *
 * Calls reopen_finish.
 *
 * Returns: whether there is a new endpoint
 */
gboolean
kd_check_link_finish_reopen(KdCheckLink *link, KdCheckCall *call, KdCheckEnd *end, GError **error)
{
    g_autoptr(GError) own = NULL;
    gboolean is_done =
        link->target->reopen_finish(link->object, call->result, &end->endpoint, &own);
    g_assert_true(is_done == (own == NULL));
    if (is_done) {
        kd_check_end_start(end);
        return TRUE;
    }
    kd_check_error_is_sane(own);
    g_assert_cmpint(end->endpoint.fd, ==, -1);
    g_assert_null(end->endpoint.stream);
    g_propagate_error(error, g_steal_pointer(&own));
    return FALSE;
}

/**
 * kd_check_link_build_arg:
 *
 * Returns: (transfer floating) (nullable): an argument for a control operation
 */
GVariant *
kd_check_link_build_arg(uint32_t op)
{
    switch (op) {
    case KD_CONTROL_BREAK:
        return g_variant_new_uint32(0);
    case KD_CONTROL_BAUD:
        return g_variant_new_uint32(57600);
    case KD_CONTROL_LINES:
        return g_variant_new("(uu)", 0u, 0u);
    default:
        return NULL;
    }
}

/**
 * kd_check_link_start_control:
 *
 * Calls control_async.
 */
void
kd_check_link_start_control(KdCheckLink *link, KdCheckCall *call, uint32_t op)
{
    g_autoptr(GVariant) arg = kd_check_link_build_arg(op);
    if (arg != NULL)
        g_variant_ref_sink(arg);
    kd_check_call_begin(call, "control_async");
    link->target->control_async(link->object, op, arg, call->cancellable, kd_check_call_on_done,
                                call);
    kd_check_call_returned(call);
}

/**
 * kd_check_link_finish_control:
 *
 * Calls control_finish and looks at the result's type.
 *
 * Returns: whether the operation was done
 */
gboolean
kd_check_link_finish_control(KdCheckLink *link, KdCheckCall *call, uint32_t op, GError **error)
{
    static const char *const types[] = {NULL, "t", NULL, "u", "t", "a{sv}", "u", NULL};
    g_autoptr(GError) own = NULL;
    GVariant *out = NULL;
    gboolean is_done = link->target->control_finish(link->object, call->result, &out, &own);
    g_assert_true(is_done == (own == NULL));
    if (!is_done) {
        g_assert_null(out);
        kd_check_error_is_sane(own);
        g_propagate_error(error, g_steal_pointer(&own));
        return FALSE;
    }
    if (op < G_N_ELEMENTS(types) && types[op] != NULL) {
        g_assert_nonnull(out);
        g_assert_cmpstr(g_variant_get_type_string(out), ==, types[op]);
    } else {
        g_assert_null(out);
    }
    if (out != NULL) {
        g_assert_false(g_variant_is_floating(out));
        g_variant_unref(out);
    }
    return TRUE;
}
