/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host's side of a memory-fed target, for its tests: what came, and what to say. */
#pragma once

#include "kd-sim-link.h"

#define KD_SIM_HOST_RETRY_MS 100u
#define KD_SIM_HOST_WAIT_US  (1000 * (gint64)KD_SIM_HOST_RETRY_MS)

/**
 * KdSimHost:
 * @now_us: the time that everything is told
 * @out: (element-type GBytes): what the target has sent, one entry a call
 * @is_busy: the carrier takes nothing
 * @in_id: of the next data
 */
typedef struct {
    KdSimDialect dialect;
    KdSimMachine *machine;
    KdSimLink *link;
    gint64 now_us;
    GQueue out;
    gboolean is_busy;
    uint32_t in_id;
    KdSimHeader header; /* of the packet that was expected last */
    uint8_t payload[KD_SIM_PAYLOAD_MAX_BYTES];
} KdSimHost;

KdSimHost *kd_sim_host_new(KdSimDialect dialect, const KdSimMachineOptions *options);
void kd_sim_host_free(KdSimHost *host);
gboolean kd_sim_host_collect(const uint8_t *bytes, size_t len_bytes, void *user);
void kd_sim_host_say(KdSimHost *host, const void *bytes, size_t len_bytes);
void kd_sim_host_say_control(KdSimHost *host, uint16_t type, uint32_t id);
void kd_sim_host_say_data(KdSimHost *host, uint16_t type, const uint8_t *payload,
                          size_t payload_bytes);
void kd_sim_host_ask(KdSimHost *host, uint32_t api, uint64_t address, uint32_t count);
void kd_sim_host_pass_time(KdSimHost *host, gint64 us);
void kd_sim_host_expect(KdSimHost *host, uint16_t type, uint32_t id);
void kd_sim_host_expect_nothing(const KdSimHost *host);
void kd_sim_host_expect_and_ack(KdSimHost *host, uint16_t type);
void kd_sim_host_attach(KdSimHost *host);
void kd_sim_host_continue(KdSimHost *host);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdSimHost, kd_sim_host_free)
