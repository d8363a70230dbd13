/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kd --tell: a running kd is told what to do, by its own user. */
#include "kd-e2e-socket.h"
#include "kd-e2e-stage.h"

#include <glib/gstdio.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
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
    int steer;
} Line;

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
    g_autofree char *trans = g_strdup_printf("fake:name=1,echo%s,steer=%s", options, path);

    if (has_server) {
        kd_e2e_stage_start(stage, NULL);
        line->kd = kd_e2e_stage_start_kd(stage, trans, "--stdio", NULL);
    } else {
        line->kd = kd_e2e_stage_run("kd", NULL, "-k", trans, "--stdio", NULL);
    }
    line->steer = dial_device(path);
    kd_e2e_order(line->steer, "wait opens 1");
    kd_e2e_program_say(line->kd, "whole\n");
    g_free(kd_e2e_program_await(line->kd, KD_E2E_STDOUT, "whole"));
}

static void
line_stop(Line *line)
{
    kd_e2e_program_signal(line->kd, SIGTERM);
    g_assert_cmpint(kd_e2e_program_wait(line->kd), ==, 0);
    kd_e2e_program_free(line->kd);
    close(line->steer);
}

/* Returns: what was said, on stdout for status 0, else on stderr */
static char *
tell(const char *request, const char *pid, int status)
{
    g_autoptr(KdE2eProgram) kd =
        kd_e2e_stage_run("kd", NULL, "--tell", request, pid != NULL ? "--pid" : NULL, pid, NULL);
    int real = kd_e2e_program_wait(kd);
    const char *out = kd_e2e_program_get_text(kd, KD_E2E_STDOUT);
    const char *err = kd_e2e_program_get_text(kd, KD_E2E_STDERR);

    g_test_message("%s: %d: %s%s", request, real, out, err);
    g_assert_cmpint(real, ==, status);
    g_assert_cmpstr(status == 0 ? err : out, ==, "");
    return g_strdup(status == 0 ? out : err);
}

static void
expect(const char *request, int status, const char *said)
{
    g_autofree char *text = tell(request, NULL, status);

    g_assert_cmpstr(text, ==, said);
}

static void
test_requests(KdE2eStage *stage, gconstpointer has_server)
{
    g_autofree char *status = NULL;
    Line line;

    line_start(&line, stage, has_server != NULL, ",size=4");
    expect("break", 0, "break sent\n");
    expect("baud 57600", 0, "baud 57600\n");
    expect("lines", 0, "dtr=0 rts=0 cts=0 dsr=0 dcd=0 ri=0\n");
    expect("lines dtr=1,rts=0", 0, "dtr=1 rts=0 cts=0 dsr=0 dcd=0 ri=0\n");
    status = tell("status", NULL, 0);
    g_assert_nonnull(strstr(status, "link: fake:name=1"));
    g_assert_nonnull(strstr(status, "\ntarget: open\n"));
    g_assert_nonnull(strstr(status, "\nbaud: 57600\n"));
    g_assert_nonnull(strstr(status, "\nbreaks: 1\n"));
    g_assert_cmpint(strstr(status, " over tcp:") != NULL, ==, has_server != NULL);
    {
        g_autofree char *controls = kd_e2e_steer(line.steer, "controls");

        g_assert_cmpstr(controls, ==,
                        "controls break 0; baud 57600; lines (0, 0); lines (6, 2); status");
    }
    line_stop(&line);
}

