/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bytes that nobody else may see: wiped at the end, never dumped. */
#pragma once

#include <glib.h>

typedef struct KdSecret KdSecret;

KdSecret *kd_secret_new(const char *text, gssize len_bytes);
KdSecret *kd_secret_ref(KdSecret *secret);
void kd_secret_unref(KdSecret *secret);
const char *kd_secret_get_text(const KdSecret *secret);
gsize kd_secret_get_len(const KdSecret *secret);
void kd_secret_wipe(void *bytes, gsize len_bytes);
void kd_secret_free_text(char *text);
void kd_secret_wipe_value(GVariant *values, const char *key);
void kd_secret_guard_process(void);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdSecret, kd_secret_unref)
