/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GDB debugs a virtual machine over kd and kdsrv, in each way that kd hands a link over. */
#include "kd-e2e-gdb.h"

#include <signal.h>
#include <string.h>

/**
 * Lab:
 * @path: of the machine's socket
 * @trans: names the machine
 *
 * A server, and a machine that it may reach.
 */
typedef struct {
    char *path;
    char *trans;
    KdE2eProgram *vm;
} Lab;

static gboolean
lab_set_up(Lab *lab, KdE2eStage *stage, const char *options)
{
    if (kd_e2e_is_missing("gdb") || kd_e2e_is_missing("qemu-system-x86_64")) {
        return FALSE;
    }
    lab->path = kd_e2e_stage_build_path(stage, "vm.sock");
    lab->trans = g_strdup_printf("com:pipe,port=%s%s", lab->path, options);
    lab->vm = kd_e2e_vm_new(lab->path);
    kd_e2e_stage_start(stage, "--allow-path", stage->folder, NULL);
    return TRUE;
}

static void
lab_tear_down(Lab *lab)
{
    kd_e2e_program_free(lab->vm);
    g_free(lab->path);
    g_free(lab->trans);
}

static KdE2eProgram *
start_gdb(const char *target)
{
    const char *argv[] = {"gdb", "-q", "-nx", "-ex", target, NULL};

    return kd_e2e_program_new(argv, NULL);
}

static KdE2eProgram *
start_under_kd(KdE2eStage *stage, const Lab *lab)
{
    return kd_e2e_stage_start_kd(stage, lab->trans, "--profile", KD_GDB_PROFILE, "--", "gdb", "-q",
                                 "-nx", NULL);
}

/* ---- each way ---- */

static void
test_started(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eProgram) kd = NULL;
    KdE2eGdb gdb;
    Lab lab;

    (void)unused;
    if (!lab_set_up(&lab, stage, "")) {
        return;
    }
    kd = start_under_kd(stage, &lab);
    kd_e2e_gdb_init(&gdb, kd);
    kd_e2e_gdb_check_new_machine(&gdb);
    kd_e2e_gdb_check_interrupt(&gdb);
    kd_e2e_gdb_leave(&gdb);
    lab_tear_down(&lab);
}

static void
test_stdio(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *link = NULL;
    g_autofree char *target = NULL;
    g_autoptr(KdE2eProgram) program = NULL;
    KdE2eGdb gdb;
    Lab lab;

    (void)unused;
    if (!lab_set_up(&lab, stage, "")) {
        return;
    }
    link = kd_e2e_stage_build_link(stage, lab.trans);
    target = g_strdup_printf("target remote | exec %s/kd --plugin-dir %s -k '%s' --stdio",
                             g_getenv("KD_BINDIR"), g_getenv("KD_PLUGINDIR"), link);
    program = start_gdb(target);
    kd_e2e_gdb_init(&gdb, program);
    kd_e2e_gdb_check_new_machine(&gdb);
    kd_e2e_gdb_check_interrupt(&gdb);
    kd_e2e_gdb_leave(&gdb);
    lab_tear_down(&lab);
}

static KdE2eProgram *
start_listening(KdE2eStage *stage, const Lab *lab, char **target)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "debugger");
    g_autofree char *address = g_strconcat("unix:", path, NULL);
    KdE2eProgram *kd = kd_e2e_stage_start_kd(stage, lab->trans, "--listen", address, NULL);

    g_free(kd_e2e_program_await(kd, KD_E2E_STDERR, "kd: listening on unix:"));
    *target = g_strconcat("target remote ", path, NULL);
    return kd;
}

/* And a second session on the same kd, server and machine. */
static void
test_listen(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *target = NULL;
    g_autoptr(KdE2eProgram) kd = NULL;
    g_autoptr(KdE2eProgram) first = NULL;
    g_autoptr(KdE2eProgram) second = NULL;
    KdE2eGdb gdb;
    Lab lab;

    (void)unused;
    if (!lab_set_up(&lab, stage, "")) {
        return;
    }
    kd = start_listening(stage, &lab, &target);
    first = start_gdb(target);
    kd_e2e_gdb_init(&gdb, first);
    kd_e2e_gdb_check_new_machine(&gdb);
    kd_e2e_gdb_check_interrupt(&gdb);
    kd_e2e_gdb_leave(&gdb);
    second = start_gdb(target);
    kd_e2e_gdb_init(&gdb, second);
    kd_e2e_gdb_expect(&gdb, "x/4xb " KD_E2E_RESET_ROM, KD_E2E_RESET_BYTES);
    kd_e2e_gdb_check_interrupt(&gdb);
    kd_e2e_gdb_leave(&gdb);
    lab_tear_down(&lab);
}

