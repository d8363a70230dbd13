/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A virtual machine with a debug stub, and GDB that is told line by line what to do. */
#include "kd-e2e-gdb.h"

#include <string.h>

/* Where SeaBIOS' reset vector leads */
#define ENTRY     "0xfe05b"
#define ENTRY_RIP "0xe05b"

/**
 * kd_e2e_vm_new:
 * @path: of the socket on which its debug stub listens; what is there already is replaced
 *
 * Starts a machine that is halted before its first instruction.
 *
 * Returns: (transfer full): the machine, listening
 */
KdE2eProgram *
kd_e2e_vm_new(const char *path)
{
    g_autofree char *chardev = g_strdup_printf("socket,id=g,path=%s,server=on,wait=off", path);
    const char *argv[] = {
        "qemu-system-x86_64", "-accel",   "tcg",   "-m",       "16",    "-nodefaults",
        "-display",           "none",     "-S",    "-chardev", chardev, "-gdb",
        "chardev:g",          "-monitor", "stdio", NULL};
    KdE2eProgram *vm = kd_e2e_program_new(argv, NULL);

    /* Its monitor greets when everything else is set up. */
    g_free(kd_e2e_program_await(vm, KD_E2E_STDOUT, "monitor - type"));
    return vm;
}

/**
 * kd_e2e_gdb_init:
 * @program: was told to start GDB with our stdin
 *
 * Takes GDB's attention.
 */
void
kd_e2e_gdb_init(KdE2eGdb *gdb, KdE2eProgram *program)
{
    gdb->program = program;
    gdb->n_asked = 0;
    g_free(kd_e2e_gdb_ask(gdb, "set pagination off"));
    g_free(kd_e2e_gdb_ask(gdb, "set confirm off"));
}

/**
 * kd_e2e_gdb_ask:
 * @command: one line
 *
 * Returns: (transfer full): all that GDB says until it is through with it
 */
char *
kd_e2e_gdb_ask(KdE2eGdb *gdb, const char *command)
{
    g_autofree char *mark = g_strdup_printf("<answer %u ends>", ++gdb->n_asked);
    g_autofree char *lines = g_strdup_printf("%s\necho %s\\n\n", command, mark);
    gsize seen[2] = {
        strlen(kd_e2e_program_get_text(gdb->program, KD_E2E_STDOUT)),
        strlen(kd_e2e_program_get_text(gdb->program, KD_E2E_STDERR)),
    };

    kd_e2e_program_say(gdb->program, lines);
    g_free(kd_e2e_program_await(gdb->program, KD_E2E_STDOUT, mark));
    return g_strconcat(kd_e2e_program_get_text(gdb->program, KD_E2E_STDOUT) + seen[0],
                       kd_e2e_program_get_text(gdb->program, KD_E2E_STDERR) + seen[1], NULL);
}

/**
 * kd_e2e_gdb_expect:
 * @text: part of the answer
 *
 * Asks, and looks for something in the answer.
 */
void
kd_e2e_gdb_expect(KdE2eGdb *gdb, const char *command, const char *text)
{
    g_autofree char *answer = kd_e2e_gdb_ask(gdb, command);

    if (strstr(answer, text) == NULL) {
        g_error("gdb: %s: expected %s, got:\n%s", command, text, answer);
    }
}

/**
 * kd_e2e_gdb_check_new_machine:
 *
 * Says that the machine is new and that GDB is connected to it: reads and writes its memory, lets
 * it run to a breakpoint and one instruction further.
 */
void
kd_e2e_gdb_check_new_machine(KdE2eGdb *gdb)
{
    kd_e2e_gdb_expect(gdb, "p/x $rip", "= 0xfff0");
    kd_e2e_gdb_expect(gdb, "p/x $cs", "= 0xf000");
    kd_e2e_gdb_expect(gdb, "x/4xb 0xffff0", KD_E2E_RESET_BYTES);
    kd_e2e_gdb_expect(gdb, "set {char}0x500 = 0x42", "");
    kd_e2e_gdb_expect(gdb, "x/1xb 0x500", "0x42");
    kd_e2e_gdb_expect(gdb, "break *" ENTRY, "Breakpoint 1 at");
    kd_e2e_gdb_expect(gdb, "continue", "SIGTRAP");
    kd_e2e_gdb_expect(gdb, "p/x $rip", "= " ENTRY_RIP);
    kd_e2e_gdb_expect(gdb, "delete", "");
    kd_e2e_gdb_expect(gdb, "stepi", "");
    kd_e2e_gdb_expect(gdb, "p $rip != " ENTRY_RIP, "= 1");
}

/**
 * kd_e2e_gdb_check_interrupt:
 *
 * Lets the machine run and breaks in.
 */
void
kd_e2e_gdb_check_interrupt(KdE2eGdb *gdb)
{
    kd_e2e_gdb_expect(gdb, "continue &", "");
    kd_e2e_program_say(gdb->program, "interrupt\n");
    g_free(kd_e2e_program_await(gdb->program, KD_E2E_STDOUT, "SIGINT"));
    kd_e2e_gdb_expect(gdb, "p $rip == $rip", "= 1");
}

/**
 * kd_e2e_gdb_leave:
 *
 * Detaches and ends GDB, and what has started it.
 */
void
kd_e2e_gdb_leave(KdE2eGdb *gdb)
{
    kd_e2e_gdb_expect(gdb, "detach", "detached");
    kd_e2e_program_say(gdb->program, "quit\n");
    g_assert_cmpint(kd_e2e_program_wait(gdb->program), ==, 0);
}
