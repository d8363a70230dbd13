/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Those who do not get in: wrong passwords, and thousands that stop in the middle of the way. They
 * cost the server little, and others nothing.
 *
 * With KD_E2E_FLOOD_S=30 in the environment a flood lasts that long, and other sessions may at most
 * take twice the time. */
#include "kd-e2e-bystander.h"
#include "kd-e2e-certs.h"
#include "kd-e2e-protocol.h"
#include "kd-e2e-pty.h"
#include "kd-e2e-relay.h"
#include "kd-e2e-siege.h"
#include "kd-e2e-stage.h"
#include "kd-e2e-traces.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#define HERE      "127.0.0.1"
#define PASSWORD  "Abc123xyz"
#define WRONG     "Abc123xyy"
#define REFUSED   "0x80004005"
#define N_CLIENTS 2000u
#define N_SOURCES 20u
#define N_TORN    1000u
#define FLOOD_S   8u
#define BEFORE_S  5u
#define N_LOGINS  3
/* Connections that may be there at once without having said who they are */
#define MOST_STRANGERS 256u
#define LEAST_IN       200u
/* Of one source, before it has to wait: 5 s for each, that count from 15 s on */
#define MOST_GUESSES 4u
/* A login of another's meanwhile, and how long one that says nothing may stay */
#define LOGIN_US ((KD_E2E_IS_SANITIZED ? 6 : 2) * G_USEC_PER_SEC)
#define STAY_US  (11 * G_USEC_PER_SEC)
/* An exchange of another session passes four processes, and a busy machine lets each of them wait;
 * a server that served the flood first would let it wait for many times that */
#define FAIR_US       20000u
#define LOOK_EVERY_MS 20

/* ---- what they say before they stop ---- */

/* What a real client begins with. */
static GBytes *
take_client_hello(void)
{
    guint port = 0;
    int listener = kd_e2e_listen(&port);
    g_autofree char *place = g_strdup_printf(HERE ":%u", port);
    const char *const argv[] = {"openssl", "s_client", "-connect", place, NULL};
    KdE2eProgram *openssl = kd_e2e_program_new(argv, NULL);
    int fd = kd_e2e_accept(listener);
    guint8 record[5 + 65535];
    gsize len;

    kd_e2e_read(fd, record, 5);
    g_assert_cmpuint(record[0], ==, 22); /* handshake; RFC 8446, 5.1 */
    len = (gsize)record[3] << 8 | record[4];
    kd_e2e_read(fd, record + 5, len);
    close(fd);
    close(listener);
    kd_e2e_program_free(openssl);
    return g_bytes_new(record, 5 + len);
}

static GBytes *
take_half(GBytes *whole)
{
    return g_bytes_new_from_bytes(whole, 0, g_bytes_get_size(whole) / 2);
}

/* The preamble of a client, and a HELLO whose end is missing. */
static GBytes *
build_half_hello(void)
{
    KdHello hello = {
        .window = KD_WINDOW_BYTES, .max_data_bytes = KD_MAX_DATA_BYTES, .software = (char *)"e2e"};
    g_autoptr(GBytes) payload = kd_hello_build(&hello);
    KdFrameHeader header = {.type = KD_FRAME_HELLO, .length = (uint32_t)g_bytes_get_size(payload)};
    guint8 bytes[KD_PREAMBLE_BYTES + KD_HEADER_BYTES + 8];
    gsize len = 0;

    kd_preamble_store(bytes, KD_ROLE_CLIENT, KD_PROTOCOL_MAJOR, KD_PROTOCOL_MINOR);
    kd_frame_header_store(bytes + KD_PREAMBLE_BYTES, &header);
    memcpy(bytes + KD_PREAMBLE_BYTES + KD_HEADER_BYTES, g_bytes_get_data(payload, &len), 8);
    return g_bytes_new(bytes, sizeof bytes);
}

/* ---- a server, and clients of it ---- */

static void
serve(KdE2eStage *stage, const char *start)
{
    g_autofree char *listen = kd_e2e_stage_build_listen(stage, start);
    g_autofree char *store = kd_e2e_certs_make_store(stage);

    kd_e2e_certs_make(store, "lab", NULL, KD_E2E_CERT_SERVER);
    g_free(kd_e2e_stage_serve(stage, NULL, "-t", listen, "--allow-path", "/dev/pts", NULL));
}

static KdE2eProgram *
start_kd(const char *keys, guint port, const char *password, const char *trans, const char *option,
         const char *value)
{
    g_autofree char *link =
        g_strdup_printf("kdsrv:server=@{%sserver=" HERE ",port=%u,password=%s},trans=@{%s}", keys,
                        port, password, trans);

    return kd_e2e_stage_run("kd", NULL, "-k", link, option, value, NULL);
}

