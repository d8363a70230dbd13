/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a target is answered while no debugger listens. */
#pragma once

#include "kd-packet.h"

#define KD_UNATTENDED_ANSWER_MAX_BYTES 64u
#define KD_UNATTENDED_ASKED_MAX_BYTES  64u

/**
 * KdUnattended:
 * @type: of what the target waits for an answer to; 0: nothing
 * @is_seen: whether a debugger has acknowledged it
 * @asked: as much of its payload as an answer needs
 *
 * The question of the target that is open. All zero: there is none.
 */
typedef struct {
    uint16_t type;
    gboolean is_seen;
    size_t asked_bytes;
    uint8_t asked[KD_UNATTENDED_ASKED_MAX_BYTES];
} KdUnattended;

gboolean kd_unattended_is_question(const KdPacket *packet);
void kd_unattended_ask(KdUnattended *unattended, const KdPacket *packet);
gboolean kd_unattended_is_answer(const KdUnattended *unattended, const KdPacket *packet);
gboolean kd_unattended_is_for_people(const KdUnattended *unattended);
void kd_unattended_clear(KdUnattended *unattended);
KdPacket kd_unattended_build_answer(const KdUnattended *unattended,
                                    uint8_t answer[static KD_UNATTENDED_ANSWER_MAX_BYTES]);
