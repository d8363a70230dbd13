/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What guards kdsrv's transports, as its command line says it: exit statuses and messages. */
#include "kd-e2e-certs.h"
#include "kd-e2e-places.h"
#include "kd-e2e-terminal.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *
build_ssl(const KdE2eStage *stage, const char *keys)
{
    g_autofree char *start = g_strdup_printf("ssl:%s", keys);

    return kd_e2e_stage_build_listen(stage, start);
}

/* The transport is refused, in one line that has all of the words in it. */
static void
check_refused(const char *transport, int status, const char *first, const char *second)
{
    g_autoptr(KdE2eProgram) server = kd_e2e_stage_run("kdsrv", NULL, "-t", transport, NULL);
    int found = kd_e2e_program_wait(server);
    const char *said = kd_e2e_program_get_text(server, KD_E2E_STDERR);

    g_test_message("%s: %s", transport, said);
    g_assert_cmpint(found, ==, status);
    g_assert_nonnull(strstr(said, first));
    g_assert_nonnull(strstr(said, second));
    g_assert_true(strchr(said, '\n') == said + strlen(said) - 1);
    g_assert_cmpstr(kd_e2e_program_get_text(server, KD_E2E_STDOUT), ==, "");
}

/* The transport is accepted; what is said until then is returned. */
static char *
check_served(KdE2eStage *stage, const char *transport)
{
    char *said;

    g_free(kd_e2e_stage_serve(stage, NULL, "-t", transport, NULL));
    said = g_strdup(kd_e2e_program_get_text(stage->server, KD_E2E_STDERR));
    kd_e2e_stage_stop(stage);
    return said;
}

static void
write_file(const char *path, const char *text, int mode)
{
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    g_assert_no_errno(g_chmod(path, mode));
}

/* ---- N8, N9, N10 ---- */

static void
test_old_protocols(KdE2eStage *stage, gconstpointer unused)
{
    static const char *const old[] = {"ssl2", "ssl3", "pct1", "SSL3"};

    (void)unused;
    for (gsize i = 0; i < G_N_ELEMENTS(old); i++) {
        g_autofree char *keys = g_strdup_printf("proto=%s,certuser=lab", old[i]);
        g_autofree char *transport = build_ssl(stage, keys);

        check_refused(transport, 2, "proto=", "tls1");
    }
    check_refused("spipe:proto=ssl3,certuser=lab,pipe=x", 2, "proto=ssl3", "tls1");
    check_refused("ssl:proto=tls9,certuser=lab,port=4000", 2, "proto=", "tls1");
}

static void
test_usage_of_tls(KdE2eStage *stage, gconstpointer unused)
{
    (void)stage;
    (void)unused;
    check_refused("ssl:port=4000", 2, "certuser=", "machuser=");
    check_refused("ssl:certuser=a,machuser=b,port=4000", 2, "certuser=", "exclude");
    check_refused("ssl:certuser=a,port=4000,clientcert=maybe", 2, "clientcert=", "require");
    check_refused("ssl:certuser=a,port=4000,ca=relative", 2, "ca=", "absolute");
    check_refused("tcp:certuser=a,port=4000", 2, "certuser", "unknown");
}

static char *
spread(const char *hex, char between, gboolean is_upper)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (gsize i = 0; hex[i] != '\0'; i++) {
        if (i > 0 && i % 2 == 0) {
            g_string_append_c(text, between);
        }
        g_string_append_c(text, is_upper ? g_ascii_toupper(hex[i]) : hex[i]);
    }
    return g_strdup(text->str);
}

