/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whom kd trusts, and what it asks the user who sits at a terminal. */
#include "kd-e2e-certs.h"
#include "kd-e2e-socket.h"
#include "kd-e2e-stage.h"
#include "kd-e2e-terminal.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define QUESTION "[yes/no]: "
#define PASSWORD "SwordFish1"

/**
 * Lab:
 * @stage: has a server with the certificate `host`
 * @environment: of both sides
 * @store: where that certificate is
 * @place: of the server
 * @server: the client's string
 *
 * Two users: the server's, and one who knows nothing yet.
 */
typedef struct {
    KdE2eStage *stage;
    const char *environment[2];
    char *home;
    const char *own_environment[2];
    char *own_home;
    char *store;
    char *place;
    char *server;
} Lab;

static void
serve(Lab *lab, const char *more)
{
    g_autofree char *start = g_strconcat("ssl:certuser=host", more, NULL);
    g_autofree char *listen = lab->stage->port == 0 ? kd_e2e_stage_build_listen(lab->stage, start)
                                                    : g_strdup_printf("%s,port=%u,bind=127.0.0.1",
                                                                      start, lab->stage->port);
    KdE2eSetup setup = {.environment = lab->environment};

    g_free(kd_e2e_stage_serve(lab->stage, &setup, "-t", listen, "--allow-path", lab->stage->folder,
                              NULL));
}

static void
lab_set_up(Lab *lab, KdE2eStage *stage, const char *more)
{
    g_autofree char *own = kd_e2e_stage_build_path(stage, "own");
    g_autofree char *config = kd_e2e_stage_build_path(stage, "config");

    *lab = (Lab){.stage = stage, .store = kd_e2e_certs_make_store(stage)};
    lab->home = g_strconcat("XDG_CONFIG_HOME=", config, NULL);
    lab->own_home = g_strconcat("XDG_CONFIG_HOME=", own, NULL);
    lab->environment[0] = lab->home;
    lab->own_environment[0] = lab->own_home;
    kd_e2e_certs_make(lab->store, "host", NULL, KD_E2E_CERT_SERVER);
    serve(lab, more);
    lab->place = g_strdup_printf("ssl:localhost:%u", stage->port);
    lab->server = g_strdup_printf("ssl:server=localhost,port=%u", stage->port);
}

static void
lab_clear(Lab *lab)
{
    g_free(lab->home);
    g_free(lab->own_home);
    g_free(lab->store);
    g_free(lab->place);
    g_free(lab->server);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Lab, lab_clear)

/* Lists links, which needs no target: there are none, and that is no failure. */
static KdE2eProgram *
list(const Lab *lab, KdE2eTerminal *terminal, const char *server)
{
    KdE2eSetup setup = {.environment = lab->own_environment};

    return kd_e2e_stage_run("kd", terminal != NULL ? &terminal->setup : &setup, "--list", "links",
                            "--server", server, NULL);
}

static void
sit_down(KdE2eTerminal *terminal, const Lab *lab)
{
    const KdE2eSetup setup = {.environment = lab->own_environment};

    kd_e2e_terminal_set_up(terminal, &setup);
}

static void
expect_end(KdE2eProgram *kd, int status, const char *said)
{
    int real = kd_e2e_program_wait(kd);
    const char *text = kd_e2e_program_get_text(kd, KD_E2E_STDERR);

    g_test_message("exit %d: %s", real, text);
    g_assert_cmpint(real, ==, status);
    if (said != NULL) {
        g_assert_nonnull(strstr(text, said));
    }
}

static char *
get_known(const Lab *lab)
{
    g_autofree char *path =
        g_build_filename(lab->stage->folder, "own", "kdsrv", "known_servers", NULL);
    char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) ? text : g_strdup("");
}

static void
confirm(const Lab *lab)
{
    g_autofree char *sha256 = kd_e2e_certs_get_sha256(lab->store, "host");
    g_autofree char *upper = g_ascii_strup(sha256, -1);
    g_autofree char *group = g_strdup_printf(" %.4s %.4s %.4s", upper, upper + 4, upper + 8);
    g_auto(KdE2eTerminal) terminal = {0};
    g_autoptr(KdE2eProgram) kd = NULL;
    g_autofree char *known = NULL;

    sit_down(&terminal, lab);
    kd = list(lab, &terminal, lab->server);
    kd_e2e_terminal_await(&terminal, lab->place);
    kd_e2e_terminal_await(&terminal, group);
    kd_e2e_terminal_await(&terminal, QUESTION);
    kd_e2e_terminal_type(&terminal, "yes\r");
    expect_end(kd, 0, NULL);
    known = get_known(lab);
    g_assert_nonnull(strstr(known, lab->place));
    g_assert_nonnull(strstr(known, sha256));
}

