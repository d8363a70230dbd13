/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One client from its first byte to the last: preamble, hello, authentication, link, bytes, close.
 *
 * One chain; each step hands its result to the next one, none calls back up; one teardown:
 * kd_session_close(), which lets go of the link, says CLOSE, and ends. */
#include "kd-session.h"

#include "kd-admission.h"
#include "kd-control-queue.h"
#include "kd-identity.h"
#include "kd-listing.h"
#include "kd-request.h"
#include "kd-route.h"
#include "kd-tick.h"

#include <errno.h>

/* From accept to authentication, and from there to a request; ticks are counted, so the last one
 * comes at most 10 s after. */
#define DEADLINE_TICKS 10u
/* For CLOSE to be read by the client. */
#define LINGER_MS 2000u
/* Before the client is told that its target is lost: reopening may be refused at once. */
#define LOST_MS 20u

struct KdSession {
    const KdSessionScope *scope;
    const KdSessionFuncs *funcs;
    void *user;
    uint64_t id;
    char *peer;
    char *identity;
    KdRoute *route;
    KdAdmission *admission; /* how the client came in; what is known of it */
    KdTick tick;
    guint32 started_tick;
    gint64 started_us;
    gboolean is_authenticated;
    gboolean has_asked;
    KdListing *listing;
    /* the link */
    KdLink *link;
    KdEndpoint endpoint; /* open, but not on the route */
    KdControlQueue *controls;
    GCancellable *cancellable; /* of opening and reopening */
    gboolean is_waiting;       /* for opening or reopening */
    gboolean is_lost;          /* and the client was told */
    guint lost_id;
    uint32_t n_events;
    gboolean has_client_ended;
    gboolean has_line_ended;
    int line_error; /* how; 0 = in good order */
    /* the end */
    gboolean is_closing;
    gboolean is_peer_gone;
    gboolean is_released;
    KdCloseCode close_code;
    char *close_text;
    gboolean has_ended_well;
    gboolean is_refused_by_client;
    guint linger_id;
};

static void open_link(KdSession *session, KdLink *link);
static void close_step(KdSession *session);

/* ---- 10 close: one way out, in this order: the link, CLOSE, the client ---- */

static void
session_free(KdSession *session)
{
    kd_tick_remove(&session->tick);
    g_clear_handle_id(&session->linger_id, g_source_remove);
    g_clear_handle_id(&session->lost_id, g_source_remove);
    kd_control_queue_free(session->controls);
    kd_admission_free(session->admission);
    kd_route_free(session->route);
    g_clear_object(&session->cancellable);
    kd_listing_free(session->listing);
    g_free(session->close_text);
    g_free(session->identity);
    g_free(session->peer);
    g_free(session);
}

static void
end(KdSession *session)
{
    KdRouteCount count;

    kd_route_get_count(session->route, &count);
    g_info("session %" G_GUINT64_FORMAT ": %s ended after %.1f s, %" G_GUINT64_FORMAT
           " bytes to the target, %" G_GUINT64_FORMAT " from it: %s",
           session->id, session->identity != NULL ? session->identity : session->peer,
           (double)(g_get_monotonic_time() - session->started_us) / G_USEC_PER_SEC, count.from_peer,
           count.from_line, session->close_text);
    session->funcs->ended(session, session->user);
    session_free(session);
}

static gboolean
on_linger_over(gpointer user_data)
{
    KdSession *session = user_data;

    session->linger_id = 0;
    end(session);
    return G_SOURCE_REMOVE;
}

static void
say_close(KdSession *session)
{
    KdClose close = {.code = session->close_code, .text = session->close_text};

    if (session->is_peer_gone || !kd_admission_is_connected(session->admission)) {
        end(session);
        return;
    }
    kd_route_send(session->route, KD_FRAME_CLOSE, kd_close_build(&close));
    kd_wire_advance(kd_route_get_wire(session->route), KD_PHASE_CLOSED);
    kd_route_flush(session->route);
    session->linger_id = g_timeout_add(LINGER_MS, on_linger_over, session);
}

