/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A kd that offers a link on a socket, and the debuggers of the KD protocol that come to it. */
#pragma once

#include "kd-debugger-script.h"
#include "kd-e2e-target.h"

/**
 * KdE2eDebug:
 * @kd: that listens
 * @path: where
 */
typedef struct {
    KdE2eProgram *kd;
    char *path;
} KdE2eDebug;

KdE2eDebug *kd_e2e_debug_new(const KdE2eStage *stage, const char *name, const char *trans);
KdE2eDebug *kd_e2e_debug_new_link(const KdE2eStage *stage, const char *name, const char *link,
                                  const KdE2eSetup *setup);
void kd_e2e_debug_free(KdE2eDebug *debug);
KdDebugger *kd_e2e_debug_open(void *debug, GError **error);
KdDebugger *kd_e2e_debug_attach(KdE2eDebug *debug, KdDebuggerManner manner, KdDebuggerStop *stop);
char *kd_e2e_debug_run_script(KdE2eDebug *debug, gsize read_bytes);
void kd_e2e_debug_expect_lines(const char *transcript, const char *expected);
void kd_e2e_debug_expect_script(KdE2eDebug *debug, gsize read_bytes);
void kd_e2e_debug_expect_scripts(const KdE2eStage *stage, GPtrArray *targets, gsize read_bytes);
void kd_e2e_debug_expect_memory(KdDebugger *debugger, gsize len_bytes);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdE2eDebug, kd_e2e_debug_free)
