/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Handshakes that come in pieces, are torn or let go of: nothing is left, and nobody waits for
 * them. */
#include "kd-test-tls.h"

#include <errno.h>
#include <malloc.h>
#include <sys/socket.h>
#include <unistd.h>

#define ONLY_TLS_11 "NORMAL:-VERS-ALL:+VERS-TLS1.1"

#ifdef __SANITIZE_ADDRESS__
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

/* Something between the two that lets only so many bytes pass, in pieces. */
typedef struct {
    int fds[2];
    size_t left;
    size_t piece;
} Narrows;

static void
narrows_init(Narrows *narrows, KdTestStage *stage, size_t left, size_t piece)
{
    KdEndpoint inner[2];

    narrows->left = left;
    narrows->piece = piece;
    inner[1] = stage->bases[1];
    kd_test_unix_pair(&inner[0], &stage->bases[1]);
    narrows->fds[0] = inner[1].fd;
    narrows->fds[1] = inner[0].fd;
}

/* Returns: whether anything has passed */
static gboolean
narrows_pass(Narrows *narrows)
{
    gboolean has_passed = FALSE;

    for (int i = 0; i < 2; i++) {
        uint8_t bytes[4096];
        size_t most = MIN(MIN(narrows->piece, narrows->left), sizeof bytes);
        gssize n = most > 0 ? read(narrows->fds[i], bytes, most) : 0;

        if (n > 0) {
            g_assert_cmpint(write(narrows->fds[1 - i], bytes, (size_t)n), ==, n);
            narrows->left -= (size_t)n;
            has_passed = TRUE;
        }
    }
    return has_passed;
}

static void
narrows_clear(Narrows *narrows)
{
    close(narrows->fds[0]);
    close(narrows->fds[1]);
}

/* Until nothing moves any more. */
static void
narrows_run(Narrows *narrows)
{
    do {
        for (int i = 0; i < 4; i++) {
            g_main_context_iteration(NULL, FALSE);
        }
    } while (narrows_pass(narrows));
}

static void
test_one_byte(void)
{
    KdTestStage stage;
    Narrows narrows;

    kd_test_stage_init(&stage, kd_test_server_new(NULL), kd_test_client_new(NULL));
    narrows_init(&narrows, &stage, SIZE_MAX, 1);
    kd_test_stage_begin(&stage);
    narrows_run(&narrows);
    g_assert_cmpuint(stage.server.n_told, ==, 1);
    g_assert_no_error(stage.server.error);
    g_assert_no_error(stage.client.error);
    narrows_clear(&narrows);
    kd_test_stage_clear(&stage);
}

/* Wherever it stands, a handshake that is let go of leaves no watch, descriptor or call behind. */
static void
test_let_go(void)
{
    guint n_fds = 0;

    for (size_t left = 0; left < 3000; left += 61) {
        for (int is_cut = 0; is_cut < 2; is_cut++) {
            KdTestStage stage;
            Narrows narrows;

            kd_test_stage_init(&stage, kd_test_server_new(NULL), kd_test_client_new(NULL));
            narrows_init(&narrows, &stage, left, SIZE_MAX);
            kd_test_stage_begin(&stage);
            narrows_run(&narrows);
            if (is_cut) {
                narrows_clear(&narrows);
                kd_test_shake_wait(&stage.server);
                kd_test_shake_wait(&stage.client);
                g_assert_cmpuint(stage.server.n_told, ==, 1);
                g_assert_cmpuint(stage.client.n_told, ==, 1);
            } else {
                kd_tls_handshake_free(g_steal_pointer(&stage.server.handshake));
                kd_tls_handshake_free(g_steal_pointer(&stage.client.handshake));
                stage.server.n_told = stage.client.n_told = 0;
                kd_test_settle();
                g_assert_cmpuint(stage.server.n_told + stage.client.n_told, ==, 0);
                narrows_clear(&narrows);
            }
            kd_test_stage_clear(&stage);
            if (n_fds == 0) {
                n_fds = kd_test_count_fds();
            }
            g_assert_cmpuint(kd_test_count_fds(), ==, n_fds);
        }
    }
}