static void
on_link_released(GObject *source, GAsyncResult *result, gpointer user_data)
{
    KdSession *session = user_data;

    (void)source;
    (void)result;
    say_close(session);
}

static void
on_controls_idle(void *user)
{
    close_step(user);
}

/* Goes on with closing when nothing that was asked of the link is under way any more. */
static void
close_step(KdSession *session)
{
    KdEndpoint endpoint;

    if (session->is_waiting || session->is_released) {
        return;
    }
    if (session->controls != NULL &&
        kd_control_queue_stop(session->controls, on_controls_idle, session)) {
        return;
    }
    session->is_released = TRUE;
    if (session->link == NULL) {
        say_close(session);
        return;
    }
    if (!kd_route_leave(session->route, KD_SIDE_LINE, &endpoint)) {
        endpoint = session->endpoint;
        kd_endpoint_init(&session->endpoint);
    }
    if (session->has_line_ended) {
        /* What is kept must be worth keeping. */
        endpoint.flags &= ~(uint32_t)(KD_ENDPOINT_KEEP | KD_ENDPOINT_DRAIN);
    }
    kd_link_release_async(g_steal_pointer(&session->link), &endpoint, on_link_released, session);
}

/**
 * kd_session_close:
 * @session: a session
 * @code: why
 * @text: why, in one sentence
 *
 * Ends a session: lets go of its link, tells the client, closes. Only the first call counts.
 */
void
kd_session_close(KdSession *session, KdCloseCode code, const char *text)
{
    if (session->is_closing) {
        return;
    }
    session->is_closing = TRUE;
    session->close_code = code;
    session->close_text = g_strdup(text);
    session->has_ended_well =
        session->is_authenticated && !session->is_peer_gone && !session->is_refused_by_client &&
        (code == KD_CLOSE_NORMAL || code == KD_CLOSE_GOING_AWAY || code == KD_CLOSE_TARGET_CLOSED);
    g_clear_handle_id(&session->lost_id, g_source_remove);
    kd_listing_stop(session->listing);
    kd_route_stop(session->route);
    if (session->cancellable != NULL) {
        g_cancellable_cancel(session->cancellable);
    }
    close_step(session);
}

/**
 * kd_session_drop:
 * @session: a session
 * @text: why, for the log
 *
 * Ends a session without a word to the client, which deserves none or can't hear it.
 */
void
kd_session_drop(KdSession *session, const char *text)
{
    session->is_peer_gone = TRUE;
    if (session->linger_id != 0) {
        end(session);
    } else {
        kd_session_close(session, KD_CLOSE_NORMAL, text);
    }
}

/**
 * kd_session_has_ended_well:
 * @session: closing, or in KdSessionFuncs.ended
 * @text: (out) (transfer none): how it has ended
 *
 * Returns: whether there was a session, and one of both sides has said that it is over
 */
gboolean
kd_session_has_ended_well(const KdSession *session, const char **text)
{
    *text = session->close_text;
    return session->has_ended_well;
}

static void
close_with_error(KdSession *session, KdCloseCode code, const GError *error)
{
    if (code != KD_CLOSE_BUSY && code != KD_CLOSE_OPEN_FAILED) {
        g_info("session %" G_GUINT64_FORMAT ": %s: %s", session->id, session->peer, error->message);
    }
    kd_session_close(session, code, error->message);
}

/* ---- 9 route ---- */

static void
send_event(KdSession *session, uint16_t kind, uint32_t value, const char *text)
{
    KdEvent event = {
        .seq = ++session->n_events,
        .kind = kind,
        .at = kd_route_get_wire(session->route)->credit.sent,
        .value = value,
        .text = (char *)text,
    };

    kd_route_send(session->route, KD_FRAME_EVENT, kd_event_build(&event));
}