/* What a person needs most when nothing moves any more. */
static void
test_stuck(KdE2eStage *stage, gconstpointer has_server)
{
    g_autofree char *status = NULL;
    g_autofree char *purged = NULL;
    g_autofree char *broken = NULL;
    Line line;

    line_start(&line, stage, has_server != NULL, ",size=4");
    kd_e2e_order(line.steer, "stop");
    kd_e2e_program_say(line.kd, "0123456789\n");
    kd_e2e_order(line.steer, "wait pending 4");
    status = tell("status", NULL, 0);
    g_assert_nonnull(strstr(status, "\npending: 4\n"));
    purged = tell("purge", NULL, 0);
    g_assert_nonnull(strstr(purged, " bytes dropped\n"));
    kd_e2e_program_say(line.kd, "0123456789\n");
    kd_e2e_order(line.steer, "wait pending 4");
    broken = tell("break urgent", NULL, 0);
    g_assert_true(g_str_has_prefix(broken, "break sent, "));
    kd_e2e_order(line.steer, "go");
    kd_e2e_program_say(line.kd, "goes on\n");
    g_free(kd_e2e_program_await(line.kd, KD_E2E_STDOUT, "goes on"));
    line_stop(&line);
}

/* Who has tried in vain many times still gets through with the remedy. */
static void
test_many_in_vain(KdE2eStage *stage, gconstpointer has_server)
{
    KdE2eProgram *kds[20];
    g_autofree char *said = NULL;
    Line line;

    line_start(&line, stage, has_server != NULL, ",size=4");
    kd_e2e_order(line.steer, "stop");
    kd_e2e_program_say(line.kd, "0123456789\n");
    kd_e2e_order(line.steer, "wait pending 4");
    for (gsize i = 0; i < G_N_ELEMENTS(kds); i++) {
        kds[i] = kd_e2e_stage_run("kd", NULL, "--tell=break", NULL);
        if (i % 5 == 4) { /* not more than have room at once */
            g_free(tell("status", NULL, 0));
            for (gsize k = i - 4; k <= i; k++) {
                kd_e2e_program_signal(kds[k], SIGKILL);
                (void)kd_e2e_program_wait(kds[k]);
                kd_e2e_program_free(kds[k]);
            }
        }
    }
    said = tell("break urgent", NULL, 0);
    g_assert_true(g_str_has_prefix(said, "break sent, "));
    line_stop(&line);
}

static void
test_failures(KdE2eStage *stage, gconstpointer has_server)
{
    g_autofree char *wrong = NULL;
    g_autofree char *status = NULL;
    Line line;

    line_start(&line, stage, has_server != NULL, "");
    wrong = tell("brake", NULL, 2);
    g_assert_nonnull(strstr(wrong, "kd: --tell brake: expected break, "));
    kd_e2e_order(line.steer, "fail-control it is stuck");
    expect("break", 1, "kd: no break: fake:name=1: it is stuck\n");
    kd_e2e_order(line.steer, "lose");
    g_free(kd_e2e_program_await(line.kd, KD_E2E_STDERR, "kd: target lost"));
    expect("baud 9600", 1, "kd: the target is lost\n");
    status = tell("status", NULL, 0);
    g_assert_nonnull(strstr(status, "\ntarget: lost\n"));
    line_stop(&line);
}

/* The socket of a virtual machine. */
static void
test_not_offered(KdE2eStage *stage, gconstpointer has_server)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "vm");
    g_autofree char *trans = g_strdup_printf("com:pipe,port=%s", path);
    g_autoptr(KdE2eProgram) kd = NULL;
    int listener = kd_e2e_listen_unix(path);
    int vm;
    static const char *const requests[] = {"break", "break urgent", "baud 9600", "lines"};

    if (has_server != NULL) {
        kd_e2e_stage_start(stage, "--allow-path", stage->folder, NULL);
        kd = kd_e2e_stage_start_kd(stage, trans, "--stdio", NULL);
    } else {
        kd = kd_e2e_stage_run("kd", NULL, "-k", trans, "--stdio", NULL);
    }
    vm = kd_e2e_accept(listener);
    kd_e2e_write(vm, "hello\n", 6);
    g_free(kd_e2e_program_await(kd, KD_E2E_STDOUT, "hello"));
    for (gsize i = 0; i < G_N_ELEMENTS(requests); i++) {
        g_autofree char *said = tell(requests[i], NULL, 1);

        g_assert_nonnull(strstr(said, "this link has no "));
    }
    g_free(tell("status", NULL, 0));
    close(vm);
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 0);
    close(listener);
}

