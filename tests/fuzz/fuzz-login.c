/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A server that says anything to a client that logs in; it may also behave, up to some byte. */
#include "kd-fuzz-peer.h"
#include "kd-fuzz.h"
#include "kd-login.h"
#include "kd-loop.h"
#include "kd-outcome.h"

#include <string.h>

#define PASSWORD "Canary0Word"
#define TRANS    "com:port=com2"

/* First byte of an input */
enum {
    INPUT_PASSWORD = 0x01, /* the client has one                                           */
    INPUT_WRONG = 0x02,    /* the server has another one                                   */
    INPUT_BOUND = 0x04,    /* the client is bound to TLS                                   */
    INPUT_LIST = 0x08,     /* the client lists instead of opening                          */
    INPUT_UNBOUND = 0x10,  /* the server is not bound to TLS, or to another one            */
};

typedef struct {
    KdFuzzPeer peer;
    KdRoute *route;
    KdLogin login;
    uint8_t options;
    gboolean has_stopped;
    gboolean has_opened;
    /* the server */
    KdPassword *password;
    KdScram *scram;
    KdTranscript *transcript;
    GBytes *step; /* newest of the client */
    gboolean has_proved;
    gboolean is_changed; /* a preamble or a HELLO, while it counts */
} Run;

static KdPassword *client_password;
static KdPassword *server_passwords[2];
static GBytes *bindings[2];

/* ---- the client ---- */

static void
stop(Run *run, const GError *error)
{
    if (error != NULL) {
        g_assert_true(g_utf8_validate(error->message, -1, NULL));
        g_assert_null(strstr(error->message, PASSWORD));
        if (g_error_matches(error, KD_ERROR, KD_ERROR_AUTH)) {
            g_assert_nonnull(strstr(error->message, "Error 0x80004005"));
        }
    }
    run->has_stopped = TRUE;
    kd_route_stop(run->route);
}

static void
on_preamble(KdRoute *route, uint16_t major, uint16_t minor, void *user)
{
    Run *run = user;
    g_autoptr(GError) error = NULL;

    if (!kd_login_take_preamble(&run->login, route, major, minor, &error)) {
        g_assert_nonnull(error);
        stop(run, error);
    }
}

static void
on_frame(KdRoute *route, const KdFrameHeader *header, const uint8_t *payload, void *user)
{
    Run *run = user;
    g_autoptr(GError) error = NULL;
    gboolean was_authenticated = run->login.is_authenticated;
    gboolean is_taken = kd_login_take_frame(&run->login, route, header, payload, &error);

    g_assert_true(is_taken == (error == NULL));
    if (run->login.is_authenticated && !was_authenticated && (run->options & INPUT_PASSWORD) != 0) {
        g_assert_true(run->has_proved);
        g_assert_false(run->is_changed);
        g_assert_true((run->options & (INPUT_WRONG | INPUT_UNBOUND)) == 0);
    }
    if (run->login.close != NULL && is_taken) {
        (void)kd_outcome_from_close(run->login.close, run->login.opened != NULL, &error);
        is_taken = FALSE;
    }
    if (!is_taken || run->login.opened != NULL || run->login.listed != NULL) {
        stop(run, error);
    }
}

static void
on_failed(KdRoute *route, const GError *error, void *user)
{
    (void)route;
    stop(user, error);
}

static void
on_finished(KdRoute *route, KdSide side, int error, void *user)
{
    (void)route;
    (void)side;
    (void)error;
    (void)user;
}

static const KdRouteFuncs route_funcs = {
    .preamble = on_preamble,
    .frame = on_frame,
    .finished = on_finished,
    .failed = on_failed,
};

/* ---- the server ---- */

static GBytes *
build_preamble(void)
{
    uint8_t preamble[KD_PREAMBLE_BYTES];

    kd_preamble_store(preamble, KD_ROLE_SERVER, KD_PROTOCOL_MAJOR, KD_PROTOCOL_MINOR);
    return g_bytes_new(preamble, sizeof preamble);
}

static GBytes *
build_frame(uint8_t type, GBytes *payload)
{
    g_autoptr(GBytes) owned = payload;

    return kd_fuzz_build_frame(type, 0, g_bytes_get_data(owned, NULL), g_bytes_get_size(owned));
}