static void
test_thumbprints(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *store = NULL;
    g_autofree char *sha256 = NULL;

    (void)unused;
    if (kd_e2e_certs_are_missing()) {
        return;
    }
    store = kd_e2e_certs_make_store(stage);
    kd_e2e_certs_make(store, "lab", NULL, KD_E2E_CERT_SERVER);
    sha256 = kd_e2e_certs_get_sha256(store, "lab");
    for (guint i = 0; i < 6; i++) {
        g_autofree char *text =
            i < 2 ? g_strdup(sha256) : spread(sha256, i < 4 ? ':' : ' ', i % 2 == 0);
        g_autofree char *keys = g_strdup_printf("proto=tls1,certuser=%s", text);
        g_autofree char *transport = build_ssl(stage, keys);
        g_autofree char *said = check_served(stage, transport);

        g_assert_nonnull(strstr(said, "kdsrv: ready: ssl:Certuser="));
    }
}

static void
test_unfit_certificates(KdE2eStage *stage, gconstpointer unused)
{
    static const struct {
        const char *name;
        const char *lines;
        const char *word;
    } unfit[] = {
        {"clients", KD_E2E_CERT_CLIENT, "server"},
        {"expired",
         KD_E2E_CERT_SERVER "activation_date = \"2019-01-01 00:00:00\"\n"
                            "expiration_date = \"2020-01-01 00:00:00\"\n",
         "expired"},
        {"early",
         KD_E2E_CERT_SERVER "activation_date = \"2190-01-01 00:00:00\"\n"
                            "expiration_date = \"2191-01-01 00:00:00\"\n",
         "not yet valid"},
    };
    g_autofree char *store = NULL;

    (void)unused;
    if (kd_e2e_certs_are_missing()) {
        return;
    }
    store = kd_e2e_certs_make_store(stage);
    for (gsize i = 0; i < G_N_ELEMENTS(unfit); i++) {
        g_autofree char *keys = g_strdup_printf("certuser=%s", unfit[i].name);
        g_autofree char *transport = build_ssl(stage, keys);

        kd_e2e_certs_make(store, unfit[i].name, NULL, unfit[i].lines);
        check_refused(transport, 1, unfit[i].name, unfit[i].word);
    }
    check_refused("ssl:certuser=nosuch,port=4000", 1, "nosuch", "--make-cert");
}

static void
test_open_key(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *transport = build_ssl(stage, "certuser=lab");
    g_autofree char *store = NULL;
    g_autofree char *key = NULL;

    (void)unused;
    if (kd_e2e_certs_are_missing()) {
        return;
    }
    store = kd_e2e_certs_make_store(stage);
    kd_e2e_certs_make(store, "lab", NULL, KD_E2E_CERT_SERVER);
    key = kd_e2e_certs_build_path(store, "lab", "key");
    g_assert_no_errno(g_chmod(key, 0644));
    check_refused(transport, 1, key, "chmod 600");
}

static void
test_passwords(KdE2eStage *stage, gconstpointer unused)
{
    (void)stage;
    (void)unused;
    check_refused("tcp:port=4000,password=thirteenchars", 2, "password=", "at most 12");
    check_refused("tcp:port=4000,password=p@ss", 2, "password=", "letters and digits");
    check_refused("npipe:pipe=x,password=thirteenchars", 2, "password=", "at most 12");
    check_refused("tcp:port=4000,password=abc,password-file=/a", 2, "password", "exclude");
}

/* ---- where a password comes from ---- */

static void
test_password_is_masked(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *transport = kd_e2e_stage_build_listen(stage, "tcp:password=Canary1");
    g_autofree char *line = kd_e2e_stage_serve(stage, NULL, "-v", "-t", transport, NULL);
    g_autofree char *path =
        g_strdup_printf("/proc/%d/cmdline", kd_e2e_program_get_pid(stage->server));
    g_autofree char *argv = NULL;
    gsize len = 0;

    (void)unused;
    g_assert_nonnull(strstr(line, ",Password=*"));
    g_assert_null(strstr(line, "no password"));
    g_assert_true(g_file_get_contents(path, &argv, &len, NULL));
    g_assert_null(memmem(argv, len, "Canary1", 7));
    g_assert_nonnull(memmem(argv, len, "password=*", 10));
    g_assert_null(strstr(kd_e2e_program_get_text(stage->server, KD_E2E_STDERR), "Canary1"));
}

