/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A target that never stops talking, and whose words can be told apart. */
#pragma once

#include <glib.h>

/* What a line of 3 Mbit/s brings */
#define KD_E2E_FLOOD_BYTES_S 375000u

typedef struct KdE2eFlood KdE2eFlood;

KdE2eFlood *kd_e2e_flood_new(int far);
guint64 kd_e2e_flood_get_written(KdE2eFlood *flood);
guint64 kd_e2e_flood_stop(KdE2eFlood *flood);
void kd_e2e_flood_expect(const guint8 *bytes, gsize len);
