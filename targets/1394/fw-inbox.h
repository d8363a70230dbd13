/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mailbox in which a target puts its packets, as it is read from afar. */
#pragma once

#include "fw-outbox.h"

#define FW_INBOX_HEADER_BYTES 20u /* header of the packet, and the length of its payload */

/* What is asked for next */
typedef enum {
    FW_INBOX_LOOK = 0,    /* its state                                                           */
    FW_INBOX_READ = 1,    /* a part of the packet                                                */
    FW_INBOX_TAKE = 2,    /* sets the state: empty                                               */
    FW_INBOX_COMPARE = 3, /* whether it holds another packet than the one taken last             */
} FwInboxStep;

/* What an answer means */
typedef enum {
    FW_INBOX_MORE = 0,     /* ask on                                                              */
    FW_INBOX_EMPTY = 1,    /* there is no packet                                                  */
    FW_INBOX_GARBAGE = 2,  /* its state means nothing                                             */
    FW_INBOX_TOO_LONG = 3, /* there is a packet with a length that cannot be                     */
    FW_INBOX_PACKET = 4,   /* fw_inbox_get_packet(), then fw_inbox_settle()                       */
    FW_INBOX_TAKEN = 5,    /* the target knows that its packet was taken                          */
} FwInboxNews;

/**
 * FwInbox:
 * @step: what is asked for next
 * @bytes: four to spare, the header, its length, the payload
 * @n_read: bytes behind the state that were read
 * @n_total: how many there are; 0: not known yet
 * @guess_bytes: what the first read asks for
 * @taken: header and length of the packet that was taken last
 *
 * The state of reading; all zero at the start.
 */
typedef struct {
    FwInboxStep step;
    size_t n_read;
    size_t n_total;
    uint32_t guess_bytes;
    uint8_t taken[FW_INBOX_HEADER_BYTES];
    uint8_t bytes[FW_BOX_BYTES];
} FwInbox;

void fw_inbox_ask(FwInbox *inbox, const FwBlock *block, uint32_t chunk_bytes, FwRequest *request);
FwInboxNews fw_inbox_answer(FwInbox *inbox, const uint8_t *bytes, size_t len_bytes);
void fw_inbox_fail(FwInbox *inbox);
void fw_inbox_restart(FwInbox *inbox);
const uint8_t *fw_inbox_get_packet(FwInbox *inbox, size_t *len_bytes);
void fw_inbox_settle(FwInbox *inbox, gboolean is_received);
