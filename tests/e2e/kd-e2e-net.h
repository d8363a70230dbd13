/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Somebody on the way of KDNET's datagrams who writes them down, and somebody who sends all that
 * once more, as fast as it goes. */
#pragma once

#include "kd-e2e-stage.h"

#define KD_E2E_NET_CONTROL 1u /* channel of a datagram */

typedef enum {
    KD_E2E_NET_TO_SERVER = 0,
    KD_E2E_NET_TO_TARGET = 1,
} KdE2eNetWay;

typedef struct KdE2eNetRelay KdE2eNetRelay;

KdE2eNetRelay *kd_e2e_net_relay_new(guint server_port, guint *port);
void kd_e2e_net_relay_free(KdE2eNetRelay *relay);
GPtrArray *kd_e2e_net_relay_list(KdE2eNetRelay *relay, KdE2eNetWay way);
guint kd_e2e_net_relay_count(KdE2eNetRelay *relay, KdE2eNetWay way, guint channel);
gboolean kd_e2e_net_is_control(GBytes *datagram);

/**
 * KdE2eNetFloodReport:
 * @n_sent: datagrams
 * @spent_ms: in which time
 * @n_answered: datagrams that came back
 */
typedef struct {
    guint64 n_sent;
    guint64 spent_ms;
    guint64 n_answered;
} KdE2eNetFloodReport;

typedef struct KdE2eNetFlood KdE2eNetFlood;

KdE2eNetFlood *kd_e2e_net_flood_new(const KdE2eStage *stage, guint port, GPtrArray *datagrams,
                                    guint per_second);
void kd_e2e_net_flood_stop(KdE2eNetFlood *flood, KdE2eNetFloodReport *report);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdE2eNetRelay, kd_e2e_net_relay_free)
