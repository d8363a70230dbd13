/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One side of TLS under fuzz. */
#include "kd-fuzz-tls.h"

#include "kd-cert-judge.h"
#include "kd-cert.h"
#include "kd-loop.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEEDS_OPTION "--seeds="
#define PRIORITY                                                                \
    "NONE:+VERS-TLS1.3:+VERS-TLS1.2:+ECDHE-ECDSA:+AES-128-GCM:+AEAD:+SIGN-ALL:" \
    "+GROUP-SECP256R1"
#define PRIORITY_OLD   "NONE:+VERS-TLS1.2:+ECDHE-ECDSA:+AES-128-GCM:+AEAD:+SIGN-ALL:+GROUP-SECP256R1"
#define BORN_S         ((time_t)1577836800) /* 2020 */
#define DIES_S         ((time_t)4102444800) /* 2100 */
#define MAX_SAID_BYTES ((size_t)32 * 1024)
#define N_TURNS        24
#define READ_BYTES     ((size_t)4096)

const char kd_fuzz_tls_words[64] =
    "forty-two bytes and more of words that only the right one says ";

static KdTlsRole role; /* ours */
static KdTlsConfig *configs[8];
static gnutls_x509_crt_t certificate;
static gnutls_x509_privkey_t private_key;
static KdCertJudge judges[2];

/* ---- the same random numbers every time ---- */

static guint64 states[2];
static KdFuzzSide drawing;

/**
 * kd_fuzz_tls_draw:
 * @side: whose random numbers are drawn from now on
 */
void
kd_fuzz_tls_draw(KdFuzzSide side)
{
    drawing = side;
}

static void
reset_random(void)
{
    states[KD_FUZZ_OURS] = 0x6b64;
    states[KD_FUZZ_THEIRS] = 0x7a7a;
    drawing = KD_FUZZ_OURS;
}

/**
 * gnutls_rnd:
 *
 * In place of the library's: xorshift64.
 */
__attribute__((visibility("default"))) int
gnutls_rnd(gnutls_rnd_level_t level, void *data, size_t len)
{
    guint64 *state = &states[drawing];
    uint8_t *bytes = data;

    (void)level;
    for (size_t i = 0; i < len; i++) {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        bytes[i] = (uint8_t)(*state >> 32);
    }
    return 0;
}

/* ---- certificates ---- */

static void
assert_ok(int code)
{
    g_assert_cmpstr(code >= 0 ? "" : gnutls_strerror(code), ==, "");
}

static void
make_certificate(void)
{
    static const uint8_t serial[] = {1};

    assert_ok(gnutls_x509_privkey_init(&private_key));
    assert_ok(gnutls_x509_privkey_generate(private_key, GNUTLS_PK_ECDSA,
                                           GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0));
    assert_ok(gnutls_x509_crt_init(&certificate));
    assert_ok(gnutls_x509_crt_set_version(certificate, 3));
    assert_ok(gnutls_x509_crt_set_serial(certificate, serial, sizeof serial));
    assert_ok(gnutls_x509_crt_set_activation_time(certificate, BORN_S));
    assert_ok(gnutls_x509_crt_set_expiration_time(certificate, DIES_S));
    assert_ok(gnutls_x509_crt_set_key(certificate, private_key));
    assert_ok(gnutls_x509_crt_set_dn(certificate, "CN=fuzz,O=Any", NULL));
    assert_ok(gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_DNSNAME, "fuzz", 4, 0));
    assert_ok(gnutls_x509_crt_set_key_purpose_oid(certificate, GNUTLS_KP_TLS_WWW_SERVER, 0));
    assert_ok(gnutls_x509_crt_set_key_purpose_oid(certificate, GNUTLS_KP_TLS_WWW_CLIENT, 0));
    assert_ok(gnutls_x509_crt_sign2(certificate, certificate, private_key, GNUTLS_DIG_SHA256, 0));
}

