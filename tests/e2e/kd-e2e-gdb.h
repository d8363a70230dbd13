/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A virtual machine with a debug stub, and GDB that is told line by line what to do. */
#pragma once

#include "kd-e2e-stage.h"

/* SeaBIOS: the reset vector's jump, as GDB shows it. Of a machine that runs it is looked at in the
 * ROM: beneath 1 MiB the firmware puts memory in its place, which is empty for some milliseconds.
 */
#define KD_E2E_RESET_ROM   "0xfffffff0"
#define KD_E2E_RESET_BYTES "0xea\t0x5b\t0xe0\t0x00"

/**
 * KdE2eGdb:
 * @program: GDB itself, or what has started it and handed its stdin and stdout down
 * @n_asked: how many commands it was given
 *
 * GDB, fed through a pipe: only so does it run its event loop, and can be interrupted.
 */
typedef struct {
    KdE2eProgram *program;
    guint n_asked;
} KdE2eGdb;

KdE2eProgram *kd_e2e_vm_new(const char *path);
void kd_e2e_gdb_init(KdE2eGdb *gdb, KdE2eProgram *program);
char *kd_e2e_gdb_ask(KdE2eGdb *gdb, const char *command);
void kd_e2e_gdb_expect(KdE2eGdb *gdb, const char *command, const char *text);
void kd_e2e_gdb_check_new_machine(KdE2eGdb *gdb);
void kd_e2e_gdb_check_interrupt(KdE2eGdb *gdb);
void kd_e2e_gdb_leave(KdE2eGdb *gdb);
