/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One asynchronous request to a FireWire node, and how it can end. */
#pragma once

#include <glib.h>

#include <stdint.h>

/* The most that one request may carry: 2048 bytes at S400 (IEEE 1394-1995, 6.2.2.3), and more is
 * not asked for at S800 */
#define FW_CHUNK_MAX_BYTES 2048u
#define FW_CHUNK_MIN_BYTES 512u /* what S100 carries */

/**
 * FwRequest:
 * @is_write: else it reads
 * @offset: in the node's 48 bits of address space
 * @len_bytes: a multiple of 4, at most %FW_CHUNK_MAX_BYTES
 * @bytes: (nullable): what is written; borrowed for the call
 *
 * Four bytes are a quadlet request, more a block request.
 */
typedef struct {
    gboolean is_write;
    uint64_t offset;
    uint32_t len_bytes;
    const uint8_t *bytes;
} FwRequest;

/* How a request has ended; what the response codes of linux/firewire-constants.h come down to */
typedef enum {
    FW_DONE = 0,
    FW_NOT_DONE = 1, /* it was not carried out: busy, nobody there, refused                       */
    FW_UNSURE = 2,   /* it may have been carried out: there was no answer                         */
    FW_STALE = 3,    /* there was a bus reset: numbers of nodes have changed                      */
} FwOutcome;
