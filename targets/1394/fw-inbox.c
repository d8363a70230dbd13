/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mailbox in which a target puts its packets, as it is read from afar. */
#include "fw-inbox.h"

#include "fw-bytes.h"

#include <string.h>

/* State u32, header of the packet [16], length of its payload u32, payload [4000] (the public
 * Singularity sources) */
#define HEADER_AT   4u
#define LENGTH_AT   16u /* behind the state */
#define PAYLOAD_MAX 4000u

/* A state change is no longer. */
#define GUESS_MIN_BYTES 320u

/**
 * fw_inbox_ask:
 * @chunk_bytes: most bytes of one request
 * @request: (out caller-allocates): what to ask for; what it writes is borrowed for good
 *
 * Says what is to be asked for next.
 */
void
fw_inbox_ask(FwInbox *inbox, const FwBlock *block, uint32_t chunk_bytes, FwRequest *request)
{
    static const uint8_t empty[4] = {0};
    *request = (FwRequest){.offset = block->send_offset, .len_bytes = 4};
    switch (inbox->step) {
    case FW_INBOX_TAKE:
        request->is_write = TRUE;
        request->bytes = empty;
        break;
    case FW_INBOX_READ: {
        /* Its length is not known before: a packet is often as long as the one before it. */
        size_t wanted = inbox->n_total > 0 ? inbox->n_total - inbox->n_read
                                           : MAX(inbox->guess_bytes, GUESS_MIN_BYTES);
        request->offset += HEADER_AT + inbox->n_read;
        request->len_bytes = MIN(((uint32_t)wanted + 3) & ~3u, chunk_bytes);
        break;
    }
    case FW_INBOX_COMPARE:
        request->len_bytes = HEADER_AT + FW_INBOX_HEADER_BYTES;
        break;
    case FW_INBOX_LOOK:
    default:
        break;
    }
}

static FwInboxNews
take_state(FwInbox *inbox, uint32_t state)
{
    if (state == FW_BOX_FULL) {
        inbox->step = FW_INBOX_READ;
        inbox->n_read = 0;
        inbox->n_total = 0;
        return FW_INBOX_MORE;
    }
    inbox->step = FW_INBOX_LOOK;
    return state == FW_BOX_EMPTY ? FW_INBOX_EMPTY : FW_INBOX_GARBAGE;
}

static FwInboxNews
take_part(FwInbox *inbox, const uint8_t *bytes, size_t len_bytes)
{
    uint8_t *box = inbox->bytes + HEADER_AT;
    memcpy(box + inbox->n_read, bytes, MIN(len_bytes, FW_BOX_BYTES - HEADER_AT - inbox->n_read));
    inbox->n_read += len_bytes;
    if (inbox->n_total == 0) {
        uint32_t length = fw_bytes_get_u32(box + LENGTH_AT);
        if (length > PAYLOAD_MAX) {
            inbox->step = FW_INBOX_LOOK;
            return FW_INBOX_TOO_LONG;
        }
        inbox->n_total = FW_INBOX_HEADER_BYTES + length;
    }
    return inbox->n_read < inbox->n_total ? FW_INBOX_MORE : FW_INBOX_PACKET;
}

/* After a write that may have been carried out: if it was, the target may have put its next packet
 * there, which is not to be lost. */
static FwInboxNews
compare(FwInbox *inbox, const uint8_t *bytes)
{
    if (fw_bytes_get_u32(bytes) == FW_BOX_FULL &&
        memcmp(bytes + HEADER_AT, inbox->taken, FW_INBOX_HEADER_BYTES) == 0) {
        inbox->step = FW_INBOX_TAKE;
        return FW_INBOX_MORE;
    }
    return take_state(inbox, fw_bytes_get_u32(bytes));
}

/**
 * fw_inbox_answer:
 * @bytes: as many as were asked for, anything; nothing after a write
 *
 * Takes what was asked for.
 *
 * Returns: what it means
 */
FwInboxNews
fw_inbox_answer(FwInbox *inbox, const uint8_t *bytes, size_t len_bytes)
{
    switch (inbox->step) {
    case FW_INBOX_READ:
        return take_part(inbox, bytes, len_bytes);
    case FW_INBOX_TAKE:
        inbox->step = FW_INBOX_LOOK;
        return FW_INBOX_TAKEN;
    case FW_INBOX_COMPARE:
        return compare(inbox, bytes);
    case FW_INBOX_LOOK:
    default:
        return take_state(inbox, fw_bytes_get_u32(bytes));
    }
}

/**
 * fw_inbox_fail:
 *
 * Takes note that what was to be asked for did not happen, or that nobody knows whether it did.
 */
void
fw_inbox_fail(FwInbox *inbox)
{
    if (inbox->step == FW_INBOX_TAKE) {
        inbox->step = FW_INBOX_COMPARE;
    } else if (inbox->step == FW_INBOX_READ) {
        inbox->step = FW_INBOX_LOOK;
    }
}

/**
 * fw_inbox_restart:
 *
 * Takes note that the target has begun anew: what it says now was not taken before, even if it says
 * the same.
 */
void
fw_inbox_restart(FwInbox *inbox)
{
    if (inbox->step == FW_INBOX_COMPARE) {
        inbox->step = FW_INBOX_LOOK;
    }
}

/**
 * fw_inbox_get_packet:
 * @len_bytes: (out): of header and payload
 *
 * Returns: (transfer none): the packet, until the next answer
 */
const uint8_t *
fw_inbox_get_packet(FwInbox *inbox, size_t *len_bytes)
{
    uint8_t *box = inbox->bytes + HEADER_AT;
    memcpy(inbox->taken, box, FW_INBOX_HEADER_BYTES);
    /* The length goes from between header and payload. */
    memmove(box + 4, box, LENGTH_AT);
    *len_bytes = inbox->n_total - 4;
    return box + 4;
}

/**
 * fw_inbox_settle:
 * @is_received: else it stays where it is, and is read again
 *
 * Says what became of the packet.
 */
void
fw_inbox_settle(FwInbox *inbox, gboolean is_received)
{
    inbox->step = is_received ? FW_INBOX_TAKE : FW_INBOX_LOOK;
    inbox->guess_bytes = (uint32_t)inbox->n_total;
}