static gnutls_certificate_credentials_t
new_credentials(gboolean has_certificate)
{
    gnutls_certificate_credentials_t credentials;

    assert_ok(gnutls_certificate_allocate_credentials(&credentials));
    if (has_certificate) {
        assert_ok(gnutls_certificate_set_x509_key(credentials, &certificate, 1, private_key));
    }
    return credentials;
}

/* As kd_tls_config_judge() does it, but for the files. */
static gboolean
judge_by(const KdCertJudge *judge, gnutls_session_t session, KdTlsPeer *peer, GError **error)
{
    unsigned n_shown = 0;
    const gnutls_datum_t *shown = gnutls_certificate_get_peers(session, &n_shown);

    if (role == KD_TLS_SERVER && shown == NULL) {
        return TRUE;
    }
    return kd_cert_judge_try(judge, shown, shown != NULL ? n_shown : 0, peer, error);
}

static gboolean
judge_by_pin(gnutls_session_t session, KdTlsPeer *peer, GError **error)
{
    return judge_by(&judges[0], session, peer, error);
}

static gboolean
judge_blindly(gnutls_session_t session, KdTlsPeer *peer, GError **error)
{
    return judge_by(&judges[1], session, peer, error);
}

/* ---- inside TLS ---- */

static gboolean
is_printable(const char *text)
{
    for (const char *c = text; *c != '\0'; c = g_utf8_next_char(c)) {
        if (g_unichar_iscntrl(g_utf8_get_char(c))) {
            return FALSE;
        }
    }
    return TRUE;
}

static void
assert_text(const char *text)
{
    g_assert_true(g_utf8_validate(text, -1, NULL));
    g_assert_true(is_printable(text));
}

static void
take_words(KdFuzzTls *run, const uint8_t *bytes, size_t len)
{
    struct iovec vec = {.iov_base = (void *)bytes, .iov_len = len};

    for (size_t i = 0; i < len; i++) {
        g_assert_cmpuint(bytes[i], ==,
                         (uint8_t)kd_fuzz_tls_words[run->n_got++ % sizeof kd_fuzz_tls_words]);
    }
    (void)kd_end_write(run->end, &vec, 1); /* as an echo, as far as there is room */
}

/* The first bytes of a run ask for little: what is left behind them must not be lost. */
static gboolean
on_end_run(KdLoopWatch *watch)
{
    KdEnd *end = (KdEnd *)watch;
    KdFuzzTls *run = end->owner;

    kd_loop_turn();
    while (kd_end_is_readable(end)) {
        uint8_t bytes[READ_BYTES];
        gssize n = kd_end_read(end, bytes, run->n_got < READ_BYTES ? 7 : sizeof bytes);

        if (n == -EAGAIN) {
            break;
        }
        if (n <= 0) {
            run->has_ended = TRUE;
            kd_end_shutdown_write(end);
            kd_end_free(g_steal_pointer(&run->end));
            return FALSE;
        }
        take_words(run, bytes, (size_t)n);
    }
    (void)kd_end_flush(end);
    return FALSE;
}

static const KdLoopWatchFuncs end_funcs = {.run = on_end_run, .gone = kd_end_gone};

static void
on_told(KdEndpoint *endpoint, const KdTlsPeer *peer, const GError *error, void *user)
{
    KdFuzzTls *run = user;

    run->n_told++;
    g_assert_cmpuint(run->n_told, ==, 1);
    g_assert_true((endpoint == NULL) == (error != NULL));
    if (peer->name != NULL) {
        assert_text(peer->name);
        g_assert_cmpuint(strlen(peer->sha256), ==, 64);
    }
    if (error != NULL) {
        g_assert_error(error, KD_ERROR, KD_ERROR_TLS);
        assert_text(error->message);
        return;
    }
    g_assert_true(peer->name == NULL || peer->verdict == KD_TLS_TRUSTED);
    g_assert_true(peer->name != NULL || role == KD_TLS_SERVER);
    g_assert_cmpuint(g_bytes_get_size(peer->binding), ==, 32);
    run->has_succeeded = TRUE;
    run->end = kd_end_new(endpoint, &end_funcs, run, NULL);
    g_assert_nonnull(run->end);
}

