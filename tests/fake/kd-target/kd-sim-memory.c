/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What lies in the RAM after a boot, where an address is, and breakpoints: an int3 each. */
#include "kd-sim-memory.h"

#include "kd-sim-packet.h"

#include <string.h>

#define KERNEL_NAME "ntoskrnl.exe"
#define INT3        0xCCu
#define NOP         0x90u
#define RET         0xC3u

static uint8_t *
at(KdSimMemory *memory, uint64_t address)
{
    return memory->bytes + (address - KD_SIM_RAM_ADDRESS);
}

/* As much of an image's header as says that it is one: MZ, PE, the machine, sizes. */
static void
write_image(KdSimMemory *memory)
{
    uint8_t *image = at(memory, KD_SIM_KERNEL_ADDRESS);
    memcpy(image, "MZ", 2);
    kd_sim_put32(image + 0x3C, 0x80);
    memcpy(image + 0x80, "PE\0", 4);
    kd_sim_put16(image + 0x84, KD_SIM_VERSION_MACHINE);
    kd_sim_put32(image + 0x88, 0x5e0eb67f); /* time stamp */
    kd_sim_put16(image + 0x94, 0xF0);       /* bytes of the optional header */
    kd_sim_put16(image + 0x98, 0x20B);      /* which is one of 64 bits */
    kd_sim_put64(image + 0xB0, KD_SIM_KERNEL_ADDRESS);
    kd_sim_put32(image + 0xD0, KD_SIM_KERNEL_BYTES);
    kd_sim_put32(image + 0xD8, 0x0001d0c4); /* checksum */
}

static void
write_list(uint8_t *entry, uint64_t next)
{
    kd_sim_put64(entry, next);
    kd_sim_put64(entry + 8, next);
}

static void
write_name(uint8_t *string, uint8_t *text, uint64_t text_address)
{
    const size_t len_bytes = strlen(KERNEL_NAME) * 2;
    for (size_t i = 0; i < strlen(KERNEL_NAME); i++)
        kd_sim_put16(text + 2 * i, (uint16_t)KERNEL_NAME[i]);
    kd_sim_put16(string, (uint16_t)len_bytes);
    kd_sim_put16(string + 2, (uint16_t)(len_bytes + 2));
    kd_sim_put64(string + 8, text_address);
}

/* The list of loaded modules, with the kernel alone in it, and the block that debuggers look for */
static void
write_lists(KdSimMemory *memory)
{
    const uint64_t entry_address = KD_SIM_MODULE_LIST_ADDRESS + 0x100;
    const uint64_t name_address = KD_SIM_MODULE_LIST_ADDRESS + 0x200;
    uint8_t *entry = at(memory, entry_address);
    write_list(at(memory, KD_SIM_MODULE_LIST_ADDRESS), entry_address);
    write_list(entry, KD_SIM_MODULE_LIST_ADDRESS);
    kd_sim_put64(entry + 0x30, KD_SIM_KERNEL_ADDRESS);
    kd_sim_put32(entry + 0x40, KD_SIM_KERNEL_BYTES);
    write_name(entry + 0x48, at(memory, name_address), name_address);
    write_name(entry + 0x58, at(memory, name_address), name_address);

    const uint64_t block_address = KD_SIM_DEBUGGER_DATA_ADDRESS + 0x20;
    uint8_t *block = at(memory, block_address);
    write_list(at(memory, KD_SIM_DEBUGGER_DATA_ADDRESS), block_address);
    write_list(block, KD_SIM_DEBUGGER_DATA_ADDRESS);
    memcpy(block + 0x10, "KDBG", 4);
    kd_sim_put32(block + 0x14, 0x360);
    kd_sim_put64(block + 0x18, KD_SIM_KERNEL_ADDRESS);
    kd_sim_put64(block + 0x48, KD_SIM_MODULE_LIST_ADDRESS);
    /* CmNtCSDVersion: no service pack */
    kd_sim_put64(block + 0x268, KD_SIM_DEBUGGER_DATA_ADDRESS + 0x800);
}

