/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names of pipes, certificates and versions: which are taken, which are refused, and with what
 * words.
 */
#include "kd-e2e-certs.h"
#include "kd-e2e-places.h"
#include "kd-e2e-socket.h"

#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define N_RACES 20

static KdE2eProgram *
start(KdE2ePlaces *places, const char *transport)
{
    return kd_e2e_stage_run("kdsrv", places != NULL ? &places->setup : NULL, "-t", transport, NULL);
}

/* One line, and the exit status. */
static void
expect_said(KdE2eProgram *program, int status, const char *text)
{
    int real = kd_e2e_program_wait(program);
    const char *said = kd_e2e_program_get_text(program, KD_E2E_STDERR);

    g_test_message("exit %d: %s", real, said);
    g_assert_cmpint(real, ==, status);
    if (strstr(said, text) == NULL) {
        g_error("expected %s in: %s", text, said);
    }
    g_assert_true(strchr(said, '\n') == said + strlen(said) - 1);
}

static void
expect_usage(const char *transport, const char *text)
{
    g_autoptr(KdE2eProgram) kdsrv = start(NULL, transport);

    expect_said(kdsrv, 2, text);
}

/* ---- pipes ---- */

/* N5 */
static void
test_codes(KdE2eStage *stage, gconstpointer unused)
{
    g_auto(KdE2ePlaces) places = {0};
    g_autofree char *ready = NULL;
    g_autofree char *name = NULL;
    g_autofree char *path = NULL;
    int pid;

    (void)unused;
    if (!kd_e2e_places_set_up(&places, stage, FALSE)) {
        return;
    }
    ready = kd_e2e_stage_serve(stage, &places.setup, "-t", "npipe:pipe=k_%x_%d", NULL);
    pid = (int)kd_e2e_program_get_pid(stage->server);
    name = g_strdup_printf("k_%x_%d", (guint)pid, pid); /* of one thread, and that is the first */
    g_test_message("%s", ready);
    g_assert_nonnull(strstr(ready, name));
    path = g_build_filename(places.pipes, name, NULL);
    close(kd_e2e_dial_unix(path));
}

static void
test_wrong_codes(KdE2eStage *stage, gconstpointer unused)
{
    static const char *const wrong[] = {
        "%s",   "%n",   "%*d",  "%ld", "%5d", "%x%d%x", "%d %x", "%",
        "%%%n", "%$1x", "%1$x", "\"",  ".",   "..",     "",
    };

    (void)stage;
    (void)unused;
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autofree char *transport = g_strconcat("npipe:pipe=", wrong[i], NULL);

        expect_usage(transport, "pipe");
    }
}

/* No name leads out of the folder of pipes. */
static void
test_ways_out(KdE2eStage *stage, gconstpointer unused)
{
    static const char *const wrong[] = {"../lab", "a/../../b", "a/b", "./a", "/tmp/kd-e2e-pipe"};

    (void)stage;
    (void)unused;
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autofree char *transport = g_strconcat("npipe:pipe=", wrong[i], NULL);

        expect_usage(transport, "pipe");
    }
}

/* N6 */
static void
test_in_use(KdE2eStage *stage, gconstpointer unused)
{
    g_auto(KdE2ePlaces) places = {0};
    g_autoptr(KdE2eProgram) second = NULL;
    g_autofree char *path = NULL;

    (void)unused;
    if (!kd_e2e_places_set_up(&places, stage, FALSE)) {
        return;
    }
    g_free(kd_e2e_stage_serve(stage, &places.setup, "-t", "npipe:pipe=lab", NULL));
    second = start(&places, "npipe:pipe=lab");
    expect_said(second, 1, "in use");
    path = g_build_filename(places.pipes, "lab", NULL);
    close(kd_e2e_dial_unix(path)); /* the first one's */
}

static void
test_stale(KdE2eStage *stage, gconstpointer unused)
{
    g_auto(KdE2ePlaces) places = {0};
    g_autofree char *path = NULL;

    (void)unused;
    if (!kd_e2e_places_set_up(&places, stage, FALSE)) {
        return;
    }
    path = g_build_filename(places.pipes, "lab", NULL);
    for (int i = 0; i < 3; i++) {
        g_free(kd_e2e_stage_serve(stage, &places.setup, "-t", "npipe:pipe=lab", NULL));
        close(kd_e2e_dial_unix(path));
        kd_e2e_program_signal(stage->server, SIGKILL);
        g_assert_cmpint(kd_e2e_program_wait(stage->server), ==, 128 + SIGKILL);
        g_assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
        g_clear_pointer(&stage->server, kd_e2e_program_free);
    }
    g_free(kd_e2e_stage_serve(stage, &places.setup, "-t", "npipe:pipe=lab", NULL));
    close(kd_e2e_dial_unix(path));
    kd_e2e_stage_stop(stage);
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS)); /* who ends in good order tidies up */
}

