/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who the debugger is, and one session after the other. */
#pragma once

#include "kd-plan.h"
#include "kd-profile.h"
#include "kd-registry.h"

typedef enum {
    KD_HANDOVER_STDIO = 1,
    KD_HANDOVER_PTY = 2,
    KD_HANDOVER_LISTEN = 3,
    KD_HANDOVER_CHILD = 4,
} KdHandoverKind;

/**
 * KdHandover:
 * @kind: how the debugger gets the link
 * @where: (nullable): PTY: a symbolic link to make; LISTEN: the address
 * @argv: (nullable) (array zero-terminated=1): CHILD: the debugger and its arguments
 * @profile: (nullable): CHILD: how it is started; what a BREAK is, for any kind
 */
typedef struct {
    KdHandoverKind kind;
    const char *where;
    const char *const *argv;
    const KdProfile *profile;
} KdHandover;

int kd_bridge_run(const KdPlan *plan, const KdRegistry *registry, const KdHandover *handover);
