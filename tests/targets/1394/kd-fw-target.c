/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A debug target's memory as FireWire shows it, for tests: ROM, block and mailboxes, and what its
 * own side does with them. */
#include "kd-fw-target.h"

#include <string.h>

/**
 * kd_fw_target_get_u32:
 *
 * Returns: four bytes of its memory, little-endian
 */
uint32_t
kd_fw_target_get_u32(const KdFwTarget *target, uint64_t offset)
{
    uint32_t value;
    memcpy(&value, target->memory + (offset - KD_FW_BASE), 4);
    return GUINT32_FROM_LE(value);
}

/**
 * kd_fw_target_put_u32:
 *
 * Sets them.
 */
void
kd_fw_target_put_u32(KdFwTarget *target, uint64_t offset, uint32_t value)
{
    value = GUINT32_TO_LE(value);
    memcpy(target->memory + (offset - KD_FW_BASE), &value, 4);
}

/**
 * kd_fw_target_boot:
 * @target: (out caller-allocates)
 *
 * Starts it: empty mailboxes, a block that leads to them, and a ROM that leads to that.
 */
void
kd_fw_target_boot(KdFwTarget *target, uint32_t channel, uint64_t guid)
{
    const uint32_t rom[] = {
        0x0404F00D,
        0x31333934,
        0x0000A002,
        (uint32_t)(guid >> 32),
        (uint32_t)guid,
        0x00060000,
        0x0C0083C0,
        0x030050F2,
        0x1C0050F2,
        0x1D000002,
        0x1E000000 | (uint32_t)KD_FW_BLOCK,
        0x17000001,
    };
    memset(target, 0, sizeof *target);
    memcpy(target->rom, rom, sizeof rom);
    target->n_rom = G_N_ELEMENTS(rom);
    target->channel = channel;
    target->next_id = KD_FW_FIRST_ID;
    kd_fw_target_put_u32(target, KD_FW_BLOCK, 0xBABABABA);
    kd_fw_target_put_u32(target, KD_FW_BLOCK + 4, 1);
    kd_fw_target_put_u32(target, KD_FW_BLOCK + 8, channel);
    kd_fw_target_put_u32(target, KD_FW_BLOCK + 12, 1);
    kd_fw_target_put_u32(target, KD_FW_BLOCK + 16, (uint32_t)KD_FW_SEND);
    kd_fw_target_put_u32(target, KD_FW_BLOCK + 24, (uint32_t)KD_FW_RECEIVE);
}

/**
 * kd_fw_target_wipe:
 *
 * Overwrites its memory, as firmware does after a reset, and takes the debugger out of the ROM.
 */
void
kd_fw_target_wipe(KdFwTarget *target)
{
    memset(target->memory, 0xCC, sizeof target->memory);
    target->rom[5] = 0x00020000;
    target->n_rom = 8;
}

static gboolean
has_place(uint64_t offset, size_t len)
{
    return offset >= KD_FW_BASE && offset - KD_FW_BASE <= KD_FW_SIZE &&
           len <= KD_FW_SIZE - (offset - KD_FW_BASE);
}

/**
 * kd_fw_target_read:
 *
 * Returns: %FALSE: there is no such memory
 */
gboolean
kd_fw_target_read(const KdFwTarget *target, uint64_t offset, uint8_t *bytes, size_t len)
{
    if (!has_place(offset, len))
        return FALSE;
    memcpy(bytes, target->memory + (offset - KD_FW_BASE), len);
    return TRUE;
}

/**
 * kd_fw_target_write:
 *
 * Returns: %FALSE: there is no such memory
 */
gboolean
kd_fw_target_write(KdFwTarget *target, uint64_t offset, const uint8_t *bytes, size_t len)
{
    if (!has_place(offset, len))
        return FALSE;
    memcpy(target->memory + (offset - KD_FW_BASE), bytes, len);
    return TRUE;
}

/**
 * kd_fw_target_has_sent:
 *
 * Returns: whether nobody has taken its last packet yet
 */
gboolean
kd_fw_target_has_sent(const KdFwTarget *target)
{
    return kd_fw_target_get_u32(target, KD_FW_SEND) == KD_FW_FULL;
}

/**
 * kd_fw_target_send:
 * @type: of the data packet
 *
 * Puts a packet into its mailbox.
 */
void
kd_fw_target_send(KdFwTarget *target, uint16_t type, const uint8_t *payload, size_t len)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < len; i++)
        sum += payload[i];
    g_assert_false(kd_fw_target_has_sent(target));
    kd_fw_target_put_u32(target, KD_FW_SEND + 4, 0x30303030);
    kd_fw_target_put_u32(target, KD_FW_SEND + 8, (uint32_t)type | (uint32_t)len << 16);
    kd_fw_target_put_u32(target, KD_FW_SEND + 12, target->next_id++);
    kd_fw_target_put_u32(target, KD_FW_SEND + 16, sum);
    kd_fw_target_put_u32(target, KD_FW_SEND + 20, (uint32_t)len);
    if (len > 0)
        memcpy(target->memory + (KD_FW_SEND + 24 - KD_FW_BASE), payload, len);
    kd_fw_target_put_u32(target, KD_FW_SEND, KD_FW_FULL);
}

/**
 * kd_fw_target_send_text:
 *
 * Prints a debug string.
 */
void
kd_fw_target_send_text(KdFwTarget *target, const char *text)
{
    uint8_t payload[16 + 512] = {0x30, 0x32};
    size_t len = strlen(text);
    g_assert_cmpuint(len, <=, 512);
    payload[8] = (uint8_t)len;
    payload[9] = (uint8_t)(len >> 8);
    memcpy(payload + 16, text, len);
    kd_fw_target_send(target, 3, payload, 16 + len);
}

/**
 * kd_fw_target_take:
 *
 * Takes the packet that was put there for it.
 *
 * Returns: (transfer full) (nullable): %NULL: there is none
 */
GBytes *
kd_fw_target_take(KdFwTarget *target)
{
    if (kd_fw_target_get_u32(target, KD_FW_RECEIVE) != KD_FW_FULL)
        return NULL;
    uint32_t len = kd_fw_target_get_u32(target, KD_FW_RECEIVE + 4);
    g_assert_cmpuint(len, >, 0);
    g_assert_cmpuint(len, <=, 4000);
    kd_fw_target_put_u32(target, KD_FW_RECEIVE, 0);
    return g_bytes_new(target->memory + (KD_FW_RECEIVE + 8 - KD_FW_BASE), len);
}
