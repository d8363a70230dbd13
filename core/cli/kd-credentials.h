/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Passwords and certificates of kdsrv's command line: made, asked for, or given by a service
 * manager. */
#pragma once

#include "kd-password.h"

gboolean kd_credentials_read_password(KdPassword **password,
                                      GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_credentials_make_cert(const char *name, gboolean is_machine,
                                  GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean kd_credentials_make_verifier(GError **error) G_GNUC_WARN_UNUSED_RESULT;
KdPassword *kd_credentials_take_answer(char *answer, GError **error) G_GNUC_WARN_UNUSED_RESULT;
