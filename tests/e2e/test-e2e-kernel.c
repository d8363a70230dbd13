/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GDB debugs a Linux kernel over kd and kdsrv, by KGDB on an emulated serial port. */
#include "kd-e2e-gdb.h"
#include "kd-e2e-kernel.h"
#include "kd-e2e-protocol.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define N_SESSIONS 20

/**
 * Lab:
 * @trans: names the machine's link
 *
 * A machine, and a server that may reach it.
 */
typedef struct {
    KdE2eKernel *kernel;
    char *trans;
} Lab;

static gboolean
lab_set_up(Lab *lab, KdE2eStage *stage, guint flags)
{
    lab->kernel = kd_e2e_kernel_new(stage, flags);
    if (lab->kernel == NULL) {
        return FALSE;
    }
    lab->trans = g_strconcat("com:pipe,port=", lab->kernel->link, NULL);
    kd_e2e_stage_start(stage, "--allow-path", stage->folder, "--allow-path", "/dev/pts", NULL);
    return TRUE;
}

static void
lab_tear_down(Lab *lab)
{
    kd_e2e_kernel_free(lab->kernel);
    g_free(lab->trans);
}

static KdE2eProgram *
start_with_profile(KdE2eStage *stage, const Lab *lab, const char *profile)
{
    return kd_e2e_stage_start_kd(stage, lab->trans, "--profile", profile, "--", "gdb", "-q", "-nx",
                                 lab->kernel->symbols, NULL);
}

static KdE2eProgram *
start_under_kd(KdE2eStage *stage, const Lab *lab)
{
    return start_with_profile(stage, lab, KD_GDB_PROFILE);
}

/* ---- what a debugger does ---- */

static void
check_memory(KdE2eGdb *gdb)
{
    kd_e2e_gdb_expect(gdb, "p linux_banner", "\"Linux version 6.1.");
    kd_e2e_gdb_expect(gdb, "set var panic_timeout = 4242", "");
    kd_e2e_gdb_expect(gdb, "maintenance flush dcache", "");
    kd_e2e_gdb_expect(gdb, "p panic_timeout", "= 4242");
}

static void
check_breakpoint(KdE2eGdb *gdb)
{
    kd_e2e_gdb_expect(gdb, "break ksys_write", "Breakpoint 1 at");
    kd_e2e_gdb_expect(gdb, "continue", "Breakpoint 1, ");
    kd_e2e_gdb_expect(gdb, "bt 1", "ksys_write (");
    kd_e2e_gdb_expect(gdb, "p count > 0", "= 1");
    kd_e2e_gdb_expect(gdb, "delete", "");
}

static void
expect_in_kernel(KdE2eKernel *kernel, const char *command, const char *answer)
{
    g_autofree char *said = kd_e2e_kernel_ask(kernel, command);

    g_assert_cmpstr(said, ==, answer);
}

/* It boots on, the machine does what it was told to, and it stops again. */
static void
check_break_in_by_shell(KdE2eGdb *gdb, KdE2eKernel *kernel)
{
    kd_e2e_gdb_expect(gdb, "continue &", "");
    kd_e2e_kernel_await_up(kernel);
    expect_in_kernel(kernel, "cat /proc/sys/kernel/panic", "4242");
    kd_e2e_kernel_tell(kernel, "echo g > /proc/sysrq-trigger");
    g_free(kd_e2e_program_await(gdb->program, KD_E2E_STDOUT, "SIGTRAP"));
    kd_e2e_gdb_expect(gdb, "bt 8", "write_sysrq_trigger");
    kd_e2e_gdb_expect(gdb, "p panic_timeout", "= 4242");
    kd_e2e_gdb_expect(gdb, "info threads", "init");
}

static void
leave(KdE2eGdb *gdb)
{
    kd_e2e_gdb_expect(gdb, "detach", "detached");
    kd_e2e_program_say(gdb->program, "quit\n");
    g_assert_cmpint(kd_e2e_program_wait(gdb->program), ==, 0);
}

/* ---- a session ---- */