static void
test_password_files(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "password");
    g_autofree char *keys = g_strdup_printf("tcp:password-file=%s", path);
    g_autofree char *transport = kd_e2e_stage_build_listen(stage, keys);
    g_autofree char *said = NULL;

    (void)unused;
    check_refused(transport, 1, path, "No such file");
    write_file(path, "any length, and any letter\n", 0644);
    check_refused(transport, 1, path, "chmod 600");
    g_assert_no_errno(g_chmod(path, 0640));
    check_refused(transport, 1, path, "chmod 600");
    g_assert_no_errno(g_chmod(path, 0600));
    said = check_served(stage, transport);
    g_assert_null(strstr(said, "no password"));
}

static void
test_credential(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "password");
    g_autofree char *variable = g_strconcat("CREDENTIALS_DIRECTORY=", stage->folder, NULL);
    const char *environment[] = {variable, NULL};
    const KdE2eSetup setup = {.environment = environment};

    (void)unused;
    /* Without that file there is none. */
    kd_e2e_stage_start_with(stage, &setup, NULL);
    g_assert_nonnull(strstr(kd_e2e_program_get_text(stage->server, KD_E2E_STDERR), "no password"));
    kd_e2e_stage_stop(stage);
    write_file(path, "from the service manager\n", 0400);
    kd_e2e_stage_start_with(stage, &setup, NULL);
    g_assert_null(strstr(kd_e2e_program_get_text(stage->server, KD_E2E_STDERR), "no password"));
    kd_e2e_stage_stop(stage);
    write_file(path, "", 0400);
    {
        g_autoptr(KdE2eProgram) server =
            kd_e2e_stage_run("kdsrv", &setup, "-t", "tcp:port=4000", NULL);

        g_assert_cmpint(kd_e2e_program_wait(server), ==, 1);
        g_assert_nonnull(strstr(kd_e2e_program_get_text(server, KD_E2E_STDERR), path));
    }
}

/* A reload in the moment in which the file is not there must not open the doors. */
static void
test_credential_gone(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "password");
    g_autofree char *variable = g_strconcat("CREDENTIALS_DIRECTORY=", stage->folder, NULL);
    const char *environment[] = {variable, NULL};
    const KdE2eSetup setup = {.environment = environment};
    g_autofree char *server = NULL;
    g_autoptr(KdE2eProgram) kd = NULL;

    (void)unused;
    write_file(path, "from the service manager\n", 0400);
    kd_e2e_stage_start_with(stage, &setup, "-v", NULL);
    g_assert_no_errno(g_unlink(path));
    kd_e2e_program_signal(stage->server, SIGHUP);
    g_free(kd_e2e_program_await(stage->server, KD_E2E_STDERR, "kdsrv: reload: "));
    server = g_strdup_printf("tcp:server=127.0.0.1,port=%u", stage->port);
    kd = kd_e2e_stage_run("kd", NULL, "--server", server, "--list", "links", NULL);
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 1);
    g_assert_nonnull(strstr(kd_e2e_program_get_text(kd, KD_E2E_STDERR), "password"));
    g_assert_nonnull(strstr(kd_e2e_program_get_text(stage->server, KD_E2E_STDERR),
                            "CREDENTIALS_DIRECTORY has gone: all stays as it was"));
}

static void
test_mistyped_options(KdE2eStage *stage, gconstpointer unused)
{
    static const char *const words[][4] = {
        {"tcp:port=4000,password=Canary1"},
        {"--transprt=tcp:port=4000,password=Canary1"},
        {"--verbose=tcp:port=4000,password=Canary1"},
        {"-t", "tcp:port=4000;password=Canary1"},
        {"-t", "tcp:port=4000,PassWord:Canary1"},
        {"-t", "tcp:port=4000,password Canary1"},
        {"--make-verifier", "Canary1"},
        {"-t", "tcp:port=4000", "--ask-password", "Canary1"},
    };

    (void)stage;
    (void)unused;
    for (gsize i = 0; i < G_N_ELEMENTS(words); i++) {
        g_autoptr(KdE2eProgram) server = kd_e2e_stage_run("kdsrv", NULL, words[i][0], words[i][1],
                                                          words[i][2], words[i][3], NULL);

        g_assert_cmpint(kd_e2e_program_wait(server), ==, 2);
        g_assert_null(strstr(kd_e2e_program_get_text(server, KD_E2E_STDERR), "Canary1"));
    }
}

