/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pipes of another machine, with a real ssh and a real sshd between: the other machine is this one
 * under a name that it does not know as its own, and no port is open. */
#include "kd-e2e-places.h"
#include "kd-e2e-stage.h"

#include <glib/gstdio.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FAR "far.example"

/**
 * Lab:
 * @places: what both sides see
 * @bin: in front of PATH: `ssh` with a configuration of ours, `kd` with the plugins of the tree
 *
 * Both machines.
 */
typedef struct {
    KdE2eStage *stage;
    KdE2ePlaces places;
    char *bin;
    char *path;
    const char *environment[2];
} Lab;

static void
lab_clear(Lab *lab)
{
    kd_e2e_places_clear(&lab->places);
    g_free(lab->bin);
    g_free(lab->path);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Lab, lab_clear)

static void write_file(const Lab *lab, const char *name, int mode, const char *format, ...)
    G_GNUC_PRINTF(4, 5);

static void
write_file(const Lab *lab, const char *name, int mode, const char *format, ...)
{
    g_autofree char *path = kd_e2e_stage_build_path(lab->stage, name);
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    g_assert_cmpint(g_chmod(path, mode), ==, 0);
}

static void
make_key(const Lab *lab, const char *name)
{
    g_autofree char *path = kd_e2e_stage_build_path(lab->stage, name);
    const char *argv[] = {"ssh-keygen", "-q", "-t", "ed25519", "-N", "",
                          "-C",         "",   "-f", path,      NULL};
    g_autoptr(KdE2eProgram) keygen = kd_e2e_program_new(argv, NULL);

    g_assert_cmpint(kd_e2e_program_wait(keygen), ==, 0);
}

static void
write_keys(const Lab *lab)
{
    const char *folder = lab->stage->folder;
    g_autofree char *host_file = kd_e2e_stage_build_path(lab->stage, "host.pub");
    g_autofree char *host_key = NULL;

    make_key(lab, "host");
    make_key(lab, "user");
    g_assert_true(g_file_get_contents(host_file, &host_key, NULL, NULL));
    write_file(lab, "known", 0600, "%s %s", FAR, host_key);
    write_file(lab, "sshd_config", 0600,
               "HostKey %s/host\n"
               "AuthorizedKeysFile %s/user.pub\n"
               "PidFile none\n"
               "StrictModes no\n"
               "UsePAM no\n"
               "PermitRootLogin yes\n"
               "SetEnv PATH=%s:/usr/bin:/bin\n",
               folder, folder, lab->bin);
    write_file(lab, "ssh_config", 0600,
               "Host " FAR "\n"
               "  ProxyCommand /usr/sbin/sshd -i -f %s/sshd_config\n"
               "  IdentityFile %s/user\n"
               "  IdentitiesOnly yes\n"
               "  UserKnownHostsFile %s/known\n"
               "  GlobalKnownHostsFile /dev/null\n"
               "  StrictHostKeyChecking yes\n"
               "  BatchMode yes\n"
               "  User root\n",
               folder, folder, folder);
}

/* A machine may forbid what sshd needs. */
static gboolean
is_sshd_alive(const Lab *lab)
{
    g_autofree char *ssh = g_build_filename(lab->bin, "ssh", NULL);
    const char *argv[] = {ssh, FAR, "true", NULL};
    g_autoptr(KdE2eProgram) probe = kd_e2e_program_new(argv, &lab->places.setup);
    int status = kd_e2e_program_wait(probe);

    if (status != 0) {
        g_autofree char *reason = g_strdup_printf("sshd -i does not work here: %s",
                                                  kd_e2e_program_get_text(probe, KD_E2E_STDERR));

        g_test_skip(reason);
    }
    return status == 0;
}