static void
on_link_event(KdLink *link, uint32_t event, GVariant *arg, void *user)
{
    KdSession *session = user;
    uint32_t value = 0;
    const char *text = NULL;

    (void)link;
    if (session->is_closing || event < KD_EVENT_LOST || event > KD_EVENT_NOTE) {
        return;
    }
    if (event == KD_EVENT_LOST || event == KD_EVENT_BACK) {
        gboolean is_lost = event == KD_EVENT_LOST;

        /* While it is reopened, being back is ours to say. */
        if (session->is_lost == is_lost || (!is_lost && session->is_waiting)) {
            return;
        }
        session->is_lost = is_lost;
    }
    if (event == KD_EVENT_LINES && arg != NULL &&
        g_variant_is_of_type(arg, G_VARIANT_TYPE_UINT32)) {
        value = g_variant_get_uint32(arg);
    } else if (event == KD_EVENT_NOTE && arg != NULL &&
               g_variant_is_of_type(arg, G_VARIANT_TYPE_STRING)) {
        text = g_variant_get_string(arg, NULL);
        g_info("session %" G_GUINT64_FORMAT ": %s", session->id, text);
    }
    send_event(session, (uint16_t)event, value, text);
}

static gboolean
on_lost(gpointer user_data)
{
    KdSession *session = user_data;

    session->lost_id = 0;
    if (!session->is_lost) {
        session->is_lost = TRUE;
        send_event(session, KD_EVENT_LOST, 0, NULL);
    }
    return G_SOURCE_REMOVE;
}

/* A target that is gone for good. */
static KdCloseCode
get_line_code(const KdSession *session)
{
    return session->line_error == 0 ? KD_CLOSE_TARGET_CLOSED : KD_CLOSE_TARGET_LOST;
}

static void
on_reopened(GObject *source, GAsyncResult *result, gpointer user_data)
{
    KdSession *session = user_data;
    g_autoptr(GError) error = NULL;
    KdEndpoint endpoint;

    session->is_waiting = FALSE;
    kd_endpoint_init(&endpoint);
    if (!kd_link_get_target(session->link)->reopen_finish(source, result, &endpoint, &error) ||
        (!session->is_closing && !kd_route_join(session->route, KD_SIDE_LINE, &endpoint, &error))) {
        g_autofree char *text = g_strdup_printf("the target has ended: %s", error->message);

        kd_endpoint_clear(&endpoint);
        kd_session_close(session, get_line_code(session), text);
    }
    if (session->is_closing) {
        kd_endpoint_clear(&endpoint);
        close_step(session);
        return;
    }
    session->has_line_ended = FALSE;
    if (session->has_client_ended &&
        (kd_route_get_line_flags(session->route) & KD_ENDPOINT_HALF_CLOSE) != 0) {
        kd_route_shut(session->route, KD_SIDE_LINE);
    }
    g_clear_handle_id(&session->lost_id, g_source_remove);
    if (session->is_lost) {
        session->is_lost = FALSE;
        send_event(session, KD_EVENT_BACK, 0, NULL);
    }
}

/* The link's endpoint has ended or failed: another one, a half-close, or the end. */
static void
on_line_finished(KdSession *session, int error)
{
    const KdTarget *target = kd_link_get_target(session->link);
    uint32_t flags = kd_route_get_line_flags(session->route);
    /* A direction that can end by itself and does so in good order is no loss. */
    gboolean has_shut = error == 0 && (flags & KD_ENDPOINT_HALF_CLOSE) != 0;
    KdEndpoint endpoint;

    session->has_line_ended = TRUE;
    session->line_error = error;
    if ((target->caps & KD_TARGET_REOPEN) != 0 && !has_shut) {
        kd_route_leave(session->route, KD_SIDE_LINE, &endpoint);
        kd_endpoint_clear(&endpoint);
        session->is_waiting = TRUE;
        session->lost_id = g_timeout_add(LOST_MS, on_lost, session);
        target->reopen_async(kd_link_get_object(session->link), session->cancellable, on_reopened,
                             session);
        return;
    }
    if (has_shut && !session->has_client_ended) {
        kd_route_shut(session->route, KD_SIDE_PEER);
        return;
    }
    if (error == 0 && session->has_client_ended) {
        kd_session_close(session, KD_CLOSE_NORMAL, "both sides have ended");
        return;
    }
    kd_session_close(session, get_line_code(session),
                     error == 0 ? "the target has ended" : g_strerror(error));
}