static void
check_session(KdE2eStage *stage, guint flags)
{
    g_autoptr(KdE2eProgram) kd = NULL;
    KdE2eGdb gdb;
    Lab lab;

    if (!lab_set_up(&lab, stage, flags)) {
        return;
    }
    kd = start_under_kd(stage, &lab);
    kd_e2e_gdb_init(&gdb, kd);
    check_memory(&gdb);
    check_breakpoint(&gdb);
    check_break_in_by_shell(&gdb, lab.kernel);
    leave(&gdb);
    expect_in_kernel(lab.kernel, "echo alive", "alive");
    lab_tear_down(&lab);
}

static void
test_socket(KdE2eStage *stage, gconstpointer unused)
{
    (void)unused;
    check_session(stage, KD_E2E_KERNEL_WAITS);
}

static void
test_terminal(KdE2eStage *stage, gconstpointer unused)
{
    (void)unused;
    check_session(stage, KD_E2E_KERNEL_WAITS | KD_E2E_KERNEL_PTY);
}

/* ---- breaking in by a BREAK on the line ---- */

/**
 * BreakLab:
 * @log: path: one letter for each begin and end of a break
 *
 * The same, and what makes the break of a pseudo terminal arrive.
 */
typedef struct {
    Lab lab;
    char *log;
} BreakLab;

static gboolean
break_lab_set_up(BreakLab *lab, KdE2eStage *stage, guint flags)
{
    g_autofree char *log = kd_e2e_stage_build_path(stage, "breaks.log");
    g_autofree char *socket = NULL;
    g_autofree char *log_variable = g_strconcat("KD_E2E_BREAKS_LOG=", log, NULL);
    const char *environment[] = {"LD_PRELOAD=" KD_BREAK_SHIM, log_variable, NULL, NULL};
    KdE2eSetup setup = {.environment = environment};

    lab->lab.kernel = kd_e2e_kernel_new(stage, flags | KD_E2E_KERNEL_PTY);
    if (lab->lab.kernel == NULL) {
        return FALSE;
    }
    socket = g_strconcat("KD_E2E_BREAKS=", lab->lab.kernel->breaks, NULL);
    environment[2] = socket;
    kd_e2e_stage_start_with(stage, &setup, "--allow-path", "/dev/pts", NULL);
    lab->lab.trans = g_strdup_printf("com:port=%s", lab->lab.kernel->link);
    lab->log = g_steal_pointer(&log);
    return TRUE;
}

static void
break_lab_tear_down(BreakLab *lab)
{
    lab_tear_down(&lab->lab);
    g_free(lab->log);
}