static gboolean
lab_set_up(Lab *lab, KdE2eStage *stage)
{
    g_autofree char *ssh = NULL;
    g_autofree char *privilege = NULL;

    *lab = (Lab){.stage = stage};
    if (geteuid() != 0) {
        g_test_skip("only root can run an sshd that lets somebody in");
        return FALSE;
    }
    if (kd_e2e_is_missing("ssh") || access("/usr/sbin/sshd", X_OK) != 0) {
        g_test_skip("this machine has no ssh or no sshd");
        return FALSE;
    }
    if (!kd_e2e_places_set_up(&lab->places, stage, FALSE)) {
        return FALSE;
    }
    ssh = g_find_program_in_path("ssh");
    lab->bin = kd_e2e_stage_build_path(stage, "bin");
    lab->path = g_strdup_printf("PATH=%s:%s", lab->bin, g_getenv("PATH"));
    lab->environment[0] = lab->path;
    lab->places.setup.environment = lab->environment;
    privilege = g_build_filename(lab->places.run, "sshd", NULL);
    g_assert_cmpint(mkdir(privilege, 0755), ==, 0);
    g_assert_cmpint(mkdir(lab->bin, 0755), ==, 0);
    write_file(lab, "bin/ssh", 0755, "#!/bin/sh\nexec %s -F %s/ssh_config \"$@\"\n", ssh,
               stage->folder);
    write_file(lab, "bin/kd", 0755,
               "#!/bin/sh\necho $$ >%s/bridge\nexec %s/kd --plugin-dir %s \"$@\"\n", stage->folder,
               g_getenv("KD_BINDIR"), g_getenv("KD_PLUGINDIR"));
    write_keys(lab);
    return is_sshd_alive(lab);
}

static KdE2eProgram *
start_kd(const Lab *lab, const char *server)
{
    g_autofree char *link =
        g_strdup_printf("kdsrv:server=@{%s},trans=@{fake:name=1,echo,half}", server);

    return kd_e2e_stage_run("kd", &lab->places.setup, "-k", link, "--stdio", NULL);
}

static gboolean
says(KdE2eProgram *program, const char *text)
{
    const char *said = kd_e2e_program_get_text(program, KD_E2E_STDERR);

    g_test_message("%s", said);
    return strstr(said, text) != NULL;
}

static pid_t
get_bridge(const Lab *lab)
{
    g_autofree char *path = kd_e2e_stage_build_path(lab->stage, "bridge");
    g_autofree char *text = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    return (pid_t)g_ascii_strtoll(text, NULL, 10);
}

static void
await_gone(pid_t pid)
{
    gint64 deadline_us = g_get_monotonic_time() + KD_E2E_DEADLINE_S * G_USEC_PER_SEC;

    while (kill(pid, 0) == 0 || errno != ESRCH) {
        g_assert_cmpint(g_get_monotonic_time(), <, deadline_us);
        g_thread_yield();
    }
}

static void
test_session(KdE2eStage *stage, gconstpointer unused)
{
    g_auto(Lab) lab = {0};
    g_autoptr(KdE2eProgram) kd = NULL;

    (void)unused;
    if (!lab_set_up(&lab, stage)) {
        return;
    }
    g_free(kd_e2e_stage_serve(stage, &lab.places.setup, "-t", "npipe:pipe=lab$(x)", NULL));
    kd = start_kd(&lab, "npipe:server=" FAR ",pipe=lab$(x)");
    kd_e2e_program_say(kd, "over ssh and back\n");
    g_free(kd_e2e_program_await(kd, KD_E2E_STDOUT, "over ssh and back"));
    kd_e2e_program_close_stdin(kd);
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 0);
    await_gone(get_bridge(&lab));
    /* It serves the next one. */
    kd_e2e_program_free(g_steal_pointer(&kd));
    kd = start_kd(&lab, "npipe:server=\\\\" FAR ",pipe=lab$(x)");
    kd_e2e_program_say(kd, "again\n");
    g_free(kd_e2e_program_await(kd, KD_E2E_STDOUT, "again"));
    kd_e2e_stage_stop(stage);
    (void)kd_e2e_program_wait(kd);
    await_gone(get_bridge(&lab));
}

static void
test_password(KdE2eStage *stage, gconstpointer unused)
{
    g_auto(Lab) lab = {0};
    g_autoptr(KdE2eProgram) kd = NULL;

    (void)unused;
    if (!lab_set_up(&lab, stage)) {
        return;
    }
    g_free(
        kd_e2e_stage_serve(stage, &lab.places.setup, "-t", "npipe:pipe=lab,password=Abc123", NULL));
    kd = start_kd(&lab, "npipe:server=" FAR ",pipe=lab,password=Abc123");
    kd_e2e_program_say(kd, "with a password\n");
    g_free(kd_e2e_program_await(kd, KD_E2E_STDOUT, "with a password"));
    kd_e2e_program_close_stdin(kd);
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 0);
}