/* A session with a password that talks all the time. */
static KdE2eBystander *
start_bystander(KdE2eStage *stage, const char *keys, KdE2eProgram **kd)
{
    g_autofree char *name = NULL;
    g_autofree char *trans = NULL;
    g_autofree char *path = kd_e2e_stage_build_path(stage, "bystander");
    g_autofree char *address = g_strconcat("unix:", path, NULL);
    int far = kd_e2e_pty_new(&name);

    trans = g_strdup_printf("com:port=%s", name);
    *kd = start_kd(keys, stage->port, PASSWORD, trans, "--listen", address);
    return kd_e2e_bystander_new_over(kd_e2e_dial_unix(path), far);
}

/* Logs in and exchanges bytes with a line of its own. */
static gint64
log_in(KdE2eStage *stage, const char *keys)
{
    g_autofree char *name = NULL;
    g_autofree char *trans = NULL;
    g_autoptr(KdE2eProgram) kd = NULL;
    int far = kd_e2e_pty_new(&name);
    gint64 start_us = g_get_monotonic_time();
    gint64 took_us;

    trans = g_strdup_printf("com:port=%s", name);
    kd = start_kd(keys, stage->port, PASSWORD, trans, "--stdio", NULL);
    kd_e2e_program_say(kd, "in");
    kd_e2e_expect(far, "in");
    took_us = g_get_monotonic_time() - start_us;
    close(far);
    return took_us;
}

/* ---- floods ---- */

static guint
get_flood_s(void)
{
    const char *text = g_getenv("KD_E2E_FLOOD_S");

    return text != NULL ? (guint)g_ascii_strtoull(text, NULL, 10) : FLOOD_S;
}

static void
expect_fair(KdE2eBystander *bystander)
{
    guint before_us = 0;
    guint during_us = 0;

    kd_e2e_bystander_get_usual_p99(bystander, &before_us, &during_us);
    g_test_message("another session's p99: usually %u us before, %u us meanwhile", before_us,
                   during_us);
    if (g_getenv("KD_E2E_FLOOD_S") != NULL) {
        g_assert_cmpuint(during_us, <=, MAX(2 * before_us, before_us + 500));
    }
    kd_e2e_bystander_get_p99(bystander, &before_us, &during_us);
    g_test_message("of the best hundred: %u us before, %u us meanwhile", before_us, during_us);
    g_assert_cmpuint(during_us, <=, 3 * before_us + FAIR_US);
}

/* Memory comes back, maybe not at once. */
static void
await_memory(const KdE2eTraces *traces, KdE2eProgram *server)
{
    gint64 deadline_us = g_get_monotonic_time() + 5 * G_USEC_PER_SEC;

    while (kd_e2e_program_get_memory_kib(server) > traces->memory_kib + 1024 &&
           g_get_monotonic_time() < deadline_us) {
        (void)poll(NULL, 0, LOOK_EVERY_MS);
    }
    kd_e2e_traces_expect_memory(traces, server);
}

static void
check_flood(KdE2eStage *stage, const char *door, const char *keys, GBytes *said)
{
    g_autoptr(KdE2eProgram) kd = NULL;
    g_autoptr(KdE2eBystander) bystander = NULL;
    KdE2eSiege *siege;
    KdE2eSiegeReport report;
    KdE2eTraces traces;
    guint64 memory_kib;

    serve(stage, door);
    bystander = start_bystander(stage, keys, &kd);
    if (g_getenv("KD_E2E_FLOOD_S") != NULL) {
        kd_e2e_bystander_await_s(bystander, BEFORE_S);
    }
    kd_e2e_bystander_begin(bystander);
    kd_e2e_traces_take(&traces, stage->server);
    siege = kd_e2e_siege_new(stage->port, N_CLIENTS, N_SOURCES, said);
    g_test_message("%u are in", kd_e2e_siege_await_let_in(siege, LEAST_IN));
    memory_kib = kd_e2e_program_get_memory_kib(stage->server);
    for (int i = 0; i < N_LOGINS; i++) {
        gint64 took_us = log_in(stage, keys);

        g_test_message("a login took %" G_GINT64_FORMAT " ms", took_us / 1000);
        g_assert_cmpint(took_us, <, LOGIN_US);
    }
    kd_e2e_bystander_await_s(bystander, get_flood_s());
    expect_fair(bystander);
    kd_e2e_siege_stop(siege, &report);
    g_test_message("%u dialled, %u refused at once, %u let in, the longest for %" G_GINT64_FORMAT
                   " ms; %" G_GUINT64_FORMAT " KiB then, %" G_GUINT64_FORMAT " KiB before",
                   report.n_dialled, report.n_refused, report.n_let_in, report.longest_us / 1000,
                   memory_kib, traces.memory_kib);
    g_assert_cmpint(report.longest_us, <, STAY_US);
    g_assert_cmpuint(report.n_dialled, >=, N_CLIENTS);
    /* those beyond the limits, each time they came */
    g_assert_cmpuint(report.n_refused, >, report.n_dialled / 2);
    kd_e2e_traces_await_files(&traces, stage->server);
    await_memory(&traces, stage->server);
    g_assert_cmpint(log_in(stage, keys), <, LOGIN_US);
}

