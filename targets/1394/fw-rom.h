/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the configuration ROM of a FireWire node says about a debug target on it. */
#pragma once

#include "fw-request.h"

#include <gio/gio.h>

/* The whole of a configuration ROM (IEEE 1212): 1 KiB */
#define FW_ROM_MAX_QUADLETS 256u

/**
 * FwRom:
 * @guid: of the node
 * @block_offset: where its debug configuration block is, in physical memory below 16 MiB
 * @chunk_bytes: most bytes of one request that the node can take
 *
 * A node with a debug target.
 */
typedef struct {
    uint64_t guid;
    uint32_t block_offset;
    uint32_t chunk_bytes;
} FwRom;

gboolean fw_rom_parse(const uint32_t *quadlets, size_t n_quadlets, FwRom *rom,
                      GError **error) G_GNUC_WARN_UNUSED_RESULT;