/* ---- which kd ---- */

static KdE2eProgram *
start_listening(KdE2eStage *stage, const char *name)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, name);
    g_autofree char *address = g_strconcat("unix:", path, NULL);
    g_autofree char *trans = g_strdup_printf("fake:name=%s", name);
    KdE2eProgram *kd = kd_e2e_stage_run("kd", NULL, "-k", trans, "--listen", address, NULL);

    g_free(kd_e2e_program_await(kd, KD_E2E_STDERR, "kd: listening on"));
    return kd;
}

static void
stop(KdE2eProgram *kd, int number)
{
    kd_e2e_program_signal(kd, number);
    (void)kd_e2e_program_wait(kd);
    kd_e2e_program_free(kd);
}

static void
test_several(KdE2eStage *stage, gconstpointer unused)
{
    KdE2eProgram *first = start_listening(stage, "7");
    KdE2eProgram *second = start_listening(stage, "8");
    g_autofree char *pid = g_strdup_printf("%d", (int)kd_e2e_program_get_pid(second));
    g_autofree char *line = g_strdup_printf("kd: --pid %s: fake:name=8\n", pid);
    g_autofree char *list = tell("status", NULL, 2);
    g_autofree char *one = tell("status", pid, 0);

    (void)unused;
    g_assert_nonnull(strstr(list, "choose one by --pid"));
    g_assert_nonnull(strstr(list, line));
    g_assert_nonnull(strstr(list, ": fake:name=7\n"));
    g_assert_cmpstr(one, ==, "link: fake:name=8\ntarget: no debugger is connected\n");
    stop(first, SIGTERM);
    expect("baud 9600", 1, "kd: no debugger is connected\n");
    stop(second, SIGTERM);
    expect("status", 1, "kd: no kd is running that could be told\n");
    g_free(tell("status", pid, 1));
}

static void
test_killed(KdE2eStage *stage, gconstpointer unused)
{
    KdE2eProgram *first = start_listening(stage, "7");
    KdE2eProgram *second = start_listening(stage, "8");
    g_autofree char *path =
        g_strdup_printf("%s/kdsrv/kd/%d", stage->folder, (int)kd_e2e_program_get_pid(first));

    (void)unused;
    g_assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
    stop(first, SIGKILL);
    g_assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
    expect("status", 0, "link: fake:name=8\ntarget: no debugger is connected\n");
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    stop(second, SIGTERM);
}

/* What a started debugger shares with kd is no hindrance. */
static void
test_started(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *steer_path = kd_e2e_stage_build_path(stage, "steer");
    g_autofree char *profile = kd_e2e_stage_build_path(stage, "sh.conf");
    g_autofree char *trans = g_strdup_printf("fake:name=1,steer=%s", steer_path);
    KdE2eProgram *kd;
    int steer;

    (void)unused;
    g_assert_true(g_file_set_contents(
        profile, "[Debugger]\nNames=sh\nEnvironment=ADDRESS=${ADDRESS}\n", -1, NULL));
    kd = kd_e2e_stage_run("kd", NULL, "-k", trans, "--profile", profile, "--", "sh", "-c",
                          "echo started; read line", NULL);
    g_free(kd_e2e_program_await(kd, KD_E2E_STDOUT, "started"));
    steer = dial_device(steer_path);
    expect("break", 0, "break sent\n");
    g_assert_cmpuint(kd_e2e_count(steer, "breaks"), ==, 1);
    kd_e2e_program_say(kd, "end\n");
    (void)kd_e2e_program_wait(kd);
    kd_e2e_program_free(kd);
    close(steer);
}