static const char *
get_mechanism(const Run *run)
{
    if ((run->options & INPUT_PASSWORD) == 0) {
        return KD_MECHANISM_NONE;
    }
    return (run->options & INPUT_BOUND) != 0 ? KD_SCRAM_BOUND : KD_SCRAM_PLAIN;
}

static GBytes *
build_hello(const Run *run)
{
    const char *features[] = {KD_FEATURE_LIST, NULL};
    const char *mechanisms[] = {get_mechanism(run), NULL};
    KdHello hello = {.window = KD_WINDOW_BYTES,
                     .max_data_bytes = KD_MAX_DATA_BYTES,
                     .features = (char **)features,
                     .mechanisms = (char **)mechanisms};

    return build_frame(KD_FRAME_HELLO, kd_hello_build(&hello));
}

/* The challenge; without a password, all there is. */
static GBytes *
build_first(Run *run)
{
    GBytes *binding = (run->options & INPUT_BOUND) != 0
                          ? bindings[(run->options & INPUT_UNBOUND) != 0 ? 1 : 0]
                          : NULL;
    g_autoptr(GBytes) step = NULL;
    gboolean is_done = FALSE;
    KdAuth auth = {0};

    if ((run->options & INPUT_PASSWORD) == 0) {
        auth.is_done = TRUE;
        return build_frame(KD_FRAME_AUTH, kd_auth_build(&auth));
    }
    g_clear_pointer(&run->scram, kd_scram_free);
    run->scram = kd_scram_new_server(run->password, binding, NULL);
    if (run->step == NULL || !kd_scram_step(run->scram, run->step, &step, &is_done, NULL)) {
        return NULL;
    }
    auth.step = step;
    return build_frame(KD_FRAME_AUTH, kd_auth_build(&auth));
}

static GBytes *
build_last(Run *run)
{
    g_autoptr(GBytes) step = NULL;
    g_autoptr(GBytes) finished = NULL;
    uint8_t key[KD_SCRAM_KEY_BYTES];
    KdAuth auth = {.is_done = TRUE};
    gboolean is_done = FALSE;

    if (run->scram == NULL || run->step == NULL || run->transcript == NULL ||
        !kd_scram_step(run->scram, run->step, &step, &is_done, NULL) ||
        !kd_scram_get_key(run->scram, key)) {
        return NULL;
    }
    kd_transcript_add_mechanism(run->transcript, get_mechanism(run));
    finished = kd_transcript_build_code(run->transcript, KD_ROLE_SERVER, key);
    auth.step = step;
    auth.finished = finished;
    run->has_proved = TRUE;
    return build_frame(KD_FRAME_AUTH, kd_auth_build(&auth));
}

static void
note_hello(Run *run, const KdFrameHeader *header, const uint8_t *payload)
{
    g_autoptr(GBytes) ours = build_hello(run);
    KdFrameHeader our_header;

    kd_frame_header_load(&our_header, g_bytes_get_data(ours, NULL));
    run->transcript = kd_transcript_new();
    kd_transcript_add_preamble(run->transcript, KD_ROLE_CLIENT, KD_PROTOCOL_MAJOR,
                               KD_PROTOCOL_MINOR);
    kd_transcript_add_preamble(run->transcript, KD_ROLE_SERVER, KD_PROTOCOL_MAJOR,
                               KD_PROTOCOL_MINOR);
    kd_transcript_add_frame(run->transcript, header, payload);
    kd_transcript_add_frame(run->transcript, &our_header,
                            (const uint8_t *)g_bytes_get_data(ours, NULL) + KD_HEADER_BYTES);
}

