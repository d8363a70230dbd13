/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The mailbox in which a target finds packets for it, as it is filled from afar. */
#include "fw-outbox.h"

#include "fw-bytes.h"

#include <string.h>

/* State u32, length of what follows u32, header and payload [4000] (the public Singularity sources)
 */
#define LENGTH_AT 4u

/**
 * fw_outbox_put:
 * @outbox: with %FW_OUTBOX_IDLE
 * @packet: header and payload, or the byte of a break-in
 * @len_bytes: 1 to %FW_OUTBOX_PACKET_MAX_BYTES
 *
 * Gives it a packet.
 */
void
fw_outbox_put(FwOutbox *outbox, const uint8_t *packet, size_t len_bytes)
{
    g_return_if_fail(outbox->step == FW_OUTBOX_IDLE && len_bytes > 0 &&
                     len_bytes <= FW_OUTBOX_PACKET_MAX_BYTES);
    fw_bytes_put_u32(outbox->bytes, (uint32_t)len_bytes);
    memcpy(outbox->bytes + 4, packet, len_bytes);
    outbox->n_total = (4 + len_bytes + 3) & ~(size_t)3;
    memset(outbox->bytes + 4 + len_bytes, 0, outbox->n_total - 4 - len_bytes);
    outbox->n_written = 0;
    outbox->step = outbox->is_empty ? FW_OUTBOX_FILL : FW_OUTBOX_ROOM;
}

/**
 * fw_outbox_ask:
 * @outbox: not with %FW_OUTBOX_IDLE
 * @chunk_bytes: most bytes of one request
 * @request: (out caller-allocates): what it writes is borrowed until the answer
 *
 * Says what is to be asked for next. The state is written last, so that the target never sees half
 * a packet.
 */
void
fw_outbox_ask(const FwOutbox *outbox, const FwBlock *block, uint32_t chunk_bytes,
              FwRequest *request)
{
    static const uint8_t full[4] = {FW_BOX_FULL & 0xFFu, FW_BOX_FULL >> 8, 0, 0};
    static const uint8_t empty[4] = {0};
    *request = (FwRequest){.offset = block->receive_offset, .len_bytes = 4};
    switch (outbox->step) {
    case FW_OUTBOX_FILL:
        request->is_write = TRUE;
        request->offset += LENGTH_AT + outbox->n_written;
        request->len_bytes = MIN((uint32_t)(outbox->n_total - outbox->n_written), chunk_bytes);
        request->bytes = outbox->bytes + outbox->n_written;
        break;
    case FW_OUTBOX_POST:
        request->is_write = TRUE;
        request->bytes = full;
        break;
    case FW_OUTBOX_WITHDRAW:
        request->is_write = TRUE;
        request->bytes = empty;
        break;
    case FW_OUTBOX_IDLE:
    case FW_OUTBOX_ROOM:
    case FW_OUTBOX_CHECK:
    case FW_OUTBOX_WATCH:
    default:
        break;
    }
}

static FwOutboxNews
end_packet(FwOutbox *outbox, FwOutboxNews news)
{
    outbox->step = FW_OUTBOX_IDLE;
    outbox->is_empty = TRUE;
    outbox->is_posted = FALSE;
    outbox->since_us = 0;
    return news;
}

static FwOutboxNews
fill(FwOutbox *outbox)
{
    outbox->step = FW_OUTBOX_FILL;
    outbox->n_written = 0;
    outbox->is_empty = TRUE;
    outbox->since_us = 0;
    return FW_OUTBOX_MORE;
}

/* Our own packet, or what another host has left there */
static FwOutboxNews
stay_full(FwOutbox *outbox, gint64 now_us)
{
    if (outbox->since_us == 0) {
        outbox->since_us = now_us;
    }
    if (now_us - outbox->since_us >= FW_OUTBOX_LIMIT_US) {
        outbox->step = FW_OUTBOX_WITHDRAW;
        return FW_OUTBOX_MORE;
    }
    return FW_OUTBOX_FULL;
}

