/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Little-endian numbers in byte strings, one byte at a time: no alignment, no host order. */
#pragma once

#include <stdint.h>

static inline void
kd_u16_store(uint8_t *out, uint16_t value)
{
    out[0] = (uint8_t)(value & 0xff);
    out[1] = (uint8_t)(value >> 8);
}

static inline void
kd_u32_store(uint8_t *out, uint32_t value)
{
    kd_u16_store(out, (uint16_t)(value & 0xffff));
    kd_u16_store(out + 2, (uint16_t)(value >> 16));
}

static inline void
kd_u64_store(uint8_t *out, uint64_t value)
{
    kd_u32_store(out, (uint32_t)(value & 0xffffffff));
    kd_u32_store(out + 4, (uint32_t)(value >> 32));
}

static inline uint16_t
kd_u16_load(const uint8_t *in)
{
    return (uint16_t)(in[0] | (unsigned)in[1] << 8);
}

static inline uint32_t
kd_u32_load(const uint8_t *in)
{
    return (uint32_t)kd_u16_load(in) | (uint32_t)kd_u16_load(in + 2) << 16;
}

static inline uint64_t
kd_u64_load(const uint8_t *in)
{
    return (uint64_t)kd_u32_load(in) | (uint64_t)kd_u32_load(in + 4) << 32;
}
