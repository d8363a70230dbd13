/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Thumbprints of certificates as people write and paste them. */
#pragma once

#include <glib.h>

/* Hex digits of the two kinds */
#define KD_THUMBPRINT_SHA1_DIGITS   40u
#define KD_THUMBPRINT_SHA256_DIGITS 64u

char *kd_thumbprint_parse(const char *text);
gsize kd_thumbprint_count_torn(const char *text);
char *kd_thumbprint_build(const guint8 *bytes, gsize len_bytes);
