/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A debug target's memory as FireWire shows it, for tests: ROM, block and mailboxes, and what its
 * own side does with them. */
#pragma once

#include <glib.h>

#include <stdint.h>

/* Where its memory is, and what is in it */
#define KD_FW_BASE     UINT64_C(0x100000)
#define KD_FW_BLOCK    (KD_FW_BASE + 0x40)
#define KD_FW_SEND     (KD_FW_BASE + 0x1000)
#define KD_FW_RECEIVE  (KD_FW_BASE + 0x2000)
#define KD_FW_SIZE     0x4000u
#define KD_FW_FULL     0x103u
#define KD_FW_FIRST_ID 0x80800800u

/**
 * KdFwTarget:
 * @rom: quadlets, in the processor's order
 * @next_id: of the packet that it sends next
 *
 * A target.
 */
typedef struct {
    uint32_t channel;
    uint32_t rom[64];
    guint n_rom;
    uint32_t next_id;
    uint8_t memory[KD_FW_SIZE];
} KdFwTarget;

void kd_fw_target_boot(KdFwTarget *target, uint32_t channel, uint64_t guid);
void kd_fw_target_wipe(KdFwTarget *target);
gboolean kd_fw_target_read(const KdFwTarget *target, uint64_t offset, uint8_t *bytes, size_t len);
gboolean kd_fw_target_write(KdFwTarget *target, uint64_t offset, const uint8_t *bytes, size_t len);

uint32_t kd_fw_target_get_u32(const KdFwTarget *target, uint64_t offset);
void kd_fw_target_put_u32(KdFwTarget *target, uint64_t offset, uint32_t value);
gboolean kd_fw_target_has_sent(const KdFwTarget *target);
void kd_fw_target_send(KdFwTarget *target, uint16_t type, const uint8_t *payload, size_t len);
void kd_fw_target_send_text(KdFwTarget *target, const char *text);
GBytes *kd_fw_target_take(KdFwTarget *target);
