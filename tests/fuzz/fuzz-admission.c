/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A client that says anything before it was let in; it may also behave, up to some byte. */
#include "kd-admission.h"
#include "kd-fuzz-peer.h"
#include "kd-fuzz.h"
#include "kd-loop.h"
#include "kd-scram.h"
#include "kd-transcript.h"

#include <string.h>

#define PASSWORD "Canary0Word"
/* Nobody who was not let in yet makes the server say more. */
#define MAX_SAID_BYTES 4096u

/* First byte of an input */
enum {
    INPUT_PASSWORD = 0x01, /* the door asks for one                                        */
    INPUT_WRONG = 0x02,    /* the client has another one                                   */
};

typedef struct {
    KdFuzzPeer peer;
    KdRoute *route;
    KdAdmission *admission;
    uint8_t options;
    guint n_admitted;
    guint n_refused;
    guint n_failed;
    /* the client */
    KdPassword *password;
    KdScram *scram;
    KdTranscript *transcript;
    GBytes *challenge;
    gboolean has_proved;
    gboolean is_changed; /* a preamble or a HELLO */
} Run;

static KdDoor *doors[2];

/* ---- the server ---- */

static void
on_admitted(void *user)
{
    Run *run = user;

    run->n_admitted++;
    g_assert_cmpuint(run->n_admitted, ==, 1);
    g_assert_cmpuint(run->n_refused + run->n_failed, ==, 0);
    if ((run->options & INPUT_PASSWORD) != 0) {
        g_assert_true(run->has_proved);
        g_assert_false(run->is_changed);
        g_assert_true((run->options & INPUT_WRONG) == 0);
    }
    kd_route_stop(run->route);
}

static void
on_refused(const char *cause, void *user)
{
    Run *run = user;

    run->n_refused++;
    g_assert_cmpuint(run->n_refused, ==, 1);
    g_assert_cmpuint(run->n_admitted + run->n_failed, ==, 0);
    g_assert_true(g_utf8_validate(cause, -1, NULL));
    g_assert_null(strstr(cause, PASSWORD));
}

static void
on_failed(KdCloseCode code, const char *text, void *user)
{
    Run *run = user;
    KdClose close = {.code = code, .text = (char *)text};

    run->n_failed++;
    g_assert_cmpuint(run->n_failed, ==, 1);
    g_assert_cmpuint(run->n_admitted, ==, 0);
    /* The answer to an attempt comes after longer than an input takes. */
    g_assert_cmpint(code, !=, KD_CLOSE_AUTH_FAILED);
    kd_route_send(run->route, KD_FRAME_CLOSE, kd_close_build(&close));
    kd_wire_advance(kd_route_get_wire(run->route), KD_PHASE_CLOSED);
    kd_route_stop(run->route);
}

static void
on_broken(const char *text, void *user)
{
    (void)text;
    (void)user;
    g_assert_not_reached(); /* there is no TLS here */
}

static const KdAdmissionFuncs admission_funcs = {
    .admitted = on_admitted,
    .refused = on_refused,
    .failed = on_failed,
    .broken = on_broken,
};

static void
on_preamble(KdRoute *route, uint16_t major, uint16_t minor, void *user)
{
    (void)route;
    kd_admission_take_preamble(((Run *)user)->admission, major, minor);
}

static void
on_frame(KdRoute *route, const KdFrameHeader *header, const uint8_t *payload, void *user)
{
    Run *run = user;

    if (header->type == KD_FRAME_HELLO) {
        kd_admission_take_hello(run->admission, header, payload);
    } else if (header->type == KD_FRAME_AUTH) {
        kd_admission_take_auth(run->admission, header, payload);
    } else {
        g_assert_cmpuint(header->type, ==, KD_FRAME_CLOSE);
        kd_route_stop(route);
    }
}

static void
on_route_failed(KdRoute *route, const GError *error, void *user)
{
    (void)route;
    on_failed(kd_wire_get_close_code(error), error->message, user);
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
    .failed = on_route_failed,
};

/* ---- the client ---- */

static GBytes *
build_preamble(void)
{
    uint8_t preamble[KD_PREAMBLE_BYTES];

    kd_preamble_store(preamble, KD_ROLE_CLIENT, KD_PROTOCOL_MAJOR, KD_PROTOCOL_MINOR);
    return g_bytes_new(preamble, sizeof preamble);
}

static GBytes *
build_hello(void)
{
    char *features[] = {(char *)KD_FEATURE_LIST, NULL};
    KdHello hello = {
        .window = KD_WINDOW_BYTES, .max_data_bytes = KD_MAX_DATA_BYTES, .features = features};
    g_autoptr(GBytes) payload = kd_hello_build(&hello);

    return kd_fuzz_build_frame(KD_FRAME_HELLO, 0, g_bytes_get_data(payload, NULL),
                               g_bytes_get_size(payload));
}

static GBytes *
build_auth(const KdAuth *auth)
{
    g_autoptr(GBytes) payload = kd_auth_build(auth);

    return kd_fuzz_build_frame(KD_FRAME_AUTH, 0, g_bytes_get_data(payload, NULL),
                               g_bytes_get_size(payload));
}

/* Without a password: all there is. */
static GBytes *
build_first(Run *run)
{
    KdAuth auth = {.mechanism = (char *)KD_SCRAM_PLAIN};
    g_autoptr(GBytes) step = NULL;
    gboolean is_done = FALSE;

    if ((run->options & INPUT_PASSWORD) == 0) {
        auth.mechanism = (char *)KD_MECHANISM_NONE;
        return build_auth(&auth);
    }
    g_clear_pointer(&run->scram, kd_scram_free);
    run->scram = kd_scram_new_client(run->password, NULL, NULL);
    g_assert_true(kd_scram_step(run->scram, NULL, &step, &is_done, NULL));
    auth.step = step;
    return build_auth(&auth);
}

