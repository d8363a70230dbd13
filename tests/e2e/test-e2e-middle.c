/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Somebody between client and server, or in the server's place: where there is a password, nobody
 * gets in and nothing is opened. */
#include "kd-e2e-certs.h"
#include "kd-e2e-places.h"
#include "kd-e2e-protocol.h"
#include "kd-e2e-relay.h"
#include "kd-e2e-stage.h"

#include <string.h>
#include <unistd.h>

#define HERE     "127.0.0.1"
#define PASSWORD "Abc123xyz"
#define REFUSED  "0x80004005"
/* Attempts at a time: each waits a second for its answer */
#define N_AT_ONCE 16u
/* No byte is: so much for the method */
#define UNCHANGED  G_MAXSIZE
#define STEP       (KD_E2E_IS_SANITIZED ? 7u : 1u)
#define AT_ONCE_US ((KD_E2E_IS_SANITIZED ? 6 : 2) * G_USEC_PER_SEC)

/**
 * Lab:
 * @listener: of the target, which nobody may reach
 * @trans: the link to it
 */
typedef struct {
    KdE2eStage *stage;
    int listener;
    char *trans;
} Lab;

static void
lab_set_up(Lab *lab, KdE2eStage *stage)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "vm.sock");

    lab->stage = stage;
    lab->listener = kd_e2e_listen_unix(path);
    lab->trans = g_strdup_printf("com:pipe,port=%s", path);
}

/* Nothing was opened. */
static void
lab_tear_down(Lab *lab)
{
    g_autofree char *path = kd_e2e_stage_build_path(lab->stage, "vm.sock");

    g_assert_false(kd_e2e_is_readable(lab->listener, 0));
    close(lab->listener);
    g_assert_cmpint(unlink(path), ==, 0);
    g_free(lab->trans);
}

static void
serve(Lab *lab, const char *start)
{
    g_autofree char *listen = kd_e2e_stage_build_listen(lab->stage, start);

    g_free(kd_e2e_stage_serve(lab->stage, NULL, "-v", "-t", listen, "--allow-path",
                              lab->stage->folder, NULL));
}

static KdE2eProgram *
start_kd(const Lab *lab, const KdE2eSetup *setup, const char *transport)
{
    g_autofree char *link =
        g_strdup_printf("kdsrv:server=@{%s},trans=@{%s}", transport, lab->trans);

    return kd_e2e_stage_run("kd", setup, "-k", link, "--stdio", NULL);
}

/* Ends in one line; (nullable) @text: part of it. */
static void
expect_fails(KdE2eProgram *kd, const char *text)
{
    int status = kd_e2e_program_wait(kd);
    const char *said = kd_e2e_program_get_text(kd, KD_E2E_STDERR);

    g_test_message("exit %d: %s", status, said);
    g_assert_cmpint(status, ==, 1);
    if (text != NULL && strstr(said, text) == NULL) {
        g_error("expected %s in: %s", text, said);
    }
    g_assert_null(strstr(said, PASSWORD));
}

/* A whole session, to its end. */
static void
expect_works(const Lab *lab, KdE2eProgram *kd)
{
    int target = kd_e2e_accept(lab->listener);

    kd_e2e_program_say(kd, "to the target");
    kd_e2e_expect(target, "to the target");
    close(target);
    (void)kd_e2e_program_wait(kd);
}

/* A session through a relay that changes nothing. Returns (transfer full): the relay, at its end.
 */
static KdE2eRelay *
record(Lab *lab, int server)
{
    guint port = 0;
    int listener = kd_e2e_listen(&port);
    g_autofree char *transport =
        g_strdup_printf("tcp:server=" HERE ",port=%u,password=" PASSWORD, port);
    KdE2eRelay *relay = kd_e2e_relay_new(listener, server);
    g_autoptr(KdE2eProgram) kd = start_kd(lab, NULL, transport);

    expect_works(lab, kd);
    return relay;
}

/* ---- one byte ---- */

/* Of both preamble and HELLO, which come first. */
static gsize
find_hello_end(const GByteArray *passed)
{
    KdFrameHeader header;

    g_assert_cmpuint(passed->len, >=, KD_PREAMBLE_BYTES + KD_HEADER_BYTES);
    kd_frame_header_load(&header, passed->data + KD_PREAMBLE_BYTES);
    g_assert_cmpuint(header.type, ==, KD_FRAME_HELLO);
    return KD_PREAMBLE_BYTES + KD_HEADER_BYTES + header.length;
}

/* So many attempts, each with another byte changed, and from another address: no one waits for the
 * penalty of another. */