/* What the client says is right in every state, and never the password. */
static void
hear(Run *run)
{
    const uint8_t *payload = NULL;
    KdFrameHeader header;

    while (kd_fuzz_peer_take(&run->peer, KD_ROLE_CLIENT, &header, &payload)) {
        if (header.type == KD_FRAME_HELLO) {
            note_hello(run, &header, payload);
        } else if (header.type == KD_FRAME_AUTH) {
            g_autoptr(KdAuth) auth = kd_auth_parse(payload, header.length, NULL);

            g_assert_nonnull(auth);
            g_assert_false(auth->is_done);
            g_assert_true(auth->mechanism == NULL ||
                          g_strcmp0(auth->mechanism, get_mechanism(run)) == 0 ||
                          (run->options & INPUT_PASSWORD) == 0);
            g_clear_pointer(&run->step, g_bytes_unref);
            run->step = auth->step != NULL ? g_bytes_ref(auth->step) : NULL;
        } else if (header.type == KD_FRAME_OPEN || header.type == KD_FRAME_LIST) {
            g_assert_false(run->has_opened);
            run->has_opened = TRUE;
            g_assert_true((header.type == KD_FRAME_LIST) == ((run->options & INPUT_LIST) != 0));
            g_assert_true(run->login.is_authenticated || (run->options & INPUT_PASSWORD) == 0);
        } else {
            g_assert_true(header.type == KD_FRAME_PONG || header.type == KD_FRAME_ACK);
        }
    }
    g_assert_null(memmem(run->peer.said->data, run->peer.said->len, PASSWORD, strlen(PASSWORD)));
}

static GBytes *
make(Run *run, const KdFuzzRecord *record)
{
    switch (record->kind) {
    case KD_FUZZ_PREAMBLE:
        run->is_changed |= record->flip != 0 && !run->login.is_authenticated;
        return build_preamble();
    case KD_FUZZ_HELLO:
        run->is_changed |= record->flip != 0 && !run->login.is_authenticated;
        return build_hello(run);
    case KD_FUZZ_FIRST:
        return build_first(run);
    case KD_FUZZ_LAST:
        return build_last(run);
    default:
        return NULL;
    }
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const uint8_t bytes[2][32] = {{1}, {2}};

    (void)argc;
    (void)argv;
    g_log_set_always_fatal(G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING);
    g_assert_true(kd_loop_start(NULL));
    client_password = kd_password_new(PASSWORD, NULL);
    server_passwords[0] = kd_password_new(PASSWORD, NULL);
    server_passwords[1] = kd_password_new("Other", NULL);
    for (int i = 0; i < 2; i++) {
        g_assert_nonnull(kd_password_get_verifier(server_passwords[i], NULL));
        bindings[i] = g_bytes_new_static(bytes[i], sizeof bytes[i]);
    }
    return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    KdFuzzInput input = {data, size};
    uint8_t options = kd_fuzz_take_byte(&input);
    uint8_t most = kd_fuzz_take_byte(&input);
    Run run = {.options = options};
    KdFuzzRecord record;
    KdEndpoint endpoint;

    if (memmem(data, size, PASSWORD, strlen(PASSWORD)) != NULL) {
        return 0; /* it knows what it must not be told */
    }
    if ((options & INPUT_BOUND) == 0) {
        run.options &= (uint8_t)~INPUT_UNBOUND;
    }
    run.password = server_passwords[(options & INPUT_WRONG) != 0 ? 1 : 0];
    run.login.trans = (options & INPUT_LIST) != 0 ? NULL : TRANS;
    run.login.password = (options & INPUT_PASSWORD) != 0 ? client_password : NULL;
    run.login.binding = (options & INPUT_BOUND) != 0 ? bindings[0] : NULL;
    kd_fuzz_peer_init(&run.peer, most == 0 ? G_MAXUINT16 : most, &endpoint);
    run.route = kd_route_new_framed(KD_ROLE_CLIENT, &route_funcs, &run);
    g_assert_true(kd_route_join(run.route, KD_SIDE_PEER, &endpoint, NULL));
    kd_login_start(&run.login, run.route);
    kd_fuzz_settle();
    hear(&run);
    while (kd_fuzz_take_record(&input, &record)) {
        g_autoptr(GBytes) made = make(&run, &record);

        kd_fuzz_peer_say_record(&run.peer, &record, made);
        hear(&run);
    }
    kd_login_clear(&run.login);
    kd_route_free(run.route);
    kd_fuzz_settle();
    kd_fuzz_peer_clear(&run.peer);
    kd_scram_free(run.scram);
    kd_transcript_free(run.transcript);
    g_clear_pointer(&run.step, g_bytes_unref);
    return 0;
}
