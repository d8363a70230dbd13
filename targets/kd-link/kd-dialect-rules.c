/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What tells the dialects of the KD protocol apart. */
#include "kd-dialect-rules.h"

#include "kd-packet.h"

static const KdDialectRules rules[] = {
    [KD_DIALECT_SERIAL] =
        {
            .trailer = KD_TRAILER_NEEDED,
            .has_acks = TRUE,
            .first_id = KD_PACKET_INITIAL_ID,
            .id_step = 0,
            .ack_mask = ~KD_PACKET_SYNC_ID,
            .n_remembered = 1,
        },
    [KD_DIALECT_NET] =
        {
            .trailer = KD_TRAILER_NONE,
            .has_acks = TRUE,
            /* Open: whether a target would also take ids that take turns. Debuggers of Windows
             * count, and so do we. */
            .first_id = 0x80000000u,
            .id_step = 2,
            .ack_mask = ~0u,
            .has_next_id_in_reset = TRUE,
            /* Datagrams overtake each other. */
            .n_remembered = KD_DIALECT_REMEMBERED_MAX,
        },
    [KD_DIALECT_USB] =
        {
            /* Open: nobody has seen one on USB 3; about the USB 2 key nothing is known. */
            .trailer = KD_TRAILER_ACCEPTED,
            .has_acks = TRUE,
            .first_id = KD_PACKET_INITIAL_ID,
            .id_step = 0,
            /* Open: whether the sync bit is left out of the ACK of a packet that has it. */
            .ack_mask = ~0u,
            .n_remembered = 1,
        },
    [KD_DIALECT_1394] =
        {
            .trailer = KD_TRAILER_NONE,
            .has_acks = FALSE,
            /* Open: what the first is. Nobody compares them. */
            .first_id = KD_PACKET_INITIAL_ID,
            .id_step = 1,
            .ack_mask = ~0u,
            .n_remembered = 1,
        },
};

/**
 * kd_dialect_get_rules:
 *
 * Returns: (transfer none): the rules of a dialect
 */
const KdDialectRules *
kd_dialect_get_rules(KdDialect dialect)
{
    g_return_val_if_fail(dialect >= KD_DIALECT_SERIAL && dialect <= KD_DIALECT_1394, NULL);
    return &rules[dialect];
}
