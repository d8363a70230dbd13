/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A bad way between target and host: what it loses, doubles, holds back and changes. No I/O. */
#pragma once

#include <gio/gio.h>

#include <stdint.h>

typedef struct KdSimFaults KdSimFaults;

/* An address and a port of a datagram; elsewhere nothing */
typedef struct {
    uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
    uint16_t port;
} KdSimPeer;

typedef enum {
    KD_SIM_WAY_OUT = 0, /* from the target */
    KD_SIM_WAY_IN = 1,
} KdSimWay;

/**
 * KdSimFaultPlan:
 * @loss: of each packet, 0 to 1
 * @duplicate: of each packet, 0 to 1
 * @reorder: a packet may come after as many that were sent later
 * @corrupt: of each packet, 0 to 1: one of its bits is changed
 * @delay_us: each packet is late by this
 *
 * On a stream a loss is one byte's, and there are neither duplicates nor another order.
 */
typedef struct {
    double loss;
    double duplicate;
    uint32_t reorder;
    double corrupt;
    gint64 delay_us;
} KdSimFaultPlan;

typedef struct {
    uint64_t passed;
    uint64_t lost;
    uint64_t duplicated;
    uint64_t reordered;
    uint64_t corrupted;
    uint64_t delayed;
} KdSimFaultStat;

typedef gboolean (*KdSimDeliver)(KdSimWay way, const uint8_t *bytes, size_t len_bytes,
                                 const KdSimPeer *peer, void *user);

gboolean kd_sim_fault_plan_parse(const char *text, gboolean is_stream, KdSimFaultPlan *plan,
                                 GError **error) G_GNUC_WARN_UNUSED_RESULT;

KdSimFaults *kd_sim_faults_new(uint64_t seed, gboolean is_stream, KdSimDeliver deliver, void *user);
void kd_sim_faults_free(KdSimFaults *faults);
void kd_sim_faults_set(KdSimFaults *faults, const KdSimFaultPlan *plan);
gboolean kd_sim_faults_pass(KdSimFaults *faults, KdSimWay way, const uint8_t *bytes,
                            size_t len_bytes, const KdSimPeer *peer, gint64 now_us);
gint64 kd_sim_faults_get_deadline_us(const KdSimFaults *faults);
void kd_sim_faults_tick(KdSimFaults *faults, gint64 now_us);
const KdSimFaultPlan *kd_sim_faults_get_plan(const KdSimFaults *faults);
const KdSimFaultStat *kd_sim_faults_get_stat(const KdSimFaults *faults);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdSimFaults, kd_sim_faults_free)
