/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a session's end becomes an error and an exit status. */
#pragma once

#include "kd-message.h"

#include <gio/gio.h>

/* Exit statuses of kd */
enum {
    KD_EXIT_CLEAN = 0,
    KD_EXIT_FAILED = 1,
    KD_EXIT_USAGE = 2,
};

gboolean kd_outcome_from_close(const KdClose *close, gboolean is_opened, GError **error);
void kd_outcome_set_auth_error(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
int kd_outcome_get_status(const GError *error);
