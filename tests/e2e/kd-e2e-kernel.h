/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A Linux kernel with KGDB on an emulated serial port, booted for one test. */
#pragma once

#include "kd-e2e-stage.h"

/* What its user space says when it runs, on the link and on the shell */
#define KD_E2E_KERNEL_UP      "user space is up"
#define KD_E2E_KERNEL_WAITING "Waiting for connection from remote gdb"

typedef enum {
    KD_E2E_KERNEL_WAITS = 1 << 0, /* stands still in KGDB while it boots, until a debugger comes */
    KD_E2E_KERNEL_PTY = 1 << 1,   /* its link is a terminal, not a socket                        */
    KD_E2E_KERNEL_HELD = 1 << 2,  /* does not begin to boot before kd_e2e_kernel_go()            */
} KdE2eKernelFlags;

/**
 * KdE2eKernel:
 * @vm: QEMU; its stdin and stdout are its monitor
 * @symbols: path of vmlinux
 * @link: path of the socket or of the terminal that is the other end of ttyS0, the console
 * @link_log: all that has come out of there, whoever was connected
 * @link_seen: how much of that was awaited
 * @breaks: path of a socket with one more monitor, for kd-e2e-break-shim.c
 * @shell: connected to ttyS1
 * @shell_said: all that has come out of there
 * @shell_seen: how much of that was awaited
 * @n_asked: by monitor and shell
 *
 * The machine. It dies with the test.
 */
typedef struct {
    KdE2eProgram *vm;
    char *symbols;
    char *link;
    char *link_log;
    gsize link_seen;
    char *breaks;
    int shell;
    GString *shell_said;
    gsize shell_seen;
    guint n_asked;
} KdE2eKernel;

KdE2eKernel *kd_e2e_kernel_new(const KdE2eStage *stage, guint flags);
void kd_e2e_kernel_free(KdE2eKernel *kernel);
void kd_e2e_kernel_go(KdE2eKernel *kernel);
void kd_e2e_kernel_await(KdE2eKernel *kernel, const char *text);
void kd_e2e_kernel_await_up(KdE2eKernel *kernel);
char *kd_e2e_kernel_order(KdE2eKernel *kernel, const char *command);
gboolean kd_e2e_kernel_has_client(KdE2eKernel *kernel);
void kd_e2e_kernel_tell(KdE2eKernel *kernel, const char *command);
char *kd_e2e_kernel_ask(KdE2eKernel *kernel, const char *command);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdE2eKernel, kd_e2e_kernel_free)
