/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Clients that have not said yet who they are: how many there may be, of one source and in all. */
#pragma once

#include <glib.h>

#define KD_STRANGERS_MAX            256u
#define KD_STRANGERS_MAX_PER_SOURCE 64u

typedef struct KdStrangers KdStrangers;

KdStrangers *kd_strangers_new(void);
void kd_strangers_free(KdStrangers *strangers);
gboolean kd_strangers_make_room(KdStrangers *strangers, const char *source, gpointer *surplus);
void kd_strangers_add(KdStrangers *strangers, const char *source, gpointer who);
gboolean kd_strangers_remove(KdStrangers *strangers, gpointer who);
const char *kd_strangers_get_source(const KdStrangers *strangers, gpointer who);
guint kd_strangers_get_of_source(const KdStrangers *strangers, const char *source);
guint kd_strangers_get_count(const KdStrangers *strangers);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdStrangers, kd_strangers_free)
