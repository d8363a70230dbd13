/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a new connection to a client that may ask for something: TLS, preamble, HELLO, AUTH. */
#include "kd-admission.h"

#include "kd-scram.h"
#include "kd-tls-handshake.h"
#include "kd-transcript.h"

/* Whatever was wrong with an attempt, the answer is the same, and comes as long after it. */
#define REFUSAL_US   G_USEC_PER_SEC
#define REFUSAL_TEXT "authentication failed"

struct KdAdmission {
    KdRoute *route;
    KdDoor *door; /* NULL: nothing guards the transport */
    const KdAdmissionFuncs *funcs;
    void *user;
    KdTlsHandshake *handshake; /* under way */
    KdTlsPeer *tls;            /* NULL: the connection is in clear */
    gboolean is_connected;
    gboolean has_list;
    KdTranscript *transcript; /* NULL: there is no password to bind it to */
    KdScram *scram;           /* under way */
    gint64 heard_us;          /* the newest AUTH */
    guint refusal_id;
};

/* ---- begin and end ---- */

/**
 * kd_admission_new:
 * @route: (unowned): framed; its peer's end is missing yet
 * @door: (nullable): what guards the transport; %NULL: nothing does
 * @funcs: lives as long as the admission
 * @user: for @funcs
 *
 * Returns: (transfer full): an admission that has not begun
 */
KdAdmission *
kd_admission_new(KdRoute *route, KdDoor *door, const KdAdmissionFuncs *funcs, void *user)
{
    KdAdmission *admission = g_new0(KdAdmission, 1);

    admission->route = route;
    admission->door = door != NULL ? kd_door_ref(door) : NULL;
    admission->funcs = funcs;
    admission->user = user;
    return admission;
}

static void
forget_password(KdAdmission *admission)
{
    g_clear_pointer(&admission->scram, kd_scram_free);
    g_clear_pointer(&admission->transcript, kd_transcript_free);
}

/**
 * kd_admission_free:
 * @admission: (nullable): an admission
 *
 * Frees it, and closes a connection that is not on the route yet.
 */
void
kd_admission_free(KdAdmission *admission)
{
    if (admission == NULL) {
        return;
    }
    g_clear_handle_id(&admission->refusal_id, g_source_remove);
    forget_password(admission);
    kd_tls_handshake_free(admission->handshake);
    kd_tls_peer_free(admission->tls);
    kd_door_unref(admission->door);
    g_free(admission);
}

static gboolean
on_refusal(gpointer user_data)
{
    KdAdmission *admission = user_data;

    admission->refusal_id = 0;
    admission->funcs->failed(KD_CLOSE_AUTH_FAILED, REFUSAL_TEXT, admission->user);
    return G_SOURCE_REMOVE;
}

/* The last of its caller. Nothing is heard any more; the answer comes at a time that does not
 * depend on how far the attempt came. */
static void
refuse(KdAdmission *admission, const char *cause)
{
    g_autoptr(GSource) timer = g_timeout_source_new(0);

    forget_password(admission);
    kd_route_stop(admission->route);
    g_source_set_callback(timer, on_refusal, admission, NULL);
    g_source_set_ready_time(timer, admission->heard_us + REFUSAL_US);
    admission->refusal_id = g_source_attach(timer, NULL);
    admission->funcs->refused(cause, admission->user);
}

/* ---- TLS ---- */

static gboolean
join(KdAdmission *admission, KdEndpoint *endpoint, GError **error)
{
    admission->is_connected = kd_route_join(admission->route, KD_SIDE_PEER, endpoint, error);
    return admission->is_connected;
}

static void
on_handshake(KdEndpoint *endpoint, const KdTlsPeer *peer, const GError *error, void *user)
{
    KdAdmission *admission = user;
    g_autoptr(GError) failed = NULL;
    g_autofree char *text = NULL;

    if (error == NULL) {
        admission->tls = kd_tls_peer_copy(peer);
        (void)join(admission, endpoint, &failed);
        g_clear_pointer(&admission->handshake, kd_tls_handshake_free);
        error = failed;
    }
    if (error != NULL) {
        text = g_strdup_printf("TLS: %s", error->message);
        admission->funcs->broken(text, admission->user);
    }
}

/**
 * kd_admission_start:
 * @admission: a new admission
 * @endpoint: (transfer full): a connection on which nothing was said; untouched on error
 * @error: return location
 *
 * Gives the route its peer's end, at once or when the client has shown that it speaks TLS. Nothing
 * that came before TLS is ever taken for what came inside.
 *
 * Returns: whether it could begin
 */