static void
check_changed(Lab *lab, KdE2eWay way, gsize first, gsize end)
{
    KdE2eRelay *relays[N_AT_ONCE] = {NULL};
    KdE2eProgram *kds[N_AT_ONCE] = {NULL};
    gsize n = 0;

    for (gsize offset = first; offset < end; offset += STEP) {
        g_autofree char *from = g_strdup_printf("127.0.%d.%u", 2 + (int)way, (guint)offset + 1);
        g_autofree char *transport = NULL;
        guint port = 0;
        int listener = kd_e2e_listen(&port);

        transport = g_strdup_printf("tcp:server=" HERE ",port=%u,password=" PASSWORD, port);
        relays[n] =
            kd_e2e_relay_new_changing(listener, kd_e2e_dial(from, lab->stage->port), way, offset);
        kds[n++] = start_kd(lab, NULL, transport);
    }
    for (gsize i = 0; i < n; i++) {
        g_test_message("byte %" G_GSIZE_FORMAT " to the %s:", first + i * STEP,
                       way == KD_E2E_TO_SERVER ? "server" : "client");
        expect_fails(kds[i], NULL);
        kd_e2e_program_free(kds[i]);
        kd_e2e_relay_free(relays[i]);
    }
}

static void
check_all_changed(KdE2eStage *stage, KdE2eWay way)
{
    g_autoptr(KdE2eRelay) recorded = NULL;
    Lab lab;
    gsize end;

    lab_set_up(&lab, stage);
    serve(&lab, "tcp:password=" PASSWORD);
    recorded = record(&lab, kd_e2e_dial(NULL, stage->port));
    end = find_hello_end(kd_e2e_relay_finish(recorded, way));
    g_test_message("%" G_GSIZE_FORMAT " bytes", end);
    g_assert_cmpuint(end, <, 250);
    for (gsize first = 0; first < end; first += N_AT_ONCE * STEP) {
        check_changed(&lab, way, first, MIN(end, first + N_AT_ONCE * STEP));
    }
    lab_tear_down(&lab);
}

static void
test_to_server(KdE2eStage *stage, gconstpointer unused)
{
    (void)unused;
    check_all_changed(stage, KD_E2E_TO_SERVER);
}

static void
test_to_client(KdE2eStage *stage, gconstpointer unused)
{
    (void)unused;
    check_all_changed(stage, KD_E2E_TO_CLIENT);
}

/* All are one source here, so each attempt has a server of its own; the one on the way sits where
 * the client looks for the pipe. */
static void
test_pipe(KdE2eStage *stage, gconstpointer unused)
{
    /* minor version, flags, window, a feature's or a mechanism's name, the last */
    static const gsize offsets[] = {10, 17, 36, 50, 60, UNCHANGED};
    g_auto(KdE2ePlaces) places = {0};
    g_autofree char *real = NULL;
    g_autofree char *false_one = NULL;
    Lab lab;

    (void)unused;
    if (!kd_e2e_places_set_up(&places, stage, FALSE)) {
        return;
    }
    lab_set_up(&lab, stage);
    real = g_build_filename(places.pipes, "real", NULL);
    false_one = g_build_filename(places.pipes, "lab", NULL);
    for (gsize i = 0; i < 2 * G_N_ELEMENTS(offsets); i++) {
        g_autoptr(KdE2eRelay) relay = NULL;
        g_autoptr(KdE2eProgram) kd = NULL;

        g_free(kd_e2e_stage_serve(stage, &places.setup, "-t", "npipe:pipe=real,password=" PASSWORD,
                                  "--allow-path", stage->folder, NULL));
        relay = kd_e2e_relay_new_changing(kd_e2e_listen_unix(false_one), kd_e2e_dial_unix(real),
                                          i % 2 == 0 ? KD_E2E_TO_SERVER : KD_E2E_TO_CLIENT,
                                          offsets[i / 2]);
        kd = start_kd(&lab, &places.setup, "npipe:server=.,pipe=lab,password=" PASSWORD);
        if (offsets[i / 2] == UNCHANGED) {
            expect_works(&lab, kd);
        } else {
            expect_fails(kd, NULL);
        }
        g_assert_cmpint(unlink(false_one), ==, 0);
        kd_e2e_stage_stop(stage);
    }
    lab_tear_down(&lab);
}

