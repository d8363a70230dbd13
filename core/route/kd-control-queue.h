/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Control operations on the line of a route: in order with the bytes, or urgent; one at a time. */
#pragma once

#include "kd-message.h"
#include "kd-route.h"

/* Unanswered operations that one side may have (PROTOCOL.md, Control). */
#define KD_MAX_CONTROLS 16u

typedef struct KdControlQueue KdControlQueue;

/**
 * KdControlAnswerFunc:
 * @result: of the operation, with its id; borrowed
 *
 * Takes the answer to an operation. Each gets one, unless the queue is stopped before.
 */
typedef void (*KdControlAnswerFunc)(const KdResult *result, void *user);

/**
 * KdControlIdleFunc:
 *
 * Told when no operation is under way any more, after kd_control_queue_stop().
 */
typedef void (*KdControlIdleFunc)(void *user);

/**
 * KdControlLink:
 * @target: whose functions are called
 * @object: the link; lives longer than the queue
 * @offered: bit (1 << op) for each operation that the link offers
 *
 * What operations are done on.
 */
typedef struct {
    const KdTarget *target;
    GObject *object;
    uint32_t offered;
} KdControlLink;

uint32_t kd_control_find_offered(const KdTarget *target, GVariant *facts);
KdControlQueue *kd_control_queue_new(KdRoute *route, const KdControlLink *link,
                                     KdControlAnswerFunc answer, void *user);
void kd_control_queue_free(KdControlQueue *queue);
gboolean kd_control_queue_add(KdControlQueue *queue, const KdControl *control,
                              GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_control_queue_reached(KdControlQueue *queue);
gboolean kd_control_queue_stop(KdControlQueue *queue, KdControlIdleFunc fn, void *user);