static void
test_some_open(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *guarded = kd_e2e_stage_build_listen(stage, "tcp:password=Canary1");
    g_autofree char *open_one = kd_e2e_stage_build_listen(stage, "tcp:hidden");
    g_autofree char *line = kd_e2e_stage_serve(stage, NULL, "-t", guarded, "-t", open_one, NULL);
    const char *bracket = strstr(line, " (no password at tcp:Port=");

    (void)unused;
    g_assert_nonnull(bracket);
    g_assert_nonnull(strstr(bracket, ",Hidden"));
    g_assert_null(strstr(bracket, "Password"));
}

static void
test_plain_beyond_loopback(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *local = kd_e2e_stage_build_listen(stage, "tcp:password=Canary1");
    g_autofree char *transport = g_strdup_printf("tcp:port=%u:%u,password=Canary1", stage->low,
                                                 stage->low + KD_E2E_N_PORTS - 1);
    g_autofree char *said = check_served(stage, transport);
    g_autofree char *said_of_local = check_served(stage, local);

    (void)unused;
    g_assert_nonnull(strstr(said, "use ssl"));
    g_assert_null(strstr(said_of_local, "use ssl"));
}

static void
test_ask(KdE2eStage *stage, gconstpointer unused)
{
    g_auto(KdE2eTerminal) terminal = {0};
    g_autofree char *transport = kd_e2e_stage_build_listen(stage, "tcp:");
    g_autoptr(KdE2eProgram) server = NULL;
    g_autofree char *line = NULL;

    (void)unused;
    kd_e2e_terminal_set_up(&terminal, NULL);
    server = kd_e2e_stage_run("kdsrv", &terminal.setup, "-t", transport, "--ask-password", NULL);
    kd_e2e_terminal_await(&terminal, "Password for clients: ");
    g_assert_false(kd_e2e_terminal_has_echo(&terminal));
    kd_e2e_terminal_type(&terminal, "Canary1\r");
    line = kd_e2e_program_await(server, KD_E2E_STDERR, "kdsrv: ready: ");
    g_assert_null(strstr(line, "no password"));
    g_assert_true(kd_e2e_terminal_has_echo(&terminal));
    kd_e2e_program_signal(server, SIGTERM);
    g_assert_cmpint(kd_e2e_program_wait(server), ==, 0);
    g_assert_null(strstr(terminal.screen->str, "Canary1"));
}

/* Any signal withdraws the question; a server that waits for nothing would be of no use. */
static void
test_ask_and_reload(KdE2eStage *stage, gconstpointer unused)
{
    g_auto(KdE2eTerminal) terminal = {0};
    g_autofree char *transport = kd_e2e_stage_build_listen(stage, "tcp:");
    g_autoptr(KdE2eProgram) server = NULL;

    (void)unused;
    kd_e2e_terminal_set_up(&terminal, NULL);
    server = kd_e2e_stage_run("kdsrv", &terminal.setup, "-t", transport, "--ask-password", NULL);
    kd_e2e_terminal_await(&terminal, "Password for clients: ");
    kd_e2e_program_signal(server, SIGHUP);
    g_assert_cmpint(kd_e2e_program_wait(server), ==, 0);
    g_assert_true(kd_e2e_terminal_has_echo(&terminal));
}

