/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What becomes of those who come while the server lives: after SIGHUP, after wrong passwords, and
 * where it is the server that dials. */
#include "kd-e2e-certs.h"
#include "kd-e2e-protocol.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>

static char *
build_ssl(const KdE2eStage *stage, const char *keys)
{
    g_autofree char *start = g_strdup_printf("ssl:%s", keys);

    return kd_e2e_stage_build_listen(stage, start);
}

static void
write_file(const char *path, const char *text, int mode)
{
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    g_assert_no_errno(g_chmod(path, mode));
}

/* ---- SIGHUP ---- */

static void
test_reload_fails(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "password");
    g_autofree char *keys = g_strdup_printf("tcp:password-file=%s", path);
    g_autofree char *guarded = kd_e2e_stage_build_listen(stage, keys);
    g_autofree char *open_one = kd_e2e_stage_build_listen(stage, "tcp:");
    g_autoptr(KdE2eClient) client = NULL;

    (void)unused;
    write_file(path, "Canary1\n", 0600);
    /* The first port is that of the open one. */
    g_free(kd_e2e_stage_serve(stage, NULL, "-t", open_one, "-t", guarded, NULL));
    client = kd_e2e_client_new_open(stage->port, "fake:name=1,echo");
    g_assert_no_errno(g_remove(path));
    kd_e2e_program_signal(stage->server, SIGHUP);
    g_free(kd_e2e_program_await(stage->server, KD_E2E_STDERR, "kdsrv: reload: "));
    g_assert_nonnull(strstr(kd_e2e_program_get_text(stage->server, KD_E2E_STDERR), path));
    kd_e2e_client_send_data(client, "hello", 5);
    kd_e2e_client_await_data(client, "hello");
}

static void
test_reloads(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eClient) client = NULL;

    (void)unused;
    kd_e2e_stage_start(stage, "-v", NULL);
    client = kd_e2e_client_new_open(stage->port, "fake:name=1,echo");
    for (guint i = 0; i < 100; i++) {
        kd_e2e_program_signal(stage->server, SIGHUP);
        kd_e2e_client_send_data(client, "hello", 5);
    }
    for (guint i = 0; i < 100; i++) {
        kd_e2e_client_await_data(client, "hello");
    }
    g_free(kd_e2e_program_await(stage->server, KD_E2E_STDERR, "reload: certificates, keys"));
}

/* kd at stdin and stdout, for a link of the stage's server */
static KdE2eProgram *
start_kd(const KdE2eStage *stage, const char *scheme, const char *keys, guint name)
{
    g_autofree char *link =
        g_strdup_printf("kdsrv:server=@{%s:server=localhost,port=%u%s},trans=@{fake:name=%u,echo}",
                        scheme, stage->port, keys, name);

    return kd_e2e_stage_run("kd", NULL, "-k", link, "--stdio", NULL);
}

static void
check_echo(KdE2eProgram *kd, const char *word)
{
    g_autofree char *line = g_strconcat(word, "\n", NULL);

    kd_e2e_program_say(kd, line);
    g_free(kd_e2e_program_await(kd, KD_E2E_STDOUT, word));
}

/* It does not come in, and says so with `word`. */
static void
check_kept_out(KdE2eProgram *kd, const char *word)
{
    const char *said;

    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 1);
    said = kd_e2e_program_get_text(kd, KD_E2E_STDERR);
    g_test_message("%s", said);
    g_assert_nonnull(strstr(said, word));
}

static void
test_reload_of_a_password(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "password");
    g_autofree char *keys = g_strdup_printf("tcp:password-file=%s", path);
    g_autofree char *transport = kd_e2e_stage_build_listen(stage, keys);
    g_autoptr(KdE2eProgram) before = NULL;
    g_autoptr(KdE2eProgram) late = NULL;
    g_autoptr(KdE2eProgram) after = NULL;

    (void)unused;
    write_file(path, "Canary1\n", 0600);
    g_free(kd_e2e_stage_serve(stage, NULL, "-v", "-t", transport, NULL));
    before = start_kd(stage, "tcp", ",password=Canary1", 1);
    check_echo(before, "one");
    write_file(path, "Canary2\n", 0600);
    kd_e2e_program_signal(stage->server, SIGHUP);
    g_free(kd_e2e_program_await(stage->server, KD_E2E_STDERR, "reload: certificates, keys"));
    late = start_kd(stage, "tcp", ",password=Canary1", 2);
    check_kept_out(late, "Error 0x80004005");
    after = start_kd(stage, "tcp", ",password=Canary2", 3);
    check_echo(after, "two");
    check_echo(before, "three");
}