/* Inside TLS nobody changes a byte unseen; here the records themselves are changed. */
static void
test_tls_bytes(KdE2eStage *stage, gconstpointer unused)
{
    static const gsize offsets[] = {0, 5, 60, 300, 700, 1000, UNCHANGED};
    g_autofree char *store = NULL;
    Lab lab;

    (void)unused;
    if (kd_e2e_certs_are_missing()) {
        return;
    }
    lab_set_up(&lab, stage);
    store = kd_e2e_certs_make_store(stage);
    kd_e2e_certs_make(store, "lab", NULL, KD_E2E_CERT_SERVER);
    serve(&lab, "ssl:proto=tls1,certuser=lab,password=" PASSWORD);
    for (gsize i = 0; i < 2 * G_N_ELEMENTS(offsets); i++) {
        KdE2eWay way = i % 2 == 0 ? KD_E2E_TO_SERVER : KD_E2E_TO_CLIENT;
        g_autofree char *from = g_strdup_printf("127.0.4.%u", (guint)i + 1);
        g_autofree char *transport = NULL;
        g_autoptr(KdE2eRelay) relay = NULL;
        g_autoptr(KdE2eProgram) kd = NULL;
        guint port = 0;
        int listener = kd_e2e_listen(&port);

        /* in what the client says there is not that much before its password */
        if (way == KD_E2E_TO_SERVER && offsets[i / 2] > 300 && offsets[i / 2] != UNCHANGED) {
            close(listener);
            continue;
        }
        transport = g_strdup_printf(
            "ssl:proto=tls1,certuser=lab,server=" HERE ",port=%u,password=" PASSWORD, port);
        relay = kd_e2e_relay_new_changing(listener, kd_e2e_dial(from, stage->port), way,
                                          offsets[i / 2]);
        kd = start_kd(&lab, NULL, transport);
        if (offsets[i / 2] == UNCHANGED) {
            expect_works(&lab, kd);
        } else {
            expect_fails(kd, NULL);
        }
    }
    lab_tear_down(&lab);
}

/* ---- a session that was heard ---- */

static void
test_replay(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eRelay) recorded = NULL;
    g_autoptr(KdE2eClient) client = NULL;
    g_autoptr(KdClose) said = NULL;
    uint8_t preamble[KD_PREAMBLE_BYTES];
    const GByteArray *passed;
    Lab lab;

    (void)unused;
    lab_set_up(&lab, stage);
    serve(&lab, "tcp:password=" PASSWORD);
    recorded = record(&lab, kd_e2e_dial(NULL, stage->port));
    passed = kd_e2e_relay_finish(recorded, KD_E2E_TO_SERVER);
    client = kd_e2e_client_new(kd_e2e_dial("127.0.2.1", stage->port));
    kd_e2e_write(client->fd, passed->data, passed->len);
    kd_e2e_read(client->fd, preamble, sizeof preamble);
    said = kd_e2e_client_await_close(client);
    g_test_message("%u: %s", said->code, said->text);
    g_assert_true(said->code == KD_CLOSE_AUTH_FAILED || said->code == KD_CLOSE_PROTOCOL_ERROR);
    lab_tear_down(&lab);
}

/* ---- who ends TLS and goes on with the bytes inside ---- */

static KdE2eProgram *
start_socat(KdE2eStage *stage, const char *folder, const char *to, guint port)
{
    g_autofree char *from =
        g_strdup_printf("OPENSSL-LISTEN:%u,bind=" HERE ",reuseaddr,cert=%s/middle.crt,"
                        "key=%s/middle.key,verify=0",
                        port, folder, folder);
    const char *const argv[] = {"socat", "-d", "-d", from, to, NULL};
    KdE2eProgram *socat = kd_e2e_program_new(argv, NULL);

    (void)stage;
    g_free(kd_e2e_program_await(socat, KD_E2E_STDERR, "listening on"));
    return socat;
}

/* The client trusts the wrong certificate, which only the password makes up for. */
static void
check_terminated(KdE2eStage *stage, const char *server, const char *to, const char *text)
{
    g_autofree char *folder = kd_e2e_stage_build_path(stage, "middle");
    g_autofree char *store = NULL;
    g_autofree char *thumbprint = NULL;
    g_autofree char *address = NULL;
    g_autofree char *transport = NULL;
    g_autoptr(KdE2eProgram) socat = NULL;
    g_autoptr(KdE2eProgram) kd = NULL;
    guint port;
    Lab lab;

    if (kd_e2e_certs_are_missing() || kd_e2e_is_missing("socat")) {
        return;
    }
    lab_set_up(&lab, stage);
    store = kd_e2e_certs_make_store(stage);
    kd_e2e_certs_make(store, "lab", NULL, KD_E2E_CERT_SERVER);
    kd_e2e_certs_make(folder, "middle", NULL, KD_E2E_CERT_SERVER);
    thumbprint = kd_e2e_certs_get_sha256(folder, "middle");
    serve(&lab, server);
    port = stage->low + KD_E2E_N_PORTS - 1;
    address = g_strdup_printf("%s:" HERE ":%u%s", to, stage->port,
                              strcmp(to, "OPENSSL") == 0 ? ",verify=0" : "");
    socat = start_socat(stage, folder, address, port);
    transport = g_strdup_printf(
        "ssl:proto=tls1,certuser=%s,server=" HERE ",port=%u,password=" PASSWORD, thumbprint, port);
    kd = start_kd(&lab, NULL, transport);
    expect_fails(kd, text);
    lab_tear_down(&lab);
}