static void
test_ask_nobody(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *transport = kd_e2e_stage_build_listen(stage, "tcp:");
    g_autoptr(KdE2eProgram) server =
        kd_e2e_stage_run("kdsrv", NULL, "-t", transport, "--ask-password", NULL);

    (void)unused;
    g_assert_cmpint(kd_e2e_program_wait(server), ==, 1);
    g_assert_nonnull(strstr(kd_e2e_program_get_text(server, KD_E2E_STDERR), "--ask-password: "));
    g_assert_null(strstr(kd_e2e_program_get_text(server, KD_E2E_STDERR), "kdsrv: ready"));
}

static void
test_ask_twice_for_a_verifier(KdE2eStage *stage, gconstpointer unused)
{
    g_auto(KdE2eTerminal) terminal = {0};
    KdE2eSetup setup;
    g_autoptr(KdE2eProgram) maker = NULL;

    (void)stage;
    (void)unused;
    kd_e2e_terminal_set_up(&terminal, NULL);
    setup = terminal.setup;
    setup.stdin_path = terminal.name;
    maker = kd_e2e_stage_run("kdsrv", &setup, "--make-verifier", NULL);
    kd_e2e_terminal_await(&terminal, "Password: ");
    kd_e2e_terminal_type(&terminal, "Canary1\r");
    kd_e2e_terminal_await(&terminal, "once more: ");
    kd_e2e_terminal_type(&terminal, "Canary2\r");
    g_assert_cmpint(kd_e2e_program_wait(maker), ==, 1);
    g_assert_nonnull(strstr(kd_e2e_program_get_text(maker, KD_E2E_STDERR), "two passwords"));
    g_assert_cmpstr(kd_e2e_program_get_text(maker, KD_E2E_STDOUT), ==, "");
}

/* A server whose window is closed would be one that everybody forgets. */
static void
test_hang_up(KdE2eStage *stage, gconstpointer unused)
{
    g_auto(KdE2eTerminal) terminal = {0};
    g_autofree char *transport = kd_e2e_stage_build_listen(stage, "tcp:");
    g_autoptr(KdE2eProgram) server = NULL;

    (void)unused;
    kd_e2e_terminal_set_up(&terminal, NULL);
    server = kd_e2e_stage_run("kdsrv", &terminal.setup, "-v", "-t", transport, NULL);
    g_free(kd_e2e_program_await(server, KD_E2E_STDERR, "kdsrv: ready: "));
    kd_e2e_program_signal(server, SIGHUP);
    g_free(kd_e2e_program_await(server, KD_E2E_STDERR, "reload: certificates, keys"));
    kd_e2e_terminal_clear(&terminal);
    g_assert_cmpint(kd_e2e_program_wait(server), ==, 0);
}

/* ---- what kdsrv makes ---- */

static void
test_make_cert(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eProgram) first = kd_e2e_stage_run("kdsrv", NULL, "--make-cert", "lab", NULL);
    g_autoptr(KdE2eProgram) second = NULL;
    g_autofree char *sha256 = NULL;
    g_autofree char *keys = NULL;
    g_autofree char *transport = NULL;

    (void)unused;
    g_assert_cmpint(kd_e2e_program_wait(first), ==, 0);
    sha256 = g_strchomp(g_strdup(kd_e2e_program_get_text(first, KD_E2E_STDOUT)));
    g_assert_cmpuint(strlen(sha256), ==, 64);
    keys = g_strdup_printf("proto=tls1.3,certuser=%s", sha256);
    transport = build_ssl(stage, keys);
    g_free(check_served(stage, transport));
    /* What others may have pinned is not replaced. */
    second = kd_e2e_stage_run("kdsrv", NULL, "--make-cert", "lab", NULL);
    g_assert_cmpint(kd_e2e_program_wait(second), ==, 1);
    g_assert_nonnull(strstr(kd_e2e_program_get_text(second, KD_E2E_STDERR), "lab"));
}