static void
test_reload_of_a_certificate(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *transport = build_ssl(stage, "certuser=lab");
    g_autofree char *store = NULL;
    g_autofree char *old_pin = NULL;
    g_autofree char *new_pin = NULL;
    g_autoptr(KdE2eProgram) before = NULL;
    g_autoptr(KdE2eProgram) late = NULL;
    g_autoptr(KdE2eProgram) after = NULL;

    (void)unused;
    if (kd_e2e_certs_are_missing()) {
        return;
    }
    store = kd_e2e_certs_make_store(stage);
    kd_e2e_certs_make(store, "lab", NULL, KD_E2E_CERT_SERVER);
    {
        g_autofree char *sha256 = kd_e2e_certs_get_sha256(store, "lab");

        old_pin = g_strconcat(",certuser=", sha256, NULL);
    }
    g_free(kd_e2e_stage_serve(stage, NULL, "-v", "-t", transport, NULL));
    before = start_kd(stage, "ssl", old_pin, 1);
    check_echo(before, "one");
    kd_e2e_certs_make(store, "lab", NULL, KD_E2E_CERT_SERVER);
    {
        g_autofree char *sha256 = kd_e2e_certs_get_sha256(store, "lab");

        new_pin = g_strconcat(",certuser=", sha256, NULL);
    }
    g_assert_cmpstr(old_pin, !=, new_pin);
    kd_e2e_program_signal(stage->server, SIGHUP);
    g_free(kd_e2e_program_await(stage->server, KD_E2E_STDERR, "reload: certificates, keys"));
    late = start_kd(stage, "ssl", old_pin, 2);
    check_kept_out(late, "certuser=");
    after = start_kd(stage, "ssl", new_pin, 3);
    check_echo(after, "two");
    check_echo(before, "three");
}

/* ---- wrong passwords ---- */

/* Until its source has to wait; the session that is there already does not suffer from it. */
static void
check_penalty(KdE2eStage *stage, const char *scheme, const char *keys, const char *word)
{
    g_autofree char *right = g_strconcat(keys, ",password=Canary1", NULL);
    g_autofree char *wrong = g_strconcat(keys, ",password=Canary2", NULL);
    g_autoptr(KdE2eProgram) session = start_kd(stage, scheme, right, 1);
    g_autoptr(KdE2eProgram) refused = NULL;
    const char *said;

    check_echo(session, "one");
    for (guint i = 0; i < 4; i++) {
        g_autoptr(KdE2eProgram) kd = start_kd(stage, scheme, wrong, 2);

        check_kept_out(kd, "Error 0x80004005");
    }
    refused = start_kd(stage, scheme, right, 3);
    check_kept_out(refused, word);
    check_echo(session, "two");
    said = kd_e2e_program_get_text(stage->server, KD_E2E_STDERR);
    g_test_message("%s", said);
    /* One line, of the first attempt: the next one would come 10 s later. */
    g_assert_nonnull(strstr(said, ": not authenticated, 1 time"));
    g_assert_null(strstr(strstr(said, ": not authenticated") + 1, ": not authenticated"));
}

static void
test_penalty(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *transport = kd_e2e_stage_build_listen(stage, "tcp:password=Canary1");

    (void)unused;
    g_free(kd_e2e_stage_serve(stage, NULL, "-t", transport, NULL));
    check_penalty(stage, "tcp", "",
                  "Error 0x80004005: too many wrong passwords from there, try again in");
}

