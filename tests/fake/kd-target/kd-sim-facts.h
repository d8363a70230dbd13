/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a test can know of the simulated machine: addresses, bytes, codes and texts. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* 4 MiB of RAM, at 0 of physical memory and once more where a 64-bit kernel has its own */
#define KD_SIM_RAM_ADDRESS  0xfffff80000000000u
#define KD_SIM_RAM_BYTES    0x400000u
#define KD_SIM_RAM_PHYSICAL 0u

/* the kernel's image and its structures; what of it has no meaning is zero */
#define KD_SIM_KERNEL_ADDRESS        KD_SIM_RAM_ADDRESS
#define KD_SIM_KERNEL_BYTES          0x100000u
#define KD_SIM_MODULE_LIST_ADDRESS   (KD_SIM_RAM_ADDRESS + 0x2000u) /* PsLoadedModuleList */
#define KD_SIM_DEBUGGER_DATA_ADDRESS (KD_SIM_RAM_ADDRESS + 0x3000u) /* KdDebuggerDataBlock */
#define KD_SIM_CODE_ADDRESS          (KD_SIM_RAM_ADDRESS + 0x20000u)
#define KD_SIM_STACK_ADDRESS         (KD_SIM_RAM_ADDRESS + 0x47f80u) /* rsp */
#define KD_SIM_KPCR_ADDRESS          (KD_SIM_RAM_ADDRESS + 0x50000u)
#define KD_SIM_KPRCB_ADDRESS         (KD_SIM_RAM_ADDRESS + 0x50180u)
#define KD_SIM_THREAD_ADDRESS        (KD_SIM_RAM_ADDRESS + 0x60000u)

/* an int3 that the machine comes to by a break-in and when it boots */
#define KD_SIM_BREAK_ADDRESS (KD_SIM_CODE_ADDRESS + 0x100u)
/* one byte of nop that the machine comes to every KD_SIM_TICK_US; may have a breakpoint */
#define KD_SIM_TICK_ADDRESS (KD_SIM_CODE_ADDRESS + 0x200u)
/* where the order `exception` faults */
#define KD_SIM_FAULT_ADDRESS (KD_SIM_CODE_ADDRESS + 0x300u)
/* how often the machine has come to KD_SIM_TICK_ADDRESS since it booted, 8 bytes: grows while it
 * runs */
#define KD_SIM_TICKS_ADDRESS (KD_SIM_RAM_ADDRESS + 0x70000u)
#define KD_SIM_TICK_US       10000

/* 2 MiB of kd_sim_facts_get_byte(), what it is in after each boot; can be written */
#define KD_SIM_PATTERN_ADDRESS (KD_SIM_RAM_ADDRESS + 0x100000u)
#define KD_SIM_PATTERN_BYTES   0x200000u
/* 1 MiB that is zero after each boot, for writing */
#define KD_SIM_SCRATCH_ADDRESS (KD_SIM_RAM_ADDRESS + 0x300000u)
#define KD_SIM_SCRATCH_BYTES   0x100000u

/* GetVersion */
#define KD_SIM_VERSION_MAJOR    0xFu
#define KD_SIM_VERSION_MINOR    19041u
#define KD_SIM_VERSION_PROTOCOL 6u
#define KD_SIM_VERSION_FLAGS    0x0007u /* MP, DATA, PTR64 */
#define KD_SIM_VERSION_MACHINE  0x8664u
#define KD_SIM_PROCESSORS       2u

/* the longest read of one request; with KDNET one of 1024 bytes */
#define KD_SIM_READ_MAX_BYTES     3944u
#define KD_SIM_NET_READ_MAX_BYTES 1024u

#define KD_SIM_CONTEXT_BYTES   0x4D0u
#define KD_SIM_CONTEXT_RSP     0x98u
#define KD_SIM_CONTEXT_RIP     0xF8u
#define KD_SIM_CONTEXT_RAX     0x78u
#define KD_SIM_CONTEXT_EFLAGS  0x44u
#define KD_SIM_CONTEXT_R15     0xF0u
#define KD_SIM_BREAKPOINTS     32u /* handles are 1 to this */
#define KD_SIM_SPECIAL_BYTES   0xD8u
#define KD_SIM_STATUS_SUCCESS  0u
#define KD_SIM_STATUS_FAILURE  0xC0000001u
#define KD_SIM_CODE_BREAKPOINT 0x80000003u
#define KD_SIM_CODE_STEP       0x80000004u
#define KD_SIM_CODE_FAULT      0xC0000005u

/* the text of the n-th debug string since the program began, from 1 on: 30 bytes */
#define KD_SIM_PRINT_FORMAT "sim: this is print no. %06u\n"
#define KD_SIM_PRINT_BYTES  30u
/* what it says first when a debugger is back after it was given up */
#define KD_SIM_REFRESH_TEXT "KDTARGET: Refreshing KD connection\n"
#define KD_SIM_PROMPT_TEXT  "sim: break, ignore, terminate (bit)? "
#define KD_SIM_FILE_NAME    "\\SystemRoot\\system32\\drivers\\sim-drv.sys"

/* the module that the order `load-symbols` shows: 12 bytes of path */
#define KD_SIM_MODULE_PATH     "sim-drv.sys"
#define KD_SIM_MODULE_ADDRESS  (KD_SIM_RAM_ADDRESS + 0x80000u)
#define KD_SIM_MODULE_BYTES    0x8000u
#define KD_SIM_MODULE_CHECKSUM 0x0001d0c5u

uint8_t kd_sim_facts_get_byte(uint64_t address);
size_t kd_sim_facts_check(uint64_t address, const uint8_t *bytes, size_t len_bytes);
