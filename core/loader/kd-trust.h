/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether code may be loaded from a path: nobody else may have had a hand in it. */
#pragma once

#include <gio/gio.h>

typedef enum {
    KD_TRUST_FOLDER = 1,
    KD_TRUST_FILE = 2,
} KdTrustKind;

char *kd_trust_resolve(const char *path, KdTrustKind kind,
                       GError **error) G_GNUC_WARN_UNUSED_RESULT;
