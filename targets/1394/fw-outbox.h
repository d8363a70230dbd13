/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mailbox in which a target finds packets for it, as it is filled from afar. */
#pragma once

#include "fw-block.h"
#include "fw-request.h"

/* States of a mailbox: STATUS_PENDING and STATUS_SUCCESS */
#define FW_BOX_FULL  0x103u
#define FW_BOX_EMPTY 0u

/* What a mailbox takes: the packet's header counts */
#define FW_OUTBOX_PACKET_MAX_BYTES 4000u

/* Where the packet's bytes begin and, with its last four, end */
#define FW_OUTBOX_PACKET_AT 8u
#define FW_OUTBOX_LAST_AT   (FW_OUTBOX_PACKET_AT + FW_OUTBOX_PACKET_MAX_BYTES - 4)

/* A packet that was not taken for so long is withdrawn. Longer than a link repeats a request. */
#define FW_OUTBOX_LIMIT_US (3500 * G_GINT64_CONSTANT(1000))

/* What is done with the packet next */
typedef enum {
    FW_OUTBOX_IDLE = 0,     /* there is none                                                     */
    FW_OUTBOX_ROOM = 1,     /* looks whether the mailbox is empty                                */
    FW_OUTBOX_FILL = 2,     /* writes a part of it                                               */
    FW_OUTBOX_POST = 3,     /* sets the state: full                                              */
    FW_OUTBOX_CHECK = 4,    /* looks whether that was done                                       */
    FW_OUTBOX_WATCH = 5,    /* looks whether the target has taken it                             */
    FW_OUTBOX_WITHDRAW = 6, /* sets the state: empty                                             */
} FwOutboxStep;

/* What an answer means */
typedef enum {
    FW_OUTBOX_MORE = 0,    /* ask on                                                             */
    FW_OUTBOX_FULL = 1,    /* the target has not taken what is there                             */
    FW_OUTBOX_POSTED = 2,  /* the packet is there                                                */
    FW_OUTBOX_TAKEN = 3,   /* the target has taken it: room for the next                         */
    FW_OUTBOX_DROPPED = 4, /* it was withdrawn: room for the next                                */
} FwOutboxNews;

/**
 * FwOutbox:
 * @step: what is done next
 * @n_written: bytes behind the state that were written
 * @n_total: how many there are
 * @is_empty: the mailbox is known to be
 * @is_posted: what is in the mailbox is the packet
 * @is_assumed_posted: with %FW_OUTBOX_CHECK: an empty mailbox means that the packet was taken
 * @since_us: since when the mailbox was seen to be full; 0: it was not
 * @last: what was written last into the last four bytes
 * @bytes: length and packet
 *
 * The state of filling; all zero at the start.
 */
typedef struct {
    FwOutboxStep step;
    size_t n_written;
    size_t n_total;
    gboolean is_empty;
    gboolean is_posted;
    gboolean is_assumed_posted;
    gint64 since_us;
    uint32_t last;
    uint8_t bytes[4 + FW_OUTBOX_PACKET_MAX_BYTES];
} FwOutbox;

void fw_outbox_put(FwOutbox *outbox, const uint8_t *packet, size_t len_bytes);
void fw_outbox_ask(const FwOutbox *outbox, const FwBlock *block, uint32_t chunk_bytes,
                   FwRequest *request);
FwOutboxNews fw_outbox_answer(FwOutbox *outbox, const uint8_t *bytes, size_t len_bytes,
                              gint64 now_us);
void fw_outbox_fail(FwOutbox *outbox, gboolean is_unsure);
void fw_outbox_clear(FwOutbox *outbox);
