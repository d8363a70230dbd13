/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bytes that lie in the simulated machine's memory after each boot. */
#include "kd-sim-facts.h"

/* Each page begins with what a reader of packets could fall for: leaders, break-ins, the byte
 * behind packets, XON and XOFF, the beginning of a packet, and what terminals and telnet change. */
static const uint8_t trap[32] = {
    0x30, 0x30, 0x30, 0x30, 0x02, 0x00, 0x38, 0x00, 0x69, 0x69, 0x69, 0x69, 0x06, 0x00, 0x00, 0x00,
    0x62, 0x62, 0x62, 0x62, 0xAA, 0xAA, 0x11, 0x13, 0xFF, 0xFF, 0xF3, 0x00, 0x0D, 0x0A, 0x03, 0x1B,
};

/**
 * kd_sim_facts_get_byte:
 * @address: within the %KD_SIM_PATTERN_BYTES at %KD_SIM_PATTERN_ADDRESS
 *
 * Tells which byte lies there after a boot; no two pages are alike.
 */
uint8_t
kd_sim_facts_get_byte(uint64_t address)
{
    uint64_t offset = address - KD_SIM_PATTERN_ADDRESS;
    if (offset % 4096 < sizeof trap)
        return trap[offset % 4096];
    uint64_t mixed = (offset + 1) * 0x9E3779B97F4A7C15u;
    return (uint8_t)((mixed ^ mixed >> 29) >> 40);
}

/**
 * kd_sim_facts_check:
 *
 * Compares what was read at @address with what has to be there.
 *
 * Returns: how many bytes are right, from the first on; @len_bytes: all
 */
size_t
kd_sim_facts_check(uint64_t address, const uint8_t *bytes, size_t len_bytes)
{
    size_t n = 0;
    while (n < len_bytes && bytes[n] == kd_sim_facts_get_byte(address + n))
        n++;
    return n;
}
