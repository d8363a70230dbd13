/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What both sides have said before a password was proved, and the codes that bind it; no I/O. */
#pragma once

#include "kd-frame.h"

#define KD_FINISHED_BYTES       32u
#define KD_TRANSCRIPT_KEY_BYTES 32u

typedef struct KdTranscript KdTranscript;

KdTranscript *kd_transcript_new(void);
void kd_transcript_free(KdTranscript *transcript);
void kd_transcript_add_preamble(KdTranscript *transcript, KdRole role, uint16_t major,
                                uint16_t minor);
void kd_transcript_add_frame(KdTranscript *transcript, const KdFrameHeader *header,
                             const void *payload);
void kd_transcript_add_sent(KdTranscript *transcript, KdFrameType type, GBytes *payload);
void kd_transcript_add_mechanism(KdTranscript *transcript, const char *mechanism);
GBytes *kd_transcript_build_code(const KdTranscript *transcript, KdRole sender,
                                 const uint8_t key[KD_TRANSCRIPT_KEY_BYTES]);
gboolean kd_transcript_check_code(const KdTranscript *transcript, KdRole sender,
                                  const uint8_t key[KD_TRANSCRIPT_KEY_BYTES], GBytes *code);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdTranscript, kd_transcript_free)
