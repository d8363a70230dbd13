/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GnuTLS's sentences as a part of ours; for this room only. */
#pragma once

#include <glib.h>

char *kd_tls_text_build(int status);
void kd_tls_text_set_error(GError **error, int status, const char *format, ...) G_GNUC_PRINTF(3, 4);
