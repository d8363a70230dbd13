/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Little-endian numbers in the bytes of a target. */
#pragma once

#include <stdint.h>

static inline uint32_t
fw_bytes_get_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static inline uint64_t
fw_bytes_get_u64(const uint8_t *bytes)
{
    return fw_bytes_get_u32(bytes) | (uint64_t)fw_bytes_get_u32(bytes + 4) << 32;
}

static inline void
fw_bytes_put_u32(uint8_t *bytes, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
}
