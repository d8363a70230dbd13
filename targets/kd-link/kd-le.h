/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The little-endian numbers of the KD protocol. */
#pragma once

#include <stdint.h>

static inline uint16_t
kd_le_load16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

static inline uint32_t
kd_le_load32(const uint8_t *bytes)
{
    return (uint32_t)kd_le_load16(bytes) | (uint32_t)kd_le_load16(bytes + 2) << 16;
}

static inline void
kd_le_store16(uint8_t *bytes, uint16_t value)
{
    bytes[0] = (uint8_t)value;
    bytes[1] = (uint8_t)(value >> 8);
}

static inline void
kd_le_store32(uint8_t *bytes, uint32_t value)
{
    kd_le_store16(bytes, (uint16_t)value);
    kd_le_store16(bytes + 2, (uint16_t)(value >> 16));
}
