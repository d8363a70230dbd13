/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What tells the dialects of the KD protocol apart. */
#pragma once

#include "kd-dialect.h"

#include <glib.h>

#include <stdint.h>

/* Whether a byte 0xAA follows a packet of data */
typedef enum {
    KD_TRAILER_NONE = 0,
    KD_TRAILER_ACCEPTED = 1, /* none is sent; one that is received is taken off */
    KD_TRAILER_NEEDED = 2,
} KdTrailer;

/**
 * KdDialectRules:
 * @trailer: KD_TRAILER_NONE and so on
 * @has_acks: there are ACK, RESEND and RESET packets; without them a packet has been taken when the
 *    carrier has taken it
 * @first_id: of our first packet
 * @id_step: by which our ids grow; 0: KDCOM's two ids take turns, and a sync bit says that a side
 *    has started over
 * @ack_mask: what of a packet's id its ACK repeats
 * @has_next_id_in_reset: a RESET tells the id of the next packet of who sends it; else it is 0
 * @n_remembered: of how many packets back a repetition can still arrive
 */
typedef struct {
    KdTrailer trailer;
    gboolean has_acks;
    uint32_t first_id;
    uint32_t id_step;
    uint32_t ack_mask;
    gboolean has_next_id_in_reset;
    unsigned n_remembered;
} KdDialectRules;

/* The most that n_remembered is in any dialect */
#define KD_DIALECT_REMEMBERED_MAX 16u

const KdDialectRules *kd_dialect_get_rules(KdDialect dialect);