static void
test_kgdb(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *steer_path = kd_e2e_stage_build_path(stage, "steer");
    g_autofree char *profile = kd_e2e_stage_build_path(stage, "k.conf");
    g_autofree char *trans = g_strdup_printf("fake:name=1,echo,steer=%s", steer_path);
    g_autofree char *story = NULL;
    KdE2eProgram *kd;
    int steer;

    (void)unused;
    g_assert_true(g_file_set_contents(profile, "[Debugger]\nBreak=kgdb\n", -1, NULL));
    kd = kd_e2e_stage_run("kd", NULL, "-k", trans, "--profile", profile, "--stdio", NULL);
    steer = dial_device(steer_path);
    kd_e2e_program_say(kd, "+\n");
    g_free(kd_e2e_program_await(kd, KD_E2E_STDOUT, "+"));
    expect("break", 0, "break sent\n");
    kd_e2e_order(steer, "wait in 3");
    expect("break urgent", 0, "break sent\n");
    kd_e2e_order(steer, "wait in 4");
    story = kd_e2e_steer(steer, "story");
    g_assert_cmpstr(story, ==, "story +\\x0a<break>g<break>g");
    stop(kd, SIGTERM);
    close(steer);
}

/* Without a folder of its own kd works as it always did. */
static void
test_no_folder(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *own = kd_e2e_stage_build_path(stage, "kdsrv");
    g_autoptr(KdE2eProgram) kd = NULL;

    (void)unused;
    g_assert_true(g_file_set_contents(own, "in the way", -1, NULL));
    kd = kd_e2e_stage_run("kd", NULL, "-k", "fake:name=1,echo", "--stdio", NULL);
    kd_e2e_program_say(kd, "works\n");
    g_free(kd_e2e_program_await(kd, KD_E2E_STDOUT, "works"));
    kd_e2e_program_signal(kd, SIGTERM);
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 0);
}

static void
test_usage(KdE2eStage *stage, gconstpointer unused)
{
    static const char *const wrong[][4] = {
        {"--pid", "5", NULL},
        {"--tell", "status", "--stdio", NULL},
        {"--tell=status", "--pid=-1", NULL},
        {"--tell=status", "--pid=x", NULL},
    };

    (void)stage;
    (void)unused;
    for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_autoptr(KdE2eProgram) kd =
            kd_e2e_stage_run("kd", NULL, wrong[i][0], wrong[i][1], wrong[i][2], NULL);

        g_assert_cmpint(kd_e2e_program_wait(kd), ==, 2);
    }
}

static void
add(const char *name, void (*fn)(KdE2eStage *, gconstpointer))
{
    g_autofree char *with = g_strconcat("/e2e/tell/server/", name, NULL);
    g_autofree char *without = g_strconcat("/e2e/tell/direct/", name, NULL);

    g_test_add(with, KdE2eStage, "", kd_e2e_stage_set_up, fn, kd_e2e_stage_tear_down);
    g_test_add(without, KdE2eStage, NULL, kd_e2e_stage_set_up, fn, kd_e2e_stage_tear_down);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add("requests-reach-the-target", test_requests);
    add("a-stuck-target-can-be-asked-and-purged", test_stuck);
    add("an-urgent-break-gets-past-many-in-vain", test_many_in_vain);
    add("failures-are-told-by-text-and-status", test_failures);
    add("what-the-link-has-not-is-said", test_not_offered);
    kd_e2e_add("/e2e/tell/several-are-listed-and-one-is-chosen", test_several);
    kd_e2e_add("/e2e/tell/killed-kd-is-forgotten", test_killed);
    kd_e2e_add("/e2e/tell/works-while-a-debugger-runs", test_started);
    kd_e2e_add("/e2e/tell/break-has-its-g-for-a-kernel", test_kgdb);
    kd_e2e_add("/e2e/tell/kd-works-where-it-can-not-be-told", test_no_folder);
    kd_e2e_add("/e2e/tell/wrong-usage-is-refused", test_usage);
    return g_test_run();
}
