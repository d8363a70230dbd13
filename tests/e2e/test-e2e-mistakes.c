/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What people get wrong on a command line, and what they are told: one line, and the exit status.
 */
#include "kd-e2e-socket.h"
#include "kd-e2e-stage.h"

#include <string.h>
#include <unistd.h>

static void
expect_said(KdE2eProgram *program, int status, const char *text)
{
    int real = kd_e2e_program_wait(program);
    const char *said = kd_e2e_program_get_text(program, KD_E2E_STDERR);

    g_test_message("exit %d: %s", real, said);
    g_assert_cmpint(real, ==, status);
    g_assert_nonnull(strstr(said, text));
    g_assert_true(strchr(said, '\n') == said + strlen(said) - 1); /* one line */
}

/* A command by way of a shell, for what only a shell can get wrong. */
static KdE2eProgram *
start_shell(const char *command, const char *rest)
{
    g_autofree char *line = g_strdup_printf("exec %s/%s --plugin-dir %s %s", g_getenv("KD_BINDIR"),
                                            command, g_getenv("KD_PLUGINDIR"), rest);
    const char *argv[] = {"sh", "-c", line, NULL};

    return kd_e2e_program_new(argv, NULL);
}

/* ---- stdout that takes nothing ---- */

static void
test_full_disk(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "vm.sock");
    g_autofree char *rest = g_strdup_printf("-k com:pipe,port=%s --stdio >/dev/full", path);
    g_autoptr(KdE2eProgram) kd = NULL;
    int listener = kd_e2e_listen_unix(path);
    int vm;

    (void)unused;
    kd = start_shell("kd", rest);
    vm = kd_e2e_accept(listener);
    kd_e2e_write(vm, "lost\n", 5);
    /* The target goes on: kd must not wait for its end. */
    expect_said(kd, 1, "kd: --stdio: stdout: ");
    close(vm);
    close(listener);
}

static void
test_full_disk_over_server(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "vm.sock");
    g_autofree char *rest = NULL;
    g_autoptr(KdE2eProgram) kd = NULL;
    int listener = kd_e2e_listen_unix(path);
    int vm;

    (void)unused;
    kd_e2e_stage_start(stage, "--allow-path", stage->folder, NULL);
    rest = g_strdup_printf("--server tcp:server=127.0.0.1,port=%u --trans com:pipe,port=%s --stdio "
                           ">/dev/full",
                           stage->port, path);
    kd = start_shell("kd", rest);
    vm = kd_e2e_accept(listener);
    kd_e2e_write(vm, "lost\n", 5);
    expect_said(kd, 1, "kd: --stdio: stdout: ");
    close(vm);
    close(listener);
}

static void
test_unreadable_stdin(KdE2eStage *stage, gconstpointer unused)
{
    static const char *const files[] = {"</", "0>/dev/null"};
    g_autofree char *path = kd_e2e_stage_build_path(stage, "vm.sock");
    int listener = kd_e2e_listen_unix(path);

    (void)unused;
    for (gsize i = 0; i < G_N_ELEMENTS(files); i++) {
        g_autofree char *rest = g_strdup_printf("-k com:pipe,port=%s --stdio %s", path, files[i]);
        g_autoptr(KdE2eProgram) kd = start_shell("kd", rest);
        int vm = kd_e2e_accept(listener);

        expect_said(kd, 1, "kd: --stdio: stdin: ");
        close(vm);
    }
    close(listener);
}

static void
test_full_disk_for_answers(KdE2eStage *stage, gconstpointer unused)
{
    static const char *const questions[][2] = {
        {"kd", "--version >/dev/full"},         {"kd", "--list-plugins >/dev/full"},
        {"kd", "--help-target com >/dev/full"}, {"kdsrv", "--version >/dev/full"},
        {"kdsrv", "--list-plugins >/dev/full"},
    };

    (void)stage;
    (void)unused;
    for (gsize i = 0; i < G_N_ELEMENTS(questions); i++) {
        g_autoptr(KdE2eProgram) program = start_shell(questions[i][0], questions[i][1]);

        expect_said(program, 1, ": stdout: ");
    }
}

/* What kdsrv opens must not get the number to which it writes its messages. */
static void
test_closed_files(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *rest =
        g_strdup_printf("-t tcp:port=%u,bind=127.0.0.1 <&- >&- 2>&-", stage->low);
    g_autoptr(KdE2eProgram) kdsrv = start_shell("kdsrv", rest);
    GPid pid = kd_e2e_program_get_pid(kdsrv);
    gint64 deadline_us = g_get_monotonic_time() + KD_E2E_DEADLINE_S * G_USEC_PER_SEC;
    g_autoptr(GSocketClient) dialler = g_socket_client_new();
    g_autoptr(GSocketConnection) client = NULL;

    (void)unused;
    while (client == NULL && g_get_monotonic_time() < deadline_us) {
        g_thread_yield();
        client =
            g_socket_client_connect_to_host(dialler, "127.0.0.1", (guint16)stage->low, NULL, NULL);
    }
    g_assert_nonnull(client);
    for (int fd = 0; fd <= 2; fd++) {
        g_autofree char *path = g_strdup_printf("/proc/%d/fd/%d", (int)pid, fd);
        g_autofree char *file = g_file_read_link(path, NULL);

        g_assert_cmpstr(file, ==, "/dev/null");
    }
    kd_e2e_program_signal(kdsrv, SIGTERM);
    g_assert_cmpint(kd_e2e_program_wait(kdsrv), ==, 0);
}

