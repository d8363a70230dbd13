/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command kd: its errors, its ends, what it makes of debuggers that come and go. */
#include "kd-e2e-protocol.h"
#include "kd-e2e-stage.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define FILE_BYTES   (3u * 1024u * 1024u)
#define TAKE_OVER_US (1 * G_USEC_PER_SEC * (KD_E2E_IS_SANITIZED ? 5 : 1))

/**
 * Fake:
 * @trans: names the fake device
 * @path: of its steering socket
 *
 * The device that kd is given.
 */
typedef struct {
    char *trans;
    char *path;
} Fake;

static void
fake_set_up(Fake *fake, KdE2eStage *stage, const char *options)
{
    fake->path = kd_e2e_stage_build_path(stage, "steer");
    fake->trans = g_strdup_printf("fake:name=1,%s,steer=%s", options, fake->path);
    kd_e2e_stage_start(stage, NULL);
}

static void
fake_tear_down(Fake *fake)
{
    g_free(fake->path);
    g_free(fake->trans);
}

static void
expect_echo(KdE2eProgram *kd, const char *text)
{
    g_autofree char *line = g_strconcat(text, "\n", NULL);
    g_autofree char *echo = NULL;

    kd_e2e_program_say(kd, line);
    echo = kd_e2e_program_await(kd, KD_E2E_STDOUT, text);
    g_assert_cmpstr(echo, ==, text);
}

static void
expect_said(KdE2eProgram *kd, int status, const char *text)
{
    int real = kd_e2e_program_wait(kd);
    const char *said = kd_e2e_program_get_text(kd, KD_E2E_STDERR);

    g_test_message("exit %d: %s", real, said);
    g_assert_cmpint(real, ==, status);
    g_assert_nonnull(strstr(said, text));
}

/* ---- errors ---- */

/* N12: a real shell, which tears the braces apart. */
static void
test_unquoted(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *command =
        g_strdup_printf("%s/kd --plugin-dir %s -k kdsrv:server=@{tcp:server=127.0.0.1,port=1027},"
                        "trans=@{com:port=com1,baud=57600} --listen tcp:127.0.0.1:0",
                        g_getenv("KD_BINDIR"), g_getenv("KD_PLUGINDIR"));
    const char *argv[] = {"bash", "-c", command, NULL};
    g_autoptr(KdE2eProgram) bash = NULL;

    (void)stage;
    (void)unused;
    if (!kd_e2e_is_missing("bash")) {
        bash = kd_e2e_program_new(argv, NULL);
        expect_said(bash, 2, "quotes");
    }
}

static void
test_wrong_key(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eProgram) unknown = NULL;
    g_autoptr(KdE2eProgram) outside = NULL;

    (void)unused;
    kd_e2e_stage_start(stage, NULL);
    unknown = kd_e2e_stage_start_kd(stage, "fake:name=1,colour=blue", "--stdio", NULL);
    expect_said(unknown, 2, "colour");
    outside = kd_e2e_stage_start_kd(stage, "com:port=com1,baud=49", "--stdio", NULL);
    expect_said(outside, 2, "baud");
}

/* N14: what is left out comes from the server's environment, and so does the complaint. */
static void
test_nothing_in_environment(KdE2eStage *stage, gconstpointer unused)
{
    const char *environment[] = {"_NT_DEBUG_PORT=", NULL};
    KdE2eSetup setup = {.environment = environment};
    g_autoptr(KdE2eProgram) kd = NULL;

    (void)unused;
    kd_e2e_stage_start_with(stage, &setup, NULL);
    kd = kd_e2e_stage_start_kd(stage, "com:", "--stdio", NULL);
    expect_said(kd, 2, "_NT_DEBUG_PORT");
    g_assert_nonnull(strstr(kd_e2e_program_get_text(kd, KD_E2E_STDERR), g_get_host_name()));
}

static void
test_environment(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "vm.sock");
    g_autofree char *variable = g_strconcat("_NT_DEBUG_PORT=", path, NULL);
    const char *environment[] = {variable, NULL};
    KdE2eSetup setup = {.environment = environment};
    g_autoptr(KdE2eProgram) kd = NULL;
    int listener = kd_e2e_listen_unix(path);
    int vm;

    (void)unused;
    kd_e2e_stage_start_with(stage, &setup, "--allow-path", stage->folder, NULL);
    kd = kd_e2e_stage_start_kd(stage, "com:pipe", "--stdio", NULL);
    vm = kd_e2e_accept(listener);
    kd_e2e_write(vm, "from the machine\n", 17);
    g_free(kd_e2e_program_await(kd, KD_E2E_STDOUT, "from the machine"));
    close(vm);
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 0);
    close(listener);
}