/* Whatever the moment, and with what a dead one has left: one has the name, the other is told. */
static void
test_race(KdE2eStage *stage, gconstpointer unused)
{
    g_auto(KdE2ePlaces) places = {0};
    g_autofree char *path = NULL;

    (void)unused;
    if (!kd_e2e_places_set_up(&places, stage, FALSE)) {
        return;
    }
    path = g_build_filename(places.pipes, "lab", NULL);
    for (int i = 0; i < N_RACES; i++) {
        KdE2eProgram *both[2] = {start(&places, "npipe:pipe=lab"),
                                 start(&places, "npipe:pipe=lab")};
        gint64 deadline_us = g_get_monotonic_time() + KD_E2E_DEADLINE_S * G_USEC_PER_SEC;
        KdE2eProgram *loser = NULL;
        KdE2eProgram *winner = NULL;

        while (loser == NULL) {
            for (int k = 0; k < 2 && loser == NULL; k++) {
                loser = kd_e2e_program_is_running(both[k]) ? NULL : both[k];
            }
            g_assert_cmpint(g_get_monotonic_time(), <, deadline_us);
            g_thread_yield();
        }
        expect_said(loser, 1, "in use");
        winner = loser == both[0] ? both[1] : both[0];
        g_free(kd_e2e_program_await(winner, KD_E2E_STDERR, "kdsrv: ready: "));
        close(kd_e2e_dial_unix(path));
        kd_e2e_program_signal(winner, i % 2 == 0 ? SIGKILL : SIGTERM);
        (void)kd_e2e_program_wait(winner);
        kd_e2e_program_free(both[0]);
        kd_e2e_program_free(both[1]);
    }
}

/* ---- versions, passwords ---- */

/* N8 */
static void
test_old_versions(KdE2eStage *stage, gconstpointer unused)
{
    static const char *const old[] = {"ssl3", "ssl2", "pct1"};

    (void)stage;
    (void)unused;
    for (gsize i = 0; i < G_N_ELEMENTS(old); i++) {
        g_autofree char *ssl = g_strdup_printf("ssl:proto=%s,certuser=lab,port=1", old[i]);
        g_autofree char *spipe = g_strdup_printf("spipe:proto=%s,certuser=lab,pipe=lab", old[i]);

        expect_usage(ssl, "tls1");
        expect_usage(spipe, "tls1");
        expect_usage(ssl, old[i]);
    }
    expect_usage("ssl:proto=tls9,certuser=lab,port=1", "proto");
    expect_usage("ssl:proto=tls1,port=1", "certuser");
    expect_usage("ssl:proto=tls1,certuser=lab,machuser=lab,port=1", "machuser");
}

/* N10 */
static void
test_wrong_passwords(KdE2eStage *stage, gconstpointer unused)
{
    static const char *const wrong[] = {"thirteenchars", "p@ss", "pass word", "p\303\244ss", "a-b"};

    (void)unused;
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autofree char *server = g_strdup_printf("tcp:port=%u,password=%s", stage->low, wrong[i]);
        g_autofree char *link =
            g_strdup_printf("kdsrv:server=@{tcp:server=127.0.0.1,port=%u,password=%s},"
                            "trans=@{fake:name=1}",
                            stage->low, wrong[i]);
        g_autoptr(KdE2eProgram) kdsrv = start(NULL, server);
        g_autoptr(KdE2eProgram) kd = kd_e2e_stage_run("kd", NULL, "-k", link, "--stdio", NULL);

        expect_said(kdsrv, 2, "password");
        expect_said(kd, 2, "password");
        g_assert_null(strstr(kd_e2e_program_get_text(kdsrv, KD_E2E_STDERR), wrong[i]));
        g_assert_null(strstr(kd_e2e_program_get_text(kd, KD_E2E_STDERR), wrong[i]));
    }
}

/* ---- certificates ---- */

static void
expect_serves(KdE2eStage *stage, const char *cert)
{
    g_autofree char *start = g_strconcat("ssl:proto=tls1,certuser=", cert, NULL);
    g_autofree char *listen = kd_e2e_stage_build_listen(stage, start);

    g_free(kd_e2e_stage_serve(stage, NULL, "-t", listen, NULL));
    kd_e2e_stage_stop(stage);
}

static void
expect_refused(KdE2eStage *stage, const char *cert, const char *text)
{
    g_autofree char *transport =
        g_strdup_printf("ssl:proto=tls1,certuser=%s,port=%u", cert, stage->low);
    g_autoptr(KdE2eProgram) kdsrv = start(NULL, transport);

    expect_said(kdsrv, 1, text);
}

static char *
build_thumbprint(const char *sha256, const char *separator, gsize n_digits)
{
    GString *text = g_string_new(NULL);

    for (gsize i = 0; i < strlen(sha256); i += n_digits) {
        g_string_append(text, i == 0 ? "" : separator);
        g_string_append_len(text, sha256 + i, (gssize)n_digits);
    }
    return g_string_free(text, FALSE);
}