static gboolean
are_missing(void)
{
    return kd_e2e_certs_are_missing() || kd_e2e_is_missing("openssl");
}

static void
test_handshakes(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(GBytes) said = NULL;

    (void)unused;
    if (!are_missing()) {
        said = take_client_hello();
        check_flood(stage, "ssl:proto=tls1,certuser=lab,password=" PASSWORD,
                    "ssl:proto=tls1,certuser=lab,", said);
    }
}

static void
test_half_handshakes(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(GBytes) whole = NULL;
    g_autoptr(GBytes) said = NULL;

    (void)unused;
    if (!are_missing()) {
        whole = take_client_hello();
        said = take_half(whole);
        check_flood(stage, "ssl:proto=tls1,certuser=lab,password=" PASSWORD,
                    "ssl:proto=tls1,certuser=lab,", said);
    }
}

static void
test_half_hellos(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(GBytes) said = NULL;

    (void)unused;
    if (!are_missing()) {
        said = build_half_hello();
        check_flood(stage, "tcp:password=" PASSWORD, "tcp:", said);
    }
}

/* Each byte of them as the last one. */
static void
test_torn(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(GBytes) whole = NULL;
    KdE2eTraces traces;
    const char *said;
    gsize len = 0;

    (void)unused;
    if (are_missing()) {
        return;
    }
    whole = take_client_hello();
    said = g_bytes_get_data(whole, &len);
    serve(stage, "ssl:proto=tls1,certuser=lab,password=" PASSWORD);
    (void)log_in(stage, "ssl:proto=tls1,certuser=lab,");
    kd_e2e_traces_take(&traces, stage->server);
    for (guint i = 0; i < N_TORN; i++) {
        g_autofree char *from = g_strdup_printf("127.0.1.%u", 1 + i % N_SOURCES);
        int fd = kd_e2e_dial(from, stage->port);

        kd_e2e_write(fd, said, i * len / N_TORN + (i % 3 == 0 ? 0 : 1));
        if (i % 7 == 0) {
            kd_e2e_write(fd, said, len); /* and garbage behind */
            (void)kd_e2e_is_readable(fd, LOOK_EVERY_MS);
        }
        close(fd);
    }
    kd_e2e_traces_await_files(&traces, stage->server);
    await_memory(&traces, stage->server);
    (void)log_in(stage, "ssl:proto=tls1,certuser=lab,");
}

/* ---- wrong passwords ---- */

static void
expect_refused(KdE2eProgram *kd, const char *text)
{
    int status = kd_e2e_program_wait(kd);
    const char *said = kd_e2e_program_get_text(kd, KD_E2E_STDERR);

    g_test_message("exit %d: %s", status, said);
    g_assert_cmpint(status, ==, 1);
    if (strstr(said, text) == NULL) {
        g_error("expected %s in: %s", text, said);
    }
    g_assert_null(strstr(said, WRONG));
    g_assert_null(strstr(said, PASSWORD));
}

/* N18 */
static void
check_wrong_password(KdE2eStage *stage, const char *door, const char *keys)
{
    g_autoptr(KdE2eProgram) wrong = NULL;
    g_autoptr(KdE2eProgram) none = NULL;
    g_autofree char *link = NULL;

    if (kd_e2e_certs_are_missing()) {
        return;
    }
    serve(stage, door);
    wrong = start_kd(keys, stage->port, WRONG, "fake:name=1", "--stdio", NULL);
    link = g_strdup_printf("kdsrv:server=@{%sserver=" HERE ",port=%u},trans=@{fake:name=1}", keys,
                           stage->port);
    none = kd_e2e_stage_run("kd", NULL, "-k", link, "--stdio", NULL);
    expect_refused(wrong, REFUSED);
    expect_refused(none, REFUSED);
    (void)log_in(stage, keys);
}