/* ---- one session after the other ---- */

static void
test_again(KdE2eStage *stage, gconstpointer unused)
{
    g_autoptr(KdE2eProgram) first = NULL;
    g_autoptr(KdE2eProgram) second = NULL;
    KdE2eGdb gdb;
    Lab lab;

    (void)unused;
    if (!lab_set_up(&lab, stage, "")) {
        return;
    }
    first = start_under_kd(stage, &lab);
    kd_e2e_gdb_init(&gdb, first);
    kd_e2e_gdb_check_new_machine(&gdb);
    kd_e2e_gdb_leave(&gdb);
    second = start_under_kd(stage, &lab);
    kd_e2e_gdb_init(&gdb, second);
    kd_e2e_gdb_expect(&gdb, "x/4xb " KD_E2E_RESET_ROM, KD_E2E_RESET_BYTES);
    kd_e2e_gdb_check_interrupt(&gdb);
    kd_e2e_gdb_leave(&gdb);
    lab_tear_down(&lab);
}

/* GDB does not read its commands while it waits for the target, and ends by no mild signal then. */
static void
test_killed(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *target = NULL;
    g_autoptr(KdE2eProgram) kd = NULL;
    g_autoptr(KdE2eProgram) first = NULL;
    g_autoptr(KdE2eProgram) second = NULL;
    KdE2eGdb gdb;
    Lab lab;

    (void)unused;
    if (!lab_set_up(&lab, stage, "")) {
        return;
    }
    kd = start_listening(stage, &lab, &target);
    first = start_gdb(target);
    kd_e2e_gdb_init(&gdb, first);
    kd_e2e_program_say(first, "continue\n");
    g_free(kd_e2e_program_await(first, KD_E2E_STDOUT, "Continuing"));
    kd_e2e_program_signal(first, SIGKILL);
    g_assert_cmpint(kd_e2e_program_wait(first), ==, 128 + SIGKILL);
    second = start_gdb(target);
    kd_e2e_gdb_init(&gdb, second);
    kd_e2e_gdb_expect(&gdb, "x/4xb " KD_E2E_RESET_ROM, KD_E2E_RESET_BYTES);
    kd_e2e_gdb_leave(&gdb);
    lab_tear_down(&lab);
}

/* ---- a machine that restarts ---- */

static void
test_restart(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *target = NULL;
    g_autoptr(KdE2eProgram) kd = NULL;
    g_autoptr(KdE2eProgram) program = NULL;
    KdE2eGdb gdb;
    Lab lab;

    (void)unused;
    if (!lab_set_up(&lab, stage, ",reconnect")) {
        return;
    }
    kd = start_listening(stage, &lab, &target);
    program = start_gdb(target);
    kd_e2e_gdb_init(&gdb, program);
    kd_e2e_gdb_check_new_machine(&gdb);
    kd_e2e_gdb_expect(&gdb, "maintenance packet m500,1", "received: \"42\"");
    kd_e2e_program_free(lab.vm);
    g_free(kd_e2e_program_await(kd, KD_E2E_STDERR, "kd: target lost"));
    lab.vm = kd_e2e_vm_new(lab.path);
    g_free(kd_e2e_program_await(kd, KD_E2E_STDERR, "kd: target back"));
    kd_e2e_gdb_expect(&gdb, "maintenance packet m500,1", "received: \"00\"");
    kd_e2e_gdb_expect(&gdb, "maintenance packet mffff0,4", "received: \"ea5be000\"");
    lab_tear_down(&lab);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_e2e_add("/e2e/gdb/started-by-kd-debugs-a-machine", test_started);
    kd_e2e_add("/e2e/gdb/over-stdio-debugs-a-machine", test_stdio);
    kd_e2e_add("/e2e/gdb/over-a-socket-debugs-a-machine-twice", test_listen);
    kd_e2e_add("/e2e/gdb/second-session-finds-the-machine", test_again);
    kd_e2e_add("/e2e/gdb/killed-leaves-the-machine-to-the-next-one", test_killed);
    kd_e2e_add("/e2e/gdb/talks-to-the-machine-after-its-restart", test_restart);
    return g_test_run();
}
