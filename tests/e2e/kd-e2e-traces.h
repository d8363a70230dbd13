/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a session leaves behind in its server: nothing. */
#pragma once

#include "kd-e2e-program.h"

/**
 * KdE2eTraces:
 * @n_files: descriptors that it has
 * @n_lines: that it has logged
 * @memory_kib: that it occupies
 * @since_us: when that was
 *
 * How a server is at one moment.
 */
typedef struct {
    guint n_files;
    guint n_lines;
    guint64 memory_kib;
    gint64 since_us;
} KdE2eTraces;

void kd_e2e_traces_take(KdE2eTraces *traces, KdE2eProgram *server);
void kd_e2e_traces_await_files(const KdE2eTraces *traces, KdE2eProgram *server);
void kd_e2e_traces_expect_few_lines(const KdE2eTraces *traces, KdE2eProgram *server);
void kd_e2e_traces_expect_memory(const KdE2eTraces *traces, KdE2eProgram *server);
void kd_e2e_traces_expect_idle(KdE2eProgram *server, int fd);
