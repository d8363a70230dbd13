/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether a target is where its node's ROM says, and whether it is still the same. */
#pragma once

#include "fw-outbox.h"

/* What is asked for next */
typedef enum {
    FW_PLACE_NONE = 0,  /* nothing: there is no node                                             */
    FW_PLACE_STALE = 1, /* nothing: the node's number is not known since the last bus reset      */
    FW_PLACE_BLOCK = 2, /* the block                                                             */
    FW_PLACE_MARK = 3,  /* the mark in the mailbox that we write to                              */
    FW_PLACE_PLANT = 4, /* writes the mark                                                       */
    FW_PLACE_SURE = 5,  /* nothing: the target is there                                          */
} FwPlaceStep;

/* What an answer means */
typedef enum {
    FW_PLACE_MORE = 0,      /* ask on                                                            */
    FW_PLACE_FOUND = 1,     /* the target is there                                               */
    FW_PLACE_RESTARTED = 2, /* it is there, and has begun anew                                   */
    FW_PLACE_GONE = 3,      /* it is not there                                                   */
} FwPlaceNews;

/**
 * FwPlace:
 * @channel: of the target
 * @block_offset: where the block is to be
 * @block: as it was seen last
 * @has_block: it was seen
 * @was_gone: since then it was seen to be gone, or to be another
 *
 * The state of looking; all zero but the channel at the start.
 */
typedef struct {
    FwPlaceStep step;
    uint32_t channel;
    uint32_t block_offset;
    FwBlock block;
    gboolean has_block;
    gboolean was_gone;
    uint8_t mark[4];
} FwPlace;

void fw_place_ask(FwPlace *place, const FwOutbox *outbox, FwRequest *request);
FwPlaceNews fw_place_answer(FwPlace *place, const FwOutbox *outbox, const uint8_t *bytes,
                            GError **error);
