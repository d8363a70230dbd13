/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a string of the net target asks for. */
#pragma once

#include "kdnet-key.h"

#include <kdsrv-support/kd-dial.h>

#define KDNET_PORT_MIN 49152u
#define KDNET_PORT_LOW 5364u

/**
 * KdnetPlan:
 * @port: of UDP, ours and the target's
 * @family: what we listen on
 * @target: (nullable): name or address of the target; %NULL: it finds us
 * @key_file: (nullable): %NULL: the key is @key
 * @key: a secret
 */
typedef struct {
    uint16_t port;
    KdFamily family;
    char *target;
    char *key_file;
    KdnetKey key;
} KdnetPlan;

KdnetPlan *kdnet_plan_new(GVariant *params, GError **error);
void kdnet_plan_free(KdnetPlan *plan);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdnetPlan, kdnet_plan_free)
