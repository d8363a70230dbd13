/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The debug configuration block in a target's memory: its channel, and where its mailboxes are. */
#pragma once

#include <gio/gio.h>

#include <stdint.h>

#define FW_BLOCK_BYTES 32u

/* A mailbox is 4096 bytes; see fw-mailbox.c for what is in it */
#define FW_BOX_BYTES 4096u

/**
 * FwBlock:
 * @channel: of the target
 * @send_offset: of the mailbox with the target's packets
 * @receive_offset: of the mailbox with packets for the target
 */
typedef struct {
    uint32_t channel;
    uint64_t send_offset;
    uint64_t receive_offset;
} FwBlock;

gboolean fw_block_parse(const uint8_t bytes[static FW_BLOCK_BYTES], FwBlock *block,
                        GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean fw_block_is_equal(const FwBlock *a, const FwBlock *b);
