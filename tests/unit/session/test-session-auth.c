/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who is let in where a password is asked for, and what those are told who are not. */
#include "kd-test-stage.h"

#include "kd-cert-store.h"
#include "kd-scram.h"
#include "kd-tls-handshake.h"
#include "kd-transcript.h"

#include <glib/gstdio.h>

#include <string.h>
#include <sys/socket.h>

/* Of `pencil`, with the salt and the iterations of RFC 7677, section 3: quick to derive */
#define RFC_VERIFIER                                \
    "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==," \
    "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=," \
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define PASSWORD    "pencil"
#define DEADLINE_US (10 * G_USEC_PER_SEC)
/* What a socket and a stream may hold without that anybody reads */
#define MOST_IN_BUFFERS ((gsize)1024 * 1024)

/* What a client does in another way than it should */
typedef enum {
    WAY_RIGHT = 0,
    WAY_NO_FINISHED,
    WAY_WRONG_FINISHED,
    WAY_OTHER_HELLO,    /* than the one that it has sent                    */
    WAY_OTHER_FEATURES, /* than the server has sent                         */
    WAY_SERVER_CODE,    /* the other side's code                            */
    WAY_NAMED_TWICE,    /* the mechanism stands in its second AUTH, too     */
    WAY_NO_STEP,
} Way;

/**
 * Attempt:
 * @scram: of the client
 * @transcript: of the client
 * @heard: the server's HELLO
 * @began_us: before its last AUTH was sent
 */
typedef struct {
    KdScram *scram;
    KdTranscript *transcript;
    GBytes *heard;
    gint64 began_us;
} Attempt;

