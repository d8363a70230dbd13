/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One session that a fault is made for, beside one that nothing must harm. */
#pragma once

#include "kd-e2e-bystander.h"
#include "kd-e2e-protocol.h"
#include "kd-e2e-stage.h"
#include "kd-e2e-traces.h"

/* How soon a line is free again whose client has gone */
#define KD_E2E_FREE_US ((KD_E2E_IS_SANITIZED ? 3 : 1) * G_USEC_PER_SEC)

/**
 * KdE2eCase:
 * @bystander: the session beside
 * @traces: of the server, with the bystander alone
 * @name: of the line that goes wrong
 * @trans: the link to it
 * @far: its far side, -1: closed
 * @client: (nullable): has the link
 */
typedef struct {
    KdE2eStage *stage;
    KdE2eBystander *bystander;
    KdE2eTraces traces;
    char *name;
    char *trans;
    int far;
    KdE2eClient *client;
} KdE2eCase;

void kd_e2e_case_set_up(KdE2eCase *self, KdE2eStage *stage, const char *keys);
void kd_e2e_case_tear_down(KdE2eCase *self);
void kd_e2e_case_open(KdE2eCase *self);
void kd_e2e_case_open_when_free(KdE2eCase *self);