static void
test_make_cert_for_machine(KdE2eStage *stage, gconstpointer unused)
{
    g_auto(KdE2ePlaces) places = {0};
    g_autofree char *transport = build_ssl(stage, "machuser=lab");
    g_autofree char *key = NULL;
    struct stat status;

    (void)unused;
    if (!kd_e2e_places_set_up(&places, stage, TRUE)) {
        return;
    }
    {
        g_autoptr(KdE2eProgram) maker =
            kd_e2e_stage_run("kdsrv", &places.setup, "--make-cert", "lab", "--machine", NULL);

        g_assert_cmpint(kd_e2e_program_wait(maker), ==, 0);
    }
    key = g_build_filename(places.etc, "kdsrv", "private", "lab.key", NULL);
    g_assert_no_errno(stat(key, &status));
    g_assert_cmpuint(status.st_mode & 077, ==, 0);
    g_free(kd_e2e_stage_serve(stage, &places.setup, "-t", transport, NULL));
}

static void
test_make_verifier(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "verifier");
    g_autofree char *keys = g_strdup_printf("tcp:password-file=%s", path);
    g_autofree char *transport = kd_e2e_stage_build_listen(stage, keys);
    g_autofree char *said = NULL;
    g_autoptr(KdE2eProgram) maker = kd_e2e_stage_run("kdsrv", NULL, "--make-verifier", NULL);
    const char *verifier;

    (void)unused;
    kd_e2e_program_say(maker, "Canary1\n");
    g_assert_cmpint(kd_e2e_program_wait(maker), ==, 0);
    verifier = kd_e2e_program_get_text(maker, KD_E2E_STDOUT);
    g_assert_true(g_regex_match_simple(
        "^{SCRAM-SHA-256}65536,[A-Za-z0-9+/=]+,[A-Za-z0-9+/=]+,[A-Za-z0-9+/=]+\n$", verifier, 0,
        0));
    g_assert_null(strstr(verifier, "Canary1"));
    write_file(path, verifier, 0600);
    said = check_served(stage, transport);
    g_assert_null(strstr(said, "no password"));
}

static void
test_no_verifier(KdE2eStage *stage, gconstpointer unused)
{
    static const char *const wrong[] = {"\n", ""};

    (void)stage;
    (void)unused;
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(KdE2eProgram) maker = kd_e2e_stage_run("kdsrv", NULL, "--make-verifier", NULL);

        kd_e2e_program_say(maker, wrong[i]);
        kd_e2e_program_close_stdin(maker);
        g_assert_cmpint(kd_e2e_program_wait(maker), ==, 1);
        g_assert_nonnull(strstr(kd_e2e_program_get_text(maker, KD_E2E_STDERR), "empty"));
        g_assert_cmpstr(kd_e2e_program_get_text(maker, KD_E2E_STDOUT), ==, "");
    }
}

/* What stands behind a zero would not count, and nobody would know. */
static void
test_no_verifier_of_zeros(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "line");
    const KdE2eSetup setup = {.stdin_path = path};
    g_autoptr(KdE2eProgram) maker = NULL;

    (void)unused;
    g_assert_true(g_file_set_contents(path, "four\0six\n", 9, NULL));
    maker = kd_e2e_stage_run("kdsrv", &setup, "--make-verifier", NULL);
    g_assert_cmpint(kd_e2e_program_wait(maker), ==, 1);
    g_assert_nonnull(strstr(kd_e2e_program_get_text(maker, KD_E2E_STDERR), "zeros"));
    g_assert_cmpstr(kd_e2e_program_get_text(maker, KD_E2E_STDOUT), ==, "");
}

static void
test_options(KdE2eStage *stage, gconstpointer unused)
{
    static const char *const wrong[][3] = {
        {"--make-verifier", "--list-plugins", NULL},
        {"--machine", NULL, NULL},
        {"--ask-password", NULL, NULL},
        {"--make-cert=../lab", NULL, NULL},
        {"--make-cert=lab", "--make-verifier", NULL},
    };

    (void)stage;
    (void)unused;
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(KdE2eProgram) server =
            kd_e2e_stage_run("kdsrv", NULL, wrong[i][0], wrong[i][1], NULL);

        g_assert_cmpint(kd_e2e_program_wait(server), ==, 2);
        g_assert_nonnull(strstr(kd_e2e_program_get_text(server, KD_E2E_STDERR), "--m") != NULL
                             ? ""
                             : strstr(kd_e2e_program_get_text(server, KD_E2E_STDERR), "--ask"));
    }
}

