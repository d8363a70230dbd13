/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who has given wrong passwords, and how long he has to wait for that. */
#pragma once

#include <glib.h>

#define KD_PENALTIES_STEP_S      5u     /* for one wrong password                             */
#define KD_PENALTIES_ENFORCED_S  15u    /* from there on a source has to wait                 */
#define KD_PENALTIES_MAX_S       600u   /* nobody waits longer                                */
#define KD_PENALTIES_MAX_SOURCES 65536u /* those with the least penalty are forgotten first   */
#define KD_PENALTIES_LOG_S       10u    /* between two lines of the log about one source      */

typedef struct KdPenalties KdPenalties;

KdPenalties *kd_penalties_new(void);
void kd_penalties_free(KdPenalties *penalties);
guint kd_penalties_add(KdPenalties *penalties, const char *source, gint64 now_us);
guint kd_penalties_get_wait_s(KdPenalties *penalties, const char *source, gint64 now_us);
guint kd_penalties_get_n_sources(const KdPenalties *penalties);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdPenalties, kd_penalties_free)