/* ---- a run ---- */

static void
settle(void)
{
    for (int i = 0; i < N_TURNS; i++) {
        g_main_context_iteration(NULL, FALSE);
    }
}

/**
 * kd_fuzz_tls_begin:
 * @run: any bytes
 * @options: KD_FUZZ_TLS_*
 * @most: bytes that one read gives; 0 = any
 */
void
kd_fuzz_tls_begin(KdFuzzTls *run, uint8_t options, uint8_t most)
{
    guint which = ((options & KD_FUZZ_TLS_OLD) != 0 ? 1 : 0) +
                  ((options & KD_FUZZ_TLS_ASKS) != 0 ? 2 : 0) +
                  ((options & KD_FUZZ_TLS_BLIND) != 0 ? 4 : 0);
    KdEndpoint base;
    int fds[2] = {-1, -1};

    reset_random();
    *run = (KdFuzzTls){.options = options, .fd = -1};
    kd_endpoint_init(&base);
    if ((options & KD_FUZZ_TLS_SOCKET) != 0) {
        g_assert_no_errno(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds));
        kd_endpoint_take_fd(&base, fds[0], KD_ENDPOINT_HALF_CLOSE, NULL);
        run->fd = fds[1];
    } else {
        kd_fuzz_peer_init(&run->peer, most == 0 ? G_MAXUINT16 : most, &base);
        run->peer.is_deaf = (options & KD_FUZZ_TLS_DEAF) != 0;
    }
    run->handshake = kd_tls_handshake_new(configs[which], &base, on_told, run, NULL);
    g_assert_nonnull(run->handshake);
    settle();
}

static void
say_to_fd(const KdFuzzTls *run, const uint8_t *bytes, size_t len)
{
    uint8_t heard[READ_BYTES];

    (void)send(run->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    settle();
    while (recv(run->fd, heard, sizeof heard, MSG_DONTWAIT) > 0) {
    }
    settle();
}

/**
 * kd_fuzz_tls_say:
 * @run: begun
 * @bytes: of the other side
 * @len: of @bytes
 */
void
kd_fuzz_tls_say(KdFuzzTls *run, const uint8_t *bytes, size_t len)
{
    if (run->fd >= 0) {
        say_to_fd(run, bytes, len);
        return;
    }
    kd_fuzz_peer_say(&run->peer, bytes, len);
    settle();
    g_assert_cmpuint(run->peer.said->len, <=, MAX_SAID_BYTES + 2 * run->n_got);
}

static void
hang_up(KdFuzzTls *run)
{
    if (run->fd >= 0) {
        (void)shutdown(run->fd, SHUT_WR);
    } else {
        run->peer.hangs_up = TRUE;
        if (run->peer.ready != NULL) {
            run->peer.ready(run->peer.user, KD_READY_IN);
        }
    }
    settle();
    g_assert_cmpuint(run->n_told, ==, 1);
    g_assert_true(!run->has_succeeded || run->has_ended);
}

/* Who waits, waits in silence. */
static void
assert_quiet(KdFuzzTls *run)
{
    guint n_calls = run->peer.n_calls;

    if (run->fd < 0 && run->peer.to_say->len == 0) {
        settle();
        g_assert_cmpuint(run->peer.n_calls, ==, n_calls);
    }
}

/**
 * kd_fuzz_tls_end:
 * @run: begun
 *
 * Ends it wherever it stands.
 */
void
kd_fuzz_tls_end(KdFuzzTls *run)
{
    if ((run->options & KD_FUZZ_TLS_ENDS) != 0) {
        hang_up(run);
    } else {
        assert_quiet(run);
    }
    kd_tls_handshake_free(run->handshake);
    kd_end_free(g_steal_pointer(&run->end));
    settle();
    if (run->fd >= 0) {
        close(run->fd);
    } else {
        kd_fuzz_peer_clear(&run->peer);
    }
}

/**
 * kd_fuzz_tls_repeat:
 * @options: KD_FUZZ_TLS_*
 * @most: bytes that one read gives; 0 = any
 * @chunks: what the other side says
 *
 * Returns: how many bytes have come inside TLS
 */
size_t
kd_fuzz_tls_repeat(uint8_t options, uint8_t most, KdFuzzInput chunks)
{
    KdFuzzTls run;

    kd_fuzz_tls_begin(&run, options, most);
    while (chunks.left > 0) {
        size_t len = kd_fuzz_take_byte(&chunks);

        len |= (size_t)kd_fuzz_take_byte(&chunks) << 8;
        len = MIN(len, chunks.left);
        kd_fuzz_tls_say(&run, chunks.next, len);
        chunks.next += len;
        chunks.left -= len;
    }
    kd_fuzz_tls_end(&run);
    return run.n_got;
}

/* ---- the other side, where it behaves ---- */

/**
 * kd_fuzz_tls_new_foreign:
 * @options: KD_FUZZ_TLS_*
 *
 * Returns: (transfer full): a session of the other side, without anything to pass its records
 */
gnutls_session_t
kd_fuzz_tls_new_foreign(uint8_t options)
{
    static gnutls_certificate_credentials_t credentials[2];
    gboolean is_server = role == KD_TLS_CLIENT;
    gboolean has_certificate = is_server || (options & KD_FUZZ_TLS_ASKS) != 0;
    gnutls_session_t session;

    if (credentials[has_certificate] == NULL) {
        credentials[has_certificate] = new_credentials(has_certificate);
    }
    assert_ok(gnutls_init(&session, (is_server ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_NONBLOCK |
                                        GNUTLS_NO_TICKETS));
    assert_ok(gnutls_priority_set_direct(
        session, (options & KD_FUZZ_TLS_OLD) != 0 ? PRIORITY_OLD : PRIORITY, NULL));
    assert_ok(
        gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials[has_certificate]));
    if (is_server && (options & KD_FUZZ_TLS_ASKS) != 0) {
        gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUEST);
    }
    return session;
}