static void
on_finished(KdRoute *route, KdSide side, int error, void *user)
{
    KdSession *session = user;

    if (side == KD_SIDE_PEER && error != 0) {
        kd_session_drop(session, "the client's connection was cut");
        return;
    }
    if (session->is_closing) {
        return;
    }
    if (side == KD_SIDE_LINE) {
        on_line_finished(session, error);
        return;
    }
    /* FIN: to a link without half-close it is only remembered. */
    session->has_client_ended = TRUE;
    if ((kd_route_get_line_flags(route) & KD_ENDPOINT_HALF_CLOSE) != 0) {
        kd_route_shut(route, KD_SIDE_LINE);
    }
    if (session->has_line_ended && !session->is_waiting) {
        kd_session_close(session, get_line_code(session), "both sides have ended");
    }
}

static void
on_control_answer(const KdResult *result, void *user)
{
    KdSession *session = user;

    kd_route_send(session->route, KD_FRAME_RESULT, kd_result_build(result));
}

static void
take_control(KdSession *session, const uint8_t *payload, size_t len)
{
    g_autoptr(GError) error = NULL;
    KdControl control;

    if (!kd_control_parse(&control, payload, len, &error) ||
        !kd_wire_check_offset(kd_route_get_wire(session->route), KD_FRAME_CONTROL, control.at,
                              &error) ||
        !kd_control_queue_add(session->controls, &control, &error)) {
        close_with_error(session, KD_CLOSE_PROTOCOL_ERROR, error);
    }
}

/* ---- 8 open ---- */

/* Tells the client what its link can do; control operations are answered from then on. */
static void
say_opened(KdSession *session, const KdEndpoint *endpoint)
{
    KdControlLink link = {
        .target = kd_link_get_target(session->link),
        .object = kd_link_get_object(session->link),
        .offered = kd_control_find_offered(kd_link_get_target(session->link), endpoint->facts),
    };

    session->controls = kd_control_queue_new(session->route, &link, on_control_answer, session);
    kd_route_send(session->route, KD_FRAME_OPENED,
                  kd_request_build_opened(session->link, endpoint, session->id, link.offered));
    kd_wire_advance(kd_route_get_wire(session->route), KD_PHASE_STREAMING);
}

static void
on_link_open(GObject *source, GAsyncResult *result, gpointer user_data)
{
    KdSession *session = user_data;
    g_autoptr(GError) error = NULL;

    (void)source;
    session->is_waiting = FALSE;
    if (!kd_link_open_finish(result, &session->endpoint, &error)) {
        close_with_error(session, kd_request_get_close_code(error), error);
    } else if (!session->is_closing) {
        g_info("session %" G_GUINT64_FORMAT ": %s has opened %s", session->id, session->identity,
               kd_link_get_name(session->link));
        say_opened(session, &session->endpoint);
        if (!kd_route_join(session->route, KD_SIDE_LINE, &session->endpoint, &error)) {
            close_with_error(session, KD_CLOSE_INTERNAL, error);
        }
    }
    if (session->is_closing) {
        close_step(session);
    }
}

/* ---- 5 request: LIST, any number of times ---- */

static void
refuse_request(KdSession *session)
{
    kd_session_close(session, KD_CLOSE_NOT_SUPPORTED,
                     "this version of the server does not do that");
}

