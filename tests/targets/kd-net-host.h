/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A KDNET host without sockets for tests, its target, and a time of their own. */
#pragma once

#include "kd-net-target.h"
#include "kdnet-session.h"

#define MS_US   G_GINT64_CONSTANT(1000)
#define S_US    (1000 * MS_US)
#define POKE_US (3016 * MS_US)

/* A host with its target, in one process */
typedef struct {
    KdnetSession *session;
    KdNetTarget target;
    KdnetAddress where; /* the target */
    gint64 now_us;
    GPtrArray *sent; /* GBytes: all datagrams of the host */
    KdnetAddress sent_to;
    GPtrArray *packets; /* GBytes: all KD packets that came */
    guint n_here;
    guint n_gone;
    guint n_restarts;
    guint notices[4];
    gboolean is_full;
} KdNetHost;

void kd_net_host_set_up(KdNetHost *host, gconstpointer unused);
void kd_net_host_tear_down(KdNetHost *host, gconstpointer unused);
KdnetAddress kd_net_host_make_address(uint8_t last, uint16_t port);
void kd_net_host_pass(KdNetHost *host, gint64 us);
void kd_net_host_give(KdNetHost *host, const KdNetDatagram *datagram);
gboolean kd_net_host_take_answer(KdNetHost *host, KdNetTarget *target);
gboolean kd_net_host_poke_as(KdNetHost *host, KdNetTarget *target);
gboolean kd_net_host_poke(KdNetHost *host);
void kd_net_host_check_connection(KdNetHost *host);
void kd_net_host_say(KdNetHost *host, const char *text);
void kd_net_host_check_heard(KdNetHost *host, const char *text);
void kd_net_host_connect_target(KdNetHost *host);
KdnetStatus kd_net_host_get_status(const KdNetHost *host);