static FwOutboxNews
take_state(FwOutbox *outbox, gboolean is_full, gint64 now_us)
{
    switch (outbox->step) {
    case FW_OUTBOX_CHECK:
        if (is_full) {
            outbox->step = FW_OUTBOX_WATCH;
            outbox->is_posted = TRUE;
            outbox->since_us = now_us;
            return FW_OUTBOX_POSTED;
        }
        return outbox->is_assumed_posted ? end_packet(outbox, FW_OUTBOX_TAKEN) : fill(outbox);
    case FW_OUTBOX_WATCH:
        return is_full ? stay_full(outbox, now_us) : end_packet(outbox, FW_OUTBOX_TAKEN);
    case FW_OUTBOX_ROOM:
    default:
        return is_full ? stay_full(outbox, now_us) : fill(outbox);
    }
}

static void
note_last(FwOutbox *outbox)
{
    if (outbox->n_total == sizeof outbox->bytes) {
        outbox->last = fw_bytes_get_u32(outbox->bytes + sizeof outbox->bytes - 4);
    }
}

/**
 * fw_outbox_answer:
 * @bytes: four after a read, anything; nothing after a write
 * @len_bytes: that were asked for
 *
 * Takes what was asked for.
 *
 * Returns: what it means
 */
FwOutboxNews
fw_outbox_answer(FwOutbox *outbox, const uint8_t *bytes, size_t len_bytes, gint64 now_us)
{
    switch (outbox->step) {
    case FW_OUTBOX_FILL:
        outbox->n_written += len_bytes;
        if (outbox->n_written >= outbox->n_total) {
            note_last(outbox);
            outbox->step = FW_OUTBOX_POST;
        }
        return FW_OUTBOX_MORE;
    case FW_OUTBOX_POST:
        outbox->step = FW_OUTBOX_WATCH;
        outbox->is_empty = FALSE;
        outbox->is_posted = TRUE;
        outbox->since_us = now_us;
        return FW_OUTBOX_POSTED;
    case FW_OUTBOX_WITHDRAW:
        return outbox->is_posted ? end_packet(outbox, FW_OUTBOX_DROPPED) : fill(outbox);
    case FW_OUTBOX_IDLE:
    case FW_OUTBOX_ROOM:
    case FW_OUTBOX_CHECK:
    case FW_OUTBOX_WATCH:
    default:
        return take_state(outbox, fw_bytes_get_u32(bytes) == FW_BOX_FULL, now_us);
    }
}

/**
 * fw_outbox_fail:
 * @is_unsure: it may have happened all the same
 *
 * Takes note that what was asked for did not happen, or that nobody knows whether it did.
 *
 * A target that was sent a request twice would carry it out twice. So after a post whose answer is
 * missing an empty mailbox is taken for a packet that was taken: the node had acknowledged the
 * write, else the controller would have said so. Was it lost nevertheless, the debugger asks again.
 */
void
fw_outbox_fail(FwOutbox *outbox, gboolean is_unsure)
{
    switch (outbox->step) {
    case FW_OUTBOX_FILL:
        outbox->step = FW_OUTBOX_ROOM;
        outbox->is_empty = FALSE;
        break;
    case FW_OUTBOX_POST:
        outbox->step = FW_OUTBOX_CHECK;
        outbox->is_empty = FALSE;
        outbox->is_assumed_posted = is_unsure;
        break;
    case FW_OUTBOX_WITHDRAW:
        outbox->step = outbox->is_posted ? FW_OUTBOX_WATCH : FW_OUTBOX_ROOM;
        break;
    case FW_OUTBOX_IDLE:
    case FW_OUTBOX_ROOM:
    case FW_OUTBOX_CHECK:
    case FW_OUTBOX_WATCH:
    default:
        break;
    }
}

/**
 * fw_outbox_clear:
 *
 * Forgets the packet and what is known of the mailbox: it is another target's.
 */
void
fw_outbox_clear(FwOutbox *outbox)
{
    outbox->step = FW_OUTBOX_IDLE;
    outbox->is_empty = FALSE;
    outbox->is_posted = FALSE;
    outbox->since_us = 0;
}