/* Each has begun and ended. */
static void
expect_breaks(const BreakLab *lab, const char *letters)
{
    g_autofree char *text = NULL;

    g_assert_true(g_file_get_contents(lab->log, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, letters);
}

static void
say(KdE2eClient *client, const char *text)
{
    kd_e2e_client_send_data(client, text, strlen(text));
}

/* No debugger at all: only the order of the break and the letter behind it. */
static void
test_break(KdE2eStage *stage, gconstpointer unused)
{
    KdControl control = {.id = 1, .op = KD_CONTROL_BREAK, .arg = 0};
    g_autoptr(KdE2eClient) client = NULL;
    g_autoptr(KdResult) result = NULL;
    BreakLab lab;

    (void)unused;
    if (!break_lab_set_up(&lab, stage, 0)) {
        return;
    }
    client = kd_e2e_client_new_open(stage->port, lab.lab.trans);
    say(client, "g"); /* nothing but a letter, before */
    kd_e2e_client_control(client, &control);
    say(client, "g");
    result = kd_e2e_client_await_result(client);
    g_assert_cmpuint(result->code, ==, 0);
    kd_e2e_kernel_await(lab.lab.kernel, "sysrq: DEBUG");
    say(client, "$?#3f");
    kd_e2e_kernel_await(lab.lab.kernel, "$S05#b8");
    say(client, "+$D#44");
    kd_e2e_kernel_await(lab.lab.kernel, "$OK#9a");
    say(client, "+");
    expect_in_kernel(lab.lab.kernel, "echo alive", "alive");
    expect_breaks(&lab, "Be");
    break_lab_tear_down(&lab);
}

/* GDB has stopped it, by the way of a break and no other. */
static void
expect_stopped_by_break(KdE2eGdb *gdb)
{
    g_free(kd_e2e_program_await(gdb->program, KD_E2E_STDOUT, "SIGTRAP"));
    kd_e2e_gdb_expect(gdb, "bt 20", "serial8250_");
    kd_e2e_gdb_expect(gdb, "p panic_timeout", "= 4242");
}

/* kd is told to send the break, GDB sends the letter: over a UNIX socket it cannot do more. */
static void
test_signal(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eProgram) kd = NULL;
    BreakLab lab;
    KdE2eGdb gdb;

    (void)unused;
    if (!break_lab_set_up(&lab, stage, KD_E2E_KERNEL_WAITS)) {
        return;
    }
    kd = start_under_kd(stage, &lab.lab);
    kd_e2e_gdb_init(&gdb, kd);
    check_memory(&gdb);
    kd_e2e_gdb_expect(&gdb, "set remote interrupt-sequence BREAK-g", "");
    kd_e2e_gdb_expect(&gdb, "continue &", "");
    kd_e2e_kernel_await_up(lab.lab.kernel);
    kd_e2e_program_signal(kd, SIGUSR1);
    g_free(kd_e2e_program_await(kd, KD_E2E_STDERR, "kd: break sent"));
    kd_e2e_program_say(kd, "interrupt\n");
    expect_stopped_by_break(&gdb);
    leave(&gdb);
    expect_in_kernel(lab.lab.kernel, "cat /proc/sys/kernel/panic", "4242");
    expect_breaks(&lab, "Be");
    break_lab_tear_down(&lab);
}

/* ---- what kd makes of GDB's own ways to interrupt a kernel ---- */

/* @sequence: how GDB does it */
static void
check_interrupt(KdE2eStage *stage, const char *sequence)
{
    g_autofree char *order = g_strconcat("set remote interrupt-sequence ", sequence, NULL);
    g_autoptr(KdE2eProgram) kd = NULL;
    BreakLab lab;
    KdE2eGdb gdb;

    if (!break_lab_set_up(&lab, stage, KD_E2E_KERNEL_WAITS)) {
        return;
    }
    kd = start_with_profile(stage, &lab.lab, KD_KGDB_PROFILE);
    kd_e2e_gdb_init(&gdb, kd);
    check_memory(&gdb);
    check_breakpoint(&gdb);
    kd_e2e_gdb_expect(&gdb, order, "");
    kd_e2e_gdb_expect(&gdb, "continue &", "");
    kd_e2e_kernel_await_up(lab.lab.kernel);
    kd_e2e_program_say(kd, "interrupt\n");
    expect_stopped_by_break(&gdb);
    kd_e2e_gdb_expect(&gdb, "continue &", "");
    expect_in_kernel(lab.lab.kernel, "cat /proc/sys/kernel/panic", "4242");
    kd_e2e_program_say(kd, "interrupt\n");
    expect_stopped_by_break(&gdb);
    leave(&gdb);
    expect_in_kernel(lab.lab.kernel, "echo alive", "alive");
    expect_breaks(&lab, "BeBe");
    break_lab_tear_down(&lab);
}

/* Telnet's IAC BREAK and the letter, which GDB says over TCP alone */
static void
test_break_g(KdE2eStage *stage, gconstpointer unused)
{
    (void)unused;
    check_interrupt(stage, "BREAK-g");
}

/* The byte 3, which no kernel listens for */
static void
test_ctrl_c(KdE2eStage *stage, gconstpointer unused)
{
    (void)unused;
    check_interrupt(stage, "Ctrl-C");
}

