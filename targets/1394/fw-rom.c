/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the configuration ROM of a FireWire node says about a debug target on it. */
#include "fw-rom.h"

#include "fw-block.h"

/* The bus information block of IEEE 1394: "1394", capabilities, and the GUID in two */
#define BUS_INFO_QUADLETS 4u

/* Entries of the root directory, in this order and maybe with others between them: a key in the
 * upper 8 bits, an immediate value in the lower 24 */
#define ENTRY_DEBUGGER 0x1C0050F2u /* Microsoft's number */
#define ENTRY_VERSION  0x1D000002u
#define KEY_BLOCK      0x1Eu

static gboolean
find_block(const uint32_t *entries, size_t n_entries, uint32_t *offset)
{
    guint n_seen = 0;
    for (size_t i = 0; i < n_entries; i++) {
        if (n_seen == 0 && entries[i] == ENTRY_DEBUGGER) {
            n_seen = 1;
        } else if (n_seen == 1 && entries[i] == ENTRY_VERSION) {
            n_seen = 2;
        } else if (n_seen == 2 && entries[i] >> 24 == KEY_BLOCK) {
            *offset = entries[i] & 0xFFFFFFu;
            return TRUE;
        }
    }
    return FALSE;
}

/* max_rec of the bus information block: 2^(max_rec + 1) bytes; 0: it does not say */
static uint32_t
get_chunk_bytes(uint32_t capabilities)
{
    uint32_t max_rec = capabilities >> 12 & 0xFu;
    return CLAMP(2u << max_rec, FW_CHUNK_MIN_BYTES, FW_CHUNK_MAX_BYTES);
}

/**
 * fw_rom_parse:
 * @quadlets: in the processor's byte order, as the kernel gives them; anything
 * @n_quadlets: how many there are
 * @rom: (out caller-allocates): filled on success
 * @error: %G_IO_ERROR_NOT_FOUND: a node without a debug target; %G_IO_ERROR_INVALID_DATA: the ROM
 *    contradicts itself
 *
 * Looks for a debug target in a ROM. Checksums are not looked at, for many nodes have wrong ones,
 * and the kernel does not either. The entries are those that the public Singularity sources write.
 *
 * Returns: whether there is one
 */
gboolean
fw_rom_parse(const uint32_t *quadlets, size_t n_quadlets, FwRom *rom, GError **error)
{
    size_t n = MIN(n_quadlets, FW_ROM_MAX_QUADLETS);
    size_t n_info = n > 0 ? quadlets[0] >> 24 : 0;
    if (n_info < BUS_INFO_QUADLETS) {
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                            "the node's ROM has no directory");
        return FALSE;
    }
    size_t directory = 1 + n_info;
    if (directory >= n || quadlets[directory] >> 16 > n - directory - 1) {
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                            "the node's ROM is longer than it is");
        return FALSE;
    }
    FwRom own = {.guid = (uint64_t)quadlets[3] << 32 | quadlets[4],
                 .chunk_bytes = get_chunk_bytes(quadlets[2])};
    if (!find_block(quadlets + directory + 1, quadlets[directory] >> 16, &own.block_offset)) {
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                            "the node's ROM has no entry of a debug target");
        return FALSE;
    }
    if (own.block_offset == 0 || own.block_offset % 4 != 0 ||
        own.block_offset > (1u << 24) - FW_BLOCK_BYTES) {
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                    "the node's ROM puts the debug block at 0x%06x", own.block_offset);
        return FALSE;
    }
    *rom = own;
    return TRUE;
}