static KdTlsConfig *
new_config(guint which)
{
    gboolean asks = (which & 2) != 0;

    return kd_tls_config_new_for_test(role, new_credentials(role == KD_TLS_SERVER || asks),
                                      (which & 1) != 0 ? PRIORITY_OLD : PRIORITY,
                                      asks ? GNUTLS_CERT_REQUEST : GNUTLS_CERT_IGNORE,
                                      (which & 4) != 0 ? judge_blindly : judge_by_pin);
}

static time_t
get_time(time_t *out)
{
    if (out != NULL) {
        *out = BORN_S + 1;
    }
    return BORN_S + 1;
}

/**
 * kd_fuzz_tls_start:
 * @our_role: of the side under test
 * @argc: of main()
 * @argv: of main(); with `--seeds=FOLDER` nothing happens but that seeds are written there
 */
void
kd_fuzz_tls_start(KdTlsRole our_role, int argc, char **argv)
{
    g_log_set_always_fatal(G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING);
    (void)signal(SIGPIPE, SIG_IGN);
    g_assert_true(kd_loop_start(NULL));
    gnutls_global_set_time_function(get_time);
    role = our_role;
    reset_random();
    make_certificate();
    for (guint i = 0; i < G_N_ELEMENTS(judges); i++) {
        judges[i].role = role;
        judges[i].pin_key = g_strdup("certuser");
        judges[i].place = g_strdup("fuzz");
    }
    judges[0].pin = kd_cert_build_thumbprint(certificate, GNUTLS_DIG_SHA256);
    judges[1].name = g_strdup("other");
    judges[1].anchors = kd_tls_anchors_new(FALSE);
    for (guint i = 0; i < G_N_ELEMENTS(configs); i++) {
        configs[i] = new_config(i);
    }
    kd_fuzz_seeds_check();
    for (int i = 1; i < argc; i++) {
        if (g_str_has_prefix(argv[i], SEEDS_OPTION)) {
            kd_fuzz_seeds_write(argv[i] + strlen(SEEDS_OPTION));
            exit(0);
        }
    }
}
