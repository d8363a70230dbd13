/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether a target is where its node's ROM says, and whether it is still the same. */
#include "fw-place.h"

#include "fw-bytes.h"

/**
 * fw_place_ask:
 * @place: with a step that asks for something
 * @outbox: knows the mark
 * @request: (out caller-allocates): what it writes is borrowed until the answer
 *
 * Says what is to be asked for next.
 */
void
fw_place_ask(FwPlace *place, const FwOutbox *outbox, FwRequest *request)
{
    if (place->step == FW_PLACE_BLOCK) {
        *request = (FwRequest){.offset = place->block_offset, .len_bytes = FW_BLOCK_BYTES};
        return;
    }
    *request = (FwRequest){.offset = place->block.receive_offset + FW_OUTBOX_LAST_AT,
                           .len_bytes = sizeof place->mark};
    if (place->step == FW_PLACE_PLANT) {
        fw_bytes_put_u32(place->mark, outbox->last);
        request->is_write = TRUE;
        request->bytes = place->mark;
    }
}

static FwPlaceNews
take_block(FwPlace *place, const uint8_t *bytes, GError **error)
{
    FwBlock block;
    if (!fw_block_parse(bytes, &block, error)) {
        place->was_gone = TRUE;
        return FW_PLACE_GONE;
    }
    if (block.channel != place->channel) {
        place->was_gone = TRUE;
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "the target has channel %u now",
                    block.channel);
        return FW_PLACE_GONE;
    }
    if (place->has_block && !fw_block_is_equal(&block, &place->block)) {
        place->was_gone = TRUE;
    }
    place->block = block;
    place->step = place->has_block && !place->was_gone ? FW_PLACE_MARK : FW_PLACE_PLANT;
    return FW_PLACE_MORE;
}

/* A packet that was about to be written may have got as far as its last bytes. */
static gboolean
is_ours(const FwOutbox *outbox, uint32_t mark)
{
    return mark == outbox->last ||
           (outbox->n_total == sizeof outbox->bytes &&
            mark == fw_bytes_get_u32(outbox->bytes + sizeof outbox->bytes - 4));
}

/**
 * fw_place_answer:
 * @bytes: as many as were asked for, anything; nothing after a write
 * @error: set with %FW_PLACE_GONE
 *
 * Takes what was asked for.
 *
 * The mark stands in the last four bytes of the mailbox that we write to, which only the longest
 * packets reach. When it is another one, the target has made its mailboxes anew at the same place:
 * it has restarted.
 *
 * Returns: what it means
 */
FwPlaceNews
fw_place_answer(FwPlace *place, const FwOutbox *outbox, const uint8_t *bytes, GError **error)
{
    gboolean is_restarted = place->has_block && place->was_gone;
    switch (place->step) {
    case FW_PLACE_BLOCK:
        return take_block(place, bytes, error);
    case FW_PLACE_MARK:
        if (!is_ours(outbox, fw_bytes_get_u32(bytes))) {
            place->was_gone = TRUE;
            place->step = FW_PLACE_PLANT;
            return FW_PLACE_MORE;
        }
        break;
    case FW_PLACE_PLANT:
    case FW_PLACE_NONE:
    case FW_PLACE_STALE:
    case FW_PLACE_SURE:
    default:
        break;
    }
    place->has_block = TRUE;
    place->was_gone = FALSE;
    place->step = FW_PLACE_SURE;
    return is_restarted ? FW_PLACE_RESTARTED : FW_PLACE_FOUND;
}
