/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Control operations of one session: in order with the bytes, or urgent; one at a time. */
#pragma once

#include "kd-link.h"
#include "kd-message.h"
#include "kd-route.h"

typedef struct KdControlQueue KdControlQueue;

/**
 * KdControlIdleFunc:
 *
 * Told when no operation is under way any more, after kd_control_queue_stop().
 */
typedef void (*KdControlIdleFunc)(void *user);

KdControlQueue *kd_control_queue_new(KdRoute *route, KdLink *link, uint32_t offered);
void kd_control_queue_free(KdControlQueue *queue);
gboolean kd_control_queue_add(KdControlQueue *queue, const KdControl *control,
                              GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_control_queue_reached(KdControlQueue *queue);
gboolean kd_control_queue_stop(KdControlQueue *queue, KdControlIdleFunc fn, void *user);