/* ---- known servers ---- */

static void
test_asked_once(KdE2eStage *stage, gconstpointer unused)
{
    g_auto(Lab) lab = {0};
    g_auto(KdE2eTerminal) terminal = {0};
    g_autoptr(KdE2eProgram) again = NULL;
    g_autoptr(KdE2eProgram) alone = NULL;

    (void)unused;
    if (kd_e2e_certs_are_missing()) {
        return;
    }
    lab_set_up(&lab, stage, "");
    confirm(&lab);
    sit_down(&terminal, &lab);
    again = list(&lab, &terminal, lab.server);
    expect_end(again, 0, NULL);
    kd_e2e_terminal_read_rest(&terminal);
    g_assert_cmpstr(terminal.screen->str, ==, "");
    alone = list(&lab, NULL, lab.server);
    expect_end(alone, 0, NULL);
}

static void
test_not_yes(KdE2eStage *stage, gconstpointer unused)
{
    static const char *const answers[] = {"no\r", "y\r", "\r", "\004"};
    g_auto(Lab) lab = {0};
    g_autofree char *known = NULL;

    (void)unused;
    if (kd_e2e_certs_are_missing()) {
        return;
    }
    lab_set_up(&lab, stage, "");
    for (gsize i = 0; i < G_N_ELEMENTS(answers); i++) {
        g_auto(KdE2eTerminal) terminal = {0};
        g_autoptr(KdE2eProgram) kd = NULL;

        sit_down(&terminal, &lab);
        kd = list(&lab, &terminal, lab.server);
        kd_e2e_terminal_await(&terminal, QUESTION);
        kd_e2e_terminal_type(&terminal, answers[i]);
        expect_end(kd, 1, "not trusted");
    }
    known = get_known(&lab);
    g_assert_cmpstr(known, ==, "");
}

static void
test_interrupted(KdE2eStage *stage, gconstpointer unused)
{
    g_auto(Lab) lab = {0};
    g_auto(KdE2eTerminal) terminal = {0};
    g_autoptr(KdE2eProgram) kd = NULL;

    (void)unused;
    if (kd_e2e_certs_are_missing()) {
        return;
    }
    lab_set_up(&lab, stage, "");
    sit_down(&terminal, &lab);
    kd = list(&lab, &terminal, lab.server);
    kd_e2e_terminal_await(&terminal, QUESTION);
    kd_e2e_terminal_type(&terminal, "yes\003");
    expect_end(kd, 1, "interrupted");
    g_assert_true(kd_e2e_terminal_has_echo(&terminal));
}

/* With somebody at the terminal, who must not be led to say yes. */
static void
test_changed(KdE2eStage *stage, gconstpointer unused)
{
    g_auto(Lab) lab = {0};
    g_auto(KdE2eTerminal) terminal = {0};
    g_autoptr(KdE2eProgram) kd = NULL;
    g_autofree char *before = NULL;
    g_autofree char *after = NULL;

    (void)unused;
    if (kd_e2e_certs_are_missing()) {
        return;
    }
    lab_set_up(&lab, stage, "");
    confirm(&lab);
    before = kd_e2e_certs_get_sha256(lab.store, "host");
    kd_e2e_stage_stop(stage);
    kd_e2e_certs_make(lab.store, "host", NULL, KD_E2E_CERT_SERVER);
    after = kd_e2e_certs_get_sha256(lab.store, "host");
    serve(&lab, "");
    sit_down(&terminal, &lab);
    kd = list(&lab, &terminal, lab.server);
    expect_end(kd, 1, before);
    g_assert_nonnull(strstr(kd_e2e_program_get_text(kd, KD_E2E_STDERR), after));
    g_assert_nonnull(strstr(kd_e2e_program_get_text(kd, KD_E2E_STDERR), "somebody is in between"));
    kd_e2e_terminal_read_rest(&terminal);
    g_assert_cmpstr(terminal.screen->str, ==, "");
}

/* ---- pins ---- */

/* (transfer full): the digits with something between each pair of them */
static char *
build_torn(const char *digits, const char *between)
{
    GString *text = g_string_new(NULL);

    for (gsize i = 0; digits[i] != '\0'; i += 2) {
        g_string_append_printf(text, "%s%.2s", i > 0 ? between : "", digits + i);
    }
    return g_string_free(text, FALSE);
}

