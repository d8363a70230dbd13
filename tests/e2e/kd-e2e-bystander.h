/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A session on a line of its own that has nothing to do with what goes wrong elsewhere. */
#pragma once

#include <glib.h>

typedef struct KdE2eBystander KdE2eBystander;

KdE2eBystander *kd_e2e_bystander_new(guint port);
KdE2eBystander *kd_e2e_bystander_new_over(int near, int far);
void kd_e2e_bystander_free(KdE2eBystander *bystander);
void kd_e2e_bystander_begin(KdE2eBystander *bystander);
gboolean kd_e2e_bystander_has_enough(KdE2eBystander *bystander);
void kd_e2e_bystander_await_s(KdE2eBystander *bystander, guint seconds);
void kd_e2e_bystander_get_p99(KdE2eBystander *bystander, guint *before_us, guint *during_us);
void kd_e2e_bystander_get_usual_p99(KdE2eBystander *bystander, guint *before_us, guint *during_us);
void kd_e2e_bystander_expect_unharmed(KdE2eBystander *bystander);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdE2eBystander, kd_e2e_bystander_free)
