/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Folders of the machine's that the commands see as their own: /run and, where wanted, /etc. */
#pragma once

#include "kd-e2e-stage.h"

/**
 * KdE2ePlaces:
 * @setup: for each program that shall see them
 * @pipes: where the named pipes of such programs are
 * @etc: (nullable): what they see as /etc
 */
typedef struct {
    KdE2eSetup setup;
    char *pipes;
    char *etc;
    char *run;
    const char *mounts[5];
} KdE2ePlaces;

gboolean kd_e2e_places_set_up(KdE2ePlaces *places, const KdE2eStage *stage, gboolean wants_etc);
void kd_e2e_places_clear(KdE2ePlaces *places);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(KdE2ePlaces, kd_e2e_places_clear)
