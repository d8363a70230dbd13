/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The requests of a debugger to a halted machine, and the reports of one that halts. */
#pragma once

#include "kd-sim-memory.h"
#include "kd-sim-packet.h"

#define KD_SIM_EXCEPTION_BYTES 0xF0u

/* What a debugger can look at and change */
typedef struct {
    KdSimMemory memory;
    uint8_t contexts[KD_SIM_PROCESSORS][KD_SIM_CONTEXT_BYTES];
    uint8_t special[KD_SIM_PROCESSORS][KD_SIM_SPECIAL_BYTES];
    uint32_t processor; /* the one that has stopped */
    uint32_t read_max_bytes;
    uint16_t build; /* of the kernel */
} KdSimCore;

typedef enum {
    KD_SIM_VERDICT_REPLY = 0,
    KD_SIM_VERDICT_REFUSAL = 1, /* a reply that says no */
    KD_SIM_VERDICT_SILENCE = 2,
    KD_SIM_VERDICT_CONTINUE = 3,
    KD_SIM_VERDICT_STEP = 4, /* one instruction */
    KD_SIM_VERDICT_REBOOT = 5,
    KD_SIM_VERDICT_SWITCH = 6, /* to the processor of the core */
} KdSimVerdict;

void kd_sim_core_boot(KdSimCore *core);
uint64_t kd_sim_core_get_pc(const KdSimCore *core);
void kd_sim_core_set_pc(KdSimCore *core, uint64_t address);
KdSimVerdict kd_sim_manipulate(KdSimCore *core, const uint8_t *request, size_t request_bytes,
                               uint8_t reply[static KD_SIM_PAYLOAD_MAX_BYTES], size_t *reply_bytes);
size_t kd_sim_report_exception(const KdSimCore *core, uint32_t code,
                               uint8_t report[static KD_SIM_PAYLOAD_MAX_BYTES]);
size_t kd_sim_report_load_symbols(const KdSimCore *core,
                                  uint8_t report[static KD_SIM_PAYLOAD_MAX_BYTES]);