static void
test_no_server(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eProgram) kd = NULL;

    (void)unused;
    stage->port = stage->low; /* ours, and nobody listens */
    kd = kd_e2e_stage_start_kd(stage, "fake:name=1", "--stdio", NULL);
    expect_said(kd, 1, "refused");
}

/* ---- ends ---- */

static void
test_server_killed(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eProgram) kd = NULL;
    Fake fake;

    (void)unused;
    fake_set_up(&fake, stage, "echo");
    kd = kd_e2e_stage_start_kd(stage, fake.trans, "--stdio", NULL);
    expect_echo(kd, "hello");
    kd_e2e_program_signal(stage->server, SIGKILL);
    expect_said(kd, 1, "cut");
    g_clear_pointer(&stage->server, kd_e2e_program_free);
    fake_tear_down(&fake);
}

static void
test_kd_killed(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eProgram) first = NULL;
    g_autoptr(KdE2eProgram) second = NULL;
    gint64 start_us;
    Fake fake;

    (void)unused;
    fake_set_up(&fake, stage, "echo");
    first = kd_e2e_stage_start_kd(stage, fake.trans, "--stdio", NULL);
    expect_echo(first, "first");
    kd_e2e_program_signal(first, SIGKILL);
    g_assert_cmpint(kd_e2e_program_wait(first), ==, 128 + SIGKILL);
    start_us = g_get_monotonic_time();
    second = kd_e2e_stage_start_kd(stage, fake.trans, "--stdio", NULL);
    expect_echo(second, "second");
    g_assert_cmpint(g_get_monotonic_time() - start_us, <, TAKE_OVER_US);
    fake_tear_down(&fake);
}

static void
test_kd_terminated(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eProgram) kd = NULL;
    int steer;
    Fake fake;

    (void)unused;
    fake_set_up(&fake, stage, "echo");
    kd = kd_e2e_stage_start_kd(stage, fake.trans, "--stdio", NULL);
    expect_echo(kd, "hello");
    kd_e2e_program_signal(kd, SIGTERM);
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 0);
    steer = kd_e2e_dial_unix(fake.path);
    kd_e2e_order(steer, "wait closes 1");
    close(steer);
    fake_tear_down(&fake);
}

static void
test_target_ends(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eProgram) kd = NULL;
    int steer;
    Fake fake;

    (void)unused;
    fake_set_up(&fake, stage, "half");
    kd = kd_e2e_stage_start_kd(stage, fake.trans, "--stdio", NULL);
    kd_e2e_program_say(kd, "question");
    kd_e2e_program_close_stdin(kd);
    steer = kd_e2e_dial_unix(fake.path);
    kd_e2e_order(steer, "wait ends 1");
    g_assert_cmpuint(kd_e2e_count(steer, "in"), ==, 8);
    kd_e2e_order(steer, "say answer\\n");
    kd_e2e_order(steer, "end");
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 0);
    g_assert_cmpstr(kd_e2e_program_get_text(kd, KD_E2E_STDOUT), ==, "answer\n");
    close(steer);
    fake_tear_down(&fake);
}

/* ---- news of the target ---- */

static void
test_lost_and_back(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eProgram) kd = NULL;
    int steer;
    Fake fake;

    (void)unused;
    fake_set_up(&fake, stage, "echo");
    kd = kd_e2e_stage_start_kd(stage, fake.trans, "--stdio", NULL);
    expect_echo(kd, "before");
    steer = kd_e2e_dial_unix(fake.path);
    kd_e2e_order(steer, "lose");
    g_free(kd_e2e_program_await(kd, KD_E2E_STDERR, "kd: target lost"));
    kd_e2e_order(steer, "back");
    g_free(kd_e2e_program_await(kd, KD_E2E_STDERR, "kd: target back"));
    expect_echo(kd, "after");
    close(steer);
    fake_tear_down(&fake);
}

/* ---- debuggers ---- */

