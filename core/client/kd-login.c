/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The client's half of the conversation from the preamble to OPENED, or to LISTED. */
#include "kd-login.h"

#include "kd-connection.h"
#include "kd-notice.h"
#include "kd-outcome.h"

#define SOFTWARE "kd " KD_VERSION

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
    g_clear_pointer(&login->transcript, kd_transcript_free);
    g_clear_pointer(&login->scram, kd_scram_free);
}

/* (transfer full): payload of our HELLO, the same whenever it is asked for */
static GBytes *
build_hello(KdRoute *route)
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

    return kd_hello_build(&hello);
}

/**
 * kd_login_start:
 * @login: zeroed but for what the owner asks for
 * @route: framed, with the server at its peer's end
 *
 * Sends the preamble and HELLO. PROTOCOL.md: neither side waits for the other's.
 */
void
kd_login_start(KdLogin *login, KdRoute *route)
{
    (void)login;
    kd_route_send_preamble(route);
    kd_route_send(route, KD_FRAME_HELLO, build_hello(route));
}

/**
 * kd_login_take_preamble:
 * @login: started
 * @route: its route
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
kd_login_take_preamble(KdLogin *login, KdRoute *route, uint16_t major, uint16_t minor,
                       GError **error)
{
    g_autofree char *text = NULL;
    g_autoptr(GBytes) hello = NULL;

    if (major != KD_PROTOCOL_MAJOR) {
        text = kd_close_build_version_text(KD_PROTOCOL_MAJOR, KD_PROTOCOL_MINOR, major, minor);
        g_set_error_literal(error, KD_ERROR, KD_ERROR_ABI, text);
        return FALSE;
    }
    if (login->password != NULL) {
        hello = build_hello(route);
        login->transcript = kd_transcript_new();
        kd_transcript_add_preamble(login->transcript, KD_ROLE_CLIENT, KD_PROTOCOL_MAJOR,
                                   KD_PROTOCOL_MINOR);
        kd_transcript_add_preamble(login->transcript, KD_ROLE_SERVER, major, minor);
        kd_transcript_add_sent(login->transcript, KD_FRAME_HELLO, hello);
    }
    kd_wire_advance(kd_route_get_wire(route), KD_PHASE_HELLO);
    return TRUE;
}

/* ---- which mechanism ---- */

static gboolean
offers(const KdHello *hello, const char *mechanism)
{
    return g_strv_contains((const char *const *)hello->mechanisms, mechanism);
}

/* Whoever could take the password out of what the server offers could take its place: so there is
 * no way around it, and of the two kinds of SCRAM only the one that the connection calls for. */
static const char *
choose_for_password(const KdLogin *login, const KdHello *hello, GError **error)
{
    const char *wanted = login->binding != NULL ? KD_SCRAM_BOUND : KD_SCRAM_PLAIN;
    const char *other = login->binding != NULL ? KD_SCRAM_PLAIN : KD_SCRAM_BOUND;

    if (offers(hello, wanted)) {
        return wanted;
    }
    if (offers(hello, other)) {
        kd_outcome_set_auth_error(
            error, "the server offers %s and not %s, as somebody in between would", other, wanted);
    } else {
        kd_outcome_set_auth_error(error,
                                  "the server asks for no password, so it may be another one; "
                                  "without password= it can be used nevertheless");
    }
    return NULL;
}

static const char *
choose_without(KdLogin *login, const KdHello *hello, GError **error)
{
    if (offers(hello, KD_MECHANISM_EXTERNAL)) {
        return KD_MECHANISM_EXTERNAL;
    }
    if (offers(hello, KD_MECHANISM_NONE)) {
        return KD_MECHANISM_NONE;
    }
    login->wants_password = offers(hello, KD_SCRAM_PLAIN) || offers(hello, KD_SCRAM_BOUND);
    if (login->wants_password) {
        kd_outcome_set_auth_error(error,
                                  "the server wants a password: give password= or password-file=");
    } else {
        kd_outcome_set_auth_error(error, "the server offers no mechanism that this kd knows");
    }
    return NULL;
}

/* ---- what is sent ---- */

static void
send_open(KdLogin *login, KdRoute *route)
{
    g_autofree char *identity = kd_connection_build_identity();
    KdOpen open = {.trans = (char *)login->trans, .identity = identity};

    if (login->trans != NULL && !login->has_asked) {
        login->has_asked = TRUE;
        kd_route_send(route, KD_FRAME_OPEN, kd_open_build(&open));
    }
}