/* Until LISTED, nothing else may be asked, and the deadline for asking stands still. */
static gboolean
check_listed(KdSession *session)
{
    if (!kd_listing_is_pending(session->listing)) {
        return TRUE;
    }
    kd_session_close(session, KD_CLOSE_PROTOCOL_ERROR, "LIST was not answered yet");
    return FALSE;
}

static void
on_listed(void *user)
{
    ((KdSession *)user)->started_tick = kd_tick_get_now();
}

static void
take_list(KdSession *session, const uint8_t *payload, size_t len)
{
    g_autoptr(GError) error = NULL;

    if (!kd_admission_has_list(session->admission)) {
        refuse_request(session);
    } else if (check_listed(session) && !kd_listing_ask(session->listing, payload, len, &error)) {
        close_with_error(session, KD_CLOSE_BAD_REQUEST, error);
    }
}

/* ---- 5 request: OPEN, 6 resolve, 7 claim ---- */

static void
take_open(KdSession *session, const uint8_t *payload, size_t len)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KdOpen) request = kd_open_parse(payload, len, &error);
    KdCloseCode code;
    KdLink *link;

    if (!check_listed(session)) {
        return;
    }
    if (request == NULL) {
        close_with_error(session, KD_CLOSE_BAD_REQUEST, error);
        return;
    }
    session->has_asked = TRUE;
    session->identity = kd_identity_build(
        request->identity, kd_admission_get_certificate(session->admission), session->peer);
    kd_wire_advance(kd_route_get_wire(session->route), KD_PHASE_OPENING);
    link = kd_request_claim(session->scope, request, session->identity, &code, &error);
    if (link == NULL) {
        close_with_error(session, code, error);
        return;
    }
    open_link(session, link);
}

static void
open_link(KdSession *session, KdLink *link)
{
    GVariant *facts =
        kd_identity_build_facts(session->id, session->identity,
                                kd_admission_get_certificate(session->admission), session->peer);

    session->link = link;
    session->is_waiting = TRUE;
    session->cancellable = g_cancellable_new();
    kd_link_open_async(link, facts, on_link_event, session, session->cancellable, on_link_open,
                       session);
}

/* ---- 2 to 4: TLS, hello, auth ---- */

static void
on_admitted(void *user)
{
    KdSession *session = user;
    g_autofree char *how = kd_admission_describe(session->admission);

    if (how != NULL) {
        g_info("session %" G_GUINT64_FORMAT ": %s authenticated by %s", session->id, session->peer,
               how);
    }
    session->is_authenticated = TRUE;
    session->started_tick = kd_tick_get_now();
    session->funcs->authenticated(session, session->user);
}

static void
on_refused(const char *cause, void *user)
{
    KdSession *session = user;

    g_info("session %" G_GUINT64_FORMAT ": %s: authentication failed: %s", session->id,
           session->peer, cause);
    if (session->funcs->refused != NULL) {
        session->funcs->refused(session, session->user);
    }
}

static void
on_not_admitted(KdCloseCode code, const char *text, void *user)
{
    kd_session_close(user, code, text);
}

static void
on_broken(const char *text, void *user)
{
    kd_session_drop(user, text);
}

static const KdAdmissionFuncs admission_funcs = {
    .admitted = on_admitted,
    .refused = on_refused,
    .failed = on_not_admitted,
    .broken = on_broken,
};

static void
on_preamble(KdRoute *route, uint16_t major, uint16_t minor, void *user)
{
    KdSession *session = user;

    (void)route;
    kd_admission_take_preamble(session->admission, major, minor);
}

/* ---- what the client says ---- */

static void
take_close(KdSession *session, const uint8_t *payload, size_t len)
{
    g_autoptr(KdClose) close = kd_close_parse(payload, len, NULL);
    g_autofree char *text = NULL;

    if (close == NULL || close->code == KD_CLOSE_NORMAL) {
        kd_session_close(session, KD_CLOSE_NORMAL, "the client has ended the session");
        return;
    }
    text = g_strdup_printf("the client has refused to go on: %s", close->text);
    session->is_refused_by_client = TRUE;
    kd_session_close(session, KD_CLOSE_NORMAL, text);
}