/* (nullable): NULL where there was no challenge */
static GBytes *
build_last(Run *run)
{
    g_autoptr(GBytes) step = NULL;
    g_autoptr(GBytes) finished = NULL;
    uint8_t key[KD_SCRAM_KEY_BYTES];
    KdAuth auth = {0};
    gboolean is_done = FALSE;

    if (run->scram == NULL || run->challenge == NULL || run->transcript == NULL ||
        !kd_scram_step(run->scram, run->challenge, &step, &is_done, NULL) ||
        !kd_scram_get_key(run->scram, key)) {
        return NULL;
    }
    kd_transcript_add_mechanism(run->transcript, KD_SCRAM_PLAIN);
    finished = kd_transcript_build_code(run->transcript, KD_ROLE_CLIENT, key);
    auth.step = step;
    auth.finished = finished;
    run->has_proved = TRUE;
    return build_auth(&auth);
}

static void
note_hello(Run *run, const KdFrameHeader *header, const uint8_t *payload)
{
    g_autoptr(GBytes) ours = build_hello();
    KdFrameHeader our_header;

    kd_frame_header_load(&our_header, g_bytes_get_data(ours, NULL));
    g_clear_pointer(&run->transcript, kd_transcript_free);
    run->transcript = kd_transcript_new();
    kd_transcript_add_preamble(run->transcript, KD_ROLE_CLIENT, KD_PROTOCOL_MAJOR,
                               KD_PROTOCOL_MINOR);
    kd_transcript_add_preamble(run->transcript, KD_ROLE_SERVER, KD_PROTOCOL_MAJOR,
                               KD_PROTOCOL_MINOR);
    kd_transcript_add_frame(run->transcript, &our_header,
                            (const uint8_t *)g_bytes_get_data(ours, NULL) + KD_HEADER_BYTES);
    kd_transcript_add_frame(run->transcript, header, payload);
}

/* What the server says is right in every state. */
static void
hear(Run *run)
{
    const uint8_t *payload = NULL;
    KdFrameHeader header;

    while (kd_fuzz_peer_take(&run->peer, KD_ROLE_SERVER, &header, &payload)) {
        if (header.type == KD_FRAME_HELLO) {
            g_autoptr(KdHello) hello = kd_hello_parse(payload, header.length, NULL);

            g_assert_nonnull(hello);
            g_assert_cmpstr(hello->mechanisms[0], ==,
                            (run->options & INPUT_PASSWORD) != 0 ? KD_SCRAM_PLAIN
                                                                 : KD_MECHANISM_NONE);
            note_hello(run, &header, payload);
        } else if (header.type == KD_FRAME_AUTH) {
            g_autoptr(KdAuth) auth = kd_auth_parse(payload, header.length, NULL);

            g_assert_nonnull(auth);
            g_assert_true(auth->is_done == (run->n_admitted == 1));
            g_clear_pointer(&run->challenge, g_bytes_unref);
            run->challenge = auth->step != NULL ? g_bytes_ref(auth->step) : NULL;
        } else {
            g_assert_cmpuint(header.type, ==, KD_FRAME_CLOSE);
        }
    }
    g_assert_cmpuint(run->peer.said->len, <=, MAX_SAID_BYTES);
}

static GBytes *
make(Run *run, const KdFuzzRecord *record)
{
    switch (record->kind) {
    case KD_FUZZ_PREAMBLE:
        run->is_changed |= record->flip != 0;
        return build_preamble();
    case KD_FUZZ_HELLO:
        run->is_changed |= record->flip != 0;
        return build_hello();
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
    KdTransport transport = {.struct_size = sizeof transport, .scheme = "fuzz"};
    g_autoptr(GVariant) params = g_variant_ref_sink(g_variant_new_parsed("@a{sv} {}"));
    g_autoptr(KdPassword) password = kd_password_new(PASSWORD, NULL);

    (void)argc;
    (void)argv;
    g_log_set_always_fatal(G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING);
    g_assert_true(kd_loop_start(NULL));
    doors[0] = NULL;
    doors[1] = kd_door_new(KD_TLS_SERVER, &transport, params, password, NULL);
    g_assert_nonnull(doors[1]);
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
    run.password = kd_password_new((options & INPUT_WRONG) != 0 ? "Other" : PASSWORD, NULL);
    kd_fuzz_peer_init(&run.peer, most == 0 ? G_MAXUINT16 : most, &endpoint);
    run.route = kd_route_new_framed(KD_ROLE_SERVER, &route_funcs, &run);
    run.admission =
        kd_admission_new(run.route, doors[options & INPUT_PASSWORD], &admission_funcs, &run);
    g_assert_true(kd_admission_start(run.admission, &endpoint, NULL));
    kd_fuzz_settle();
    hear(&run);
    while (kd_fuzz_take_record(&input, &record)) {
        g_autoptr(GBytes) made = make(&run, &record);

        kd_fuzz_peer_say_record(&run.peer, &record, made);
        hear(&run);
    }
    kd_admission_free(run.admission);
    kd_route_free(run.route);
    kd_fuzz_settle();
    kd_fuzz_peer_clear(&run.peer);
    kd_scram_free(run.scram);
    kd_transcript_free(run.transcript);
    kd_password_unref(run.password);
    g_clear_pointer(&run.challenge, g_bytes_unref);
    return 0;
}