static void
test_terminated(KdE2eStage *stage, gconstpointer unused)
{
    (void)unused;
    check_terminated(stage, "ssl:proto=tls1,certuser=lab,password=" PASSWORD, "OPENSSL", REFUSED);
}

/* A real server that knows the password, but offers what a plain transport has. */
static void
test_stripped(KdE2eStage *stage, gconstpointer unused)
{
    (void)unused;
    check_terminated(stage, "tcp:password=" PASSWORD, "TCP4", REFUSED);
}

/* ---- false servers ---- */

/**
 * False:
 * @server: the test itself, in the server's place
 * @kd: its client, which has a password
 */
typedef struct {
    Lab lab;
    KdE2eClient *server;
    KdE2eProgram *kd;
} False;

/* As far as HELLO. */
static void
false_set_up(False *self, KdE2eStage *stage, const char *mechanism)
{
    char *mechanisms[] = {(char *)mechanism, NULL};
    KdHello hello = {
        .window = KD_WINDOW_BYTES, .max_data_bytes = KD_MAX_DATA_BYTES, .mechanisms = mechanisms};
    uint8_t preamble[KD_PREAMBLE_BYTES];
    g_autofree char *transport = NULL;
    guint port = 0;
    int listener = kd_e2e_listen(&port);

    lab_set_up(&self->lab, stage);
    transport = g_strdup_printf("tcp:server=" HERE ",port=%u,password=" PASSWORD, port);
    self->kd = start_kd(&self->lab, NULL, transport);
    self->server = kd_e2e_client_new(kd_e2e_accept(listener));
    close(listener);
    kd_preamble_store(preamble, KD_ROLE_SERVER, KD_PROTOCOL_MAJOR, KD_PROTOCOL_MINOR);
    kd_e2e_write(self->server->fd, preamble, sizeof preamble);
    kd_e2e_read(self->server->fd, preamble, sizeof preamble);
    kd_e2e_client_send(self->server, KD_FRAME_HELLO, kd_hello_build(&hello));
    g_bytes_unref(kd_e2e_client_await(self->server, KD_FRAME_HELLO));
}

static void
false_tear_down(False *self)
{
    kd_e2e_client_free(self->server);
    kd_e2e_program_free(self->kd);
    lab_tear_down(&self->lab);
}

/* What the client says: (transfer full): the step of an AUTH, with a zero behind. */
static char *
false_await_step(False *self)
{
    g_autoptr(GBytes) payload = kd_e2e_client_await(self->server, KD_FRAME_AUTH);
    g_autoptr(GError) error = NULL;
    g_autoptr(KdAuth) auth = NULL;
    gsize len = 0;
    const uint8_t *bytes = g_bytes_get_data(payload, &len);

    auth = kd_auth_parse(bytes, len, &error);
    g_assert_no_error(error);
    g_assert_nonnull(auth->step);
    bytes = g_bytes_get_data(auth->step, &len);
    return g_strndup((const char *)bytes, len);
}

static void
false_answer(False *self, const char *step, gboolean is_done)
{
    g_autoptr(GBytes) bytes = step != NULL ? g_bytes_new(step, strlen(step)) : NULL;
    KdAuth auth = {.step = bytes, .is_done = is_done};

    kd_e2e_client_send(self->server, KD_FRAME_AUTH, kd_auth_build(&auth));
}

static char *
build_challenge(const char *first, const char *iterations)
{
    const char *nonce = strstr(first, "r=");

    g_assert_nonnull(nonce);
    return g_strdup_printf("%sFalseServer,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=%s", nonce, iterations);
}

static void
test_no_password_asked(KdE2eStage *stage, gconstpointer unused)
{
    False self;

    (void)unused;
    false_set_up(&self, stage, "none");
    expect_fails(self.kd, REFUSED);
    false_tear_down(&self);
}

