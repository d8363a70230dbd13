/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which link to open and where: what -k, --server and --trans say. */
#pragma once

#include "kd-dial-up.h"

/**
 * KdPlan:
 * @server: (nullable): transport string of the server, without its secrets once there is @dial_up;
 *    %NULL: the link is on this machine
 * @dial_up: (nullable): what @server says; %NULL before kd_plan_resolve()
 * @trans: (nullable): the link's string; %NULL: none, the links are listed
 */
typedef struct {
    char *server;
    KdDialUp *dial_up;
    char *trans;
} KdPlan;

extern const KdParamSpec kd_plan_params[];

KdPlan *kd_plan_new(const char *connection, const char *server, const char *trans,
                    GError **error) G_GNUC_WARN_UNUSED_RESULT;
KdPlan *kd_plan_new_listing(const char *server, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_plan_resolve(KdPlan *plan, const KdRegistry *registry,
                         GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_plan_free(KdPlan *plan);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdPlan, kd_plan_free)
