/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The simulated machine's RAM, with the breakpoints in it. */
#pragma once

#include "kd-sim-facts.h"

#include <glib.h>

typedef struct {
    uint64_t address; /* 0: the handle is free */
    uint8_t original;
} KdSimBreakpoint;

typedef struct {
    uint8_t *bytes; /* %KD_SIM_RAM_BYTES */
    KdSimBreakpoint breakpoints[KD_SIM_BREAKPOINTS];
} KdSimMemory;

void kd_sim_memory_init(KdSimMemory *memory);
void kd_sim_memory_clear(KdSimMemory *memory);
void kd_sim_memory_boot(KdSimMemory *memory);
uint8_t *kd_sim_memory_find(const KdSimMemory *memory, uint64_t address, gboolean is_physical,
                            size_t *available_bytes);
uint32_t kd_sim_memory_set_breakpoint(KdSimMemory *memory, uint64_t address);
gboolean kd_sim_memory_restore_breakpoint(KdSimMemory *memory, uint32_t handle);
gboolean kd_sim_memory_has_breakpoint(const KdSimMemory *memory, uint64_t address);
