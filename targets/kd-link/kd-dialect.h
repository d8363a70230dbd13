/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The four ways in which links carry the packets of the KD protocol. */
#pragma once

/**
 * KdDialect:
 * @KD_DIALECT_SERIAL: KDCOM: a byte stream; a byte 0xAA after each data packet, ACKs, two packet
 * ids that take turns
 * @KD_DIALECT_NET: one packet a datagram; ACKs, ids that grow by 2
 * @KD_DIALECT_USB: one packet a bulk transfer; ACKs, ids as on serial lines
 * @KD_DIALECT_1394: one packet a mailbox; no ACKs, ids that grow by 1
 */
typedef enum {
    KD_DIALECT_SERIAL = 1,
    KD_DIALECT_NET = 2,
    KD_DIALECT_USB = 3,
    KD_DIALECT_1394 = 4,
} KdDialect;
