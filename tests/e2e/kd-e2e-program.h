/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A program under test: started with pipes, its lines awaited, its exit status collected. */
#pragma once

#include <glib.h>

#include <sys/types.h>

/* For whatever should happen soon; long enough for a loaded machine and sanitizers. */
#define KD_E2E_DEADLINE_S 30

typedef struct KdE2eProgram KdE2eProgram;

typedef enum {
    KD_E2E_STDOUT = 0,
    KD_E2E_STDERR = 1,
} KdE2eStream;

/**
 * KdE2eSetup:
 * @environment: (nullable): `NAME=value` and so on, beside what the test has
 * @stdin_path: (nullable): file to read instead of a pipe
 * @n_files: most descriptors that it may have, 0 = as the test
 * @terminal: (nullable): name of one that it shall have, as if it were started there; without it
 *    there is none
 * @mounts: (nullable): pairs, up to %NULL: a path, and the one that it shall be mounted over, for
 *    this program and those that it starts alone
 *
 * What a program starts with that is out of the ordinary.
 */
typedef struct {
    const char *const *environment;
    const char *stdin_path;
    guint n_files;
    const char *terminal;
    const char *const *mounts;
} KdE2eSetup;

KdE2eProgram *kd_e2e_program_new(const char *const *argv, const KdE2eSetup *setup);
void kd_e2e_program_free(KdE2eProgram *program);
pid_t kd_e2e_program_get_pid(const KdE2eProgram *program);
const char *kd_e2e_program_get_text(KdE2eProgram *program, KdE2eStream stream);
char *kd_e2e_program_await(KdE2eProgram *program, KdE2eStream stream, const char *text);
void kd_e2e_program_say(KdE2eProgram *program, const char *text);
void kd_e2e_program_close_stdin(KdE2eProgram *program);
void kd_e2e_program_signal(KdE2eProgram *program, int number);
gboolean kd_e2e_program_is_running(KdE2eProgram *program);
int kd_e2e_program_wait(KdE2eProgram *program);
guint64 kd_e2e_program_get_memory_kib(const KdE2eProgram *program);
guint64 kd_e2e_program_get_cpu_us(const KdE2eProgram *program);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdE2eProgram, kd_e2e_program_free)
