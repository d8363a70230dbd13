/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What guards one transport string: TLS, a password, both or neither. */
#pragma once

#include "kd-password.h"
#include "kd-tls-config.h"

typedef struct KdDoor KdDoor;

gboolean kd_door_check(KdTlsRole role, const KdTransport *transport, GVariant *params,
                       GError **error) G_GNUC_WARN_UNUSED_RESULT;
KdDoor *kd_door_new(KdTlsRole role, const KdTransport *transport, GVariant *params,
                    KdPassword *fallback, GError **error) G_GNUC_WARN_UNUSED_RESULT;
KdDoor *kd_door_ref(KdDoor *door);
void kd_door_unref(KdDoor *door);
KdTlsConfig *kd_door_get_tls(const KdDoor *door);
KdPassword *kd_door_get_password(const KdDoor *door);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdDoor, kd_door_unref)