static void
test_wrong_password(KdE2eStage *stage, gconstpointer unused)
{
    (void)unused;
    check_wrong_password(stage, "tcp:password=" PASSWORD, "tcp:");
}

static void
test_wrong_password_tls(KdE2eStage *stage, gconstpointer unused)
{
    (void)unused;
    check_wrong_password(stage, "ssl:proto=tls1,certuser=lab,password=" PASSWORD,
                         "ssl:proto=tls1,certuser=lab,");
}

/* kd by way of another address. */
static KdE2eProgram *
start_kd_from(KdE2eStage *stage, const char *from, const char *password, const char *trans,
              KdE2eRelay **relay)
{
    guint port = 0;
    int listener = kd_e2e_listen(&port);

    *relay = kd_e2e_relay_new(listener, kd_e2e_dial(from, stage->port));
    return start_kd("tcp:", port, password, trans, "--stdio", NULL);
}

/* So many at once, of which each is told that it is wrong. */
static void
guess(KdE2eStage *stage, const char *from, guint n)
{
    KdE2eRelay *relays[MOST_GUESSES] = {NULL};
    KdE2eProgram *kds[MOST_GUESSES] = {NULL};

    for (guint i = 0; i < n; i++) {
        kds[i] = start_kd_from(stage, from, WRONG, "fake:name=1", &relays[i]);
    }
    for (guint i = 0; i < n; i++) {
        expect_refused(kds[i], REFUSED);
        kd_e2e_program_free(kds[i]);
        kd_e2e_relay_free(relays[i]);
    }
}

/* Who guesses has to wait, whatever is said then; nobody else has to, and no session ends. */
static void
test_penalty(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eRelay) early_relay = NULL;
    g_autoptr(KdE2eProgram) early = NULL;
    g_autoptr(KdE2eRelay) right_relay = NULL;
    g_autoptr(KdE2eProgram) right = NULL;
    g_autofree char *name = NULL;
    g_autofree char *trans = NULL;
    int far = kd_e2e_pty_new(&name);

    (void)unused;
    if (kd_e2e_certs_are_missing()) {
        return;
    }
    serve(stage, "tcp:password=" PASSWORD);
    trans = g_strdup_printf("com:port=%s", name);
    early = start_kd_from(stage, "127.0.1.1", PASSWORD, trans, &early_relay);
    kd_e2e_program_say(early, "early");
    kd_e2e_expect(far, "early");
    guess(stage, "127.0.1.1", MOST_GUESSES);
    right = start_kd_from(stage, "127.0.1.1", PASSWORD, "fake:name=1", &right_relay);
    expect_refused(right, "too many wrong passwords");
    g_assert_cmpint(log_in(stage, "tcp:"), <, LOGIN_US);
    kd_e2e_program_say(early, "still there");
    kd_e2e_expect(far, "still there");
    close(far);
}

/* Many who guess, again and again: the server has as much as before. */
static void
test_guesses(KdE2eStage *stage, gconstpointer unused)
{
    KdE2eTraces traces;

    (void)unused;
    if (kd_e2e_certs_are_missing()) {
        return;
    }
    serve(stage, "tcp:password=" PASSWORD);
    guess(stage, "127.0.1.100", 1);
    kd_e2e_traces_take(&traces, stage->server);
    for (int round = 0; round < 8; round++) {
        g_autofree char *from = g_strdup_printf("127.0.1.%d", 1 + round);

        guess(stage, from, MOST_GUESSES);
    }
    kd_e2e_traces_await_files(&traces, stage->server);
    await_memory(&traces, stage->server);
    kd_e2e_traces_expect_few_lines(&traces, stage->server);
    (void)log_in(stage, "tcp:");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_e2e_add("/e2e/flood/handshakes-that-stop-keep-nobody-out", test_handshakes);
    kd_e2e_add("/e2e/flood/halves-of-handshakes-keep-nobody-out", test_half_handshakes);
    kd_e2e_add("/e2e/flood/halves-of-hellos-keep-nobody-out", test_half_hellos);
    kd_e2e_add("/e2e/flood/torn-handshakes-leave-nothing", test_torn);
    kd_e2e_add("/e2e/flood/wrong-password-is-told-and-harms-nobody", test_wrong_password);
    kd_e2e_add("/e2e/flood/wrong-password-inside-of-tls-is-told", test_wrong_password_tls);
    kd_e2e_add("/e2e/flood/who-guesses-waits-and-nobody-else", test_penalty);
    kd_e2e_add("/e2e/flood/many-guesses-leave-nothing", test_guesses);
    return g_test_run();
}
