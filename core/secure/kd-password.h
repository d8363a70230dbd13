/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A password as the two ends know it: the text itself, or what a server keeps instead. */
#pragma once

#include "kd-verifier.h"

/* What a server asks of clients; a client refuses anything outside of the two limits. */
#define KD_PASSWORD_ITERATIONS     65536u
#define KD_PASSWORD_MIN_ITERATIONS 4096u
#define KD_PASSWORD_MAX_ITERATIONS 262144u
#define KD_PASSWORD_MAX_BYTES      1024u

typedef struct KdPassword KdPassword;

KdPassword *kd_password_new(const char *text, GError **error) G_GNUC_WARN_UNUSED_RESULT;
KdPassword *kd_password_new_from_file(const char *path, GError **error) G_GNUC_WARN_UNUSED_RESULT;
KdPassword *kd_password_new_from_line(const char *line, GError **error) G_GNUC_WARN_UNUSED_RESULT;
KdPassword *kd_password_ref(KdPassword *password);
void kd_password_unref(KdPassword *password);
gboolean kd_password_is_verifier(const KdPassword *password);
const KdSecret *kd_password_get_text(const KdPassword *password);
const KdVerifier *kd_password_get_verifier(KdPassword *password,
                                           GError **error) G_GNUC_WARN_UNUSED_RESULT;
char *kd_password_build_verifier(KdPassword *password, GError **error) G_GNUC_WARN_UNUSED_RESULT;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdPassword, kd_password_unref)