static void
expect_pinned(const Lab *lab, const char *thumbprint, int status)
{
    g_autofree char *server = g_strdup_printf("%s,certuser=%s", lab->server, thumbprint);
    g_autoptr(KdE2eProgram) kd = list(lab, NULL, server);

    expect_end(kd, status, NULL);
}

/* N9: as people copy them from certificates and from this program's own messages. */
static void
test_pinned(KdE2eStage *stage, gconstpointer unused)
{
    g_auto(Lab) lab = {0};
    g_autofree char *sha256 = NULL;
    g_autofree char *upper = NULL;
    g_autofree char *colons = NULL;
    g_autofree char *spaces = NULL;
    g_autofree char *other = NULL;

    (void)unused;
    if (kd_e2e_certs_are_missing()) {
        return;
    }
    lab_set_up(&lab, stage, "");
    sha256 = kd_e2e_certs_get_sha256(lab.store, "host");
    upper = g_ascii_strup(sha256, -1);
    colons = build_torn(upper, ":");
    spaces = build_torn(sha256, " ");
    other = g_strdup(sha256);
    other[63] = other[63] == '0' ? '1' : '0';
    expect_pinned(&lab, sha256, 0);
    expect_pinned(&lab, upper, 0);
    expect_pinned(&lab, colons, 0);
    expect_pinned(&lab, spaces, 0);
    expect_pinned(&lab, other, 1);
}

/* The message where nobody can be asked has the fix, and the fix works. */
static void
test_fix(KdE2eStage *stage, gconstpointer unused)
{
    g_auto(Lab) lab = {0};
    g_autofree char *sha256 = NULL;
    g_autofree char *fix = NULL;
    g_autofree char *fixed = NULL;
    g_autoptr(KdE2eProgram) kd = NULL;
    g_autoptr(KdE2eProgram) again = NULL;

    (void)unused;
    if (kd_e2e_certs_are_missing()) {
        return;
    }
    lab_set_up(&lab, stage, "");
    sha256 = kd_e2e_certs_get_sha256(lab.store, "host");
    fix = g_strdup_printf("certuser=%s", sha256);
    kd = list(&lab, NULL, lab.server);
    expect_end(kd, 1, fix);
    fixed = g_strdup_printf("%s,%s", lab.server, fix);
    again = list(&lab, NULL, fixed);
    expect_end(again, 0, NULL);
}

/* ---- passwords ---- */

static void
test_typed_password(KdE2eStage *stage, gconstpointer unused)
{
    g_auto(Lab) lab = {0};
    g_auto(KdE2eTerminal) terminal = {0};
    g_autoptr(KdE2eProgram) kd = NULL;

    (void)unused;
    if (kd_e2e_certs_are_missing()) {
        return;
    }
    lab_set_up(&lab, stage, ",password=" PASSWORD);
    sit_down(&terminal, &lab);
    kd = list(&lab, &terminal, lab.server);
    kd_e2e_terminal_await(&terminal, QUESTION);
    kd_e2e_terminal_type(&terminal, "yes\r");
    kd_e2e_terminal_await(&terminal, "password of ssl:server=localhost");
    kd_e2e_terminal_await(&terminal, ": ");
    g_assert_false(kd_e2e_terminal_has_echo(&terminal));
    kd_e2e_terminal_type(&terminal, PASSWORD "\r");
    expect_end(kd, 0, NULL);
    kd_e2e_terminal_read_rest(&terminal);
    g_assert_true(kd_e2e_terminal_has_echo(&terminal));
    g_assert_null(strstr(terminal.screen->str, PASSWORD));
    g_assert_null(strstr(kd_e2e_program_get_text(kd, KD_E2E_STDERR), PASSWORD));
}

static void
test_wrong_password(KdE2eStage *stage, gconstpointer unused)
{
    g_auto(Lab) lab = {0};
    g_auto(KdE2eTerminal) terminal = {0};
    g_autoptr(KdE2eProgram) kd = NULL;

    (void)unused;
    if (kd_e2e_certs_are_missing()) {
        return;
    }
    lab_set_up(&lab, stage, ",password=" PASSWORD);
    sit_down(&terminal, &lab);
    kd = list(&lab, &terminal, lab.server);
    kd_e2e_terminal_await(&terminal, QUESTION);
    kd_e2e_terminal_type(&terminal, "yes\r");
    kd_e2e_terminal_await(&terminal, "password of ");
    kd_e2e_terminal_await(&terminal, ": ");
    kd_e2e_terminal_type(&terminal, "Sword\r");
    expect_end(kd, 1, "Error 0x80004005");
}