/* N9 */
static void
test_thumbprints(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *store = NULL;
    g_autofree char *sha256 = NULL;
    g_autofree char *upper = NULL;
    g_autofree char *colons = NULL;
    g_autofree char *spaces = NULL;

    (void)unused;
    if (kd_e2e_certs_are_missing()) {
        return;
    }
    store = kd_e2e_certs_make_store(stage);
    kd_e2e_certs_make(store, "lab", NULL, KD_E2E_CERT_SERVER);
    sha256 = kd_e2e_certs_get_sha256(store, "lab");
    upper = g_ascii_strup(sha256, -1);
    colons = build_thumbprint(upper, ":", 2);
    spaces = build_thumbprint(sha256, " ", 4);
    expect_serves(stage, sha256);
    expect_serves(stage, upper);
    expect_serves(stage, colons);
    expect_serves(stage, spaces);
    upper[0] = upper[0] == 'A' ? 'B' : 'A';
    expect_refused(stage, upper, "certuser");
}

static void
test_wrong_certs(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *store = NULL;

    (void)unused;
    if (kd_e2e_certs_are_missing()) {
        return;
    }
    store = kd_e2e_certs_make_store(stage);
    kd_e2e_certs_make(store, "client", NULL, KD_E2E_CERT_CLIENT);
    kd_e2e_certs_make(store, "old", NULL,
                      KD_E2E_CERT_SERVER "activation_date = \"2019-01-01 00:00:00\"\n"
                                         "expiration_date = \"2020-01-01 00:00:00\"\n");
    kd_e2e_certs_make(store, "young", NULL,
                      KD_E2E_CERT_SERVER "activation_date = \"2088-01-01 00:00:00\"\n"
                                         "expiration_date = \"2089-01-01 00:00:00\"\n");
    kd_e2e_certs_make(store, "open", NULL, KD_E2E_CERT_SERVER);
    expect_refused(stage, "client", "server");
    expect_refused(stage, "old", "expired");
    expect_refused(stage, "young", "not yet valid");
    expect_refused(stage, "nobody", "nobody");
    {
        g_autofree char *key = kd_e2e_certs_build_path(store, "open", "key");

        g_assert_cmpint(chmod(key, 0644), ==, 0);
        expect_refused(stage, "open", "open.key");
    }
}

/* Two of one name: which is meant must be said, and how. */
static void
test_ambiguous(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *store = NULL;
    g_autofree char *first = NULL;
    g_autofree char *second = NULL;
    g_autofree char *transport =
        g_strdup_printf("ssl:proto=tls1,certuser=localhost,port=%u", stage->low);
    g_autoptr(KdE2eProgram) kdsrv = NULL;
    g_autofree char *said = NULL;

    (void)unused;
    if (kd_e2e_certs_are_missing()) {
        return;
    }
    store = kd_e2e_certs_make_store(stage);
    kd_e2e_certs_make(store, "one", NULL, KD_E2E_CERT_SERVER);
    kd_e2e_certs_make(store, "two", NULL, KD_E2E_CERT_SERVER);
    first = kd_e2e_certs_get_sha256(store, "one");
    second = kd_e2e_certs_get_sha256(store, "two");
    kdsrv = start(NULL, transport);
    expect_said(kdsrv, 1, "localhost");
    said = g_ascii_strdown(kd_e2e_program_get_text(kdsrv, KD_E2E_STDERR), -1);
    g_assert_nonnull(strstr(said, first));
    g_assert_nonnull(strstr(said, second));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_e2e_add("/e2e/names/codes-of-a-pipe-become-process-and-thread", test_codes);
    kd_e2e_add("/e2e/names/other-codes-of-a-pipe-are-refused", test_wrong_codes);
    kd_e2e_add("/e2e/names/no-pipe-leads-out-of-its-folder", test_ways_out);
    kd_e2e_add("/e2e/names/pipe-in-use-is-refused", test_in_use);
    kd_e2e_add("/e2e/names/pipe-of-a-dead-server-is-replaced", test_stale);
    kd_e2e_add("/e2e/names/of-two-servers-at-once-one-has-the-pipe", test_race);
    kd_e2e_add("/e2e/names/old-versions-of-tls-are-refused", test_old_versions);
    kd_e2e_add("/e2e/names/passwords-that-nobody-could-type-are-refused", test_wrong_passwords);
    kd_e2e_add("/e2e/names/thumbprint-in-any-spelling-is-found", test_thumbprints);
    kd_e2e_add("/e2e/names/certificates-that-no-client-takes-are-refused", test_wrong_certs);
    kd_e2e_add("/e2e/names/two-certificates-of-one-name-are-told-apart", test_ambiguous);
    return g_test_run();
}