static void
write_code(KdSimMemory *memory)
{
    memset(at(memory, KD_SIM_CODE_ADDRESS), NOP, 0x400);
    *at(memory, KD_SIM_BREAK_ADDRESS) = INT3;
    *at(memory, KD_SIM_BREAK_ADDRESS + 1) = RET;
    *at(memory, KD_SIM_TICK_ADDRESS + 0x20) = RET;
    static const uint8_t fault[] = {0x48, 0x8B, 0x00}; /* mov (%rax), %rax */
    memcpy(at(memory, KD_SIM_FAULT_ADDRESS), fault, sizeof fault);
}

/**
 * kd_sim_memory_init:
 *
 * Allocates RAM, which is as after a boot; kd_sim_memory_clear() frees it.
 */
void
kd_sim_memory_init(KdSimMemory *memory)
{
    memory->bytes = g_malloc(KD_SIM_RAM_BYTES);
    kd_sim_memory_boot(memory);
}

/**
 * kd_sim_memory_clear:
 *
 * Frees the RAM.
 */
void
kd_sim_memory_clear(KdSimMemory *memory)
{
    g_clear_pointer(&memory->bytes, g_free);
}

/**
 * kd_sim_memory_boot:
 *
 * Makes everything what it is in the beginning.
 */
void
kd_sim_memory_boot(KdSimMemory *memory)
{
    memset(memory->bytes, 0, KD_SIM_RAM_BYTES);
    memset(memory->breakpoints, 0, sizeof memory->breakpoints);
    write_image(memory);
    write_lists(memory);
    write_code(memory);
    uint8_t *pattern = at(memory, KD_SIM_PATTERN_ADDRESS);
    for (uint32_t i = 0; i < KD_SIM_PATTERN_BYTES; i++)
        pattern[i] = kd_sim_facts_get_byte(KD_SIM_PATTERN_ADDRESS + i);
}

/**
 * kd_sim_memory_find:
 * @available_bytes: (out): how many bytes of RAM lie from there on
 *
 * Returns: (nullable): where the byte is; %NULL: there is no RAM
 */
uint8_t *
kd_sim_memory_find(const KdSimMemory *memory, uint64_t address, gboolean is_physical,
                   size_t *available_bytes)
{
    uint64_t offset = address - (is_physical ? KD_SIM_RAM_PHYSICAL : KD_SIM_RAM_ADDRESS);
    *available_bytes = 0;
    if (offset >= KD_SIM_RAM_BYTES)
        return NULL;
    *available_bytes = KD_SIM_RAM_BYTES - offset;
    return memory->bytes + offset;
}

/**
 * kd_sim_memory_set_breakpoint:
 *
 * Puts an int3 at @address.
 *
 * Returns: a handle from 1 on; 0: there is no RAM, a breakpoint already, or no handle left
 */
uint32_t
kd_sim_memory_set_breakpoint(KdSimMemory *memory, uint64_t address)
{
    size_t available_bytes = 0;
    uint8_t *byte = kd_sim_memory_find(memory, address, FALSE, &available_bytes);
    if (byte == NULL || kd_sim_memory_has_breakpoint(memory, address))
        return 0;
    for (uint32_t i = 0; i < KD_SIM_BREAKPOINTS; i++) {
        if (memory->breakpoints[i].address == 0) {
            memory->breakpoints[i] = (KdSimBreakpoint){.address = address, .original = *byte};
            *byte = INT3;
            return i + 1;
        }
    }
    return 0;
}

/**
 * kd_sim_memory_restore_breakpoint:
 *
 * Puts back the byte that was there.
 *
 * Returns: whether there was such a handle
 */
gboolean
kd_sim_memory_restore_breakpoint(KdSimMemory *memory, uint32_t handle)
{
    if (handle == 0 || handle > KD_SIM_BREAKPOINTS || memory->breakpoints[handle - 1].address == 0)
        return FALSE;
    KdSimBreakpoint *breakpoint = &memory->breakpoints[handle - 1];
    *at(memory, breakpoint->address) = breakpoint->original;
    breakpoint->address = 0;
    return TRUE;
}

/**
 * kd_sim_memory_has_breakpoint:
 *
 * Returns: whether one was set at @address
 */
gboolean
kd_sim_memory_has_breakpoint(const KdSimMemory *memory, uint64_t address)
{
    for (uint32_t i = 0; i < KD_SIM_BREAKPOINTS; i++) {
        if (memory->breakpoints[i].address == address)
            return TRUE;
    }
    return FALSE;
}