/* With the letter behind it, so that GDB need not even know. */
static void
test_signal_and_letter(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eProgram) kd = NULL;
    BreakLab lab;
    KdE2eGdb gdb;

    (void)unused;
    if (!break_lab_set_up(&lab, stage, KD_E2E_KERNEL_WAITS)) {
        return;
    }
    kd = start_with_profile(stage, &lab.lab, KD_KGDB_PROFILE);
    kd_e2e_gdb_init(&gdb, kd);
    check_memory(&gdb);
    kd_e2e_gdb_expect(&gdb, "continue &", "");
    kd_e2e_kernel_await_up(lab.lab.kernel);
    kd_e2e_program_signal(kd, SIGUSR1);
    expect_stopped_by_break(&gdb);
    leave(&gdb);
    expect_breaks(&lab, "Be");
    break_lab_tear_down(&lab);
}

/* A kernel that runs is interrupted when GDB connects. */
static void
test_attach(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *address = g_strdup_printf("tcp:127.0.0.1:%u", stage->low + 1);
    g_autofree char *target = g_strdup_printf("target remote 127.0.0.1:%u", stage->low + 1);
    g_autoptr(KdE2eProgram) kd = NULL;
    BreakLab lab;
    KdE2eGdb gdb;

    (void)unused;
    if (!break_lab_set_up(&lab, stage, 0)) {
        return;
    }
    kd = kd_e2e_stage_start_kd(stage, lab.lab.trans, "--profile", KD_KGDB_PROFILE, "--listen",
                               address, NULL);
    g_free(kd_e2e_program_await(kd, KD_E2E_STDERR, "kd: listening on tcp:"));
    for (int i = 0; i < 3; i++) {
        g_autoptr(KdE2eProgram) program = kd_e2e_program_new(
            (const char *[]){"gdb", "-q", "-nx", lab.lab.kernel->symbols, NULL}, NULL);

        kd_e2e_gdb_init(&gdb, program);
        kd_e2e_gdb_expect(&gdb, "set remote interrupt-sequence BREAK-g", "");
        kd_e2e_gdb_expect(&gdb, "set remote interrupt-on-connect on", "");
        kd_e2e_gdb_expect(&gdb, target, "kgdb_breakpoint");
        kd_e2e_gdb_expect(&gdb, "p linux_banner", "\"Linux version 6.1.");
        leave(&gdb);
        expect_in_kernel(lab.lab.kernel, "echo alive", "alive");
    }
    expect_breaks(&lab, "BeBeBe");
    break_lab_tear_down(&lab);
}

/* ---- one session after the other ---- */

static guint
count_fds(const KdE2eProgram *program)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/fd", (int)kd_e2e_program_get_pid(program));
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    guint n = 0;

    g_assert_nonnull(dir);
    while (g_dir_read_name(dir) != NULL) {
        n++;
    }
    return n;
}

static void
have_short_session(KdE2eStage *stage, const Lab *lab, guint number)
{
    g_autofree char *order = g_strdup_printf("set var panic_timeout = %u", 5000 + number);
    g_autofree char *panic = g_strdup_printf("%u", 5000 + number);
    g_autoptr(KdE2eProgram) kd = NULL;
    KdE2eGdb gdb;

    kd_e2e_kernel_tell(lab->kernel, "echo g > /proc/sysrq-trigger");
    kd_e2e_kernel_await(lab->kernel, "sysrq: DEBUG");
    kd = start_under_kd(stage, lab);
    kd_e2e_gdb_init(&gdb, kd);
    kd_e2e_gdb_expect(&gdb, "p linux_banner", "\"Linux version 6.1.");
    kd_e2e_gdb_expect(&gdb, order, "");
    leave(&gdb);
    expect_in_kernel(lab->kernel, "cat /proc/sys/kernel/panic", panic);
}

static void
test_sessions(KdE2eStage *stage, gconstpointer unused)
{
    guint n_fds = 0;
    Lab lab;

    (void)unused;
    if (!lab_set_up(&lab, stage, 0)) {
        return;
    }
    for (guint i = 0; i < N_SESSIONS; i++) {
        have_short_session(stage, &lab, i);
        g_assert_false(kd_e2e_kernel_has_client(lab.kernel));
        if (i == 0) {
            n_fds = count_fds(stage->server);
        }
    }
    g_assert_cmpuint(count_fds(stage->server), ==, n_fds);
    lab_tear_down(&lab);
}

