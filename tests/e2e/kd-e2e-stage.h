/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an end-to-end test stands on: a folder, ports that are its own, a server, a target. */
#pragma once

#include "kd-e2e-program.h"

#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>

/* Ports of one stage; nobody else's tests use them at the same time */
#define KD_E2E_N_PORTS 16u

#if defined(__SANITIZE_ADDRESS__)
#define KD_E2E_IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KD_E2E_IS_SANITIZED 1
#endif
#endif
#ifndef KD_E2E_IS_SANITIZED
#define KD_E2E_IS_SANITIZED 0
#endif

/**
 * KdE2eStage:
 * @folder: of this test, removed afterwards, even if the test aborts
 * @keeper: the process that removes it
 * @keeper_fd: while it is open, the test goes on
 * @low: first of its ports
 * @lock_fd: keeps others off those ports
 * @server: (nullable): kdsrv
 * @port: of the server
 *
 * The fixture of all end-to-end tests.
 */
typedef struct {
    char *folder;
    pid_t keeper;
    int keeper_fd;
    guint low;
    int lock_fd;
    KdE2eProgram *server;
    guint port;
} KdE2eStage;

#define kd_e2e_add(path, fn) \
    g_test_add(path, KdE2eStage, NULL, kd_e2e_stage_set_up, fn, kd_e2e_stage_tear_down)

void kd_e2e_stage_set_up(KdE2eStage *stage, gconstpointer unused);
void kd_e2e_stage_tear_down(KdE2eStage *stage, gconstpointer unused);
char *kd_e2e_stage_build_path(const KdE2eStage *stage, const char *name);
void kd_e2e_stage_start(KdE2eStage *stage, const char *option, ...);
void kd_e2e_stage_start_with(KdE2eStage *stage, const KdE2eSetup *setup, const char *option, ...);
char *kd_e2e_stage_serve(KdE2eStage *stage, const KdE2eSetup *setup, const char *option, ...);
void kd_e2e_stage_stop(KdE2eStage *stage);
char *kd_e2e_stage_build_listen(const KdE2eStage *stage, const char *start);
char *kd_e2e_stage_build_link(const KdE2eStage *stage, const char *trans);
KdE2eProgram *kd_e2e_stage_start_kd(const KdE2eStage *stage, const char *trans, const char *option,
                                    ...);
KdE2eProgram *kd_e2e_stage_run(const char *command, const KdE2eSetup *setup, const char *option,
                               ...);
gboolean kd_e2e_is_missing(const char *program);
