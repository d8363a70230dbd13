/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The processors' registers, and what a machine tells when it stops. */
#include "kd-sim-manipulate.h"

#include <string.h>

#define CONTROL_REPORT 0xC0u

/**
 * kd_sim_core_boot:
 *
 * Makes memory and registers what they are in the beginning.
 */
void
kd_sim_core_boot(KdSimCore *core)
{
    kd_sim_memory_boot(&core->memory);
    core->processor = 0;
    memset(core->contexts, 0, sizeof core->contexts);
    memset(core->special, 0, sizeof core->special);
    for (uint32_t i = 0; i < KD_SIM_PROCESSORS; i++) {
        uint8_t *context = core->contexts[i];
        kd_sim_put32(context + 0x30, 0x0010001F); /* all parts of it are there */
        kd_sim_put32(context + 0x34, 0x1F80);
        static const uint16_t segments[] = {0x10, 0x2B, 0x2B, 0x53, 0x2B, 0x18};
        for (uint32_t k = 0; k < G_N_ELEMENTS(segments); k++)
            kd_sim_put16(context + 0x38 + 2 * k, segments[k]);
        kd_sim_put32(context + KD_SIM_CONTEXT_EFLAGS, 0x246);
        /* rax to r15 tell which they are */
        for (uint32_t k = 0; k < 16; k++)
            kd_sim_put64(context + KD_SIM_CONTEXT_RAX + 8 * k, 0x1111111111111111u * k + i);
        kd_sim_put64(context + KD_SIM_CONTEXT_RSP, KD_SIM_STACK_ADDRESS - 0x4000 * i);
        kd_sim_put64(context + KD_SIM_CONTEXT_RIP, KD_SIM_BREAK_ADDRESS);
        kd_sim_put64(core->special[i], 0x80050033);      /* cr0 */
        kd_sim_put64(core->special[i] + 16, 0x001AB000); /* cr3 */
        kd_sim_put64(core->special[i] + 24, 0x000506F8); /* cr4 */
    }
}

/**
 * kd_sim_core_get_pc:
 *
 * Returns: rip of the processor that has stopped
 */
uint64_t
kd_sim_core_get_pc(const KdSimCore *core)
{
    return kd_sim_get64(core->contexts[core->processor] + KD_SIM_CONTEXT_RIP);
}

/**
 * kd_sim_core_set_pc:
 *
 * Sets rip of the processor that has stopped.
 */
void
kd_sim_core_set_pc(KdSimCore *core, uint64_t address)
{
    kd_sim_put64(core->contexts[core->processor] + KD_SIM_CONTEXT_RIP, address);
}

/* What all state changes have: who and where, and 48 bytes of registers at the end */
static void
write_common(const KdSimCore *core, uint32_t state, uint8_t *report)
{
    const uint8_t *context = core->contexts[core->processor];
    const uint64_t pc = kd_sim_core_get_pc(core);
    memset(report, 0, KD_SIM_EXCEPTION_BYTES);
    kd_sim_put32(report, state);
    kd_sim_put16(report + 4, 6);
    kd_sim_put16(report + 6, (uint16_t)core->processor);
    kd_sim_put32(report + 8, KD_SIM_PROCESSORS);
    kd_sim_put64(report + 16, KD_SIM_THREAD_ADDRESS);
    kd_sim_put64(report + 24, pc);

    uint8_t *control = report + CONTROL_REPORT;
    memcpy(control, context + 0x68, 16); /* dr6, dr7 */
    memcpy(control + 16, context + KD_SIM_CONTEXT_EFLAGS, 4);
    size_t available = 0;
    const uint8_t *code = kd_sim_memory_find(&core->memory, pc, FALSE, &available);
    size_t count = MIN(available, 16);
    if (code != NULL)
        memcpy(control + 24, code, count);
    kd_sim_put16(control + 20, (uint16_t)count);
    kd_sim_put16(control + 22, 3);
    memcpy(control + 40, context + 0x38, 8); /* cs, ds, es, fs */
}

/**
 * kd_sim_report_exception:
 * @report: (out caller-allocates):
 *
 * Returns: how long the report is that the processor has stopped by @code at its rip
 */
size_t
kd_sim_report_exception(const KdSimCore *core, uint32_t code,
                        uint8_t report[static KD_SIM_PAYLOAD_MAX_BYTES])
{
    write_common(core, 0x3030, report);
    kd_sim_put32(report + 32, code);
    kd_sim_put64(report + 48, kd_sim_core_get_pc(core));
    if (code == KD_SIM_CODE_FAULT) {
        kd_sim_put32(report + 56, 2); /* what was tried, and where */
        kd_sim_put64(report + 72, 0x62);
    }
    kd_sim_put32(report + 184, 1); /* first chance */
    return KD_SIM_EXCEPTION_BYTES;
}

/**
 * kd_sim_report_load_symbols:
 * @report: (out caller-allocates):
 *
 * Returns: how long the report is that a module was loaded
 */
size_t
kd_sim_report_load_symbols(const KdSimCore *core, uint8_t report[static KD_SIM_PAYLOAD_MAX_BYTES])
{
    write_common(core, 0x3031, report);
    kd_sim_put32(report + 32, sizeof KD_SIM_MODULE_PATH);
    kd_sim_put64(report + 40, KD_SIM_MODULE_ADDRESS);
    kd_sim_put64(report + 48, 4);
    kd_sim_put32(report + 56, KD_SIM_MODULE_CHECKSUM);
    kd_sim_put32(report + 60, KD_SIM_MODULE_BYTES);
    memcpy(report + KD_SIM_EXCEPTION_BYTES, KD_SIM_MODULE_PATH, sizeof KD_SIM_MODULE_PATH);
    return KD_SIM_EXCEPTION_BYTES + sizeof KD_SIM_MODULE_PATH;
}
