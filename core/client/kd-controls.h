/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Control operations of a client that were asked for and not answered yet. */
#pragma once

#include "kd-message.h"

typedef struct KdControls KdControls;

/**
 * KdControlledFunc:
 * @value: as RESULT has it: bytes dropped, speed, modem lines
 * @text: (nullable): of STATUS
 * @error: (nullable): why it was not done; %NULL: it was
 *
 * Takes the answer to a control operation; comes exactly once.
 */
typedef void (*KdControlledFunc)(uint64_t value, const char *text, const GError *error, void *user);

KdControls *kd_controls_new(void);
void kd_controls_free(KdControls *controls);
uint32_t kd_controls_add(KdControls *controls, KdControlledFunc fn, void *user);
void kd_controls_take_result(KdControls *controls, const KdResult *result);
void kd_controls_take_error(KdControls *controls, uint32_t id, const GError *error);
GError *kd_controls_build_refusal(uint32_t op);