static void
test_no_pipe(KdE2eStage *stage, gconstpointer unused)
{
    g_auto(Lab) lab = {0};
    g_autoptr(KdE2eProgram) kd = NULL;

    (void)unused;
    if (!lab_set_up(&lab, stage)) {
        return;
    }
    kd = start_kd(&lab, "npipe:server=" FAR ",pipe=nobody");
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 1);
    g_assert_true(says(kd, "cannot reach the pipe nobody of " FAR));
    g_assert_true(says(kd, "there is no pipe nobody in /run/kdsrv/pipe"));
}

/* Whom ssh lets in is ssh's business, and what it says is passed on. */
static void
test_refused(KdE2eStage *stage, gconstpointer unused)
{
    g_auto(Lab) lab = {0};
    g_autoptr(KdE2eProgram) kd = NULL;

    (void)unused;
    if (!lab_set_up(&lab, stage)) {
        return;
    }
    write_file(&lab, "user.pub", 0600, "# nobody\n");
    kd = start_kd(&lab, "npipe:server=" FAR ",pipe=lab");
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 1);
    g_assert_true(says(kd, "ssh has ended with status 255"));
    g_assert_true(says(kd, "Permission denied"));
}

/* Another host key than the known one. */
static void
test_other_host(KdE2eStage *stage, gconstpointer unused)
{
    g_auto(Lab) lab = {0};
    g_autoptr(KdE2eProgram) kd = NULL;
    g_autofree char *user_file = NULL;
    g_autofree char *user_key = NULL;

    (void)unused;
    if (!lab_set_up(&lab, stage)) {
        return;
    }
    user_file = kd_e2e_stage_build_path(stage, "user.pub");
    g_assert_true(g_file_get_contents(user_file, &user_key, NULL, NULL));
    write_file(&lab, "known", 0600, "%s %s", FAR, user_key);
    kd = start_kd(&lab, "npipe:server=" FAR ",pipe=lab");
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 1);
    g_assert_true(says(kd, "Host key verification failed"));
}

/* Who is killed leaves nothing running on either side. */
static void
test_killed(KdE2eStage *stage, gconstpointer unused)
{
    g_auto(Lab) lab = {0};
    g_autoptr(KdE2eProgram) kd = NULL;

    (void)unused;
    if (!lab_set_up(&lab, stage)) {
        return;
    }
    g_free(kd_e2e_stage_serve(stage, &lab.places.setup, "-t", "npipe:pipe=lab", NULL));
    kd = start_kd(&lab, "npipe:server=" FAR ",pipe=lab");
    kd_e2e_program_say(kd, "x\n");
    g_free(kd_e2e_program_await(kd, KD_E2E_STDOUT, "x"));
    kd_e2e_program_signal(kd, SIGKILL);
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 128 + SIGKILL);
    await_gone(get_bridge(&lab));
}

/* CTRL+C at a terminal reaches all its processes, and is meant for the debugger. */
static void
test_interrupt(KdE2eStage *stage, gconstpointer unused)
{
    g_auto(Lab) lab = {0};
    g_autoptr(KdE2eProgram) kd = NULL;
    g_autofree char *children = NULL;
    g_autofree char *text = NULL;
    pid_t pid;

    (void)unused;
    if (!lab_set_up(&lab, stage)) {
        return;
    }
    g_free(kd_e2e_stage_serve(stage, &lab.places.setup, "-t", "npipe:pipe=lab", NULL));
    kd = start_kd(&lab, "npipe:server=" FAR ",pipe=lab");
    kd_e2e_program_say(kd, "before\n");
    g_free(kd_e2e_program_await(kd, KD_E2E_STDOUT, "before"));
    pid = kd_e2e_program_get_pid(kd);
    children = g_strdup_printf("/proc/%d/task/%d/children", (int)pid, (int)pid);
    if (!g_file_get_contents(children, &text, NULL, NULL)) {
        g_test_skip("this kernel does not tell a process's children");
        return;
    }
    g_assert_cmpint(kill((pid_t)g_ascii_strtoll(text, NULL, 10), SIGINT), ==, 0);
    kd_e2e_program_say(kd, "after\n");
    g_free(kd_e2e_program_await(kd, KD_E2E_STDOUT, "after"));
    kd_e2e_program_close_stdin(kd);
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 0);
}