static gboolean
send_first(KdLogin *login, KdRoute *route, const char *mechanism, GError **error)
{
    g_autoptr(GBytes) step = NULL;
    g_autoptr(GError) why = NULL;
    KdAuth auth = {.mechanism = (char *)mechanism};
    gboolean is_done = FALSE;

    if (login->password == NULL) {
        /* There is nothing in between to wait for. */
        kd_route_send(route, KD_FRAME_AUTH, kd_auth_build(&auth));
        send_open(login, route);
        return TRUE;
    }
    kd_transcript_add_mechanism(login->transcript, mechanism);
    login->scram = kd_scram_new_client(login->password, login->binding, &why);
    if (login->scram == NULL || !kd_scram_step(login->scram, NULL, &step, &is_done, &why)) {
        kd_outcome_set_auth_error(error, "%s", why->message);
        return FALSE;
    }
    auth.step = step;
    kd_route_send(route, KD_FRAME_AUTH, kd_auth_build(&auth));
    return TRUE;
}

/* The proof, and with it what it binds. */
static void
send_proof(const KdLogin *login, KdRoute *route, GBytes *step)
{
    uint8_t key[KD_SCRAM_KEY_BYTES];
    g_autoptr(GBytes) finished = NULL;
    KdAuth auth = {.step = step};

    if (kd_scram_get_key(login->scram, key)) {
        finished = kd_transcript_build_code(login->transcript, KD_ROLE_CLIENT, key);
        auth.finished = finished;
    }
    kd_secret_wipe(key, sizeof key);
    kd_route_send(route, KD_FRAME_AUTH, kd_auth_build(&auth));
}

/* ---- what is heard ---- */

static gboolean
take_hello(KdLogin *login, KdRoute *route, const KdFrameHeader *header, const uint8_t *payload,
           GError **error)
{
    g_autoptr(KdHello) hello = kd_hello_parse(payload, header->length, error);
    KdWire *wire = kd_route_get_wire(route);
    const char *mechanism = NULL;

    if (hello == NULL) {
        return FALSE;
    }
    mechanism = login->password != NULL ? choose_for_password(login, hello, error)
                                        : choose_without(login, hello, error);
    if (mechanism == NULL) {
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
    if (login->transcript != NULL) {
        kd_transcript_add_frame(login->transcript, header, payload);
    }
    kd_wire_advance(wire, KD_PHASE_AUTH);
    return send_first(login, route, mechanism, error);
}

static void
take_done(KdLogin *login, KdRoute *route)
{
    KdList all = {0};

    g_clear_pointer(&login->scram, kd_scram_free);
    g_clear_pointer(&login->transcript, kd_transcript_free);
    login->is_authenticated = TRUE;
    kd_route_set_keepalive(route, TRUE);
    if (login->trans != NULL) {
        send_open(login, route);
        kd_wire_advance(kd_route_get_wire(route), KD_PHASE_OPENING);
        return;
    }
    kd_wire_advance(kd_route_get_wire(route), KD_PHASE_READY);
    kd_route_send(route, KD_FRAME_LIST, kd_list_build(&all));
}

static gboolean
check_finished(const KdLogin *login, const KdAuth *auth)
{
    uint8_t key[KD_SCRAM_KEY_BYTES];
    gboolean is_right =
        kd_scram_get_key(login->scram, key) &&
        kd_transcript_check_code(login->transcript, KD_ROLE_SERVER, key, auth->finished);

    kd_secret_wipe(key, sizeof key);
    return is_right;
}

static gboolean
take_step(KdLogin *login, KdRoute *route, const KdAuth *auth, GError **error)
{
    g_autoptr(GError) why = NULL;
    g_autoptr(GBytes) out = NULL;
    gboolean is_done = FALSE;

    if (!kd_scram_step(login->scram, auth->step, &out, &is_done, &why)) {
        kd_outcome_set_auth_error(error, "%s", why->message);
    } else if (is_done != auth->is_done) {
        kd_outcome_set_auth_error(error, "the server has not proved that it knows the password");
    } else if (!is_done) {
        send_proof(login, route, out);
        return TRUE;
    } else if (!check_finished(login, auth)) {
        kd_outcome_set_auth_error(error, "somebody in between has changed what was said");
    } else {
        take_done(login, route);
        return TRUE;
    }
    return FALSE;
}

static gboolean
take_auth(KdLogin *login, KdRoute *route, const uint8_t *payload, size_t len, GError **error)
{
    g_autoptr(KdAuth) auth = kd_auth_parse(payload, len, error);

    if (auth == NULL) {
        return FALSE;
    }
    if (login->scram != NULL) {
        return take_step(login, route, auth, error);
    }
    if (!auth->is_done) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_PROTOCOL,
                            "the server asks for steps of a mechanism that has none");
        return FALSE;
    }
    take_done(login, route);
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
        return take_hello(login, route, header, payload, error);
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
