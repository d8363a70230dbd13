/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Does what `kd --tell` asks of a running kd. */
#pragma once

#include "kd-breaks.h"
#include "kd-plan.h"
#include "kd-tell-socket.h"

typedef struct KdTold KdTold;

KdTold *kd_told_new(const KdPlan *plan, const KdRegistry *registry, KdBreaks *breaks);
void kd_told_free(KdTold *told);
void kd_told_set_connection(KdTold *told, KdConnection *connection);