static void
test_icf(KdE2eStage *stage, gconstpointer unused)
{
    g_auto(KdE2ePlaces) places = {0};
    g_autofree char *line = NULL;
    const char *said;

    (void)unused;
    if (!kd_e2e_places_set_up(&places, stage, FALSE)) {
        return;
    }
    line = kd_e2e_stage_serve(stage, &places.setup, "-t", "npipe:pipe=lab,hidden,IcfEnable", NULL);
    g_assert_nonnull(strstr(line, "npipe:Pipe=lab,Hidden,IcfEnable"));
    said = kd_e2e_program_get_text(stage->server, KD_E2E_STDERR);
    g_assert_nonnull(strstr(said, "npipe: IcfEnable: nothing is needed"));
    g_assert_nonnull(strchr(said, '\n'));
    /* one line for that, one for being ready */
    g_assert_true(strchr(strchr(said, '\n') + 1, '\n') == said + strlen(said) - 1);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_e2e_add("/e2e/doors/tls/old-protocols-are-refused-with-a-reason", test_old_protocols);
    kd_e2e_add("/e2e/doors/tls/wrong-usage-is-told", test_usage_of_tls);
    kd_e2e_add("/e2e/doors/tls/thumbprints-match-however-written", test_thumbprints);
    kd_e2e_add("/e2e/doors/tls/unfit-certificates-are-told", test_unfit_certificates);
    kd_e2e_add("/e2e/doors/tls/key-that-others-can-read-is-refused", test_open_key);
    kd_e2e_add("/e2e/doors/password/must-be-12-letters-and-digits", test_passwords);
    kd_e2e_add("/e2e/doors/password/is-masked-everywhere", test_password_is_masked);
    kd_e2e_add("/e2e/doors/password/comes-from-a-file", test_password_files);
    kd_e2e_add("/e2e/doors/password/comes-from-the-service-manager", test_credential);
    kd_e2e_add("/e2e/doors/password/that-has-gone-opens-no-door", test_credential_gone);
    kd_e2e_add("/e2e/doors/password/in-a-mistyped-option-is-not-shown", test_mistyped_options);
    kd_e2e_add("/e2e/doors/password/is-missed-where-it-is-missing", test_some_open);
    kd_e2e_add("/e2e/doors/password/alone-beyond-the-loopback-is-warned-of",
               test_plain_beyond_loopback);
    kd_e2e_add("/e2e/doors/password/is-asked-for", test_ask);
    kd_e2e_add("/e2e/doors/password/that-is-not-given-ends-the-server", test_ask_and_reload);
    kd_e2e_add("/e2e/doors/password/is-not-asked-of-nobody", test_ask_nobody);
    kd_e2e_add("/e2e/doors/password/of-a-verifier-is-asked-for-twice",
               test_ask_twice_for_a_verifier);
    kd_e2e_add("/e2e/doors/terminal/that-has-gone-takes-the-server-along", test_hang_up);
    kd_e2e_add("/e2e/doors/make/certificate-that-serves", test_make_cert);
    kd_e2e_add("/e2e/doors/make/certificate-of-the-machine", test_make_cert_for_machine);
    kd_e2e_add("/e2e/doors/make/verifier-that-serves", test_make_verifier);
    kd_e2e_add("/e2e/doors/make/no-verifier-of-nothing", test_no_verifier);
    kd_e2e_add("/e2e/doors/make/no-verifier-of-zeros", test_no_verifier_of_zeros);
    kd_e2e_add("/e2e/doors/options/that-do-not-go-together", test_options);
    kd_e2e_add("/e2e/doors/pipe/needs-no-firewall-opened", test_icf);
    return g_test_run();
}