static void
test_penalty_inside_tls(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *transport = build_ssl(stage, "certuser=lab,password=Canary1");
    g_autofree char *store = NULL;
    g_autofree char *keys = NULL;

    (void)unused;
    if (kd_e2e_certs_are_missing()) {
        return;
    }
    store = kd_e2e_certs_make_store(stage);
    kd_e2e_certs_make(store, "lab", NULL, KD_E2E_CERT_SERVER);
    {
        g_autofree char *sha256 = kd_e2e_certs_get_sha256(store, "lab");

        keys = g_strconcat(",certuser=", sha256, NULL);
    }
    g_free(kd_e2e_stage_serve(stage, NULL, "-t", transport, NULL));
    check_penalty(stage, "ssl", keys, "the server refused the connection");
}

/* ---- clicon ---- */

static char *
build_dialling(const KdE2eStage *stage)
{
    return g_strdup_printf("tcp:port=%u,clicon=127.0.0.1", stage->low);
}

/* Waits for the server that dials, and hands the link to its stdin and stdout */
static KdE2eProgram *
start_waiting_kd(const KdE2eStage *stage)
{
    g_autofree char *link = g_strdup_printf(
        "kdsrv:server=@{tcp:clicon=127.0.0.1,port=%u},trans=@{fake:name=1,echo}", stage->low);

    return kd_e2e_stage_run("kd", NULL, "-k", link, "--stdio", NULL);
}

static void
test_dials_first(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *transport = build_dialling(stage);
    g_autoptr(KdE2eProgram) server = kd_e2e_stage_run("kdsrv", NULL, "-t", transport, NULL);
    g_autoptr(KdE2eProgram) kd = NULL;
    g_autofree char *line = kd_e2e_program_await(server, KD_E2E_STDERR, "kdsrv: ready: ");

    (void)unused;
    g_assert_nonnull(strstr(line, "ready: dials tcp:Clicon=127.0.0.1,Port="));
    g_free(kd_e2e_program_await(server, KD_E2E_STDERR, "waiting for the client"));
    kd = start_waiting_kd(stage);
    check_echo(kd, "hello");
    kd_e2e_program_signal(kd, SIGTERM);
    (void)kd_e2e_program_wait(kd);
    g_assert_cmpint(kd_e2e_program_wait(server), ==, 0);
}

static void
test_dials_a_client_that_is_cut(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *transport = build_dialling(stage);
    g_autoptr(KdE2eProgram) kd = start_waiting_kd(stage);
    g_autoptr(KdE2eProgram) server = kd_e2e_stage_run("kdsrv", NULL, "-t", transport, NULL);

    (void)unused;
    check_echo(kd, "hello");
    kd_e2e_program_signal(kd, SIGKILL);
    g_assert_cmpint(kd_e2e_program_wait(server), ==, 1);
    g_assert_nonnull(strstr(kd_e2e_program_get_text(server, KD_E2E_STDERR), "kdsrv: tcp:Clicon="));
}

static void
test_dials_until_stopped(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *transport = build_dialling(stage);
    g_autoptr(KdE2eProgram) server = kd_e2e_stage_run("kdsrv", NULL, "-t", transport, NULL);

    (void)unused;
    g_free(kd_e2e_program_await(server, KD_E2E_STDERR, "waiting for the client"));
    kd_e2e_program_signal(server, SIGTERM);
    g_assert_cmpint(kd_e2e_program_wait(server), ==, 0);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_e2e_add("/e2e/doors-live/reload/that-fails-changes-nothing", test_reload_fails);
    kd_e2e_add("/e2e/doors-live/reload/spares-sessions", test_reloads);
    kd_e2e_add("/e2e/doors-live/reload/changes-a-password", test_reload_of_a_password);
    kd_e2e_add("/e2e/doors-live/reload/changes-a-certificate", test_reload_of_a_certificate);
    kd_e2e_add("/e2e/doors-live/limit/wrong-passwords-make-their-source-wait", test_penalty);
    kd_e2e_add("/e2e/doors-live/limit/wrong-passwords-count-inside-tls", test_penalty_inside_tls);
    kd_e2e_add("/e2e/doors-live/clicon/server-may-start-first", test_dials_first);
    kd_e2e_add("/e2e/doors-live/clicon/ends-badly-when-the-client-is-cut",
               test_dials_a_client_that_is_cut);
    kd_e2e_add("/e2e/doors-live/clicon/ends-well-when-stopped", test_dials_until_stopped);
    return g_test_run();
}