/* ---- a machine that restarts ---- */

static int
open_terminal(const char *path)
{
    int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    return fd;
}

/* Byte by byte, so that nothing behind it is taken. */
static void
read_until(int fd, const char *text)
{
    g_autoptr(GString) all = g_string_new(NULL);

    while (!g_str_has_suffix(all->str, text)) {
        char byte = 0;

        kd_e2e_read(fd, &byte, 1);
        g_string_append_c(all, byte);
    }
}

static void
debug_at_terminal(const char *terminal, const Lab *lab, int panic_timeout)
{
    const char *argv[] = {"gdb", "-q", "-nx", lab->kernel->symbols, NULL};
    g_autofree char *target = g_strconcat("target remote ", terminal, NULL);
    g_autofree char *value = g_strdup_printf("= %d", panic_timeout);
    g_autoptr(KdE2eProgram) program = kd_e2e_program_new(argv, NULL);
    KdE2eGdb gdb;

    kd_e2e_gdb_init(&gdb, program);
    kd_e2e_gdb_expect(&gdb, target, "Remote debugging using");
    kd_e2e_gdb_expect(&gdb, "p linux_banner", "\"Linux version 6.1.");
    kd_e2e_gdb_expect(&gdb, "p panic_timeout", value);
    kd_e2e_gdb_expect(&gdb, "set var panic_timeout = 4242", "");
    leave(&gdb);
}

/* kd's terminal lets one debugger after the other use the same session. */
static void
test_reboot(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *terminal = kd_e2e_stage_build_path(stage, "terminal");
    g_autofree char *option = g_strconcat("--pty=", terminal, NULL);
    g_autoptr(KdE2eProgram) kd = NULL;
    Lab lab;
    int fd;

    (void)unused;
    if (!lab_set_up(&lab, stage, KD_E2E_KERNEL_WAITS)) {
        return;
    }
    kd = kd_e2e_stage_start_kd(stage, lab.trans, option, NULL);
    g_free(kd_e2e_program_await(kd, KD_E2E_STDERR, "kd: pty "));
    debug_at_terminal(terminal, &lab, -1);
    fd = open_terminal(terminal);
    kd_e2e_kernel_await_up(lab.kernel);
    read_until(fd, KD_E2E_KERNEL_UP);
    kd_e2e_kernel_tell(lab.kernel, "echo b > /proc/sysrq-trigger");
    read_until(fd, "Linux version 6.1.");
    read_until(fd, KD_E2E_KERNEL_WAITING);
    close(fd);
    debug_at_terminal(terminal, &lab, -1);
    kd_e2e_kernel_await_up(lab.kernel);
    g_assert_true(kd_e2e_program_is_running(kd));
    g_assert_null(strstr(kd_e2e_program_get_text(kd, KD_E2E_STDERR), "lost"));
    lab_tear_down(&lab);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_e2e_add("/e2e/kernel/is-debugged-over-a-socket", test_socket);
    kd_e2e_add("/e2e/kernel/is-debugged-over-a-terminal", test_terminal);
    kd_e2e_add("/e2e/kernel/hears-a-break-and-then-a-letter", test_break);
    kd_e2e_add("/e2e/kernel/is-stopped-by-a-signal-to-kd", test_signal);
    kd_e2e_add("/e2e/kernel/is-stopped-by-break-and-g-of-gdb", test_break_g);
    kd_e2e_add("/e2e/kernel/is-stopped-by-ctrl-c-of-gdb", test_ctrl_c);
    kd_e2e_add("/e2e/kernel/is-stopped-by-a-signal-to-kd-alone", test_signal_and_letter);
    kd_e2e_add("/e2e/kernel/is-stopped-by-a-gdb-that-connects", test_attach);
    kd_e2e_add("/e2e/kernel/twenty-sessions-leave-nothing-behind", test_sessions);
    kd_e2e_add("/e2e/kernel/restarts-within-a-session", test_reboot);
    return g_test_run();
}
