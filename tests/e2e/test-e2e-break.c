/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* BREAKs that a person sends by signals, with and without a server, while bytes pass or do not. */
#include "kd-e2e-stage.h"

#include "kd-e2e-socket.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

/**
 * Line:
 * @kd: stands between stdin, stdout and a fake device
 * @steer: of the device
 *
 * A session of kd.
 */
typedef struct {
    KdE2eProgram *kd;
    char *trans;
    int steer;
} Line;

/* The device listens once it is open; kd then takes stdin. */
static int
dial_device(const char *path)
{
    gint64 end_us = g_get_monotonic_time() + KD_E2E_DEADLINE_S * G_USEC_PER_SEC;

    while (!g_file_test(path, G_FILE_TEST_EXISTS)) {
        g_assert_cmpint(g_get_monotonic_time(), <, end_us);
        g_usleep(2000);
    }
    return kd_e2e_dial_unix(path);
}

static void
line_start(Line *line, KdE2eStage *stage, gboolean has_server, const char *options)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "steer");

    line->trans = g_strdup_printf("fake:name=1,echo%s,steer=%s", options, path);
    if (has_server) {
        kd_e2e_stage_start(stage, NULL);
        line->kd = kd_e2e_stage_start_kd(stage, line->trans, "--stdio", NULL);
    } else {
        line->kd = kd_e2e_stage_run("kd", NULL, "-k", line->trans, "--stdio", NULL);
    }
    line->steer = dial_device(path);
    kd_e2e_order(line->steer, "wait opens 1");
}

/* The echo shows that the session is whole, so that a signal finds it open. */
static void
line_say(Line *line, const char *text)
{
    g_autofree char *with_end = g_strconcat(text, "\n", NULL);

    kd_e2e_program_say(line->kd, with_end);
    g_free(kd_e2e_program_await(line->kd, KD_E2E_STDOUT, text));
}

static void
line_stop(Line *line)
{
    kd_e2e_program_signal(line->kd, SIGTERM);
    g_assert_cmpint(kd_e2e_program_wait(line->kd), ==, 0);
    kd_e2e_program_free(line->kd);
    close(line->steer);
    g_free(line->trans);
}

static void
expect_break(Line *line, int number, const char *text)
{
    g_autofree char *said = NULL;

    kd_e2e_program_signal(line->kd, number);
    said = kd_e2e_program_await(line->kd, KD_E2E_STDERR, "break");
    g_assert_cmpstr(said, ==, text);
}

static void
expect_story(Line *line, const char *expected)
{
    g_autofree char *story = kd_e2e_steer(line->steer, "story");

    g_assert_cmpstr(story, ==, expected);
}

static void
check_in_order(KdE2eStage *stage, gboolean has_server, int number)
{
    Line line;

    line_start(&line, stage, has_server, "");
    line_say(&line, "before");
    expect_break(&line, number, "kd: break sent");
    line_say(&line, "behind");
    expect_story(&line, "story before\\x0a<break>behind\\x0a");
    line_stop(&line);
}

static void
test_usr1(KdE2eStage *stage, gconstpointer has_server)
{
    check_in_order(stage, has_server != NULL, SIGUSR1);
}

static void
test_quit(KdE2eStage *stage, gconstpointer has_server)
{
    check_in_order(stage, has_server != NULL, SIGQUIT);
}

static void
test_urgent(KdE2eStage *stage, gconstpointer has_server)
{
    Line line;

    line_start(&line, stage, has_server != NULL, ",size=4");
    line_say(&line, "before");
    kd_e2e_order(line.steer, "stop");
    kd_e2e_program_say(line.kd, "dropped\n");
    kd_e2e_order(line.steer, "wait pending 4");
    /* what the route holds is dropped as well: with a server it is on its way there first */
    if (has_server != NULL) {
        kd_e2e_program_signal(line.kd, SIGUSR2);
        g_free(kd_e2e_program_await(line.kd, KD_E2E_STDERR, "kd: break sent, "));
    } else {
        expect_break(&line, SIGUSR2, "kd: break sent, 8 bytes dropped");
    }
    kd_e2e_order(line.steer, "go");
    line_say(&line, "behind");
    expect_story(&line, "story before\\x0a<break>behind\\x0a");
    line_stop(&line);
}

/* A key that repeats, or a script gone wild, must not pile anything up. */
static void
test_storm(KdE2eStage *stage, gconstpointer has_server)
{
    Line line;
    guint64 n_breaks;

    line_start(&line, stage, has_server != NULL, "");
    line_say(&line, "before");
    kd_e2e_order(line.steer, "long-breaks");
    kd_e2e_program_signal(line.kd, SIGUSR1);
    kd_e2e_order(line.steer, "wait breaks 1");
    for (int i = 0; i < 1000; i++) {
        kd_e2e_program_signal(line.kd, i % 2 == 0 ? SIGUSR1 : SIGQUIT);
    }
    kd_e2e_program_say(line.kd, "behind\n");
    kd_e2e_order(line.steer, "end-break");
    g_free(kd_e2e_program_await(line.kd, KD_E2E_STDERR, "kd: break sent"));
    /* one more if the last signal came after the answer */
    kd_e2e_order(line.steer, "end-break");
    g_free(kd_e2e_program_await(line.kd, KD_E2E_STDOUT, "behind"));
    n_breaks = kd_e2e_count(line.steer, "breaks");
    g_assert_cmpuint(n_breaks, <=, 2);
    g_assert_cmpuint(kd_e2e_count(line.steer, "in-break"), ==, 0);
    line_stop(&line);
}