static void
test_two_debuggers(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "debugger");
    g_autofree char *address = g_strconcat("unix:", path, NULL);
    g_autoptr(KdE2eProgram) kd = NULL;
    Fake fake;

    (void)unused;
    fake_set_up(&fake, stage, "echo");
    kd = kd_e2e_stage_start_kd(stage, fake.trans, "--listen", address, NULL);
    g_free(kd_e2e_program_await(kd, KD_E2E_STDERR, "kd: listening on unix:"));
    for (int i = 0; i < 5; i++) {
        g_autofree char *text = g_strdup_printf("debugger %d", i);
        int debugger = kd_e2e_dial_unix(path);

        kd_e2e_write(debugger, text, strlen(text));
        kd_e2e_expect(debugger, text);
        close(debugger);
    }
    kd_e2e_program_signal(kd, SIGTERM);
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 0);
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    fake_tear_down(&fake);
}

static void
test_pty(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *line = NULL;
    g_autoptr(KdE2eProgram) kd = NULL;
    Fake fake;
    int debugger;

    (void)unused;
    fake_set_up(&fake, stage, "echo");
    kd = kd_e2e_stage_start_kd(stage, fake.trans, "--pty", NULL);
    line = kd_e2e_program_await(kd, KD_E2E_STDERR, "kd: pty /dev/");
    debugger = open(strstr(line, "/dev/"), O_RDWR | O_NOCTTY | O_CLOEXEC);
    g_assert_cmpint(debugger, >=, 0);
    kd_e2e_write(debugger, "\x03raw\r\n\x04", 7);
    kd_e2e_expect(debugger, "\x03raw\r\n\x04");
    kd_e2e_program_signal(kd, SIGTERM);
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 0);
    close(debugger);
    fake_tear_down(&fake);
}

static void
test_file(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *file = kd_e2e_stage_build_path(stage, "input");
    g_autofree char *path = kd_e2e_stage_build_path(stage, "vm.sock");
    g_autofree char *trans = g_strdup_printf("com:pipe,port=%s", path);
    g_autofree char *link = NULL;
    g_autofree char *content = g_malloc(FILE_BYTES);
    g_autofree char *got = g_malloc(FILE_BYTES);
    g_autoptr(KdE2eProgram) kd = NULL;
    KdE2eSetup setup = {.stdin_path = file};
    int listener = kd_e2e_listen_unix(path);
    int vm;

    (void)unused;
    for (guint i = 0; i < FILE_BYTES; i++) {
        content[i] = (char)g_test_rand_int();
    }
    g_assert_true(g_file_set_contents(file, content, FILE_BYTES, NULL));
    kd_e2e_stage_start(stage, "--allow-path", stage->folder, NULL);
    link = kd_e2e_stage_build_link(stage, trans);
    kd = kd_e2e_stage_run("kd", &setup, "-k", link, "--stdio", NULL);
    vm = kd_e2e_accept(listener);
    kd_e2e_read(vm, got, FILE_BYTES);
    g_assert_cmpint(memcmp(got, content, FILE_BYTES), ==, 0);
    /* The end of the file is not the end of the session: the answer may still come. */
    kd_e2e_write(vm, "answer\n", 7);
    g_free(kd_e2e_program_await(kd, KD_E2E_STDOUT, "answer"));
    close(vm);
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 0);
    close(listener);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_e2e_add("/e2e/kd/unquoted-braces-are-told-to-be-quoted", test_unquoted);
    kd_e2e_add("/e2e/kd/wrong-key-is-the-users-to-mend", test_wrong_key);
    kd_e2e_add("/e2e/kd/empty-environment-of-the-server-is-named", test_nothing_in_environment);
    kd_e2e_add("/e2e/kd/environment-of-the-server-names-the-link", test_environment);
    kd_e2e_add("/e2e/kd/absent-server-is-a-failure-at-once", test_no_server);
    kd_e2e_add("/e2e/kd/killed-server-is-a-cut", test_server_killed);
    kd_e2e_add("/e2e/kd/killed-frees-the-link-at-once", test_kd_killed);
    kd_e2e_add("/e2e/kd/terminated-ends-the-session", test_kd_terminated);
    kd_e2e_add("/e2e/kd/half-close-ends-each-direction-by-itself", test_target_ends);
    kd_e2e_add("/e2e/kd/tells-that-the-target-is-lost-and-back", test_lost_and_back);
    kd_e2e_add("/e2e/kd/listen-serves-one-debugger-after-the-other", test_two_debuggers);
    kd_e2e_add("/e2e/kd/pty-is-raw", test_pty);
    kd_e2e_add("/e2e/kd/stdio-brings-a-whole-file", test_file);
    return g_test_run();
}