gboolean
kd_admission_start(KdAdmission *admission, KdEndpoint *endpoint, GError **error)
{
    KdTlsConfig *tls = admission->door != NULL ? kd_door_get_tls(admission->door) : NULL;

    kd_route_send_preamble(admission->route);
    if (tls == NULL) {
        return join(admission, endpoint, error);
    }
    admission->handshake = kd_tls_handshake_new(tls, endpoint, on_handshake, admission, error);
    return admission->handshake != NULL;
}

/* ---- HELLO ---- */

/* (nullable): of the door */
static KdPassword *
get_password(const KdAdmission *admission)
{
    return admission->door != NULL ? kd_door_get_password(admission->door) : NULL;
}

/* The one that is offered: there is no choice that somebody could make worse. */
static const char *
get_mechanism(const KdAdmission *admission)
{
    if (get_password(admission) != NULL) {
        return admission->tls != NULL ? KD_SCRAM_BOUND : KD_SCRAM_PLAIN;
    }
    return kd_admission_get_certificate(admission) != NULL ? KD_MECHANISM_EXTERNAL
                                                           : KD_MECHANISM_NONE;
}

/**
 * kd_admission_take_preamble:
 * @admission: connected
 * @major: of the client
 * @minor: of the client
 *
 * Judges the client's preamble.
 */
void
kd_admission_take_preamble(KdAdmission *admission, uint16_t major, uint16_t minor)
{
    g_autofree char *text = NULL;

    if (major != KD_PROTOCOL_MAJOR) {
        text = kd_close_build_version_text(major, minor, KD_PROTOCOL_MAJOR, KD_PROTOCOL_MINOR);
        admission->funcs->failed(KD_CLOSE_VERSION, text, admission->user);
        return;
    }
    if (get_password(admission) != NULL) {
        admission->transcript = kd_transcript_new();
        kd_transcript_add_preamble(admission->transcript, KD_ROLE_CLIENT, major, minor);
        kd_transcript_add_preamble(admission->transcript, KD_ROLE_SERVER, KD_PROTOCOL_MAJOR,
                                   KD_PROTOCOL_MINOR);
    }
    kd_wire_advance(kd_route_get_wire(admission->route), KD_PHASE_HELLO);
}

/* (transfer full): payload of our HELLO */
static GBytes *
build_hello(const KdAdmission *admission)
{
    const KdWire *wire = kd_route_get_wire(admission->route);
    const char *features[] = {KD_FEATURE_LIST, NULL};
    const char *mechanisms[] = {get_mechanism(admission), NULL};
    KdHello hello = {
        .window = wire->credit.window,
        .max_data_bytes = wire->max_data_bytes,
        .features = (char **)features,
        .mechanisms = (char **)mechanisms,
    };

    return kd_hello_build(&hello);
}

/**
 * kd_admission_take_hello:
 * @admission: has taken the preamble
 * @header: of the frame
 * @payload: of the frame
 *
 * Takes the client's HELLO and answers it.
 */
void
kd_admission_take_hello(KdAdmission *admission, const KdFrameHeader *header, const uint8_t *payload)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KdHello) hello = kd_hello_parse(payload, header->length, &error);
    KdWire *wire = kd_route_get_wire(admission->route);
    GBytes *ours = NULL;

    if (hello == NULL) {
        admission->funcs->failed(KD_CLOSE_PROTOCOL_ERROR, error->message, admission->user);
        return;
    }
    wire->credit.peer_window = hello->window;
    wire->peer_max_data_bytes = hello->max_data_bytes;
    admission->has_list = g_strv_contains((const char *const *)hello->features, KD_FEATURE_LIST);
    ours = build_hello(admission);
    if (admission->transcript != NULL) {
        kd_transcript_add_frame(admission->transcript, header, payload);
        kd_transcript_add_sent(admission->transcript, KD_FRAME_HELLO, ours);
    }
    kd_route_send(admission->route, KD_FRAME_HELLO, ours);
    kd_wire_advance(wire, KD_PHASE_AUTH);
}

/* ---- AUTH ---- */

/* The last of its caller. */
static void
admit(KdAdmission *admission, const KdAuth *done)
{
    kd_route_send(admission->route, KD_FRAME_AUTH, kd_auth_build(done));
    kd_wire_advance(kd_route_get_wire(admission->route), KD_PHASE_READY);
    kd_route_set_keepalive(admission->route, TRUE);
    forget_password(admission);
    admission->funcs->admitted(admission->user);
}

/* (transfer full) (nullable): our `finished`; NULL: the client's is not right */
static GBytes *
finish(const KdAdmission *admission, const KdAuth *auth)
{
    uint8_t key[KD_SCRAM_KEY_BYTES];
    GBytes *ours = NULL;

    if (kd_scram_get_key(admission->scram, key) &&
        kd_transcript_check_code(admission->transcript, KD_ROLE_CLIENT, key, auth->finished)) {
        ours = kd_transcript_build_code(admission->transcript, KD_ROLE_SERVER, key);
    }
    kd_secret_wipe(key, sizeof key);
    return ours;
}