static void
test_freed_when_told(void)
{
    for (int i = 0; i < 4; i++) {
        KdTestStage stage;

        kd_test_stage_init(&stage, kd_test_server_new(NULL),
                           kd_test_client_new((i & 1) != 0 ? ONLY_TLS_11 : NULL));
        stage.server.is_freed_when_told = stage.client.is_freed_when_told = TRUE;
        stage.server.is_left = stage.client.is_left = (i & 2) != 0;
        kd_test_stage_begin(&stage);
        kd_test_shake_wait(&stage.server);
        kd_test_shake_wait(&stage.client);
        kd_test_settle();
        g_assert_cmpuint(stage.server.n_told, ==, 1);
        g_assert_cmpuint(stage.client.n_told, ==, 1);
        kd_test_stage_clear(&stage);
    }
}

static void
tear(KdTlsConfig *server, KdTlsConfig *client, size_t left)
{
    KdTestStage stage;
    Narrows narrows;

    kd_test_stage_init(&stage, kd_tls_config_ref(server), kd_tls_config_ref(client));
    narrows_init(&narrows, &stage, left, SIZE_MAX);
    kd_test_stage_begin(&stage);
    narrows_run(&narrows);
    narrows_clear(&narrows);
    kd_test_settle();
    kd_test_stage_clear(&stage);
}

static void
test_thousand_torn(void)
{
    g_autoptr(KdTlsConfig) server = kd_test_server_new(NULL);
    g_autoptr(KdTlsConfig) client = kd_test_client_new(NULL);
    guint n_fds;
    size_t used;

    for (guint i = 0; i < 30; i++) {
        tear(server, client, i * 60);
    }
    n_fds = kd_test_count_fds();
    used = mallinfo2().uordblks;
    for (guint i = 0; i < 1000; i++) {
        tear(server, client, (i * 37) % 1500);
    }
    g_assert_cmpuint(kd_test_count_fds(), ==, n_fds);
    if (!IS_SANITIZED) {
        g_assert_cmpuint(mallinfo2().uordblks, <, used + 16384);
    }
}

/* ---- what it costs ---- */

#define N_WAITING 100u

/* Clients that have said their first message, and do not answer the server's. */
static void
test_memory(void)
{
    g_autoptr(KdTlsConfig) server = kd_test_server_new(NULL);
    g_autoptr(KdTlsConfig) client = kd_test_client_new(NULL);
    KdTestShake shakes[N_WAITING] = {{0}};
    int fds[N_WAITING];
    uint8_t hello[1024];
    gssize len;
    KdEndpoint bases[2];
    size_t used;

    if (IS_SANITIZED) {
        g_test_skip("AddressSanitizer has its own memory");
        return;
    }
    kd_test_start();
    kd_test_unix_pair(&bases[0], &bases[1]);
    kd_test_shake_begin(&shakes[0], client, &bases[0]);
    kd_test_settle();
    len = read(bases[1].fd, hello, sizeof hello);
    g_assert_cmpint(len, >, 100);
    kd_test_shake_clear(&shakes[0]);
    kd_endpoint_clear(&bases[1]);
    kd_test_settle();

    used = mallinfo2().uordblks;
    for (guint i = 0; i < N_WAITING; i++) {
        kd_test_unix_pair(&bases[0], &bases[1]);
        kd_test_shake_begin(&shakes[i], server, &bases[0]);
        fds[i] = bases[1].fd;
        g_assert_cmpint(write(fds[i], hello, (size_t)len), ==, len);
    }
    for (guint i = 0; i < N_WAITING; i++) {
        kd_test_settle();
        g_assert_cmpint(read(fds[i], &(uint8_t){0}, 1), ==, 1);
        g_assert_cmpuint(shakes[i].n_told, ==, 0);
    }
    used = mallinfo2().uordblks - used;
    g_test_message("%zu bytes for each handshake that waits", used / N_WAITING);
    g_assert_cmpuint(used / N_WAITING, <, 32 * 1024);
    for (guint i = 0; i < N_WAITING; i++) {
        kd_test_shake_clear(&shakes[i]);
        close(fds[i]);
    }
    kd_test_stop();
}

#define N_BURST 24u

static guint64 judged_rounds[N_BURST];
static guint n_judged;

static gboolean
judge_and_note(gnutls_session_t session, KdTlsPeer *peer, GError **error)
{
    (void)session;
    (void)peer;
    (void)error;
    g_assert_cmpuint(n_judged, <, N_BURST);
    judged_rounds[n_judged++] = kd_loop_get_round();
    return TRUE;
}

static gboolean
are_all_judged(void *user)
{
    (void)user;
    return n_judged == N_BURST;
}

