/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One session with the simulated target, told line by line: the same lines whatever the link is. */
#pragma once

#include "kd-debugger.h"

/**
 * KdDebuggerOpenFunc:
 * @user: of the caller
 *
 * Makes a link to the target, behind the end of the one that it made before: that debugger is freed
 * already.
 *
 * Returns: (transfer full): the debugger, or %NULL and an error
 */
typedef KdDebugger *(*KdDebuggerOpenFunc)(void *user, GError **error);

/**
 * KdDebuggerScript:
 * @read_bytes: how much memory it reads, 1 MiB at most; 0 = that
 * @patience_ms: for one answer; 0 = as kd_debugger_set_patience_ms() has it
 *
 * What may differ between two runs.
 */
typedef struct {
    size_t read_bytes;
    guint patience_ms;
} KdDebuggerScript;

char *kd_debugger_script_run(const KdDebuggerScript *script, KdDebuggerOpenFunc open, void *user,
                             GError **error);
char *kd_debugger_script_get_expected(const KdDebuggerScript *script);
gboolean kd_debugger_script_order(KdDebugger *debugger, const char *line, GString *transcript,
                                  GError **error);
