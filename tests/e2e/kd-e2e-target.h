/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A simulated KD target, a program of its own, and the order socket that it listens on. */
#pragma once

#include "kd-e2e-stage.h"

/**
 * KdE2eTarget:
 * @program: kd-target
 * @name: of it, and of its files in the stage's folder
 * @trans: what kd or kdsrv has to open
 * @net_port: of the host's side of KDNET; 0: another link
 */
typedef struct {
    KdE2eProgram *program;
    char *name;
    char *trans;
    guint net_port;
    int control;
    int port_lock;
} KdE2eTarget;

/* Long parts and short ones: a target's key as people choose it */
#define KD_E2E_NET_KEY "1kanar1e.2z7q.3bl4uf1nk.9"

KdE2eTarget *kd_e2e_target_new(const KdE2eStage *stage, const char *name, const char *link,
                               const char *trans, const char *option, ...);
KdE2eTarget *kd_e2e_target_new_pipe(const KdE2eStage *stage, const char *name);
KdE2eTarget *kd_e2e_target_new_pty(const KdE2eStage *stage, const char *name);
KdE2eTarget *kd_e2e_target_new_net(const KdE2eStage *stage, const char *name, const char *key);
KdE2eTarget *kd_e2e_target_new_net_with(const KdE2eStage *stage, const char *name, const char *key,
                                        const char *const *options);
KdE2eTarget *kd_e2e_target_new_net_at(const KdE2eStage *stage, const char *name, const char *key,
                                      guint net_port, guint way_port);
void kd_e2e_target_free(KdE2eTarget *target);
char *kd_e2e_target_ask(const KdE2eTarget *target, const char *order);
void kd_e2e_target_order(const KdE2eTarget *target, const char *order);
guint64 kd_e2e_target_count(const KdE2eTarget *target, const char *counter);
guint kd_e2e_target_take_net_port(int *lock);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdE2eTarget, kd_e2e_target_free)
