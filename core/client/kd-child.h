/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The debugger that kd has started. */
#pragma once

#include <gio/gio.h>

typedef struct KdChild KdChild;

/**
 * KdChildFunc:
 * @status: as a shell has it: the exit status, or 128 + signal
 *
 * Tells that the debugger has ended.
 */
typedef void (*KdChildFunc)(int status, void *user);

KdChild *kd_child_new(const char *const *argv, char *const *environment, KdChildFunc ended,
                      void *user, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_child_free(KdChild *child);
void kd_child_terminate(KdChild *child);
