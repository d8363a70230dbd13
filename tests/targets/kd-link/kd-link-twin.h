/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A target at the far end of a bad line, small and in simulated time: a state change, requests that
 * are answered, texts, and again. */
#pragma once

#include "kd-packet.h"

typedef struct KdLinkTwin KdLinkTwin;

/**
 * KdLinkTwinFaults:
 *
 * Of so many packets in a thousand; @reorder_ms: by how much at most one is late; @is_strict: who
 * waits for an ACK and hears data takes that for the ACK, and wants the data once more
 */
typedef struct {
    int loss;
    int duplicates;
    int corruption;
    int reorder_ms;
    gboolean is_strict;
} KdLinkTwinFaults;

/* Gives the layer a packet. Returns: whether it was dealt with */
typedef gboolean (*KdLinkTwinGive)(const uint8_t *bytes, size_t len_bytes, gint64 now_us,
                                   void *user);
/* A mailbox is free again. */
typedef void (*KdLinkTwinReady)(gint64 now_us, void *user);

KdLinkTwin *kd_link_twin_new(KdDialect dialect, const KdLinkTwinFaults *faults, guint32 seed,
                             KdLinkTwinGive give, KdLinkTwinReady ready, void *user);
void kd_link_twin_free(KdLinkTwin *twin);
gboolean kd_link_twin_take(KdLinkTwin *twin, const uint8_t *bytes, size_t len_bytes, gint64 now_us);
gint64 kd_link_twin_get_deadline_us(const KdLinkTwin *twin);
void kd_link_twin_tick(KdLinkTwin *twin, gint64 now_us);

/* The payloads: the same on both sides */
#define TWIN_TEXTS 7u
size_t kd_link_twin_build_request(guint32 n, uint8_t *payload);
size_t kd_link_twin_build_continue(guint32 n, uint8_t *payload);
size_t kd_link_twin_build_reply(guint32 n, uint8_t *payload);
size_t kd_link_twin_build_text(guint32 n, uint8_t *payload);
size_t kd_link_twin_build_event(guint32 n, uint8_t *payload);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdLinkTwin, kd_link_twin_free)
