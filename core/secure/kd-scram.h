/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One SCRAM-SHA-256(-PLUS) exchange (RFC 5802, RFC 7677, RFC 9266), either side; no I/O. */
#pragma once

#include "kd-password.h"

#include <stdint.h>

#define KD_SCRAM_PLAIN     "SCRAM-SHA-256"      /* where nothing else guards the connection */
#define KD_SCRAM_BOUND     "SCRAM-SHA-256-PLUS" /* over TLS, bound to it                     */
#define KD_SCRAM_USER      "kd"                 /* the only one: a password has no user       */
#define KD_SCRAM_KEY_BYTES 32u

typedef struct KdScram KdScram;

KdScram *kd_scram_new_server(KdPassword *password, GBytes *binding,
                             GError **error) G_GNUC_WARN_UNUSED_RESULT;
KdScram *kd_scram_new_client(KdPassword *password, GBytes *binding,
                             GError **error) G_GNUC_WARN_UNUSED_RESULT;
void kd_scram_free(KdScram *scram);
const char *kd_scram_get_mechanism(const KdScram *scram);
gboolean kd_scram_step(KdScram *scram, GBytes *in, GBytes **out, gboolean *is_done,
                       GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_scram_get_key(const KdScram *scram, uint8_t key[KD_SCRAM_KEY_BYTES]);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdScram, kd_scram_free)
