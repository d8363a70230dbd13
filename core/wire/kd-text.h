/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What counts as text on the wire: UTF-8 that a terminal can be given. */
#pragma once

#include <glib.h>

#include <stddef.h>
#include <stdint.h>

/* Bytes, without a NUL at the end */
#define KD_MAX_NAME_BYTES     64u   /* scheme, dialect, feature, mechanism, software */
#define KD_MAX_IDENTITY_BYTES 128u  /* who the client says it is                     */
#define KD_MAX_SENTENCE_BYTES 512u  /* text of CLOSE and EVENT                       */
#define KD_MAX_TRANS_BYTES    1024u /* a link's string, and the link as listed       */
#define KD_MAX_STATUS_BYTES   1024u /* text of RESULT                                */
#define KD_MAX_HOLDER_BYTES   512u  /* who has a listed link                         */

gboolean kd_text_is_printable(const uint8_t *bytes, size_t len);
char *kd_text_dup_printable(const uint8_t *bytes, size_t len, size_t max_bytes);