/* An end in good order, where nothing has begun: no program that waits for kd may take it for a
 * session. */
static void
test_early_end(KdE2eStage *stage, gconstpointer unused)
{
    static const KdCloseCode codes[] = {KD_CLOSE_NORMAL, KD_CLOSE_TARGET_CLOSED};

    (void)unused;
    for (gsize i = 0; i < G_N_ELEMENTS(codes); i++) {
        KdClose close = {.code = codes[i], .text = (char *)"that was all"};
        False self;

        false_set_up(&self, stage, "SCRAM-SHA-256");
        kd_e2e_client_send(self.server, KD_FRAME_CLOSE, kd_close_build(&close));
        expect_fails(self.kd, "before there was a session");
        false_tear_down(&self);
    }
}

/* The right one for TLS, but there is none. */
static void
test_bound_without_tls(KdE2eStage *stage, gconstpointer unused)
{
    False self;

    (void)unused;
    false_set_up(&self, stage, "SCRAM-SHA-256-PLUS");
    expect_fails(self.kd, REFUSED);
    false_tear_down(&self);
}

static void
test_iterations(KdE2eStage *stage, gconstpointer unused)
{
    static const char *const wrong[] = {"5000000", "1", "4095", "262145", "0", "-1", "4294967296"};

    (void)unused;
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autofree char *first = NULL;
        g_autofree char *challenge = NULL;
        gint64 start_us;
        False self;

        false_set_up(&self, stage, "SCRAM-SHA-256");
        first = false_await_step(&self);
        challenge = build_challenge(first, wrong[i]);
        start_us = g_get_monotonic_time();
        false_answer(&self, challenge, FALSE);
        expect_fails(self.kd, REFUSED);
        g_assert_cmpint(g_get_monotonic_time() - start_us, <, AT_ONCE_US);
        false_tear_down(&self);
    }
}

/* One who does not know the password says that it is right. */
static void
test_no_proof(KdE2eStage *stage, gconstpointer unused)
{
    static const char *const proofs[] = {
        NULL, "", "v=rmF9pqV8S7suAoZWja4dJRkFsKQGeReMJUSwCy4vWDE=", "v=", "e=other-error"};

    (void)unused;
    for (gsize i = 0; i < G_N_ELEMENTS(proofs); i++) {
        g_autofree char *first = NULL;
        g_autofree char *challenge = NULL;
        g_autofree char *last = NULL;
        False self;

        false_set_up(&self, stage, "SCRAM-SHA-256");
        first = false_await_step(&self);
        challenge = build_challenge(first, "4096");
        false_answer(&self, challenge, FALSE);
        last = false_await_step(&self);
        false_answer(&self, proofs[i], TRUE);
        expect_fails(self.kd, REFUSED);
        false_tear_down(&self);
    }
}

/* Nor may it leave out the exchange. */
static void
test_no_exchange(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *first = NULL;
    False self;

    (void)unused;
    false_set_up(&self, stage, "SCRAM-SHA-256");
    first = false_await_step(&self);
    false_answer(&self, NULL, TRUE);
    expect_fails(self.kd, REFUSED);
    false_tear_down(&self);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_e2e_add("/e2e/middle/no-byte-of-the-clients-hello-can-be-changed", test_to_server);
    kd_e2e_add("/e2e/middle/no-byte-of-the-servers-hello-can-be-changed", test_to_client);
    kd_e2e_add("/e2e/middle/hello-over-a-pipe-can-not-be-changed", test_pipe);
    kd_e2e_add("/e2e/middle/records-of-tls-can-not-be-changed", test_tls_bytes);
    kd_e2e_add("/e2e/middle/heard-session-can-not-be-said-again", test_replay);
    kd_e2e_add("/e2e/middle/other-end-of-tls-does-not-get-in", test_terminated);
    kd_e2e_add("/e2e/middle/unbound-login-inside-of-tls-is-refused", test_stripped);
    kd_e2e_add("/e2e/middle/server-that-asks-for-no-password-is-refused", test_no_password_asked);
    kd_e2e_add("/e2e/middle/end-before-a-session-is-no-success", test_early_end);
    kd_e2e_add("/e2e/middle/bound-login-without-tls-is-refused", test_bound_without_tls);
    kd_e2e_add("/e2e/middle/iterations-out-of-bounds-are-refused-at-once", test_iterations);
    kd_e2e_add("/e2e/middle/server-that-proves-nothing-is-refused", test_no_proof);
    kd_e2e_add("/e2e/middle/server-that-leaves-the-exchange-out-is-refused", test_no_exchange);
    return g_test_run();
}