static void
test_nobody_to_ask(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *listen = kd_e2e_stage_build_listen(stage, "tcp:password=" PASSWORD);
    g_autofree char *server = NULL;
    g_autoptr(KdE2eProgram) kd = NULL;

    (void)unused;
    g_free(kd_e2e_stage_serve(stage, NULL, "-t", listen, NULL));
    server = g_strdup_printf("tcp:server=127.0.0.1,port=%u", stage->port);
    kd = kd_e2e_stage_run("kd", NULL, "--list", "links", "--server", server, NULL);
    expect_end(kd, 1, "Error 0x80004005");
    g_assert_nonnull(strstr(kd_e2e_program_get_text(kd, KD_E2E_STDERR), "password-file="));
}

/* ---- one session after the other ---- */

static void
debug_once(const char *path, int machines, const char *word)
{
    int debugger = kd_e2e_dial_unix(path);
    int machine = kd_e2e_accept(machines);

    kd_e2e_write(debugger, word, strlen(word));
    kd_e2e_expect(machine, word);
    kd_e2e_write(machine, "seen", 4);
    kd_e2e_expect(debugger, "seen");
    close(debugger);
    kd_e2e_expect_end(machine);
    close(machine);
}

/* What the user has said counts for the next session, too. */
static void
test_listen_asks_once(KdE2eStage *stage, gconstpointer unused)
{
    g_auto(Lab) lab = {0};
    g_auto(KdE2eTerminal) terminal = {0};
    g_autofree char *vm = kd_e2e_stage_build_path(stage, "vm.sock");
    g_autofree char *path = kd_e2e_stage_build_path(stage, "gdb.sock");
    g_autofree char *listen = g_strconcat("unix:", path, NULL);
    g_autofree char *trans = g_strconcat("com:pipe,port=", vm, NULL);
    g_autofree char *more = g_strconcat(",password=" PASSWORD, NULL);
    g_autoptr(KdE2eProgram) kd = NULL;
    int machines = kd_e2e_listen_unix(vm);
    int debugger;
    int machine;

    (void)unused;
    if (kd_e2e_certs_are_missing()) {
        close(machines);
        return;
    }
    lab_set_up(&lab, stage, more);
    sit_down(&terminal, &lab);
    kd = kd_e2e_stage_run("kd", &terminal.setup, "--server", lab.server, "--trans", trans,
                          "--listen", listen, NULL);
    g_free(kd_e2e_program_await(kd, KD_E2E_STDERR, "kd: listening on "));
    debugger = kd_e2e_dial_unix(path);
    kd_e2e_terminal_await(&terminal, QUESTION);
    kd_e2e_terminal_type(&terminal, "yes\r");
    kd_e2e_terminal_await(&terminal, "password of ");
    kd_e2e_terminal_await(&terminal, ": ");
    kd_e2e_terminal_type(&terminal, PASSWORD "\r");
    machine = kd_e2e_accept(machines);
    kd_e2e_write(debugger, "first", 5);
    kd_e2e_expect(machine, "first");
    close(debugger);
    kd_e2e_expect_end(machine);
    close(machine);
    debug_once(path, machines, "second");
    debug_once(path, machines, "third");
    kd_e2e_program_signal(kd, SIGTERM);
    expect_end(kd, 0, NULL);
    close(machines);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_e2e_add("/e2e/trust/unknown-server-is-asked-about-once", test_asked_once);
    kd_e2e_add("/e2e/trust/anything-but-yes-is-no-and-is-not-remembered", test_not_yes);
    kd_e2e_add("/e2e/trust/ctrl-c-at-the-question-gives-the-terminal-back", test_interrupted);
    kd_e2e_add("/e2e/trust/changed-certificate-is-refused-without-a-question", test_changed);
    kd_e2e_add("/e2e/trust/thumbprint-pins-however-it-is-written", test_pinned);
    kd_e2e_add("/e2e/trust/message-where-nobody-can-be-asked-has-the-fix", test_fix);
    kd_e2e_add("/e2e/trust/password-is-typed-unseen", test_typed_password);
    kd_e2e_add("/e2e/trust/wrong-password-that-was-typed-is-told", test_wrong_password);
    kd_e2e_add("/e2e/trust/password-that-nobody-can-be-asked-for-is-told", test_nobody_to_ask);
    kd_e2e_add("/e2e/trust/listening-kd-asks-for-its-first-session-alone", test_listen_asks_once);
    return g_test_run();
}