static void
attempt_clear(Attempt *attempt)
{
    kd_scram_free(attempt->scram);
    kd_transcript_free(attempt->transcript);
    g_clear_pointer(&attempt->heard, g_bytes_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Attempt, attempt_clear)

static void
ask_for_password(KdStage *stage)
{
    KdTransport transport = {.struct_size = sizeof transport, .scheme = "fake"};
    g_autoptr(GVariant) params = g_variant_ref_sink(g_variant_new_parsed("@a{sv} {}"));
    g_autoptr(KdPassword) password = kd_password_new_from_line(RFC_VERIFIER, NULL);
    g_autoptr(GError) error = NULL;

    stage->door = kd_door_new(KD_TLS_SERVER, &transport, params, password, &error);
    g_assert_no_error(error);
}

/* ---- a client by hand ---- */

static GBytes *
build_hello(guint32 window)
{
    KdHello hello = {.window = window, .max_data_bytes = KD_MAX_DATA_BYTES};

    return kd_hello_build(&hello);
}

/* Up to where AUTH is due. */
static void
say_hello(Attempt *attempt, KdTestClient *client, Way way)
{
    g_autoptr(GBytes) sent = build_hello(KD_WINDOW_BYTES);
    g_autoptr(GBytes) other = build_hello(KD_WINDOW_BYTES - 1);
    g_autoptr(GBytes) changed = NULL;
    GByteArray *bytes = NULL;

    kd_test_client_send_preamble(client, KD_PROTOCOL_MAJOR);
    kd_test_client_send(client, KD_FRAME_HELLO, g_bytes_ref(sent));
    attempt->heard = kd_test_client_expect(client, KD_FRAME_HELLO);
    bytes = g_bytes_unref_to_array(
        g_bytes_new(g_bytes_get_data(attempt->heard, NULL), g_bytes_get_size(attempt->heard)));
    bytes->data[4] ^= way == WAY_OTHER_FEATURES ? 1 : 0;
    changed = g_byte_array_free_to_bytes(bytes);
    attempt->transcript = kd_transcript_new();
    kd_transcript_add_preamble(attempt->transcript, KD_ROLE_CLIENT, KD_PROTOCOL_MAJOR, 7);
    kd_transcript_add_preamble(attempt->transcript, KD_ROLE_SERVER, KD_PROTOCOL_MAJOR,
                               KD_PROTOCOL_MINOR);
    kd_transcript_add_sent(attempt->transcript, KD_FRAME_HELLO,
                           way == WAY_OTHER_HELLO ? other : sent);
    kd_transcript_add_sent(attempt->transcript, KD_FRAME_HELLO, changed);
}

static void
send_auth(KdTestClient *client, const char *mechanism, GBytes *step, GBytes *finished)
{
    KdAuth auth = {.mechanism = (char *)mechanism, .step = step, .finished = finished};

    kd_test_client_send(client, KD_FRAME_AUTH, kd_auth_build(&auth));
}

static KdAuth *
expect_auth(KdTestClient *client)
{
    g_autoptr(GBytes) payload = kd_test_client_expect(client, KD_FRAME_AUTH);
    g_autoptr(GError) error = NULL;
    KdAuth *auth =
        kd_auth_parse(g_bytes_get_data(payload, NULL), g_bytes_get_size(payload), &error);

    g_assert_no_error(error);
    return auth;
}

/* (transfer full) (nullable): our `finished`, or what stands in its place */
static GBytes *
build_finished(const Attempt *attempt, Way way)
{
    uint8_t key[KD_SCRAM_KEY_BYTES];

    g_assert_true(kd_scram_get_key(attempt->scram, key));
    if (way == WAY_NO_FINISHED) {
        return NULL;
    }
    key[0] ^= way == WAY_WRONG_FINISHED ? 1 : 0;
    return kd_transcript_build_code(attempt->transcript,
                                    way == WAY_SERVER_CODE ? KD_ROLE_SERVER : KD_ROLE_CLIENT, key);
}

/* (transfer full): client-first */
static GBytes *
begin_scram(Attempt *attempt, const char *text, GBytes *binding)
{
    g_autoptr(KdPassword) password = kd_password_new(text, NULL);
    g_autoptr(GError) error = NULL;
    gboolean is_done = FALSE;
    GBytes *first = NULL;

    attempt->scram = kd_scram_new_client(password, binding, &error);
    g_assert_no_error(error);
    g_assert_true(kd_scram_step(attempt->scram, NULL, &first, &is_done, &error));
    return first;
}

/* Up to the proof; the answer is still to come. */
static void
prove(Attempt *attempt, KdTestClient *client, const char *text, Way way)
{
    g_autoptr(GBytes) first = begin_scram(attempt, text, NULL);
    g_autoptr(GBytes) proof = NULL;
    g_autoptr(GBytes) finished = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(KdAuth) challenge = NULL;
    gboolean is_done = FALSE;

    kd_transcript_add_mechanism(attempt->transcript, KD_SCRAM_PLAIN);
    send_auth(client, KD_SCRAM_PLAIN, first, NULL);
    challenge = expect_auth(client);
    g_assert_false(challenge->is_done);
    g_assert_null(challenge->finished);
    g_assert_true(kd_scram_step(attempt->scram, challenge->step, &proof, &is_done, &error));
    finished = build_finished(attempt, way);
    attempt->began_us = g_get_monotonic_time();
    send_auth(client, way == WAY_NAMED_TWICE ? KD_SCRAM_PLAIN : NULL,
              way == WAY_NO_STEP ? NULL : proof, finished);
}

/* One text for all causes, not earlier than a second after the attempt, and nothing more. */
static void
assert_refused(KdStage *stage, KdTestClient *client, gint64 began_us)
{
    g_autoptr(KdClose) why = kd_test_client_expect_close(client, KD_CLOSE_AUTH_FAILED);

    g_assert_cmpstr(why->text, ==, "authentication failed");
    g_assert_cmpint(g_get_monotonic_time() - began_us, >=, G_USEC_PER_SEC);
    g_assert_cmpuint(stage->n_authenticated, ==, 0);
    g_assert_cmpuint(stage->n_refused, ==, 1);
}

/* ---- those who know ---- */

static void
test_right(KdStageFixture *f, gconstpointer user)
{
    g_auto(Attempt) attempt = {0};
    g_autoptr(GBytes) out = NULL;
    g_autoptr(GError) error = NULL;
    g_autoptr(KdAuth) done = NULL;
    uint8_t key[KD_SCRAM_KEY_BYTES];
    gboolean is_done = FALSE;

    (void)user;
    ask_for_password(&f->stage);
    kd_stage_connect(&f->stage, &f->client);
    say_hello(&attempt, &f->client, WAY_RIGHT);
    prove(&attempt, &f->client, PASSWORD, WAY_RIGHT);
    done = expect_auth(&f->client);
    g_assert_true(done->is_done);
    g_assert_true(kd_scram_step(attempt.scram, done->step, &out, &is_done, &error));
    g_assert_true(is_done);
    g_assert_true(kd_scram_get_key(attempt.scram, key));
    g_assert_true(
        kd_transcript_check_code(attempt.transcript, KD_ROLE_SERVER, key, done->finished));
    g_assert_cmpuint(f->stage.n_authenticated, ==, 1);
    g_assert_cmpuint(f->stage.n_refused, ==, 0);
    kd_test_client_send_open(&f->client, "fake:name=1");
    g_bytes_unref(kd_test_client_expect(&f->client, KD_FRAME_OPENED));
}

static void
test_one_mechanism(KdStageFixture *f, gconstpointer user)
{
    g_auto(Attempt) attempt = {0};
    g_autoptr(KdHello) hello = NULL;

    (void)user;
    ask_for_password(&f->stage);
    kd_stage_connect(&f->stage, &f->client);
    say_hello(&attempt, &f->client, WAY_RIGHT);
    hello = kd_hello_parse(g_bytes_get_data(attempt.heard, NULL), g_bytes_get_size(attempt.heard),
                           NULL);
    g_assert_cmpuint(g_strv_length(hello->mechanisms), ==, 1);
    g_assert_cmpstr(hello->mechanisms[0], ==, KD_SCRAM_PLAIN);
}

/* ---- those who don't ---- */

static void
try_way(KdStageFixture *f, const char *password, Way way)
{
    g_auto(Attempt) attempt = {0};

    ask_for_password(&f->stage);
    kd_stage_connect(&f->stage, &f->client);
    say_hello(&attempt, &f->client, way);
    prove(&attempt, &f->client, password, way);
    assert_refused(&f->stage, &f->client, attempt.began_us);
}

#define DEFINE_WAY(noun, password, way)                            \
    static void test_##noun(KdStageFixture *f, gconstpointer user) \
    {                                                              \
        (void)user;                                                \
        try_way(f, password, way);                                 \
    }

DEFINE_WAY(wrong, "Pencil", WAY_RIGHT)
DEFINE_WAY(no_finished, PASSWORD, WAY_NO_FINISHED)
DEFINE_WAY(wrong_finished, PASSWORD, WAY_WRONG_FINISHED)
DEFINE_WAY(other_hello, PASSWORD, WAY_OTHER_HELLO)
DEFINE_WAY(other_features, PASSWORD, WAY_OTHER_FEATURES)
DEFINE_WAY(server_code, PASSWORD, WAY_SERVER_CODE)
DEFINE_WAY(named_twice, PASSWORD, WAY_NAMED_TWICE)
DEFINE_WAY(no_step, PASSWORD, WAY_NO_STEP)

/* A first AUTH that can't lead anywhere. */
static void
try_first(KdStageFixture *f, const char *mechanism, GBytes *step)
{
    g_auto(Attempt) attempt = {0};
    gint64 began_us = 0;

    kd_stage_connect(&f->stage, &f->client);
    say_hello(&attempt, &f->client, WAY_RIGHT);
    began_us = g_get_monotonic_time();
    send_auth(&f->client, mechanism, step, NULL);
    assert_refused(&f->stage, &f->client, began_us);
}

static void
test_missing(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    ask_for_password(&f->stage);
    try_first(f, KD_MECHANISM_NONE, NULL);
}

static void
test_external(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    ask_for_password(&f->stage);
    try_first(f, KD_MECHANISM_EXTERNAL, NULL);
}

static void
test_external_without_certificate(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    try_first(f, KD_MECHANISM_EXTERNAL, NULL);
}

static void
test_plus_in_clear(KdStageFixture *f, gconstpointer user)
{
    static const uint8_t binding[32] = {0};
    g_autoptr(GBytes) bytes = g_bytes_new_static(binding, sizeof binding);
    g_auto(Attempt) attempt = {0};
    g_autoptr(GBytes) first = begin_scram(&attempt, PASSWORD, bytes);

    (void)user;
    ask_for_password(&f->stage);
    try_first(f, KD_SCRAM_BOUND, first);
}

static void
test_scram_where_none_is_asked(KdStageFixture *f, gconstpointer user)
{
    g_auto(Attempt) attempt = {0};
    g_autoptr(GBytes) first = begin_scram(&attempt, PASSWORD, NULL);

    (void)user;
    try_first(f, KD_SCRAM_PLAIN, first);
}

static void
test_no_first_step(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    ask_for_password(&f->stage);
    try_first(f, KD_SCRAM_PLAIN, NULL);
}

static void
test_torn_first_step(KdStageFixture *f, gconstpointer user)
{
    g_autoptr(GBytes) torn = g_bytes_new_static("n,,n=kd", 7);

    (void)user;
    ask_for_password(&f->stage);
    try_first(f, KD_SCRAM_PLAIN, torn);
}

/* Right after a wrong one, before it is answered: nobody listens. */
static void
test_second_attempt(KdStageFixture *f, gconstpointer user)
{
    g_auto(Attempt) attempt = {0};
    g_auto(Attempt) second = {0};
    g_autoptr(GBytes) first = NULL;

    (void)user;
    ask_for_password(&f->stage);
    kd_stage_connect(&f->stage, &f->client);
    say_hello(&attempt, &f->client, WAY_RIGHT);
    prove(&attempt, &f->client, "Pencil", WAY_RIGHT);
    first = begin_scram(&second, PASSWORD, NULL);
    send_auth(&f->client, KD_SCRAM_PLAIN, first, NULL);
    kd_test_client_send_open(&f->client, "fake:name=1");
    assert_refused(&f->stage, &f->client, attempt.began_us);
    g_assert_cmpuint(f->client.n_frames, ==, 3); /* HELLO, one challenge, CLOSE */
}

static void
test_open_before_proof(KdStageFixture *f, gconstpointer user)
{
    g_auto(Attempt) attempt = {0};
    g_autoptr(GBytes) first = NULL;

    (void)user;
    ask_for_password(&f->stage);
    kd_stage_connect(&f->stage, &f->client);
    say_hello(&attempt, &f->client, WAY_RIGHT);
    first = begin_scram(&attempt, PASSWORD, NULL);
    send_auth(&f->client, KD_SCRAM_PLAIN, first, NULL);
    kd_auth_free(expect_auth(&f->client));
    kd_test_client_send_open(&f->client, "fake:name=1");
    kd_close_free(kd_test_client_expect_close(&f->client, KD_CLOSE_PROTOCOL_ERROR));
    g_assert_cmpuint(f->stage.n_authenticated, ==, 0);
}

/* What a listener has recorded of one who was let in. */
static void
test_replay(KdStageFixture *f, gconstpointer user)
{
    g_auto(Attempt) attempt = {0};
    g_autoptr(GBytes) first = begin_scram(&attempt, PASSWORD, NULL);
    g_autoptr(GBytes) proof = NULL;
    g_autoptr(GBytes) finished = NULL;
    g_autoptr(KdAuth) challenge = NULL;
    g_autoptr(KdAuth) done = NULL;
    g_auto(Attempt) replayed = {0};
    gboolean is_done = FALSE;

    (void)user;
    ask_for_password(&f->stage);
    kd_stage_connect(&f->stage, &f->other);
    say_hello(&attempt, &f->other, WAY_RIGHT);
    kd_transcript_add_mechanism(attempt.transcript, KD_SCRAM_PLAIN);
    send_auth(&f->other, KD_SCRAM_PLAIN, first, NULL);
    challenge = expect_auth(&f->other);
    g_assert_true(kd_scram_step(attempt.scram, challenge->step, &proof, &is_done, NULL));
    finished = build_finished(&attempt, WAY_RIGHT);
    send_auth(&f->other, NULL, proof, finished);
    done = expect_auth(&f->other);
    g_assert_true(done->is_done);
    f->stage.n_authenticated = 0;

    kd_stage_connect(&f->stage, &f->client);
    say_hello(&replayed, &f->client, WAY_RIGHT);
    send_auth(&f->client, KD_SCRAM_PLAIN, first, NULL);
    kd_auth_free(expect_auth(&f->client));
    replayed.began_us = g_get_monotonic_time();
    send_auth(&f->client, NULL, proof, finished);
    assert_refused(&f->stage, &f->client, replayed.began_us);
}

/* ---- while the answer waits ---- */

static void
test_gone_meanwhile(KdStageFixture *f, gconstpointer user)
{
    g_auto(Attempt) attempt = {0};

    (void)user;
    ask_for_password(&f->stage);
    kd_stage_connect(&f->stage, &f->client);
    say_hello(&attempt, &f->client, WAY_RIGHT);
    prove(&attempt, &f->client, "Pencil", WAY_RIGHT);
    KD_AWAIT(f->stage.n_refused == 1);
    kd_test_client_vanish(&f->client);
    kd_stage_await_ended(&f->stage);
    g_assert_cmpint(g_get_monotonic_time() - attempt.began_us, <, G_USEC_PER_SEC);
}

static void
test_closed_meanwhile(KdStageFixture *f, gconstpointer user)
{
    g_auto(Attempt) attempt = {0};

    (void)user;
    ask_for_password(&f->stage);
    kd_stage_connect(&f->stage, &f->client);
    say_hello(&attempt, &f->client, WAY_RIGHT);
    prove(&attempt, &f->client, "Pencil", WAY_RIGHT);
    KD_AWAIT(f->stage.n_refused == 1);
    kd_session_close(f->stage.session, KD_CLOSE_GOING_AWAY, "the server is ending");
    kd_close_free(kd_test_client_expect_close(&f->client, KD_CLOSE_GOING_AWAY));
}

/* Returns: how many bytes there was room for */
static gsize
offer(KdTestClient *client)
{
    static const uint8_t bytes[4096];
    gssize n;

    if (client->ring != NULL) {
        return kd_ring_stream_put(client->ring, bytes, sizeof bytes);
    }
    n = send(client->fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    return n > 0 ? (gsize)n : 0;
}

/* As much as gets rid of, while the other side has its turns. */
static gsize
talk_for(KdTestClient *client, gint64 for_us)
{
    gint64 end_us = g_get_monotonic_time() + for_us;
    gsize n_said = 0;

    while (g_get_monotonic_time() < end_us) {
        n_said += offer(client);
        g_main_context_iteration(NULL, FALSE);
    }
    return n_said;
}

/* Megabytes instead of a word: they stay where they are, and the answer comes all the same. */
static void
test_talking_meanwhile(KdStageFixture *f, gconstpointer user)
{
    g_auto(Attempt) attempt = {0};

    (void)user;
    ask_for_password(&f->stage);
    kd_stage_connect(&f->stage, &f->client);
    say_hello(&attempt, &f->client, WAY_RIGHT);
    prove(&attempt, &f->client, "Pencil", WAY_RIGHT);
    g_assert_cmpuint(talk_for(&f->client, G_USEC_PER_SEC / 2), <, MOST_IN_BUFFERS);
    assert_refused(&f->stage, &f->client, attempt.began_us);
}

/* After CLOSE it is no other. */
static void
test_talking_afterwards(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    kd_stage_connect(&f->stage, &f->client);
    kd_test_client_send_preamble(&f->client, KD_PROTOCOL_MAJOR);
    kd_test_client_send_open(&f->client, "fake:name=1");
    g_assert_cmpuint(talk_for(&f->client, G_USEC_PER_SEC / 2), <, MOST_IN_BUFFERS);
    kd_close_free(kd_test_client_expect_close(&f->client, KD_CLOSE_PROTOCOL_ERROR));
}

/* ---- deadlines ---- */

typedef struct {
    KdTestClient *client;
    GBytes *bytes;
    gsize n_said;
} Drip;

static gboolean
on_drip(gpointer user_data)
{
    Drip *drip = user_data;

    if (drip->n_said < g_bytes_get_size(drip->bytes)) {
        kd_test_client_say(
            drip->client, (const uint8_t *)g_bytes_get_data(drip->bytes, NULL) + drip->n_said++, 1);
    }
    return G_SOURCE_CONTINUE;
}

/* One byte after the other, each in time, and each side of a step as well: it is all one deadline.
 */
static void
test_drips(KdStageFixture *f, gconstpointer user)
{
    static const uint8_t frame[400] = {KD_FRAME_AUTH, [4] = 0x70, [5] = 0x01};
    g_autoptr(GBytes) bytes = g_bytes_new_static(frame, sizeof frame);
    g_auto(Attempt) attempt = {0};
    g_auto(Attempt) other = {0};
    g_autoptr(GBytes) first = NULL;
    gint64 start_us = g_get_monotonic_time();
    Drip drip = {.client = &f->client, .bytes = bytes};
    guint id = 0;

    (void)user;
    ask_for_password(&f->stage);
    kd_stage_connect(&f->stage, &f->client);
    say_hello(&attempt, &f->client, WAY_RIGHT);
    kd_stage_connect(&f->stage, &f->other);
    say_hello(&other, &f->other, WAY_RIGHT);
    first = begin_scram(&other, PASSWORD, NULL);
    send_auth(&f->other, KD_SCRAM_PLAIN, first, NULL);
    kd_auth_free(expect_auth(&f->other));
    id = g_timeout_add(100, on_drip, &drip);
    KD_AWAIT(f->stage.n_ended == 2);
    g_source_remove(id);
    g_assert_cmpuint(drip.n_said, >, 50);
    g_assert_cmpint(g_get_monotonic_time() - start_us, <=, DEADLINE_US + G_USEC_PER_SEC / 2);
    g_assert_cmpint(g_get_monotonic_time() - start_us, >=, DEADLINE_US - 2 * G_USEC_PER_SEC);
    g_assert_cmpuint(f->stage.n_authenticated, ==, 0);
}

/* ---- over TLS ---- */

static char *folder;

static void
remove_all(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name = NULL;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *each = g_build_filename(path, name, NULL);

        remove_all(each);
    }
    (void)g_remove(path);
}

/* (transfer full): thumbprint of the certificate that the stage's door shows from now on */
static char *
ask_for_tls(KdStage *stage)
{
    KdTransport transport = {
        .struct_size = sizeof transport, .caps = KD_TRANSPORT_TLS, .scheme = "ssl"};
    g_autoptr(GVariant) params =
        g_variant_ref_sink(g_variant_new_parsed("{'certuser': <'labhost'>}"));
    g_autoptr(GError) error = NULL;
    char *pin = NULL;

    if (folder == NULL) {
        folder = g_dir_make_tmp("kdsrv-auth-XXXXXX", NULL);
        g_assert_true(g_setenv("XDG_CONFIG_HOME", folder, TRUE));
    } else {
        g_autofree char *old = g_build_filename(folder, "kdsrv", NULL);

        remove_all(old);
    }
    pin = kd_cert_store_make(KD_CERT_STORE_USER, "labhost", &error);
    g_assert_no_error(error);
    stage->door = kd_door_new(KD_TLS_SERVER, &transport, params, NULL, &error);
    g_assert_no_error(error);
    return pin;
}

static void
on_shaken(KdEndpoint *endpoint, const KdTlsPeer *peer, const GError *error, void *user)
{
    (void)peer;
    g_assert_no_error(error);
    *(KdEndpoint *)user = *endpoint;
    kd_endpoint_init(endpoint);
}

static gboolean
on_time(gpointer user_data)
{
    *(gboolean *)user_data = TRUE;
    return G_SOURCE_REMOVE;
}

/* TLS after three seconds, and nothing in it: what is left is seven. */
static void
test_tls_and_silence(KdStageFixture *f, gconstpointer user)
{
    g_autofree char *pin = ask_for_tls(&f->stage);
    g_autoptr(GVariant) params = g_variant_ref_sink(
        g_variant_new_parsed("{'server': <'labhost'>, 'port': <uint64 1>, 'certuser': <%s>}", pin));
    g_autoptr(KdTlsConfig) config = kd_tls_config_new(KD_TLS_CLIENT, "ssl", params, NULL);
    g_autoptr(KdTlsHandshake) handshake = NULL;
    gint64 start_us = g_get_monotonic_time();
    gboolean is_time = FALSE;
    KdEndpoint base;
    KdEndpoint inside;

    (void)user;
    kd_endpoint_init(&base);
    kd_endpoint_init(&inside);
    kd_stage_connect(&f->stage, &f->client);
    g_timeout_add_seconds(3, on_time, &is_time);
    KD_AWAIT(is_time);
    kd_endpoint_take_fd(&base, f->client.fd, KD_ENDPOINT_HALF_CLOSE, NULL);
    f->client.fd = -1;
    handshake = kd_tls_handshake_new(config, &base, on_shaken, &inside, NULL);
    g_assert_nonnull(handshake);
    KD_AWAIT(f->stage.n_ended == 1);
    g_assert_true(inside.fd >= 0 || inside.stream != NULL);
    g_assert_cmpint(g_get_monotonic_time() - start_us, <=, DEADLINE_US + G_USEC_PER_SEC / 2);
    g_assert_cmpint(g_get_monotonic_time() - start_us, >=, DEADLINE_US - 2 * G_USEC_PER_SEC);
    kd_endpoint_clear(&inside);
}

/* A session without TLS can't say anything, so it ends at once, and in silence. */
static void
test_closed_before_tls(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    g_free(ask_for_tls(&f->stage));
    kd_stage_connect(&f->stage, &f->client);
    kd_stage_settle();
    kd_session_close(f->stage.session, KD_CLOSE_GOING_AWAY, "the server is ending");
    g_assert_cmpuint(f->stage.n_ended, ==, 1);
    KD_AWAIT((kd_test_client_read(&f->client), f->client.has_ended));
    g_assert_cmpuint(f->client.in->len, ==, 0);
}

static void
test_gone_before_tls(KdStageFixture *f, gconstpointer user)
{
    (void)user;
    g_free(ask_for_tls(&f->stage));
    kd_stage_connect(&f->stage, &f->client);
    kd_stage_settle();
    kd_test_client_vanish(&f->client);
    kd_stage_await_ended(&f->stage);
    g_assert_cmpuint(f->stage.n_authenticated + f->stage.n_refused, ==, 0);
}

/* Frames that came before TLS are not taken for frames, and are not answered with frames. */
static void
test_frames_instead_of_tls(KdStageFixture *f, gconstpointer user)
{
    static const uint8_t magic[] = {0x89, 'K', 'D', 'S'};

    (void)user;
    g_free(ask_for_tls(&f->stage));
    kd_stage_connect(&f->stage, &f->client);
    kd_test_client_send_preamble(&f->client, KD_PROTOCOL_MAJOR);
    kd_test_client_send_hello(&f->client);
    kd_test_client_send_auth(&f->client, KD_MECHANISM_NONE);
    kd_test_client_send_open(&f->client, "fake:name=1");
    kd_stage_await_ended(&f->stage);
    KD_AWAIT((kd_test_client_read(&f->client), f->client.has_ended));
    g_assert_true(f->client.in->len == 0 ||
                  memmem(f->client.in->data, f->client.in->len, magic, sizeof magic) == NULL);
    g_assert_cmpuint(f->stage.n_authenticated, ==, 0);
}

int
main(int argc, char **argv)
{
    int status;

    g_test_init(&argc, &argv, NULL);
    kd_stage_add("/auth/right-password-opens", test_right);
    kd_stage_add("/auth/one-mechanism-is-offered", test_one_mechanism);
    kd_stage_add_once("/auth/wrong-password-is-refused", test_wrong);
    kd_stage_add_once("/auth/finished-must-be-there", test_no_finished);
    kd_stage_add_once("/auth/finished-must-be-right", test_wrong_finished);
    kd_stage_add_once("/auth/client-hello-is-bound", test_other_hello);
    kd_stage_add_once("/auth/server-hello-is-bound", test_other_features);
    kd_stage_add_once("/auth/finished-of-the-other-side-is-wrong", test_server_code);
    kd_stage_add_once("/auth/mechanism-is-named-once", test_named_twice);
    kd_stage_add_once("/auth/proof-must-be-there", test_no_step);
    kd_stage_add_once("/auth/password-can-not-be-left-out", test_missing);
    kd_stage_add_once("/auth/certificate-is-no-password", test_external);
    kd_stage_add_once("/auth/certificate-must-be-there", test_external_without_certificate);
    kd_stage_add_once("/auth/binding-to-tls-is-refused-in-clear", test_plus_in_clear);
    kd_stage_add_once("/auth/password-that-is-not-asked-for-is-refused",
                      test_scram_where_none_is_asked);
    kd_stage_add_once("/auth/first-step-must-be-there", test_no_first_step);
    kd_stage_add_once("/auth/first-step-must-be-whole", test_torn_first_step);
    kd_stage_add_once("/auth/connection-has-one-attempt", test_second_attempt);
    kd_stage_add_once("/auth/request-before-the-proof-is-refused", test_open_before_proof);
    kd_stage_add_once("/auth/recorded-session-is-refused", test_replay);
    kd_stage_add("/auth/client-that-leaves-is-not-waited-for", test_gone_meanwhile);
    kd_stage_add_once("/auth/server-may-end-meanwhile", test_closed_meanwhile);
    kd_stage_add("/auth/nothing-is-heard-meanwhile", test_talking_meanwhile);
    kd_stage_add("/auth/nothing-is-heard-after-a-refusal", test_talking_afterwards);
    kd_stage_add_once("/deadline/dripping-does-not-extend-it", test_drips);
    kd_stage_add_once("/deadline/tls-does-not-extend-it", test_tls_and_silence);
    kd_stage_add("/tls/session-can-be-closed-before", test_closed_before_tls);
    kd_stage_add("/tls/client-may-leave-before", test_gone_before_tls);
    kd_stage_add("/tls/frames-before-are-not-heard", test_frames_instead_of_tls);
    status = g_test_run();
    if (folder != NULL) {
        remove_all(folder);
    }
    return status;
}
