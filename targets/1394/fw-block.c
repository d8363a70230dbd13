/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The debug configuration block in a target's memory: its channel, and where its mailboxes are. */
#include "fw-block.h"

#include "fw-bytes.h"
#include "fw-params.h"

/* The block, little-endian as all that a target shows (the public Singularity sources) */
#define TAG_AT     0u  /* u32 */
#define MAJOR_AT   4u  /* u16; a u16 follows for the minor version, which changes nothing here */
#define ID_AT      8u  /* u32: the channel; a u32 follows, which is for the target's own use */
#define SEND_AT    16u /* u64 */
#define RECEIVE_AT 24u /* u64 */

#define TAG   0xBABABABAu
#define MAJOR 1u

/* Above this a node has no memory but registers (OHCI 1.1, 1.4.1 and 5.15). */
#define MEMORY_END UINT64_C(0xFFFF00000000)

static gboolean
is_mailbox(uint64_t offset)
{
    return offset != 0 && offset % 4 == 0 && offset <= MEMORY_END - FW_BOX_BYTES;
}

static gboolean
is_apart(uint64_t a, uint64_t b)
{
    return a > b ? a - b >= FW_BOX_BYTES : b - a >= FW_BOX_BYTES;
}

/**
 * fw_block_parse:
 * @bytes: anything
 * @block: (out caller-allocates): filled on success
 * @error: %G_IO_ERROR_NOT_FOUND: there is no block; %G_IO_ERROR_INVALID_DATA: there is one, with
 *    which nothing can be done
 *
 * Reads a configuration block. Its mailboxes are where a node can have memory, and apart.
 *
 * Returns: whether it is one
 */
gboolean
fw_block_parse(const uint8_t bytes[static FW_BLOCK_BYTES], FwBlock *block, GError **error)
{
    FwBlock own = {.channel = fw_bytes_get_u32(bytes + ID_AT),
                   .send_offset = fw_bytes_get_u64(bytes + SEND_AT),
                   .receive_offset = fw_bytes_get_u64(bytes + RECEIVE_AT)};
    unsigned major = (unsigned)bytes[MAJOR_AT] | (unsigned)bytes[MAJOR_AT + 1] << 8;
    if (fw_bytes_get_u32(bytes + TAG_AT) != TAG) {
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                            "there is no debug block where the node's ROM says");
        return FALSE;
    }
    if (major != MAJOR) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                    "the target's debug block has version %u, not %u", major, MAJOR);
        return FALSE;
    }
    if (own.channel > FW_CHANNEL_MAX) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                    "the target's debug block has channel %u, of 0 to %u", own.channel,
                    FW_CHANNEL_MAX);
        return FALSE;
    }
    if (!is_mailbox(own.send_offset) || !is_mailbox(own.receive_offset) ||
        !is_apart(own.send_offset, own.receive_offset)) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                    "the target's debug block puts mailboxes at 0x%" G_GINT64_MODIFIER
                    "x and 0x%" G_GINT64_MODIFIER "x",
                    own.send_offset, own.receive_offset);
        return FALSE;
    }
    *block = own;
    return TRUE;
}

/**
 * fw_block_is_equal:
 *
 * Returns: whether both say the same
 */
gboolean
fw_block_is_equal(const FwBlock *a, const FwBlock *b)
{
    return a->channel == b->channel && a->send_offset == b->send_offset &&
           a->receive_offset == b->receive_offset;
}