static void
test_lost(KdE2eStage *stage, gconstpointer has_server)
{
    Line line;

    line_start(&line, stage, has_server != NULL, "");
    line_say(&line, "before");
    kd_e2e_order(line.steer, "lose");
    g_free(kd_e2e_program_await(line.kd, KD_E2E_STDERR, "kd: target lost"));
    expect_break(&line, SIGUSR1, "kd: no break: the target is lost");
    kd_e2e_order(line.steer, "back");
    g_free(kd_e2e_program_await(line.kd, KD_E2E_STDERR, "kd: target back"));
    expect_break(&line, SIGUSR1, "kd: break sent");
    line_stop(&line);
}

static void
test_failed(KdE2eStage *stage, gconstpointer has_server)
{
    Line line;

    line_start(&line, stage, has_server != NULL, "");
    line_say(&line, "before");
    kd_e2e_order(line.steer, "fail-control it is stuck");
    expect_break(&line, SIGUSR1, "kd: no break: fake:name=1: it is stuck");
    line_say(&line, "behind");
    line_stop(&line);
}

/* The socket of a virtual machine. */
static void
test_socket(KdE2eStage *stage, gconstpointer has_server)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "vm");
    g_autofree char *trans = g_strdup_printf("com:pipe,port=%s", path);
    g_autofree char *said = NULL;
    g_autoptr(KdE2eProgram) kd = NULL;
    int listener = kd_e2e_listen_unix(path);
    int vm;

    if (has_server != NULL) {
        kd_e2e_stage_start(stage, "--allow-path", stage->folder, NULL);
        kd = kd_e2e_stage_start_kd(stage, trans, "--stdio", NULL);
    } else {
        kd = kd_e2e_stage_run("kd", NULL, "-k", trans, "--stdio", NULL);
    }
    vm = kd_e2e_accept(listener);
    kd_e2e_write(vm, "hello\n", 6);
    g_free(kd_e2e_program_await(kd, KD_E2E_STDOUT, "hello"));
    kd_e2e_program_signal(kd, SIGUSR1);
    said = kd_e2e_program_await(kd, KD_E2E_STDERR, "break");
    g_assert_nonnull(strstr(said, "kd: no break: this link has no BREAK: "));
    close(vm);
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 0);
    close(listener);
}

static void
test_nobody(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "debugger");
    g_autofree char *address = g_strconcat("unix:", path, NULL);
    g_autoptr(KdE2eProgram) kd = NULL;

    (void)unused;
    kd = kd_e2e_stage_run("kd", NULL, "-k", "fake:name=1", "--listen", address, NULL);
    g_free(kd_e2e_program_await(kd, KD_E2E_STDERR, "kd: listening on"));
    kd_e2e_program_signal(kd, SIGQUIT);
    g_free(kd_e2e_program_await(kd, KD_E2E_STDERR, "kd: no break: no debugger is connected"));
    kd_e2e_program_signal(kd, SIGTERM);
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 0);
}

/* CTRL+\ reaches all that run on the terminal, and would end a debugger that does not expect it. */
static void
test_started(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *steer_path = kd_e2e_stage_build_path(stage, "steer");
    g_autofree char *profile = kd_e2e_stage_build_path(stage, "sh.conf");
    g_autofree char *trans = g_strdup_printf("fake:name=1,steer=%s", steer_path);
    g_autoptr(KdE2eProgram) kd = NULL;

    (void)unused;
    g_assert_true(g_file_set_contents(
        profile, "[Debugger]\nNames=sh\nEnvironment=ADDRESS=${ADDRESS}\n", -1, NULL));
    kd = kd_e2e_stage_run("kd", NULL, "-k", trans, "--profile", profile, "--", "sh", "-c",
                          "kill -QUIT $PPID; kill -QUIT $$; read line; exit 7", NULL);
    g_free(kd_e2e_program_await(kd, KD_E2E_STDERR, "kd: break sent"));
    kd_e2e_program_say(kd, "go on\n");
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 7);
}

static void
add(const char *name, void (*fn)(KdE2eStage *, gconstpointer))
{
    g_autofree char *with = g_strconcat("/e2e/break/server/", name, NULL);
    g_autofree char *without = g_strconcat("/e2e/break/direct/", name, NULL);

    g_test_add(with, KdE2eStage, "", kd_e2e_stage_set_up, fn, kd_e2e_stage_tear_down);
    g_test_add(without, KdE2eStage, NULL, kd_e2e_stage_set_up, fn, kd_e2e_stage_tear_down);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("usr1-is-a-break-in-order", test_usr1);
    add("quit-is-a-break-in-order", test_quit);
    add("usr2-is-an-urgent-break-and-tells-what-was-dropped", test_urgent);
    add("storm-of-signals-is-one-break", test_storm);
    add("none-while-the-target-is-lost", test_lost);
    add("failure-is-told", test_failed);
    add("socket-has-none-and-says-why", test_socket);
    kd_e2e_add("/e2e/break/none-before-a-debugger-is-connected", test_nobody);
    kd_e2e_add("/e2e/break/quit-does-not-end-the-started-debugger", test_started);
    return g_test_run();
}