/* The last of its caller: one step of the password's exchange. */
static void
step(KdAdmission *admission, const KdAuth *auth)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GBytes) out = NULL;
    g_autoptr(GBytes) finished = NULL;
    gboolean is_done = FALSE;
    KdAuth answer = {0};

    if (!kd_scram_step(admission->scram, auth->step, &out, &is_done, &error)) {
        refuse(admission, error->message);
        return;
    }
    answer.step = out;
    if (!is_done) {
        kd_route_send(admission->route, KD_FRAME_AUTH, kd_auth_build(&answer));
        return;
    }
    finished = finish(admission, auth);
    if (finished == NULL) {
        refuse(admission, "what was said before is not what the client has said and heard");
        return;
    }
    answer.is_done = TRUE;
    answer.finished = finished;
    admit(admission, &answer);
}

/* The last of its caller: the client's first AUTH. */
static void
begin(KdAdmission *admission, const KdAuth *auth)
{
    const char *mechanism = get_mechanism(admission);
    KdPassword *password = get_password(admission);
    KdAuth done = {.is_done = TRUE};
    g_autoptr(GError) error = NULL;

    if (g_strcmp0(auth->mechanism, mechanism) != 0) {
        g_autofree char *cause =
            g_strdup_printf("mechanism %s instead of %s",
                            auth->mechanism != NULL ? auth->mechanism : "(none named)", mechanism);

        refuse(admission, cause);
        return;
    }
    if (password == NULL) {
        admit(admission, &done);
        return;
    }
    kd_transcript_add_mechanism(admission->transcript, mechanism);
    admission->scram = kd_scram_new_server(
        password, admission->tls != NULL ? admission->tls->binding : NULL, &error);
    if (admission->scram == NULL) {
        refuse(admission, error->message);
    } else if (g_strcmp0(kd_scram_get_mechanism(admission->scram), mechanism) != 0) {
        refuse(admission, "there is nothing that would bind the password to TLS");
    } else {
        step(admission, auth);
    }
}

/**
 * kd_admission_take_auth:
 * @admission: has taken HELLO
 * @header: of the frame
 * @payload: of the frame
 *
 * Takes a step of the client's. A connection has one attempt.
 */
void
kd_admission_take_auth(KdAdmission *admission, const KdFrameHeader *header, const uint8_t *payload)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KdAuth) auth = kd_auth_parse(payload, header->length, &error);

    admission->heard_us = g_get_monotonic_time();
    if (auth == NULL) {
        admission->funcs->failed(KD_CLOSE_PROTOCOL_ERROR, error->message, admission->user);
    } else if (admission->scram == NULL) {
        begin(admission, auth);
    } else if (auth->mechanism != NULL) {
        refuse(admission, "a second attempt within the first");
    } else {
        step(admission, auth);
    }
}

/* ---- what is known of the client ---- */

/**
 * kd_admission_is_connected:
 * @admission: an admission
 *
 * Returns: whether the client can be told anything; not while there is no TLS yet
 */
gboolean
kd_admission_is_connected(const KdAdmission *admission)
{
    return admission->is_connected;
}

/**
 * kd_admission_has_list:
 * @admission: has taken HELLO
 *
 * Returns: whether the feature `list` is in force
 */
gboolean
kd_admission_has_list(const KdAdmission *admission)
{
    return admission->has_list;
}

/**
 * kd_admission_get_certificate:
 * @admission: an admission
 *
 * Returns: (transfer none) (nullable): subject of the certificate that the client has shown and
 *    that was verified
 */
const char *
kd_admission_get_certificate(const KdAdmission *admission)
{
    return admission->tls != NULL && admission->tls->verdict == KD_TLS_TRUSTED
               ? admission->tls->name
               : NULL;
}

/**
 * kd_admission_describe:
 * @admission: has admitted the client
 *
 * Returns: (transfer full) (nullable): how, for the log: `SCRAM-SHA-256-PLUS, TLS1.3 AES-256-GCM`;
 *    %NULL where nothing was asked for
 */
char *
kd_admission_describe(const KdAdmission *admission)
{
    const KdTlsPeer *tls = admission->tls;
    const char *certificate = kd_admission_get_certificate(admission);
    g_autoptr(GString) text = NULL;

    if (tls == NULL && get_password(admission) == NULL) {
        return NULL;
    }
    text = g_string_new(get_mechanism(admission));
    if (tls != NULL) {
        g_string_append_printf(text, ", %s %s", tls->version != NULL ? tls->version : "TLS",
                               tls->cipher != NULL ? tls->cipher : "");
    }
    if (certificate != NULL) {
        g_string_append_printf(text, ", certificate %s", certificate);
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}