static void
test_missing(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *path = g_strconcat("PATH=", stage->folder, NULL);
    const char *const environment[] = {path, NULL};
    const KdE2eSetup setup = {.environment = environment};
    g_autoptr(KdE2eProgram) kd = kd_e2e_stage_run(
        "kd", &setup, "-k", "kdsrv:server=@{npipe:server=" FAR ",pipe=lab},trans=@{fake:name=1}",
        "--stdio", NULL);

    (void)unused;
    g_assert_cmpint(kd_e2e_program_wait(kd), ==, 1);
    g_assert_true(says(kd, "ssh is not installed"));
}

/* ---- the far side alone ---- */

static void
test_bridge(KdE2eStage *stage, gconstpointer unused)
{
    g_auto(KdE2ePlaces) places = {0};
    g_autoptr(KdE2eProgram) bridge = NULL;

    (void)unused;
    if (!kd_e2e_places_set_up(&places, stage, FALSE)) {
        return;
    }
    g_free(kd_e2e_stage_serve(stage, &places.setup, "-t", "npipe:pipe=lab", NULL));
    bridge = kd_e2e_stage_run("kd", &places.setup, "--pipe-bridge", "lab", NULL);
    g_free(kd_e2e_program_await(bridge, KD_E2E_STDERR, "kd: pipe-bridge: ready"));
    kd_e2e_program_say(bridge, "this is no preamble of any kind\n");
    g_assert_cmpint(kd_e2e_program_wait(bridge), ==, 0);
}

static void
test_bridge_to_nobody(KdE2eStage *stage, gconstpointer unused)
{
    g_auto(KdE2ePlaces) places = {0};
    g_autoptr(KdE2eProgram) bridge = NULL;

    (void)unused;
    if (!kd_e2e_places_set_up(&places, stage, FALSE)) {
        return;
    }
    bridge = kd_e2e_stage_run("kd", &places.setup, "--pipe-bridge=nobody", NULL);
    g_assert_cmpint(kd_e2e_program_wait(bridge), ==, 1);
    g_assert_true(says(bridge, "there is no pipe nobody"));
    g_assert_cmpstr(strchr(kd_e2e_program_get_text(bridge, KD_E2E_STDERR), '\n'), ==, "\n");
}

static void
test_bridge_alone(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eProgram) bridge =
        kd_e2e_stage_run("kd", NULL, "--pipe-bridge=lab", "--stdio", NULL);

    (void)stage;
    (void)unused;
    g_assert_cmpint(kd_e2e_program_wait(bridge), ==, 2);
    g_assert_true(says(bridge, "--pipe-bridge: "));
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_e2e_add("/e2e/ssh/session-goes-through-a-real-sshd", test_session);
    kd_e2e_add("/e2e/ssh/password-goes-through-a-real-sshd", test_password);
    kd_e2e_add("/e2e/ssh/no-such-pipe-is-told-by-the-far-side", test_no_pipe);
    kd_e2e_add("/e2e/ssh/refused-user-is-told", test_refused);
    kd_e2e_add("/e2e/ssh/wrong-host-key-is-told", test_other_host);
    kd_e2e_add("/e2e/ssh/killed-kd-leaves-nothing-running", test_killed);
    kd_e2e_add("/e2e/ssh/interrupt-of-the-terminal-leaves-ssh-alive", test_interrupt);
    kd_e2e_add("/e2e/ssh/missing-ssh-is-said", test_missing);
    kd_e2e_add("/e2e/ssh/bridge-says-that-it-is-ready", test_bridge);
    kd_e2e_add("/e2e/ssh/bridge-to-nobody-fails-in-one-line", test_bridge_to_nobody);
    kd_e2e_add("/e2e/ssh/bridge-goes-with-no-other-link", test_bridge_alone);
    return g_test_run();
}