static void
on_frame(KdRoute *route, const KdFrameHeader *header, const uint8_t *payload, void *user)
{
    KdSession *session = user;

    (void)route;
    switch (header->type) {
    case KD_FRAME_HELLO:
        kd_admission_take_hello(session->admission, header, payload);
        break;
    case KD_FRAME_AUTH:
        kd_admission_take_auth(session->admission, header, payload);
        break;
    case KD_FRAME_OPEN:
        take_open(session, payload, header->length);
        break;
    case KD_FRAME_CONTROL:
        take_control(session, payload, header->length);
        break;
    case KD_FRAME_CLOSE:
        take_close(session, payload, header->length);
        break;
    case KD_FRAME_LIST:
        take_list(session, payload, header->length);
        break;
    default:
        refuse_request(session);
    }
}

static void
on_failed(KdRoute *route, const GError *error, void *user)
{
    KdSession *session = user;

    (void)route;
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED)) {
        kd_session_drop(session, error->message);
    } else {
        close_with_error(session, kd_wire_get_close_code(error), error);
    }
}

static void
on_reached(KdRoute *route, void *user)
{
    KdSession *session = user;

    (void)route;
    if (session->controls != NULL) {
        kd_control_queue_reached(session->controls);
    }
}

/* CLOSE is out: the client closes when it has read it, or we do after the linger. */
static void
on_flushed(KdRoute *route, void *user)
{
    (void)user;
    kd_route_hang_up(route);
}

static void
on_tick(KdTick *tick)
{
    KdSession *session = (KdSession *)(void *)((char *)tick - offsetof(KdSession, tick));

    if (session->is_closing || session->has_asked || kd_listing_is_pending(session->listing) ||
        kd_tick_get_now() - session->started_tick < DEADLINE_TICKS) {
        return;
    }
    if (session->is_authenticated) {
        kd_session_close(session, KD_CLOSE_TIMEOUT, "nothing was asked for in time");
    } else {
        kd_session_drop(session, "not authenticated in time");
    }
}

/**
 * kd_session_new:
 * @scope: what all sessions share
 * @id: unique among the sessions of the process
 * @peer: who is at the other end, as far as the transport knows
 * @door: (nullable): what guards the transport; %NULL: nothing does
 * @endpoint: (transfer full): the client's connection; untouched on error
 * @funcs: lives as long as the session
 * @user: for @funcs
 * @error: where to put an error
 *
 * Begins a session with a connection on which nothing was said yet.
 *
 * Returns: (transfer none) (nullable): the session; it frees itself after funcs->ended
 */
KdSession *
kd_session_new(const KdSessionScope *scope, uint64_t id, const char *peer, KdDoor *door,
               KdEndpoint *endpoint, const KdSessionFuncs *funcs, void *user, GError **error)
{
    static const KdRouteFuncs route_funcs = {
        .preamble = on_preamble,
        .frame = on_frame,
        .finished = on_finished,
        .failed = on_failed,
        .reached = on_reached,
        .flushed = on_flushed,
    };
    KdSession *session = g_new0(KdSession, 1);

    session->route = kd_route_new_framed(KD_ROLE_SERVER, &route_funcs, session);
    session->admission = kd_admission_new(session->route, door, &admission_funcs, session);
    if (!kd_admission_start(session->admission, endpoint, error)) {
        kd_admission_free(session->admission);
        kd_route_free(session->route);
        g_free(session);
        return NULL;
    }
    kd_endpoint_init(&session->endpoint);
    session->listing = kd_listing_new(scope, session->route, on_listed, session);
    session->scope = scope;
    session->funcs = funcs;
    session->user = user;
    session->id = id;
    session->peer = g_strdup(peer);
    session->started_tick = kd_tick_get_now();
    session->started_us = g_get_monotonic_time();
    kd_tick_add(&session->tick, on_tick);
    return session;
}