/* Sessions get their turn between two of them. */
static void
test_one_a_round(void)
{
    g_autoptr(KdTlsConfig) server = kd_test_server_new(NULL);
    g_autoptr(KdTlsConfig) client = kd_tls_config_new_for_test(
        KD_TLS_CLIENT, kd_test_credentials_new(FALSE), NULL, GNUTLS_CERT_IGNORE, judge_and_note);
    KdTestShake shakes[N_BURST][2] = {{{0}}};

    kd_test_start();
    for (guint i = 0; i < N_BURST; i++) {
        KdEndpoint bases[2];

        kd_test_unix_pair(&bases[0], &bases[1]);
        kd_test_shake_begin(&shakes[i][0], server, &bases[0]);
        kd_test_shake_begin(&shakes[i][1], client, &bases[1]);
    }
    kd_test_wait(are_all_judged, NULL);
    for (guint i = 1; i < N_BURST; i++) {
        g_assert_cmpuint(judged_rounds[i], >, judged_rounds[i - 1]);
    }
    for (guint i = 0; i < N_BURST; i++) {
        kd_test_shake_clear(&shakes[i][0]);
        kd_test_shake_clear(&shakes[i][1]);
    }
    kd_test_stop();
}

/* ---- streams that behave oddly ---- */

typedef struct {
    gssize read_code;
    gssize write_code;
} OddStream;

static gssize
odd_read(KdStream *stream, void *buf, size_t len)
{
    (void)buf;
    (void)len;
    return ((OddStream *)(void *)stream)->read_code;
}

static gssize
odd_write(KdStream *stream, const void *buf, size_t len)
{
    (void)buf;
    (void)len;
    return ((OddStream *)(void *)stream)->write_code;
}

static void
odd_set_ready(KdStream *stream, KdReadyFunc fn, void *user)
{
    (void)stream;
    (void)fn;
    (void)user;
}

static void
odd_destroy(KdStream *stream)
{
    (void)stream;
}

static void
shake_on_odd(KdTestShake *shake, KdTlsConfig *config, OddStream *odd)
{
    static const KdStreamOps ops = {
        .struct_size = sizeof ops,
        .read = odd_read,
        .write = odd_write,
        .set_ready = odd_set_ready,
        .destroy = odd_destroy,
    };
    KdEndpoint base;

    kd_endpoint_init(&base);
    base.ops = &ops;
    base.stream = (KdStream *)(void *)odd;
    kd_test_start();
    kd_test_shake_begin(shake, config, &base);
}

/* EINTR is an error like others there: nobody would try again for ever. */
static void
test_interrupted(void)
{
    OddStream odds[] = {{-EINTR, 1}, {-EAGAIN, -EINTR}, {-EMSGSIZE, 1}};

    for (guint i = 0; i < G_N_ELEMENTS(odds); i++) {
        g_autoptr(KdTlsConfig) config =
            i == 1 ? kd_test_client_new(NULL) : kd_test_server_new(NULL);
        KdTestShake shake = {0};

        shake_on_odd(&shake, config, &odds[i]);
        kd_test_shake_wait(&shake);
        g_assert_error(shake.error, KD_ERROR, KD_ERROR_TLS);
        kd_test_shake_clear(&shake);
        kd_test_stop();
    }
}

/* A write that takes nothing is one that has no room. */
static void
test_no_room(void)
{
    g_autoptr(KdTlsConfig) config = kd_test_client_new(NULL);
    OddStream odd = {-EAGAIN, 0};
    KdTestShake shake = {0};

    shake_on_odd(&shake, config, &odd);
    kd_test_settle();
    g_assert_cmpuint(shake.n_told, ==, 0);
    kd_test_shake_clear(&shake);
    kd_test_stop();
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, fn) g_test_add_func("/secure/tls-torn/" name, fn)
    ADD("takes-single-bytes", test_one_byte);
    ADD("leaves-nothing-when-let-go-anywhere", test_let_go);
    ADD("may-be-freed-when-told", test_freed_when_told);
    ADD("leaves-nothing-of-a-thousand-torn", test_thousand_torn);
    ADD("waits-in-little-memory", test_memory);
    ADD("makes-one-step-a-round", test_one_a_round);
    ADD("ends-where-a-stream-says-that-it-was-interrupted", test_interrupted);
    ADD("waits-where-a-stream-takes-nothing", test_no_room);
#undef ADD
    return g_test_run();
}
