/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A secret that is looked for in all that left a program, in each form that somebody could make of
 * it.
 */
#pragma once

#include <glib.h>

typedef struct KdE2eCanary KdE2eCanary;

KdE2eCanary *kd_e2e_canary_new(const char *name, const void *secret, gsize len);
void kd_e2e_canary_free(KdE2eCanary *canary);
gboolean kd_e2e_canary_is_in(const KdE2eCanary *canary, const void *bytes, gsize len);
void kd_e2e_canary_expect_not_in(const KdE2eCanary *canary, const char *where, const void *bytes,
                                 gsize len);
void kd_e2e_canary_expect_not_in_text(const KdE2eCanary *canary, const char *where,
                                      const char *text);
void kd_e2e_canary_expect_not_in_file(const KdE2eCanary *canary, const char *path);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdE2eCanary, kd_e2e_canary_free)