/* ---- words that are wrong ---- */

/**
 * Wrong:
 * @command: kd or kdsrv
 * @rest: its options, for a shell
 * @told: in the one line that follows
 */
typedef struct {
    const char *command;
    const char *rest;
    const char *told;
} Wrong;

static void
expect_all_told(const Wrong *wrong, gsize n_wrong)
{
    for (gsize i = 0; i < n_wrong; i++) {
        g_autoptr(KdE2eProgram) program = start_shell(wrong[i].command, wrong[i].rest);

        expect_said(program, 2, wrong[i].told);
    }
}

static void
test_wrong_words(KdE2eStage *stage, gconstpointer unused)
{
    static const Wrong wrong[] = {
        {"kdsrv", "tcp:port=1027", "kdsrv: tcp:port=1027: "},
        {"kdsrv", "-t tcp:port=1027,bind=localhost", "kdsrv: tcp: bind=localhost: "},
        {"kd", "-k 'kdsrv:server=tcp:server=h,port=1027,trans=com:port=com1' --stdio", "@{"},
        {"kd", "-k 'kdsrv:server={tcp:server=h,port=1},trans={com:port=com1}' --stdio", "@{"},
        {"kd", "--server '@{tcp:server=h,port=1}' --trans com:port=com1 --stdio", "@{"},
        {"kd", "-k com:ipport=9,port=127.0.0.1 --listen unix:", "kd: --listen: "},
        {"kd", "-k com:ipport=9,port=127.0.0.1 --listen tcp:127.0.0.1", "kd: --listen: "},
    };

    (void)stage;
    (void)unused;
    expect_all_told(wrong, G_N_ELEMENTS(wrong));
}

/* The documented system has these; F57, F110, F121, F146. */
static void
test_not_yet(KdE2eStage *stage, gconstpointer unused)
{
    static const Wrong wrong[] = {
        {"kd", "-QR '\\\\host'", "kd: -QR: not available in this version"},
        {"kd", "-remote tcp:server=h,port=1", "kd: -remote: not available in this version"},
        {"kd", "-premote tcp:server=h,port=1", "kd: -premote: not available in this version"},
        {"kd", "-server tcp:port=1 -- gdb", "kd: -server: not available in this version"},
    };

    (void)stage;
    (void)unused;
    expect_all_told(wrong, G_N_ELEMENTS(wrong));
}

/* A service has no locale, and paths have bytes all the same. */
static void
test_no_locale(KdE2eStage *stage, gconstpointer unused)
{
    const char *environment[] = {"LC_ALL=C", NULL};
    KdE2eSetup setup = {.environment = environment};
    g_autoptr(KdE2eProgram) kd = kd_e2e_stage_run(
        "kd", &setup, "-k", "com:pipe,port=/nonexistent/\303\266", "--stdio", NULL);

    (void)stage;
    (void)unused;
    expect_said(kd, 1, "/nonexistent/");
}

static void
test_listen_in_use(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "debugger");
    g_autofree char *address = g_strconcat("unix:", path, NULL);
    g_autoptr(KdE2eProgram) kd = NULL;
    int listener = kd_e2e_listen_unix(path);

    (void)unused;
    kd = kd_e2e_stage_run("kd", NULL, "-k", "com:ipport=9,port=127.0.0.1", "--listen", address,
                          NULL);
    expect_said(kd, 1, "kd: --listen: ");
    close(listener);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_e2e_add("/e2e/mistakes/full-disk-is-told", test_full_disk);
    kd_e2e_add("/e2e/mistakes/full-disk-over-a-server-is-told", test_full_disk_over_server);
    kd_e2e_add("/e2e/mistakes/unreadable-stdin-is-told", test_unreadable_stdin);
    kd_e2e_add("/e2e/mistakes/full-disk-for-answers-is-told", test_full_disk_for_answers);
    kd_e2e_add("/e2e/mistakes/closed-standard-files-stay-reserved", test_closed_files);
    kd_e2e_add("/e2e/mistakes/wrong-words-are-told-with-the-fix", test_wrong_words);
    kd_e2e_add("/e2e/mistakes/what-is-not-there-yet-says-so", test_not_yet);
    kd_e2e_add("/e2e/mistakes/paths-need-no-locale", test_no_locale);
    kd_e2e_add("/e2e/mistakes/listen-in-use-names-the-option", test_listen_in_use);
    return g_test_run();
}
