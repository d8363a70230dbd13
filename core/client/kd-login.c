/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The client's half of the conversation from the preamble to OPENED, or to LISTED. */
#include "kd-login.h"

#include "kd-connection.h"
#include "kd-notice.h"

#define SOFTWARE  "kd " KD_VERSION
#define MECHANISM "none"

/**
 * kd_login_clear:
 * @login: may be cleared already
 *
 * Frees what was heard.
 */
void
kd_login_clear(KdLogin *login)
{
    g_clear_pointer(&login->opened, kd_opened_free);
    g_clear_pointer(&login->listed, kd_listed_free);
    g_clear_pointer(&login->close, kd_close_free);
}

/**
 * kd_login_start:
 * @route: framed, with the server at its peer's end
 *
 * Sends the preamble and HELLO. PROTOCOL.md: neither side waits for the other's.
 */
void
kd_login_start(KdRoute *route)
{
    char *features[] = {(char *)KD_FEATURE_LIST, NULL};
    char *no_words[] = {NULL};
    const KdWire *wire = kd_route_get_wire(route);
    KdHello hello = {
        .window = wire->credit.window,
        .max_data_bytes = wire->max_data_bytes,
        .features = features,
        .mechanisms = no_words,
        .software = (char *)SOFTWARE,
    };

    kd_route_send_preamble(route);
    kd_route_send(route, KD_FRAME_HELLO, kd_hello_build(&hello));
}

/**
 * kd_login_take_preamble:
 * @route: of a started login
 * @major: of the server
 * @minor: of the server
 * @error: return location
 *
 * Judges the server's preamble. Of another major only CLOSE has a layout that is known, and what it
 * would say is known too (PROTOCOL.md, Version), so it is not waited for.
 *
 * Returns: %FALSE with %KD_ERROR_ABI for another major
 */
gboolean
kd_login_take_preamble(KdRoute *route, uint16_t major, uint16_t minor, GError **error)
{
    g_autofree char *text = NULL;

    if (major == KD_PROTOCOL_MAJOR) {
        kd_wire_advance(kd_route_get_wire(route), KD_PHASE_HELLO);
        return TRUE;
    }
    text = kd_close_build_version_text(KD_PROTOCOL_MAJOR, KD_PROTOCOL_MINOR, major, minor);
    g_set_error_literal(error, KD_ERROR, KD_ERROR_ABI, text);
    return FALSE;
}

/* AUTH and OPEN go out together: with `none` there is nothing in between to wait for. */
static void
send_requests(const KdLogin *login, KdRoute *route)
{
    g_autofree char *identity = kd_connection_build_identity();
    KdAuth auth = {.mechanism = (char *)MECHANISM};
    KdOpen open = {.trans = (char *)login->trans, .identity = identity};

    kd_route_send(route, KD_FRAME_AUTH, kd_auth_build(&auth));
    if (login->trans != NULL) {
        kd_route_send(route, KD_FRAME_OPEN, kd_open_build(&open));
    }
}

static gboolean
take_hello(KdLogin *login, KdRoute *route, const uint8_t *payload, size_t len, GError **error)
{
    g_autoptr(KdHello) hello = kd_hello_parse(payload, len, error);
    KdWire *wire = kd_route_get_wire(route);

    if (hello == NULL) {
        return FALSE;
    }
    if (hello->mechanisms == NULL ||
        !g_strv_contains((const char *const *)hello->mechanisms, MECHANISM)) {
        login->wants_password = login->password == NULL;
        g_set_error_literal(error, KD_ERROR, KD_ERROR_AUTH, "the server wants a password");
        return FALSE;
    }
    if (login->trans == NULL &&
        !g_strv_contains((const char *const *)hello->features, KD_FEATURE_LIST)) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED,
                            "the server is older than this kd, it can't list its links");
        return FALSE;
    }
    wire->credit.peer_window = hello->window;
    wire->peer_max_data_bytes = hello->max_data_bytes;
    kd_wire_advance(wire, KD_PHASE_AUTH);
    send_requests(login, route);
    return TRUE;
}

static gboolean
take_auth(KdLogin *login, KdRoute *route, const uint8_t *payload, size_t len, GError **error)
{
    g_autoptr(KdAuth) auth = kd_auth_parse(payload, len, error);
    KdList all = {0};

    if (auth == NULL) {
        return FALSE;
    }
    if (!auth->is_done) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_PROTOCOL,
                            "the server asks for more steps of " MECHANISM);
        return FALSE;
    }
    login->is_authenticated = TRUE;
    kd_route_set_keepalive(route, TRUE);
    if (login->trans != NULL) {
        kd_wire_advance(kd_route_get_wire(route), KD_PHASE_OPENING);
        return TRUE;
    }
    kd_wire_advance(kd_route_get_wire(route), KD_PHASE_READY);
    kd_route_send(route, KD_FRAME_LIST, kd_list_build(&all));
    return TRUE;
}

static gboolean
take_listed(KdLogin *login, const uint8_t *payload, size_t len, GError **error)
{
    if (login->listed != NULL) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_PROTOCOL, "LISTED has come twice");
        return FALSE;
    }
    login->listed = kd_listed_parse(payload, len, error);
    return login->listed != NULL;
}

static gboolean
take_opened(KdLogin *login, KdRoute *route, const uint8_t *payload, size_t len, GError **error)
{
    login->opened = kd_opened_parse(payload, len, error);
    if (login->opened == NULL) {
        return FALSE;
    }
    kd_wire_advance(kd_route_get_wire(route), KD_PHASE_STREAMING);
    return TRUE;
}

static gboolean
take_event(KdLogin *login, const uint8_t *payload, size_t len, GError **error)
{
    g_autoptr(KdEvent) event = kd_event_parse(payload, len, error);

    if (event == NULL) {
        return FALSE;
    }
    if (event->kind == KD_EVENT_LOST || event->kind == KD_EVENT_BACK) {
        login->is_lost = event->kind == KD_EVENT_LOST;
    }
    kd_notice_print_event(event->kind, event->text);
    return TRUE;
}

/**
 * kd_login_take_frame:
 * @login: started
 * @route: its route
 * @header: of the frame
 * @payload: of the frame
 * @error: return location
 *
 * Takes one frame of the server, and sends what comes next. Events are shown to the user.
 *
 * Returns: %FALSE with %KD_ERROR_AUTH or %KD_ERROR_PROTOCOL if the session can't go on
 */
gboolean
kd_login_take_frame(KdLogin *login, KdRoute *route, const KdFrameHeader *header,
                    const uint8_t *payload, GError **error)
{
    size_t len = header->length;

    switch (header->type) {
    case KD_FRAME_HELLO:
        return take_hello(login, route, payload, len, error);
    case KD_FRAME_AUTH:
        return take_auth(login, route, payload, len, error);
    case KD_FRAME_OPENED:
        return take_opened(login, route, payload, len, error);
    case KD_FRAME_LISTED:
        return take_listed(login, payload, len, error);
    case KD_FRAME_EVENT:
        return take_event(login, payload, len, error);
    case KD_FRAME_CLOSE:
        login->close = kd_close_parse(payload, len, error);
        return login->close != NULL;
    default:
        return TRUE;
    }
}
